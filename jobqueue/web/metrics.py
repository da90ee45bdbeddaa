"""Metrics: HTTP by route as the server's processes saw it, and the queue's own as Redis has them at this moment."""

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

EXTENSION = "jobqueue-metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class HttpMetrics(PrometheusMetrics):
    """prometheus-flask-exporter, kept from three of its habits.

    It labels by raw path (here by route rule, so that no client can make new series), it shares one registry among all
    apps of a process, and with PROMETHEUS_MULTIPROC_DIR set it drops every collector that is not its own.
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
    """The queue's metrics, read from Redis when scraped; a dead Redis is a metric too, never an error."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def collect(self) -> Iterator[Metric]:
        """Yield every family; without Redis only `jobqueue_redis_up 0`."""
        try:
            stats, executors = self._queries.stats(), self._queries.executors()
        except JobQueueError:
            yield GaugeMetricFamily("jobqueue_redis_up", "Whether Redis answers.", 0)
            return
        yield GaugeMetricFamily("jobqueue_redis_up", "Whether Redis answers.", 1)
        yield from _families(stats, executors)


def _families(stats: Stats, executors: Iterable[Executor]) -> Iterator[Metric]:
    busy = [executor.current_job_id is not None for executor in executors]
    yield _by_label("jobqueue_jobs", "Jobs by status.", "status", stats.by_status())
    yield _by_label("jobqueue_pending_jobs", "Pending jobs by priority.", "priority", stats.pending())
    yield _by_label(
        "jobqueue_oldest_pending_seconds",
        "How long the oldest pending job has waited since it was submitted.",
        "priority",
        {priority: age_ms / 1000 for priority, age_ms in stats.oldest_pending_ms.items()},
    )
    states = {"busy": busy.count(True), "idle": busy.count(False)}
    yield _by_label("jobqueue_executors", "Executors heard from lately.", "state", states)
    finished = CounterMetricFamily("jobqueue_jobs_finished", "Jobs that ended.", labels=["status"])
    for status, count in stats.finished.items():
        finished.add_metric([status], count)
    yield finished
    yield CounterMetricFamily("jobqueue_attempts_lost", "Attempts whose executor fell silent.", stats.attempts_lost)


def _by_label(name: str, what: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def install(app: Flask, queries: Queries) -> None:
    """Measure every request of the app."""
    app.extensions[EXTENSION] = HttpMetrics(app, QueueMetrics(queries))
    app.wsgi_app = KnownMethods(app.wsgi_app)  # type: ignore[method-assign]  # the way Flask documents


def exposition() -> bytes:
    """Return all metrics of the app that handles this request, in Prometheus's text format."""
    return cast("HttpMetrics", current_app.extensions[EXTENSION]).exposition()


def url_rule(request: Request) -> str:
    """Return the rule that matched, such as `/api/v1/jobs/<uuid:job_id>`."""
    return request.url_rule.rule if request.url_rule else "unmatched"


class KnownMethods:
    """Calls methods that HTTP does not know by one name, since each becomes a label."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, object], start_response: object) -> Iterable[bytes]:
        """Pass a request on."""
        if environ["REQUEST_METHOD"] not in METHODS:
            environ["REQUEST_METHOD"] = "UNKNOWN"
        return self._app(environ, start_response)
