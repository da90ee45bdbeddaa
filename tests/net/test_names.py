"""Names are looked up in a thread of their own, and errors come back from it."""

from __future__ import annotations

import socket

import pytest

from jobqueue.net.names import look_up
from jobqueue.net.time_limit import Stopped, TimeLimit
from tests.support.hosts import at_most, silent_name_server


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
