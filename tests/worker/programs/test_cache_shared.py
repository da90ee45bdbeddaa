"""However many threads and processes request one program at once, it is downloaded once."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.errors import DownloadFailed, DownloadStopped
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.child_script import line_from, running, send_line
from tests.support.downloads import PROGRAM, Shop, sha256_of
from tests.support.fake_server import Reply, Request
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")

SCRIPT = """
import pathlib, threading
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.download import DownloadRules
directory, target, url, sha256 = sys.argv[1:]
cache = Cache(pathlib.Path(directory), 1 << 30, DownloadRules())
print("ready", flush=True)
sys.stdin.readline()
print(cache.fetch(url, sha256, pathlib.Path(target), threading.Event()))
"""


class Gate:
    """A host that answers nothing before it is opened."""

    def __init__(self, shop: Shop, reply: Callable[[], Reply]) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Event()
        self._reply = reply
        shop.host.answer = self

    def __call__(self, _: Request) -> Reply:
        self.arrived.set()
        self.opened.wait(30)
        return self._reply()


def fetch_all(shop: Shop, pool: ThreadPoolExecutor, caches: list[Cache]) -> list[Future[bool]]:
    targets = [shop.folder / f"thread-{number}" for number in range(len(caches))]
    return [pool.submit(shop.fetch, cache, PROGRAM, target) for cache, target in zip(caches, targets, strict=True)]


@pytest.mark.parametrize("cache_count", [1, 8])
def test_eight_simultaneous_requests_make_one_download(shop: Shop, pool: ThreadPoolExecutor, cache_count: int) -> None:
    gate = Gate(shop, lambda: Reply(body=PROGRAM))
    caches = [shop.open() for _ in range(cache_count)] * (8 // cache_count)
    futures = fetch_all(shop, pool, caches)
    gate.arrived.wait(10)
    wait_until("all have requested it", lambda: shop.fetch_count == 8)
    gate.opened.set()
    assert sorted(future.result(10) for future in futures) == [False] + [True] * 7
    assert len(shop.host.requests) == 1
    assert all((shop.folder / f"thread-{number}").read_bytes() == PROGRAM for number in range(8))
    assert shop.files() == {sha256_of(PROGRAM)}


def test_when_a_download_fails_the_next_waiting_request_tries(shop: Shop, pool: ThreadPoolExecutor) -> None:
    replies = iter([Reply(404), Reply(404), Reply(body=PROGRAM)])
    gate = Gate(shop, lambda: next(replies))
    futures = fetch_all(shop, pool, [shop.open()] * 8)
    gate.arrived.wait(10)
    wait_until("all have requested it", lambda: shop.fetch_count == 8)
    gate.opened.set()
    errors = [future.exception(10) for future in futures]
    assert sum(isinstance(error, DownloadFailed) for error in errors) == 2
    assert sum(error is None for error in errors) == 6
    assert len(shop.host.requests) == 3


def test_different_programs_do_not_wait_for_one_another(shop: Shop, pool: ThreadPoolExecutor) -> None:
    cache = shop.open()
    gate = Gate(shop, lambda: Reply(body=PROGRAM))
    held = pool.submit(shop.fetch, cache)
    gate.arrived.wait(10)
    shop.host.answer = lambda _: Reply(body=b"another")
    shop.fetch(cache, b"another", shop.folder / "another")
    gate.opened.set()
    assert held.result(10) is False


def test_a_waiting_request_can_be_stopped(shop: Shop, pool: ThreadPoolExecutor) -> None:
    cache, stopped = shop.open(), threading.Event()
    gate = Gate(shop, lambda: Reply(body=PROGRAM))
    held = pool.submit(shop.fetch, cache)
    gate.arrived.wait(10)
    threading.Timer(0.1, stopped.set).start()
    with pytest.raises(DownloadStopped):
        cache.fetch(shop.host.url, sha256_of(PROGRAM), shop.folder / "waits", stopped)
    gate.opened.set()
    assert held.result(10) is False


def test_a_lock_that_is_never_released_delays_a_download_only_for_the_time_limit(shop: Shop) -> None:
    shop.rules = DownloadRules(timeout_seconds=0.3)
    cache = shop.open()
    shard = shop.entry().parent
    shard.mkdir(mode=0o700)
    with (shard / f"{sha256_of(PROGRAM)}.lock").open("w") as hostile:
        fcntl.flock(hostile, fcntl.LOCK_EX)
        assert shop.fetch(cache) is False
        assert shop.fetch(cache) is True


def test_two_workers_on_one_host_make_one_download(shop: Shop) -> None:
    gate = Gate(shop, lambda: Reply(body=PROGRAM))
    arguments = (shop.host.url, sha256_of(PROGRAM))
    with (
        running(SCRIPT, shop.directory, shop.folder / "one", *arguments) as one,
        running(SCRIPT, shop.directory, shop.folder / "two", *arguments) as two,
    ):
        for worker in (one, two):
            assert line_from(worker) == "ready\n"
        send_line(one)
        assert gate.arrived.wait(10)
        send_line(two)
        gate.opened.set()
        assert [worker.communicate(timeout=10)[0] for worker in (one, two)] == ["False\n", "True\n"]
    assert len(shop.host.requests) == 1
    assert (shop.folder / "two").read_bytes() == PROGRAM


def test_every_program_arrives_though_the_cache_is_too_small_for_all(shop: Shop, pool: ThreadPoolExecutor) -> None:
    """Some requests evict entries while others use them."""
    shop.max_bytes = 2500
    caches = [shop.open(), shop.open()]
    contents = [bytes([number]) * 1000 for number in range(6)]

    def use(number: int) -> bytes:
        target = shop.folder / f"use-{number}"
        content = contents[number * number % 7 % 6]
        caches[number % 2].fetch(f"{shop.host.url}/{sha256_of(content)}", sha256_of(content), target, shop.stopped)
        assert target.read_bytes() == content
        return content

    shop.programs = {sha256_of(content): content for content in contents}
    list(pool.map(use, range(300)))
    assert len(shop.files()) <= 2
