"""The queue's metrics, as they are in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobqueue.errors import JobQueueError
from jobqueue.queue import health
from jobqueue.queue.connection import Connection
from jobqueue.queue.health import Health
from jobqueue.queue.queries import Queries, Stats
from jobqueue.queue.transport.limits import limited

Family = type[GaugeMetricFamily] | type[CounterMetricFamily]


class QueueMetrics(Collector):
    """The queue's metrics, read from Redis at each scrape. An unreachable Redis is a metric too, not an error."""

    def __init__(self, queries: Queries, connection: Connection) -> None:
        self._queries = queries
        self._connection = connection

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family; without Redis only `jobqueue_redis_up 0`."""
        try:
            with limited():  # one time limit for the whole scrape
                stats = self._queries.stats()
                full = health.check(self._connection) is Health.FULL
        except JobQueueError:
            yield GaugeMetricFamily("jobqueue_redis_up", "Whether Redis answers.", 0)
            return
        yield GaugeMetricFamily("jobqueue_redis_up", "Whether Redis answers.", 1)
        yield GaugeMetricFamily("jobqueue_store_full", "Whether Redis is full and refuses new jobs.", full)
        yield from _families(stats)


def _families(stats: Stats) -> Iterator[Metric]:
    states = {"busy": stats.busy_executors, "idle": stats.active_executors - stats.busy_executors}
    ages = {priority: age_ms / 1000 for priority, age_ms in stats.oldest_pending_ms.items()}
    gauge, counter = GaugeMetricFamily, CounterMetricFamily
    yield _labelled(gauge, "jobqueue_jobs", "Jobs by status.", status=stats.by_status())
    yield _labelled(gauge, "jobqueue_pending_jobs", "Pending jobs by priority.", priority=stats.pending())
    yield _labelled(gauge, "jobqueue_oldest_pending_seconds", "Age of the oldest pending job.", priority=ages)
    yield _labelled(gauge, "jobqueue_executors", "Active executors.", state=states)
    yield _labelled(counter, "jobqueue_jobs_finished", "Jobs that ended.", status=stats.finished)
    yield counter("jobqueue_attempts_lost", "Attempts whose executor fell silent.", stats.attempts_lost)
    yield counter("jobqueue_attempts_never_received", "Attempts whose claim's answer was lost.", stats.never_received)
    yield counter("jobqueue_host_faults", "Attempts that could not be made because of a host.", stats.host_faults)


def _labelled(family: Family, name: str, what: str, **values: Mapping[Any, float]) -> Metric:
    """Return a metric with one label, whose numbers are given by the label's value."""
    ((label, numbers),) = values.items()
    metric = family(name, what, labels=[label])
    for value, number in numbers.items():
        metric.add_metric([value], number)
    return metric
