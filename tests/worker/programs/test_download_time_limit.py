"""A download ends at its deadline, and soon after it is stopped, however slow the host is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.worker.programs.errors import DownloadFailed, DownloadStopped
from jobqueue.worker.programs.policy import DownloadRules
from tests.support.downloads import fetch
from tests.support.fake_server import FakeServer, Reply, nobody, serving
from tests.support.hosts import (
    BEHAVIOURS,
    Behaviour,
    at_most,
    misbehaving,
    resolve_to,
    silent_name_server,
    swallowing,
)

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_download_ends_at_its_deadline(tmp_path: Path, behave: Behaviour, scheme: str) -> None:
    with misbehaving(behave) as url, at_most(5), pytest.raises(DownloadFailed) as caught:
        fetch(url.replace("http", scheme), tmp_path / "program", rules=DownloadRules(timeout_seconds=0.4))
    assert "not finished within 0.4 s" in str(caught.value) or (scheme == "https" and "no TLS" in str(caught.value))


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_download_can_be_stopped(tmp_path: Path, behave: Behaviour) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with misbehaving(behave) as url, at_most(5), pytest.raises(DownloadStopped):
        fetch(url, tmp_path / "program", stopped=stopped)


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_host_that_is_too_slow_is_tried_again(tmp_path: Path, behave: Behaviour) -> None:
    rules = DownloadRules(minimum_speed=MinimumSpeed(10_000, 0.2), retry_seconds=1, connect_seconds=0.3)
    connections = []

    def counted(connection: socket.socket, over: threading.Event) -> None:
        connections.append(connection)
        behave(connection, over)

    with misbehaving(counted) as url, pytest.raises(DownloadFailed, match="too slow: "):
        fetch(url, tmp_path / "program", rules=rules)
    assert 2 <= len(connections) <= 7


def test_all_tries_share_one_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: iter([0.6] * 9))
    rules = DownloadRules(timeout_seconds=1.5)
    with serving(lambda _: Reply(503)) as server, pytest.raises(DownloadFailed):
        fetch(server.url, tmp_path / "program", rules=rules)
    assert 2 <= len(server.requests) <= 3


def test_a_host_that_swallows_connections_ends_at_the_deadline(tmp_path: Path) -> None:
    with swallowing() as url, at_most(5), pytest.raises(DownloadFailed, match="not finished within"):
        fetch(url, tmp_path / "program", rules=DownloadRules(timeout_seconds=0.4))


def test_a_host_that_swallows_connections_is_given_up_per_address(tmp_path: Path) -> None:
    rules = DownloadRules(connect_seconds=0.1, retry_seconds=0.2)
    with swallowing() as url, pytest.raises(DownloadFailed, match=r"no connection within 0\.1 s"):
        fetch(url, tmp_path / "program", rules=rules)


def test_a_download_is_stopped_during_a_look_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()
    threading.Timer(0.1, stopped.set).start()
    with silent_name_server(monkeypatch), at_most(10), pytest.raises(DownloadStopped):
        fetch("http://host/program", tmp_path / "program", stopped=stopped)


def test_a_silent_name_server_is_given_up_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = DownloadRules(timeout_seconds=0.4)
    with silent_name_server(monkeypatch), at_most(5), pytest.raises(DownloadFailed, match="not finished within"):
        fetch("http://host/program", tmp_path / "program", rules=rules)


@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_FAIL, socket.EAI_NODATA])
def test_a_failed_look_up_is_repeated_until_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    looked_up = []

    def fail(name: str, *_: object, **__: object) -> None:
        looked_up.append(name)
        raise socket.gaierror(number, "no luck")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(DownloadFailed, match="no luck"):
        fetch("http://host/program", tmp_path / "program")
    assert len(looked_up) >= 2


@pytest.mark.parametrize("dead", [nobody, swallowing])
def test_the_next_address_is_tried_when_the_first_is_dead(
    host: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead: Callable[[], AbstractContextManager[str]]
) -> None:
    with dead() as url:
        resolve_to(monkeypatch, url, host.url)
        fetch("http://host/program", tmp_path / "program", rules=DownloadRules(connect_seconds=0.2))
    assert [request.headers["Host"] for request in host.requests] == ["host"]
