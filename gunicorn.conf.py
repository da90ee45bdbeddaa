"""How the server is served: processes and threads, time-outs, metrics of many processes, errors below Flask."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

import gunicorn.util

from jobqueue.settings import Environment, InvalidSetting
from jobqueue.web.config import load, load_port
from jobqueue.web.gunicorn_errors import write_error

try:
    load(os.environ)  # a wrong setting ends the master with a sentence, before any process is forked
    port = load_port(os.environ)
    workers = Environment(os.environ).whole_number("WEB_CONCURRENCY", 2, 1, 64)
except InvalidSetting as error:
    sys.exit(str(error))

bind = f"0.0.0.0:{port}"
worker_class = "gthread"
threads = 32
keepalive = 75  # longer than an executor is idle between heartbeats: the default of 2 s resets their connections
timeout = 30
graceful_timeout = 25  # platforms kill 30 s after SIGTERM
limit_request_line = 8190
control_socket_disable = True

gunicorn.util.write_error = write_error  # the only way to it: gunicorn has no setting for its error page

METRICS_PREFIX = "jobqueue-metrics-"
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=METRICS_PREFIX)
os.makedirs(os.environ["PROMETHEUS_MULTIPROC_DIR"], exist_ok=True)


def child_exit(_server: Any, worker: Any) -> None:
    """Take a dead process's gauges out of the metrics; its counters stay."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415  # reads the environment at import

    mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:
    """Remove the metrics directory if it is ours."""
    folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    if os.path.basename(folder).startswith(METRICS_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
