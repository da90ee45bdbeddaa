"""Requests that wait for a server wait side by side, and disturb nobody else."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.worker.programs.errors import DownloadFailed, DownloadStopped
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import PROGRAM, Shop, sha256_of
from tests.support.fake_server import Reply, nobody
from tests.support.hosts import misbehaving, silent
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_slots_that_wait_for_one_server_share_the_wait(shop: Shop, pool: ThreadPoolExecutor) -> None:
    """The server accepts connections and is silent, so that each try takes a while."""
    shop.rules = DownloadRules(connect_seconds=0.5, retry_seconds=0.5, minimum_speed=MinimumSpeed(1024, 0.5))
    cache, begun = shop.open(), time.monotonic()
    with misbehaving(silent) as url:
        waiting = [
            pool.submit(cache.fetch, url, sha256_of(PROGRAM), shop.folder / str(number), shop.stopped)
            for number in range(8)
        ]
        assert all(isinstance(each.exception(30), DownloadFailed) for each in waiting)
    assert time.monotonic() - begun < 8 * 0.5


def test_a_program_whose_server_is_away_is_fetched_from_another_url_meanwhile(
    shop: Shop, pool: ThreadPoolExecutor
) -> None:
    shop.rules = DownloadRules()
    cache, stopped = shop.open(), threading.Event()
    with nobody() as url:
        waiting = pool.submit(cache.fetch, url, sha256_of(PROGRAM), shop.folder / "waiting", stopped)
        wait_until("it waits", lambda: not waiting.done())
        assert shop.fetch(cache) is False
        assert waiting.result(10) is True


def test_a_worker_that_starts_leaves_the_part_of_a_download_that_waits(shop: Shop, pool: ThreadPoolExecutor) -> None:
    shop.rules = DownloadRules()
    replies = iter([Reply(body=PROGRAM[:5], headers={"ETag": '"one"'}, length=len(PROGRAM))])
    rest = Reply(206, PROGRAM[5:], {"Content-Range": f"bytes 5-{len(PROGRAM) - 1}/{len(PROGRAM)}"})
    back = threading.Event()
    shop.host.answer = lambda _: next(replies, rest if back.is_set() else Reply(503))
    cache = shop.open()
    waiting = pool.submit(shop.fetch, cache)
    wait_until("it waits", lambda: len(shop.host.requests) > 2)
    for _ in range(20):
        shop.open()
    back.set()
    assert waiting.result(10) is False
    assert shop.latest.read_bytes() == PROGRAM
    assert shop.host.requests[-1].headers["Range"] == "bytes=5-"


def test_a_request_that_waits_is_withdrawn_when_its_worker_shuts_down(shop: Shop, pool: ThreadPoolExecutor) -> None:
    shop.rules = DownloadRules()
    cache, shutting_down = shop.open(), threading.Event()

    def fetch(target: Path) -> bool:
        return cache.fetch(url, sha256_of(PROGRAM), target, shop.stopped, lambda: not shutting_down.is_set())

    with nobody() as url:
        waiting = [pool.submit(fetch, shop.folder / str(number)) for number in range(3)]
        shutting_down.set()
        assert all(isinstance(each.exception(10), DownloadStopped) for each in waiting)
    assert shop.files() == set()
