"""`queue/queries.py`: counts, and an outage. What each query returns is tested in `tests/lua`."""

from __future__ import annotations

import pytest

from jobqueue.errors import StoreUnavailable
from jobqueue.job import Priority, Status, Stream
from jobqueue.queue.connection import connect
from jobqueue.queue.queries import Filter
from tests.support.bench import Bench
from tests.support.redis_proxy import Proxy


def test_counts_add_up(real_bench: Bench) -> None:
    for count, priority in enumerate(Priority, start=1):
        real_bench.submit(count, priority)
    real_bench.claims.claim("executor-1", None)
    stats = real_bench.queries.stats()
    assert stats.by_status() == {
        status: sum(stats.jobs[status, priority] for priority in Priority) for status in Status
    }
    assert (stats.by_status()[Status.PENDING], stats.by_status()[Status.RUNNING]) == (5, 1)
    assert stats.pending() == {Priority.FOREGROUND: 0, Priority.BACKGROUND: 2, Priority.BEST_EFFORT: 3}


def test_every_query_raises_store_unavailable_when_redis_is_away(proxy: Proxy) -> None:
    proxy.away = True
    with connect(proxy.url) as client:
        queries = Bench(client).queries
        calls = (
            lambda: queries.get("any"),
            lambda: queries.list(Filter(), 10, 0),
            lambda: queries.output("any", Stream.STDOUT, 0),
            queries.stats,
            lambda: queries.executors(10, 0),
        )
        for call in calls:
            with pytest.raises(StoreUnavailable):
                call()
