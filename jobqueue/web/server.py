"""Serves the API with gunicorn: processes and threads, time limits, the metrics of several processes, error pages.

`jobqueue-server` runs `main`. In a checkout, `gunicorn app:app` reads the same settings through `gunicorn.conf.py`.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import socket
import sys
from collections.abc import MutableMapping, Sequence
from http import HTTPStatus

import gunicorn.util
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.util import write_nonblock

from jobqueue import __version__
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from jobqueue.web.metrics.processes import choose_region, prepare, save_counts
from jobqueue.web.server_log import ServerLog

APP = "jobqueue.web.app:start()"
PR_SET_DUMPABLE = 4  # of <linux/prctl.h>


def settings(variables: MutableMapping[str, str]) -> dict[str, object]:
    """Return gunicorn's settings. Ends the process with a sentence if one of our own settings is wrong.

    It prepares this process as well: it replaces gunicorn's error page and makes the memory in which the processes
    count. gunicorn calls it again on SIGHUP; the memory then stays the same.
    """
    try:
        config.load(variables)  # Here, so that a wrong setting ends the arbiter before it has started a process.
        own = config.load_gunicorn(variables)
    except InvalidSetting as error:
        sys.exit(str(error))
    close_memory()
    gunicorn.util.write_error = write_error  # gunicorn has no setting for its error page.
    prepare(own.metrics_directory)
    return {
        "bind": f"0.0.0.0:{own.port}",
        "workers": own.processes,
        "worker_class": "gthread",
        "threads": 32,
        # Longer than an executor is idle between two heartbeats: gunicorn's 2 s would reset its connection each time.
        "keepalive": 75,
        "timeout": 30,
        "graceful_timeout": 25,  # Platforms send SIGKILL 30 s after SIGTERM.
        "limit_request_line": 8190,
        "control_socket_disable": True,
        "pre_fork": choose_region,
        "on_exit": save_counts,
        "logger_class": ServerLog,
    }


def close_memory() -> None:
    """Deny other processes of this user, such as jobs, access to this process's memory and environment, and to those of
    its children: they hold the password of Redis. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:  # noqa: ARG001  # gunicorn passes it
    """Answer a request that gunicorn refuses before Flask sees it, in the shape of every other error.

    Such a request is not HTTP, or its request line or headers are too long. This replaces `gunicorn.util.write_error`,
    which answers in HTML, and has its signature. `message` quotes the request, so it is not part of the answer.
    """
    body = json.dumps({"error": reason, "context": {}}).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Server(WSGIApplication):
    """gunicorn with these settings and this app. Its options and a gunicorn.conf.py in the current directory win."""

    def init(self, parser: argparse.ArgumentParser, options: argparse.Namespace, _: Sequence[str]) -> dict[str, object]:
        """Choose the app and return the settings."""
        super().init(parser, options, [APP])
        return settings(os.environ)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    if {"--version", "-v"} & {*sys.argv[1:]}:  # gunicorn would print its own
        sys.exit(print(f"jobqueue-server {__version__}"))  # noqa: T201  # for a person
    Server("%(prog)s [OPTIONS]").run()


if __name__ == "__main__":
    main()
