"""An endless, slow or compressed download uses up the worker's disk, memory or time."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.errors import DownloadFailed
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.child_script import output_of
from tests.support.fake_server import FakeServer, Reply, serving
from tests.support.hosts import at_most

CAP = 5_000_000
SLACK = 64 * 1024
TEN_GIGABYTES = 10 * 1000**3
PIECE = bytes(65536)


class Largest(threading.Thread):
    """Watches a directory until it is closed, and notes the largest size that a file below it had."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._folder = folder
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.002):
            self.look()

    def look(self) -> None:
        for path in self._folder.rglob("*"):
            try:
                self.bytes = max(self.bytes, path.stat().st_size if path.is_file() else 0)
            except OSError:  # removed meanwhile
                continue

    def close(self) -> None:
        self._over.set()
        self.join()
        self.look()


def announced(_: object) -> Reply:
    return Reply(pieces=repeat(PIECE), length=TEN_GIGABYTES)


def in_chunks(_: object) -> Reply:
    chunk = b"10000\r\n" + PIECE + b"\r\n"
    return Reply(headers={"Transfer-Encoding": "chunked"}, pieces=repeat(chunk), unannounced=True)


def until_it_closes(_: object) -> Reply:
    return Reply(headers={"Connection": "close"}, pieces=repeat(PIECE), unannounced=True)


@pytest.mark.parametrize("answer", [announced, in_chunks, until_it_closes])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_a_stream_of_ten_gigabytes_is_stopped_at_the_cap(tmp_path: Path, answer: object, cache_bytes: int) -> None:
    rules = DownloadRules(max_bytes=CAP, retry_seconds=0)
    cache, target = Cache(tmp_path / "cache", cache_bytes, rules), tmp_path / "program"
    watch = Largest(tmp_path)
    watch.start()
    with serving(answer) as host, at_most(30), pytest.raises(DownloadFailed):  # type: ignore[arg-type]  # they are
        cache.fetch(f"{host.url}/x", "0" * 64, target, threading.Event())
    watch.close()
    assert watch.bytes <= CAP + SLACK
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def slowly(host: FakeServer) -> Iterator[bytes]:
    yield from host.drip(10_000, 0.02)


@pytest.mark.parametrize(
    ("rules", "most_seconds"),
    [
        (DownloadRules(timeout_seconds=0.5, retry_seconds=60), 1.5),
        (DownloadRules(timeout_seconds=60, retry_seconds=0, minimum_speed=MinimumSpeed(1024, 0.5)), 2.0),
    ],
    ids=["deadline", "minimum speed"],
)
def test_a_slow_drip_is_given_up_in_time(tmp_path: Path, rules: DownloadRules, most_seconds: float) -> None:
    begun = time.monotonic()
    with serving(lambda _: Reply(500)) as host:
        host.answer = lambda _: Reply(pieces=slowly(host), length=10_000)
        with pytest.raises(DownloadFailed):
            Downloader(rules).download(host.url, "0" * 64, tmp_path / "program", threading.Event())
    assert time.monotonic() - begun < 10 * most_seconds


BOMB = """
import pathlib, sys, threading
from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.processes import peak_megabytes
before = peak_megabytes("self")
rules = DownloadRules(max_bytes=int(sys.argv[4]))
Downloader(rules).download(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), threading.Event())
print(peak_megabytes("self") - before)
"""


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_gzip_bomb_is_stored_as_it_was_sent(tmp_path: Path, encoding: str) -> None:
    bomb = gzip.compress(bytes(100_000_000), compresslevel=1)
    sha256, path = hashlib.sha256(bomb).hexdigest(), tmp_path / "program"
    with serving(lambda _: Reply(body=bomb, headers={"Content-Encoding": encoding})) as host:
        grown = float(output_of(BOMB, host.url, sha256, path, str(len(bomb))))
        assert "identity" in host.requests[0].headers["Accept-Encoding"]
    assert path.read_bytes() == bomb
    assert grown < 20
