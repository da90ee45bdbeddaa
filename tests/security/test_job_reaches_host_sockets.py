"""A job tries every way to reach a socket of the host: with NETWORK=none it reaches none."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.isolation import system_calls
from jobqueue.worker.isolation.levels import LEVELS, NO_NETWORK, ImpossibleIsolation, make
from tests.support.confined import Sandbox, sandbox
from tests.support.deployment import own_directories, run_worker
from tests.support.reaching import Listeners, listeners, try_to_reach

CONFINING = [level for level in LEVELS if level != "none"]
OF_THE_NETWORK = ("tcp", "tcp6", "mptcp", "fast open", "udp", "udp6")
KINDS_THAT_NO_NAMESPACE_SEPARATES = ("vsock", "bluetooth", "alg", "tipc pair", "vsock of 32 bits")
CALLS_AROUND_THE_FILTER = ("inet of 32 bits", "socketcall", "inet of x32", "wide family")


@pytest.fixture
def listening() -> Iterator[Listeners]:
    with listeners() as made:
        yield made


@pytest.fixture(params=CONFINING)
def without_network(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with sandbox(request.param, network=NO_NETWORK) as made:
        yield made


@pytest.mark.parametrize("level", LEVELS)
def test_a_job_reaches_what_the_level_leaves_open(level: str, listening: Listeners) -> None:
    with sandbox(level) as made:
        results = try_to_reach(made, listening)
        closed = {name for name, is_closed in made.isolation.closed().items() if is_closed}
    expected = {name for name in listening.names if f"{name.split()[0]} sockets" not in closed}
    assert listening.heard() == expected, results
    assert expected >= listening.names & {*OF_THE_NETWORK}


def test_a_job_without_network_reaches_no_socket_of_the_host(without_network: Sandbox, listening: Listeners) -> None:
    results = try_to_reach(without_network, listening)
    assert listening.heard() == set(), results
    closed = without_network.isolation.closed()
    assert (closed["network"], closed["abstract sockets"], closed["path sockets"]) == (True, True, True)
    assert {results[name] for name in ("raw", "packet", "xdp")} <= {errno.EAFNOSUPPORT, errno.EPERM}
    assert {results[name] for name in KINDS_THAT_NO_NAMESPACE_SEPARATES if name in results} == {errno.EAFNOSUPPORT}
    assert {results[name] for name in ("io_uring", "io_uring of 32 bits") if name in results} == {errno.EPERM}
    if without_network.level == "bwrap":  # which gives a job a loopback interface of its own
        assert results["interfaces"] == ["lo"]
        assert without_network.try_each(
            "(server := socket.create_server(('127.0.0.1', 0))) and None",
            "socket.create_connection(server.getsockname()).close()",
        ) == [None, None]
    else:
        assert {results[name] for name in CALLS_AROUND_THE_FILTER if name in results} == {errno.EAFNOSUPPORT}
        assert results["interfaces"] == errno.EAFNOSUPPORT
    pairs = [f"[each.close() for each in socket.socketpair(socket.AF_UNIX, {kind})]" for kind in (1, 5, 1 | 0o4000)]
    assert without_network.try_each(*pairs) == [[None, None]] * 3, "processes of the job could not talk to each other"


def test_a_kernel_that_cannot_keep_programs_from_the_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_calls, "available", lambda: False)
    for level in CONFINING:
        with pytest.raises(ImpossibleIsolation, match="this host cannot keep programs from the network"):
            make(level, (), network=NO_NETWORK).reserve()


def test_a_worker_without_a_sandbox_does_not_promise_to_keep_its_jobs_from_the_network(tmp_path: Path) -> None:
    worker = run_worker(**own_directories(tmp_path), NETWORK="none")
    assert worker.returncode == 1
    assert worker.stderr.splitlines()[-1].startswith("NETWORK is 'none', but ")
