"""Names are looked up in a thread of their own, and errors come back from it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobqueue.net import names
from jobqueue.net.names import look_up
from jobqueue.net.time_limit import DeadlinePassed, Stopped, TimeLimit
from tests.support.hosts import at_most, silent_name_server
from tests.support.waiting import wait_until


def test_an_address_is_its_own_name() -> None:
    assert [address[4] for address in look_up("127.0.0.1", 80, TimeLimit(10))] == [("127.0.0.1", 80)]


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_malformed_name_is_an_unknown_host(host: str) -> None:
    with pytest.raises(socket.gaierror, match="cannot be read"):
        look_up(host, 80, TimeLimit(10))


@pytest.mark.parametrize("port", [-1, 65_536, 2**100])
def test_a_port_out_of_range_is_an_unknown_host(port: int) -> None:
    with pytest.raises(socket.gaierror, match="is not a port"):
        look_up("127.0.0.1", port, TimeLimit(10))


def test_a_look_up_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopping(TimeLimit):
        def check(self) -> float:
            self._stopped.set()
            return super().check()

    with silent_name_server(monkeypatch), at_most(5), pytest.raises(Stopped):
        look_up("host", 80, Stopping(60))


def test_look_ups_of_one_name_that_hang_leave_few_threads_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_name_server(monkeypatch):
        for _ in range(20):
            with pytest.raises(DeadlinePassed):
                look_up("host", 80, TimeLimit(0.01))
        assert look_up_threads() == 1


def test_a_look_up_that_hangs_is_not_joined_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "JOIN_SECONDS", 0)
    with silent_name_server(monkeypatch):
        for _ in range(20):
            with pytest.raises(DeadlinePassed):
                look_up("host", 80, TimeLimit(0.01))
        assert look_up_threads() == names.MAX_LOOK_UPS_PER_NAME


def test_look_ups_of_many_names_that_hang_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_LOOK_UPS", 5)
    with silent_name_server(monkeypatch):
        for number in range(5):
            with pytest.raises(DeadlinePassed):
                look_up(f"host-{number}", 80, TimeLimit(0.01))
        with pytest.raises(socket.gaierror, match="too many names"):
            look_up("another", 80, TimeLimit(0.01))
        assert look_up_threads() == 5


def test_all_who_want_the_same_name_get_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = [], threading.Event()

    def answer(host: str, port: int, **_: object) -> list[str]:
        asked.append(host)
        go_on.wait(20)
        return [f"{host}:{port}"]

    monkeypatch.setattr("socket.getaddrinfo", answer)
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(look_up, "host", 80, TimeLimit(20)) for _ in range(8)]
        wait_until("it was asked for", lambda: len(asked) > 0)
        threading.Event().wait(0.05)
        go_on.set()
        assert [result.result() for result in results] == [["host:80"]] * 8  # type: ignore[comparison-overlap]
    assert len(asked) < 8


def look_up_threads() -> int:
    return [thread.name for thread in threading.enumerate()].count("look-up")
