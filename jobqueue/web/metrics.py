"""Metrics for Prometheus: HTTP requests as this server's processes counted them, and the queue as it is in Redis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from flask import Flask, Request, current_app
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_flask_exporter import PrometheusMetrics

from jobqueue.errors import JobQueueError
from jobqueue.queue.queries import Executor, Queries, Stats
from jobqueue.web.job_ids import PARAMETER

EXTENSION = "jobqueue-metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Family = type[GaugeMetricFamily] | type[CounterMetricFamily]
WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HttpMetrics(PrometheusMetrics):
    """prometheus-flask-exporter with three changes.

    It would label requests by their raw path; here the label is the rule of the route, so that no client can create a
    series. It would share one registry among all apps of a process. With PROMETHEUS_MULTIPROC_DIR set, it would leave
    out every collector but its own.
    """

    def __init__(self, app: Flask, queue: Collector) -> None:
        disable_created_metrics()
        self._queue = queue
        super().__init__(app, path=None, group_by=url_rule, registry=CollectorRegistry())

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        scraped = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(scraped)
        else:
            scraped.register(self.registry)
        scraped.register(self._queue)
        return generate_latest(scraped)


class QueueMetrics(Collector):
    """The queue's metrics, read from Redis at each scrape. An unreachable Redis is a metric too, not an error."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family; without Redis only `jobqueue_redis_up 0`."""
        try:
            stats, executors = self._queries.stats(), self._queries.executors()
        except JobQueueError:
            yield GaugeMetricFamily("jobqueue_redis_up", "Whether Redis answers.", 0)
            return
        yield GaugeMetricFamily("jobqueue_redis_up", "Whether Redis answers.", 1)
        yield from _families(stats, executors)


def _families(stats: Stats, executors: Iterable[Executor]) -> Iterator[Metric]:
    busy = [executor.current_job_id is not None for executor in executors]
    states = {"busy": busy.count(True), "idle": busy.count(False)}
    ages = {priority: age_ms / 1000 for priority, age_ms in stats.oldest_pending_ms.items()}
    gauge, counter = GaugeMetricFamily, CounterMetricFamily
    yield _labelled(gauge, "jobqueue_jobs", "Jobs by status.", status=stats.by_status())
    yield _labelled(gauge, "jobqueue_pending_jobs", "Pending jobs by priority.", priority=stats.pending())
    yield _labelled(gauge, "jobqueue_oldest_pending_seconds", "Age of the oldest pending job.", priority=ages)
    yield _labelled(gauge, "jobqueue_executors", "Active executors.", state=states)
    yield _labelled(counter, "jobqueue_jobs_finished", "Jobs that ended.", status=stats.finished)
    yield counter("jobqueue_attempts_lost", "Attempts whose executor fell silent.", stats.attempts_lost)


def _labelled(family: Family, name: str, what: str, **values: Mapping[Any, float]) -> Metric:
    """Return a metric with one label, whose numbers are given by the label's value."""
    ((label, numbers),) = values.items()
    metric = family(name, what, labels=[label])
    for value, number in numbers.items():
        metric.add_metric([value], number)
    return metric


def install(app: Flask, queries: Queries) -> None:
    """Measure every request of the app."""
    app.extensions[EXTENSION] = HttpMetrics(app, QueueMetrics(queries))
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
