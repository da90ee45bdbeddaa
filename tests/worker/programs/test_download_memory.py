"""A download holds a piece of the file at a time, never the whole."""

from __future__ import annotations

import hashlib
from itertools import repeat
from pathlib import Path

from tests.support.child_script import output_of
from tests.support.fake_server import Reply, serving

MEGABYTE = bytes(1_000_000)
SIZE = 200
SCRIPT = """
import pathlib, sys, threading
from jobqueue.worker.programs.download import Downloader
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.processes import peak_megabytes
before = peak_megabytes("self")
Downloader(DownloadRules()).download(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), threading.Event())
print(peak_megabytes("self") - before)
"""


def growth_of_a_process_that_downloads(url: str, sha256: str, path: Path) -> float:
    return float(output_of(SCRIPT, url, sha256, path))


def test_a_large_program_takes_little_memory(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(MEGABYTE * SIZE).hexdigest()
    with serving(lambda _: Reply(pieces=repeat(MEGABYTE, SIZE), length=SIZE * len(MEGABYTE))) as host:
        grown = growth_of_a_process_that_downloads(host.url, sha256, tmp_path / "program")
    assert (tmp_path / "program").stat().st_size == SIZE * len(MEGABYTE)
    assert grown < 20


def test_the_body_of_a_redirect_takes_little_memory(tmp_path: Path) -> None:
    body = Reply(302, headers={"Location": "/program"}, pieces=repeat(MEGABYTE, SIZE), length=SIZE * len(MEGABYTE))
    with serving(lambda request: Reply() if request.path == "/program" else body) as host:
        empty = hashlib.sha256().hexdigest()
        assert growth_of_a_process_that_downloads(host.url, empty, tmp_path / "program") < 20
