"""Clients that are slow, silent, dead or hostile: none of them can keep another one waiting."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.impatient import CONNECTIONS, HEALTH, POST, clients, is_over, read_answer
from tests.support.serving import Server, running_api
from tests.support.web import JOB

HALF_HEAD = HEALTH[:-6]
HALF_BODY = POST + b"Content-Length: 100000\r\n\r\n{"
ENDLESS = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
HTTP_1_0 = b"GET /api/v1/health HTTP/1.0\r\nHost: x\r\n\r\n"
LONG_HEAD = HEALTH[:-2] + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 8000) for number in range(20))
HALF_HEADS, HALF_BODIES, READERS = 236, 64, 50
HEALTH_REQUESTS = 50
KINDS = {
    "silent": b"",
    "half a head": HALF_HEAD,
    "half a body": HALF_BODY,
    "chunks without end": ENDLESS,
    "idle": HEALTH,
    "never closing": HTTP_1_0,
    "sending on after a refusal": POST + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 100_000,
}


def request_with_large_answer(server: Server) -> bytes:
    """Have a job end with much output; return a request whose answer has 12.6 MB."""
    server.call("POST", "/jobs", JOB)
    job_id = server.call("POST", "/jobs/claim", {"executor_id": "worker-1"}).json()["id"]
    output = "\0" * 1_048_576
    body = json.dumps({"executor_id": "worker-1", "exit_code": 0, "stdout": output, "stderr": output})
    headers = {"Content-Type": "application/json"}
    assert server.call("PUT", f"/jobs/{job_id}/complete", data=body, headers=headers).status_code == 200
    return f"GET /api/v1/jobs/{job_id} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture(scope="module")
def large_answer(impatient: Server) -> bytes:
    """A request whose answer has 12.6 MB."""
    return request_with_large_answer(impatient)


@pytest.mark.parametrize("first", KINDS.values(), ids=KINDS)
def test_a_client_is_served_at_once_however_many_others_hold_their_connections(impatient: Server, first: bytes) -> None:
    with clients(impatient, 0) as opened:
        for _ in range(3 * CONNECTIONS):
            opened.append(socket.create_connection(("127.0.0.1", impatient.port), 15))
            with suppress(ConnectionError):
                opened[-1].sendall(first)
        started = time.monotonic()
        assert impatient.call("GET", "/health").status_code == 200
        assert time.monotonic() - started < 3
        for client in opened:
            client.close()


def test_others_are_served_at_once_beside_hundreds_of_half_requests_and_slow_readers(
    tmp_path: Path, server_url: str
) -> None:
    """With the time limits that the server always has, so that all of those connections stay open meanwhile."""
    with running_api(tmp_path, REDIS_URL=server_url) as server, ExitStack() as stack:
        large = request_with_large_answer(server)
        for count, first in ((HALF_HEADS, HALF_HEAD), (HALF_BODIES, HALF_BODY), (READERS, large)):
            opened = stack.enter_context(clients(server, count, first))
        assert [reader.recv(1) for reader in opened] == [b"H"] * READERS  # they go on with a byte each
        slowest = 0.0
        for _ in range(HEALTH_REQUESTS):
            started = time.monotonic()
            assert server.call("GET", "/health").status_code == 200
            slowest = max(slowest, time.monotonic() - started)
            assert all(reader.recv(1) for reader in opened)
        assert slowest < 1  # ten times what it must be on a machine that does nothing else


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (b"", b""),
        (HALF_HEAD, b"HTTP/1.1 408 "),
        (HALF_BODY, b"HTTP/1.1 400 "),
        (ENDLESS, b"HTTP/1.1 400 "),
        (LONG_HEAD, b"HTTP/1.1 431 "),
        (HTTP_1_0, b"HTTP/1.0 200 "),
        (HEALTH, b"HTTP/1.1 200 "),
    ],
    ids=["silent", "half a head", "half a body", "chunks without end", "long head", "HTTP/1.0", "idle"],
)
def test_a_connection_is_closed_when_its_time_is_over(impatient: Server, first: bytes, answer: bytes) -> None:
    with clients(impatient, 1, first) as (client,):
        assert read_answer(client)[:13] == answer
        assert is_over(client)


@pytest.mark.parametrize("byte", [b"a", b"\r\nX: y"], ids=["letters", "headers"])
def test_a_head_that_comes_byte_by_byte_is_not_waited_for(impatient: Server, byte: bytes) -> None:
    with clients(impatient, 1, b"GET /api/v1/health HTTP/1.1\r\nX: ") as (client,):
        client.settimeout(0.05)
        started, answer = time.monotonic(), b""
        while not answer and time.monotonic() - started < 5:
            with suppress(TimeoutError):
                client.sendall(byte)
                answer = client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_of_tiny_chunks_is_refused_when_it_costs_far_more_than_its_length(impatient: Server) -> None:
    body = json.dumps(JOB).encode()
    last = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    head = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    for count, status in ((10_000, b"201"), (30_000, b"400")):
        assert impatient.send(head + b"1\r\n \r\n" * count + last)[9:12] == status


def test_a_reader_that_does_not_read_is_reset_and_its_answer_discarded(impatient: Server, large_answer: bytes) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(15)
        client.connect(("127.0.0.1", impatient.port))
        client.sendall(large_answer)
        deadline = time.monotonic() + 15
        while client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)  # a reader would see the end only after it has read what came before
            with suppress(ConnectionResetError, BrokenPipeError):
                client.send(b"\r")
                continue
            break
        assert time.monotonic() < deadline


def test_a_slow_body_is_accepted_as_long_as_it_keeps_coming(impatient: Server) -> None:
    body = json.dumps(JOB).encode().ljust(4096)
    with clients(impatient, 1, POST + b"Content-Length: %d\r\n\r\n" % len(body)) as (client,):
        for first in range(0, len(body), 512):  # 0.8 s in all: longer than the limit for a body that does not come
            client.sendall(body[first : first + 512])
            time.sleep(0.1)
        assert read_answer(client).startswith(b"HTTP/1.1 201 ")


def test_a_slow_reader_gets_its_whole_answer(impatient: Server, large_answer: bytes) -> None:
    with clients(impatient, 1, large_answer) as (client,):
        received = 0
        while received < 2 * 6 * 1_048_576 and (piece := client.recv(2_000_000)):
            received += len(piece)
            time.sleep(0.02)
        assert received >= 2 * 6 * 1_048_576


def test_a_refusal_can_be_read_by_a_client_that_first_sends_all(impatient: Server) -> None:
    answer = impatient.send(POST + b"Content-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in answer.partition(b"\r\n\r\n")[0]


def test_requests_sent_in_advance_are_all_answered_in_their_order(impatient: Server) -> None:
    requests = [f"/api/v1/{number}".encode() for number in range(50)]
    sent = b"".join(b"OPTIONS %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in requests)
    with clients(impatient, 1, sent + HEALTH[:-2] + b"Connection: close\r\n\r\n") as (client,):
        statuses = [read_answer(client)[9:12] for _ in range(51)]
        assert statuses == [b"404"] * 50 + [b"200"]
        assert is_over(client)


def test_the_connection_that_was_idle_longest_makes_room_for_a_new_one(impatient: Server) -> None:
    with ExitStack() as stack:
        opened = []
        for _ in range(CONNECTIONS + 1):  # each is idle before the next one comes, or else a slow head would be closed
            opened += stack.enter_context(clients(impatient, 1, HEALTH))
            assert read_answer(opened[-1]).startswith(b"HTTP/1.1 200 ")
        assert is_over(opened[0])
