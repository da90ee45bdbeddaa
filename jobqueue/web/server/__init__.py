"""Serves the API with gunicorn: its settings, its sockets, and a worker class in which no client can hold up another.

`jobqueue-server` runs `main`. In a checkout, `gunicorn app:app` reads the same settings through `gunicorn.conf.py`.

__main__: the command.
gunicorn_settings: the settings, and the hooks that gunicorn calls.
listening: the addresses, and the sockets that listen on them.
worker: gunicorn's gevent worker as this server needs it: a process from its first connection to its end.
serving: the requests of one connection, one after another.
strict_http: the requests, read more strictly than gunicorn reads them.
connections: the connections of a process, and how long each may take.
gate: how many requests of a process run at once.
error_page: the answers to requests that never reach Flask.
process: what the operating system grants a process: descriptors, closed memory, and a signal when its parent dies.
log: gunicorn's log as events of ours.
"""

from __future__ import annotations

import sys

from jobqueue import __version__
from jobqueue.web.server.gunicorn_settings import settings

__all__ = ["main", "settings"]


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    if {"--version", "-v"} & {*sys.argv[1:]}:  # gunicorn would print its own
        sys.exit(print(f"jobqueue-server {__version__}"))  # noqa: T201  # for a person
    from jobqueue.web.server.__main__ import Server  # noqa: PLC0415  # gunicorn's configuration needs only `settings`

    Server("%(prog)s [OPTIONS]").run()
