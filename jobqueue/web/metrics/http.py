"""Metrics of HTTP requests, as the processes of this server counted them, and all metrics in Prometheus's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Flask, Request, current_app
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest, values
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from jobqueue.queue.connection import Connection
from jobqueue.queue.queries import Queries
from jobqueue.web.job_ids import PARAMETER
from jobqueue.web.metrics import processes
from jobqueue.web.metrics.merged import MergedMetrics
from jobqueue.web.metrics.queue import QueueMetrics
from jobqueue.web.metrics.values import SharedNumber

EXTENSION = "jobqueue-metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HttpMetrics(PrometheusMetrics):
    """prometheus-flask-exporter with three changes.

    It would label requests by their raw path; here the label is the rule of the route, so that no client can create a
    series. It would share one registry among all apps of a process. prometheus_client would share numbers between
    processes by mapped files in PROMETHEUS_MULTIPROC_DIR: requests fail when that directory is removed, a full file
    system kills the process with SIGBUS, and every process ever started leaves its files. Here the processes share
    memory (`processes`).
    """

    def __init__(self, app: Flask, queue: Collector, counts: processes.Counts | None) -> None:
        disable_created_metrics()
        # The metrics take this when they are made. prometheus_client chose files when it was imported, if the variable
        # PROMETHEUS_MULTIPROC_DIR is set.
        values.ValueClass = values.MutexValue if counts is None else SharedNumber.maker(counts)
        self._queue, self._counts = queue, counts
        super().__init__(app, path=None, group_by=url_rule, registry=CollectorRegistry())

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        scraped = CollectorRegistry()
        scraped.register(self.registry if self._counts is None else MergedMetrics(self.registry, self._counts))
        scraped.register(self._queue)
        shown = generate_latest(scraped)
        # After they were read, so that a server that is killed and started again does not show less than this.
        processes.save_counts()
        return shown


def install(app: Flask, queries: Queries, connection: Connection) -> None:
    """Measure every request of the app."""
    app.extensions[EXTENSION] = HttpMetrics(app, QueueMetrics(queries, connection), processes.shared_counts())
    app.wsgi_app = known_methods(app.wsgi_app)  # type: ignore[method-assign, assignment]  # the way Flask documents


def exposition() -> bytes:
    """Return all metrics of the app that handles this request, in Prometheus's text format."""
    return cast("HttpMetrics", current_app.extensions[EXTENSION]).exposition()


def url_rule(request: Request) -> str:
    """Return the label of a request's route, such as `/api/v1/jobs/<uuid:job_id>`.

    The label is older than the converter of job ids and stays as it was: dashboards and alerts select by it.
    """
    return request.url_rule.rule.replace(PARAMETER, "<uuid:job_id>") if request.url_rule else "unmatched"


def known_methods(app: WsgiApp) -> WsgiApp:
    """Return the app with every method that HTTP does not define renamed to one, since each method becomes a label."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in METHODS:
            environ["REQUEST_METHOD"] = "UNKNOWN"
        return app(environ, start_response)

    return call
