"""Claims of clients that no longer wait for the answer."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

import pytest

from jobqueue.web.requests import callers
from tests.support.impatient import clients, read_answer
from tests.support.processes import signal_all, state
from tests.support.serving import Server
from tests.support.waiting import wait_until
from tests.support.web import JOB

BODY = b'{"executor_id": "worker-1"}'
CLAIM = (
    b"POST /api/v1/jobs/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY
PIPELINED = CLAIM + b"GET /api/v1/health HTTP/1.1\r\n"


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The processes of the server are stopped meanwhile."""
    pids = server.processes()
    signal_all(pids, signal.SIGSTOP)
    try:
        wait_until("the processes have stopped", lambda: all(state(pid) == "T" for pid in pids))
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


def running(server: Server) -> int:
    count: int = server.call("GET", "/admin/stats").json()["jobs_by_status"]["running"]
    return count


@pytest.mark.parametrize("sent", [CLAIM, PIPELINED], ids=["a claim", "a claim and half a request"])
def test_a_claim_whose_client_has_gone_hands_out_nothing(impatient: Server, sent: bytes) -> None:
    jobs = [impatient.call("POST", "/jobs", JOB).json()["id"] for _ in range(3)]
    with clients(impatient, 1) as (waiting,), clients(impatient, 2) as opened:
        for client in opened:
            client.sendall(b"OPTIONS /x HTTP/1.1\r\nHost: x\r\n\r\n")
            read_answer(client)
        before = running(impatient)
        with stopped(impatient):
            with clients(impatient, 3, sent):
                pass
            for client in opened:
                client.sendall(sent)
                client.close()
            waiting.sendall(CLAIM)
        assert read_answer(waiting).startswith(b"HTTP/1.1 200 ")
        assert running(impatient) == before + 1
    for job_id in jobs:
        impatient.call("DELETE", f"/jobs/{job_id}?force=true")


def test_a_client_that_has_waited_for_too_long_is_taken_to_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        closing(socket.create_connection(listener.getsockname())) as client,
        closing(listener.accept()[0]) as server_side,
    ):
        environ = {"gunicorn.socket": server_side}
        client.sendall(CLAIM)
        assert callers.is_waiting(environ)
        monkeypatch.setattr(callers, "LONGEST_WAIT_MS", 20)
        wait_until("the claim is too old", lambda: not callers.is_waiting(environ))


def test_a_client_of_the_app_itself_is_always_there() -> None:
    assert callers.is_waiting({})
    with callers.waiting({}), nullcontext():
        pass
