"""The counts of HTTP requests: they survive whatever happens to processes and files, and nothing happens to the API."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue.web.metrics.processes import REGION_BYTES
from jobqueue.web.metrics.saved import SavedCounts
from jobqueue.web.metrics.shared_memory import regions
from tests.support.processes import signal_all
from tests.support.serving import Server
from tests.support.waiting import wait_until

ANSWERED = re.compile(r'^flask_http_request_total\{method="GET",status="404"\} (\S+)$', re.MULTILINE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of PROMETHEUS_MULTIPROC_DIR. It does not exist yet."""
    return tmp_path / "outer" / "metrics"


@pytest.fixture
def server(tmp_path: Path, directory: Path) -> Iterator[Server]:
    """A server without Redis that keeps its counts in `directory`. It is not started yet."""
    server = Server(tmp_path, {"REDIS_URL": f"unix://{tmp_path}/none.sock", "PROMETHEUS_MULTIPROC_DIR": str(directory)})
    yield server
    server.stop()


def ask(server: Server, times: int) -> None:
    for _ in range(times):
        assert server.call("GET", "/nowhere").status_code == 404


def count(server: Server) -> float:
    """Return how many requests have been answered 404, as a scrape shows it."""
    scrape = server.call("GET", "/metrics")
    assert scrape.status_code == 200
    shown = ANSWERED.findall(scrape.text)
    assert len(shown) <= 1
    return float(shown[0]) if shown else 0


def replace_processes(server: Server) -> None:
    """Kill every process of the server but the master, and wait for new ones."""
    before = server.processes()
    signal_all(before, signal.SIGKILL)
    wait_until("they are replaced", lambda: len(server.processes()) == 2 and not set(server.processes()) & set(before))
    wait_until("they answer", server.is_up)


def test_counts_go_on_when_processes_are_replaced_and_take_no_more_space(server: Server, directory: Path) -> None:
    server.start()
    for total in (10, 20):
        ask(server, 10)
        assert count(server) == total
        replace_processes(server)
        assert {count(server) for _ in range(4)} == {total}
    assert os.listdir(directory) == ["jobqueue-http.json"]


def test_a_directory_that_is_removed_or_replaced_harms_nothing_and_is_made_again(
    server: Server, directory: Path
) -> None:
    server.start()
    ask(server, 3)
    shutil.rmtree(directory.parent)
    replace_processes(server)
    ask(server, 3)
    assert count(server) == 6
    assert os.listdir(directory) == ["jobqueue-http.json"]
    shutil.rmtree(directory)
    directory.write_text("a file in its place")
    assert [count(server) for _ in range(6)] == [6] * 6
    directory.unlink()
    wait_until("a scrape makes it again", lambda: count(server) == 6 and directory.is_dir())
    assert 1 <= server.log.count("event=metrics_not_saved") <= 2  # once in each process that was asked


def test_counts_outlive_the_server_even_if_it_is_killed(server: Server) -> None:
    server.start()
    ask(server, 5)
    assert count(server) == 5
    server.kill()
    server.start()
    assert count(server) == 5


def test_a_server_without_the_setting_keeps_no_files(served: Server) -> None:
    assert served.call("GET", "/metrics").status_code == 200
    assert not [path for path in served.folder.rglob("*") if "metrics" in path.name or path.name.endswith(".json")]


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "jobqueue-http.json"
    for damaged in (b"{" * 100_000, b"\xff", b"", b'{"a": 1', b"[" * 5_000_000):
        file.write_bytes(damaged)
        (tmp_path / "jobqueue-http.json.new-1").touch()
        saved = SavedCounts(str(tmp_path))
        assert saved.load() == {}
        saved.save({})
        assert os.listdir(tmp_path) == [file.name]
        assert file.read_text() == "{}"


def test_counts_that_cannot_have_been_counted_are_not_loaded(tmp_path: Path) -> None:
    good = json.dumps(["family", "sample", {"status": "200", "le": "+Inf"}])
    odd = [json.dumps(name) for name in (1, [], ["a"], ["a", "b", "c"], ["a", "b", {"c": 1}], ["a", "b", {"le": "x"}])]
    numbers = dict.fromkeys([*odd, "no JSON"], 1)
    values: list[Any] = ["1", None, [], -1, 1e999]
    bad = {json.dumps(["f", "s", {"n": str(number)}]): value for number, value in enumerate(values)}
    for content, loaded in (({good: 2.5, **numbers, **bad}, {good: 2.5}), ([], {}), (None, {}), ("text", {})):
        (tmp_path / "jobqueue-http.json").write_text(json.dumps(content))
        assert SavedCounts(str(tmp_path)).load() == loaded


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    directory = tmp_path / "metrics"
    directory.mkdir()
    (directory / f"jobqueue-http.json.new-{os.getpid()}").symlink_to(target)
    (directory / "jobqueue-http.json").symlink_to(target)
    SavedCounts(str(directory)).save({})
    assert target.read_text() == "precious"
    assert (directory / "jobqueue-http.json").read_text() == "{}"


def test_a_region_keeps_what_fits_and_its_next_owner_goes_on() -> None:
    region, other = regions(2, REGION_BYTES)
    assert region.add("é" * 3, 1)
    assert region.add("long" * 1000, 0.5)
    owner = region.reopened()
    assert owner.add("é" * 3, 2)
    assert dict(region.items()) == {"é" * 3: 3.0, "long" * 1000: 0.5}
    assert dict(other.items()) == {}
    added = sum(owner.add(f"{number}".rjust(1000), 1) for number in range(2000))
    assert 900 < added < 1100
    assert owner.add("é" * 3, 1)
    assert len(dict(owner.items())) == added + 2
