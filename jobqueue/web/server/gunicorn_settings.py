"""gunicorn's settings, and the hooks that gunicorn calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import gunicorn.util

from jobqueue import logs
from jobqueue.access import keyring
from jobqueue.queue.waiting import neighbours
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from jobqueue.web.access import policy, warning
from jobqueue.web.metrics.processes import choose_region, prepare, save_counts
from jobqueue.web.server.error_page import write_error
from jobqueue.web.server.listening import bind_texts, open_listeners
from jobqueue.web.server.log import ServerLog
from jobqueue.web.server.process import close_memory

WORKER_CLASS = "jobqueue.web.server.worker.Worker"
MAX_CONNECTIONS = 4000
"""Connections of a process, if the descriptor limit allows. An idle one costs about 20 KB."""


def settings(variables: Mapping[str, str]) -> dict[str, object]:
    """Return gunicorn's settings. Ends the process with a sentence if one of our own settings is wrong.

    It prepares this process as well: it closes its memory to others, reads the tokens, replaces gunicorn's error page,
    and makes the memory in which the processes count. gunicorn calls it again on SIGHUP; that memory then stays the
    same, and the tokens are read again.

    The arbiter must not import redis-py. Server processes inherit what it has imported, and redis-py would hold on to a
    `sleep` that stops a whole process, as it was imported before the process has replaced that by gevent's.
    """
    try:
        # Here, so that a wrong setting ends the arbiter before it has started a process.
        loaded = config.load(variables)
        logs.choose(loaded.log_format)
        policy.prepare(loaded)
        own = config.load_gunicorn(variables)
    except InvalidSetting as error:
        sys.exit(str(error))
    close_memory()
    gunicorn.util.write_error = write_error  # gunicorn has no setting for its error page.
    prepare(own.metrics_directory)
    neighbours.prepare()
    return {
        "bind": bind_texts(own.bind, own.port),
        "workers": own.processes,
        "worker_class": WORKER_CLASS,
        "worker_connections": MAX_CONNECTIONS,
        # Longer than an executor is idle between two heartbeats, and than the 60 s for which most proxies keep a
        # connection: whoever closes an idle connection first must be the client, or its next request is lost.
        "keepalive": 75,
        "timeout": 30,
        "graceful_timeout": 25,  # Platforms send SIGKILL 30 s after SIGTERM.
        "limit_request_line": 8190,
        # No header of a client may become anything but `HTTP_…` in the WSGI environment: neither SCRIPT_NAME or
        # PATH_INFO, which gunicorn accepts from loopback, nor the scheme.
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "header_map": "drop",
        "control_socket_disable": True,
        "on_starting": lambda arbiter: start(arbiter, config.misspelt(variables)),
        "pre_fork": prepare_process,
        "on_exit": save_counts,
        "logger_class": ServerLog,
    }


def start(arbiter: Any, misspelt: Mapping[str, str]) -> None:
    """Listen. Say once, and not in every process, which variables have nearly the names of settings, and whether the
    API is open to everybody.
    """
    for name, meant in misspelt.items():
        logs.logger().warning("setting_unknown", name=name, meant=meant)
    tokens = keyring.inherited()
    if tokens is not None and tokens.is_open:
        warning.warn(arbiter.cfg.address)
    open_listeners(arbiter)
    _look_after_tokens(arbiter)


def _look_after_tokens(arbiter: Any) -> None:
    """Have gunicorn's master look at the file of tokens every second, as its processes do.

    A process that starts while the file is broken inherits what the master has read last. If that were older than what
    the others know, a token that was removed long ago would be valid again. gunicorn has no hook for this, but its loop
    looks for hanging processes every second.
    """
    murder_workers = arbiter.murder_workers

    def look() -> None:
        keyring.look()
        murder_workers()

    arbiter.murder_workers = look


def prepare_process(server: Any, worker: Any) -> None:
    """Prepare what a process that gunicorn's master is about to start inherits: the tokens that are valid now, and its
    shared memory, for its counts and its line.
    """
    keyring.look()
    choose_region(server, worker)
    neighbours.choose(worker)
