"""Metrics of HTTP requests, as the processes of this server counted them, and all metrics in Prometheus's format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, cast

from flask import Flask, Request, Response, current_app
from flask.globals import request_ctx
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest, values
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from jobqueue.queue.connection import Connection
from jobqueue.queue.queries import Queries
from jobqueue.web.metrics import processes
from jobqueue.web.metrics.merged import MergedMetrics
from jobqueue.web.metrics.queue import QueueMetrics
from jobqueue.web.metrics.values import SharedNumber
from jobqueue.web.requests.job_ids import PARAMETER

EXTENSION = "jobqueue-metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
CRASHED = 500
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _Registry(CollectorRegistry):
    """A registry whose metrics can be found by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics: dict[str, Any] = {}

    def register(self, collector: Collector) -> None:
        """Add a metric."""
        super().register(collector)
        self.metrics |= {family.name: collector for family in collector.describe()}  # type: ignore[attr-defined]


class _NoHooks:
    """Takes the place of an app for prometheus-flask-exporter, which adds hooks to it."""

    def before_request(self, hook: object) -> None:
        """Do nothing."""

    after_request = teardown_request = before_request


class HttpMetrics(PrometheusMetrics):
    """prometheus-flask-exporter with four changes.

    It would label requests by their raw path; here the label is the rule of the route, so that no client can create a
    series. It would share one registry among all apps of a process. prometheus_client would share numbers between
    processes by mapped files in PROMETHEUS_MULTIPROC_DIR: requests fail when that directory is removed, a full file
    system kills the process with SIGBUS, and every process ever started leaves its files. Here the processes share
    memory (`processes`). And it would look up its metrics by their labels twice for every request: here each kind of
    request is looked up once.
    """

    def __init__(self, app: Flask, queue: Collector, counts: processes.Counts | None) -> None:
        disable_created_metrics()
        # The metrics take this when they are made. prometheus_client chose files when it was imported, if the variable
        # PROMETHEUS_MULTIPROC_DIR is set.
        values.ValueClass = values.MutexValue if counts is None else SharedNumber.maker(counts)
        self._queue, self._counts = queue, counts
        self._kinds: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        super().__init__(app, path=None, group_by=url_rule, registry=_Registry())

    def export_defaults(self, *, app: Flask, **options: Any) -> None:
        """Define the metrics, and measure every request of the app."""
        super().export_defaults(app=_NoHooks(), **options)
        app.before_request(self._begin)
        app.after_request(self._measure)
        app.teardown_request(self._measure_crash)

    def _begin(self) -> None:
        request_ctx.request.began_at = perf_counter()  # type: ignore[attr-defined]

    def _measure(self, response: Response) -> Response:
        self._count(request_ctx.request, response.status_code)
        return response

    def _measure_crash(self, error: BaseException | None) -> None:
        """Count a request that was ended by what no error handler gets, such as the end of its greenlet."""
        if error is None:
            return
        received = request_ctx.request
        self._metric("flask_http_request_exceptions").labels(received.method, CRASHED).inc()
        self._count(received, CRASHED)

    def _count(self, received: Request, status: int) -> None:
        """Count a request and its duration, unless that has been done before."""
        began_at = vars(received).pop("began_at", None)
        if began_at is None:
            return
        kind = (received.method, url_rule(received), status)
        numbers = self._kinds.get(kind)
        if numbers is None:
            total = self._metric("flask_http_request").labels(kind[0], status)
            numbers = self._kinds[kind] = self._metric("flask_http_request_duration_seconds").labels(*kind), total
        duration, total = numbers
        duration.observe(max(perf_counter() - began_at, 0))
        total.inc()

    def _metric(self, name: str) -> Any:
        return cast("_Registry", self.registry).metrics[name]

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
