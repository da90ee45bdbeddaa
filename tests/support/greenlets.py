"""Uses a queue under gevent: many greenlets share the connections, and a silent server blocks none of them."""

from gevent import monkey  # type: ignore[import-untyped, import-not-found, unused-ignore]

monkey.patch_all()

import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402

from jobqueue.errors import StoreUnavailable  # noqa: E402
from jobqueue.queue.connection import Connection, connect  # noqa: E402
from jobqueue.queue.transport import pool, sockets  # noqa: E402
from tests.support.bench import Bench  # noqa: E402

PATIENCE_SECONDS = 0.5
real, *silent = sys.argv[1:]
for url in (real, silent[0]):
    bench = Bench(connect(url, verify=False))
    assert all(greenlet.get() for greenlet in [gevent.spawn(bench.submit) for _ in range(100)])

pool.ANSWER_SECONDS = sockets.HANDSHAKE_SECONDS = PATIENCE_SECONDS


def ask(url: str) -> float:
    """Return how long a silent server keeps a caller."""
    started = time.monotonic()
    try:
        Connection(connect(url)).ping()
    except StoreUnavailable:
        return time.monotonic() - started
    raise AssertionError("somebody answered")


asked = [gevent.spawn(ask, url) for url in silent[1:] for _ in range(5)]
turns = 0
while not all(greenlet.ready() for greenlet in asked):
    gevent.sleep(0.01)
    turns += 1
assert turns > 20, turns
assert max(greenlet.get() for greenlet in asked) < 5
