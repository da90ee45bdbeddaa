"""However slowly a host does what it does, a download ends at its deadline and hears a stop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from jobqueue.worker.programs.download import DownloadFailed, DownloadRules, DownloadStopped
from tests.support.fake_server import Reply, serving
from tests.worker.programs.test_download import PROGRAM, fetch

pytestmark = pytest.mark.usefixtures("short_pauses")

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


@contextmanager
def host(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A host that does with each connection what it is told, until the event is set; yields its URL."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def behave_badly(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection, over)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=behave_badly, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def drip(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.05):
        connection.sendall(b"x")


def says_nothing(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def drips_the_status(connection: socket.socket, over: threading.Event) -> None:
    drip(connection, over)


def drips_headers(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"X-Slow: ")
    drip(connection, over)


def repeats_that_it_goes_on(connection: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def drips_the_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"\r\n")
    drip(connection, over)


def drips_chunks(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b"1\r\nx\r\n")


def stops_in_the_body(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD + b"\r\nabc")
    over.wait()


BEHAVIOURS = [
    says_nothing,
    drips_the_status,
    drips_headers,
    repeats_that_it_goes_on,
    drips_the_body,
    drips_chunks,
    stops_in_the_body,
]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_download_ends_at_its_deadline(
    tmp_path: Path, behave: Callable[[socket.socket, threading.Event], None], scheme: str
) -> None:
    with host(behave) as url, at_most(5), pytest.raises(DownloadFailed) as caught:
        fetch(url.replace("http", scheme), tmp_path / "program", rules=DownloadRules(timeout_seconds=0.4))
    assert "not finished within 0.4 s" in str(caught.value) or (scheme == "https" and "no TLS" in str(caught.value))


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_download_hears_a_stop(tmp_path: Path, behave: Callable[[socket.socket, threading.Event], None]) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with host(behave) as url, at_most(5), pytest.raises(DownloadStopped):
        fetch(url, tmp_path / "program", stopped=stopped)


@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_a_host_that_is_too_slow_is_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    behave: Callable[[socket.socket, threading.Event], None],
) -> None:
    monkeypatch.setattr("jobqueue.worker.programs.connection.SLOW_SECONDS", 0.2)
    monkeypatch.setattr("jobqueue.worker.programs.request.SLOW_SECONDS", 0.2)
    monkeypatch.setattr("jobqueue.worker.programs.patience.SLOWEST_BYTES_PER_SECOND", 10_000)
    connections = []

    def counted(connection: socket.socket, over: threading.Event) -> None:
        connections.append(connection)
        behave(connection, over)

    with host(counted) as url, pytest.raises(DownloadFailed, match=r"too slow: [0-9]+ bytes in 0\.2 s"):
        fetch(url, tmp_path / "program")
    assert len(connections) == 4


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
    monkeypatch.setattr("jobqueue.worker.programs.connection.CONNECT_SECONDS", 0.1)
    with full_house() as url, pytest.raises(DownloadFailed, match=r"too slow: 0 bytes in 0\.1 s"):
        fetch(url, tmp_path / "program")


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
