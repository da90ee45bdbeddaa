"""However slowly a host does what it does, a download ends at its deadline and hears a stop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jobqueue.net.time_limit import MinimumSpeed
from jobqueue.worker.programs.download import DownloadFailed, DownloadRules, DownloadStopped
from tests.support.downloads import BEHAVIOURS, PROGRAM, Behaviour, at_most, fetch, misbehaving
from tests.support.fake_server import Reply, serving
from tests.support.servers import wait_until

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_download_ends_at_its_deadline(tmp_path: Path, behave: Behaviour, scheme: str) -> None:
    with misbehaving(behave) as url, at_most(5), pytest.raises(DownloadFailed) as caught:
        fetch(url.replace("http", scheme), tmp_path / "program", rules=DownloadRules(timeout_seconds=0.4))
    assert "not finished within 0.4 s" in str(caught.value) or (scheme == "https" and "no TLS" in str(caught.value))


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_download_hears_a_stop(tmp_path: Path, behave: Behaviour) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with misbehaving(behave) as url, at_most(5), pytest.raises(DownloadStopped):
        fetch(url, tmp_path / "program", stopped=stopped)


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_host_that_is_too_slow_is_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    behave: Behaviour,
) -> None:
    rules = DownloadRules(minimum_speed=MinimumSpeed(10_000, 0.2))
    connections = []

    def counted(connection: socket.socket, over: threading.Event) -> None:
        connections.append(connection)
        behave(connection, over)

    with misbehaving(counted) as url, pytest.raises(DownloadFailed, match=r"too slow: [0-9]+ bytes in 0\.2 s"):
        fetch(url, tmp_path / "program", rules=rules)
    wait_until("the host has accepted every connection", lambda: len(connections) == 4)


def test_all_tries_share_one_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobqueue.worker.programs.download.backoff", lambda *_: iter([0.6] * 9))
    rules = DownloadRules(timeout_seconds=1.5)
    with serving(lambda _: Reply(503)) as server, pytest.raises(DownloadFailed):
        fetch(server.url, tmp_path / "program", rules=rules)
    assert 2 <= len(server.requests) <= 3


@contextmanager
def full_house() -> Iterator[str]:
    """A host whose queue of connections is full: who connects gets no answer at all."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            guest = stack.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_connection_that_never_comes_about_ends_at_the_deadline(tmp_path: Path) -> None:
    with full_house() as url, at_most(5), pytest.raises(DownloadFailed, match="not finished within"):
        fetch(url, tmp_path / "program", rules=DownloadRules(timeout_seconds=0.4))


def test_a_connection_that_never_comes_about_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = DownloadRules(connect_seconds=0.1)
    with full_house() as url, pytest.raises(DownloadFailed, match=r"no connection within 0\.1 s"):
        fetch(url, tmp_path / "program", rules=rules)


def test_a_stop_is_heard_while_a_name_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over, stopped = threading.Event(), threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [over.wait(60)])
    threading.Timer(0.1, stopped.set).start()
    try:
        with at_most(10), pytest.raises(DownloadStopped):
            fetch("http://host/program", tmp_path / "program", stopped=stopped)
    finally:
        over.set()


@pytest.mark.parametrize(("number", "tries"), [(socket.EAI_AGAIN, 4), (socket.EAI_NONAME, 1)])
def test_a_name_is_looked_up_again_only_when_that_may_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, tries: int
) -> None:
    looked_up = []

    def fail(name: str, *_: object, **__: object) -> None:
        looked_up.append(name)
        raise socket.gaierror(number, "no luck")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    with pytest.raises(DownloadFailed, match="no luck"):
        fetch("http://host/program", tmp_path / "program")
    assert looked_up == ["host"] * tries


def test_the_next_address_of_a_host_is_tried_when_one_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: Reply(body=PROGRAM)) as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        good = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in (taken.getsockname(), good)]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
        fetch("http://host/program", tmp_path / "program")
    assert server.requests[0].headers["Host"] == "host"
