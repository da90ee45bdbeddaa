"""The server's processes: what ends them, what they finish first, and what they do without descriptors."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests

from jobqueue.web.server.process import RESERVED_DESCRIPTORS, connections_within
from tests.support.impatient import CONNECTIONS, HEALTH, POST, clients, is_over, read_answer
from tests.support.paths import PATH, ROOT
from tests.support.processes import file_descriptors, wait_until_gone
from tests.support.serving import Server, running_api
from tests.support.waiting import wait_until
from tests.support.web import JOB

REPORT_LIMIT = """
import os, signal
from jobqueue.web.server.process import raise_descriptor_limit, signal_at_death_of
print(raise_descriptor_limit())
signal.signal(signal.SIGUSR2, lambda *_: print("signalled"))
signal_at_death_of(os.getppid(), signal.SIGUSR2)
signal_at_death_of(-1, signal.SIGUSR2)
"""


def test_the_children_of_a_killed_arbiter_leave_the_port_to_the_next_one(tmp_path: Path, redis_url: str) -> None:
    with running_api(tmp_path, REDIS_URL=redis_url) as server:
        children = server.processes()
        body = json.dumps(JOB).encode()
        half = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1]
        with clients(server, 20, HEALTH) as idle, clients(server, 1, half) as (late,), requests.Session() as session:
            session.get(server.url + "/health", timeout=15)
            server.process.kill()
            server.process.wait()
            late.sendall(body[-1:])
            assert read_answer(late).startswith(b"HTTP/1.1 201 ")
            wait_until_gone(children, 10)
            assert all(is_over(client) for client in idle)
        socket.create_server(("0.0.0.0", server.port)).close()


def test_sigterm_closes_idle_connections_and_finishes_requests(tmp_path: Path, redis_url: str) -> None:
    body = json.dumps(JOB).encode()
    half = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1]
    with running_api(tmp_path, REDIS_URL=redis_url) as server:
        with clients(server, 10, HEALTH) as idle, clients(server, 4, half) as late, clients(server, 4) as silent:
            assert all(read_answer(client).startswith(b"HTTP/1.1 200 ") for client in idle)
            server.process.send_signal(signal.SIGTERM)
            assert all(is_over(client) for client in idle)
            for client in late:
                client.sendall(body[-1:])
                answer = read_answer(client)
                assert answer.startswith(b"HTTP/1.1 201 ")
                assert b"\r\nConnection: close\r\n" in answer
            assert all(is_over(client) for client in silent)
        assert server.process.wait(10) == 0


def test_a_process_without_descriptors_closes_slow_connections_and_goes_on(impatient: Server) -> None:
    (pid,) = impatient.processes()
    assert impatient.is_healthy()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    lowered = file_descriptors(pid) + 4
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowered, before[1]))
    try:
        with clients(impatient, CONNECTIONS):
            wait_until("a client is served", impatient.is_up)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert impatient.log.count("No connection can be accepted") == 1
    assert impatient.processes() == [pid]


def test_the_descriptor_limit_is_raised_and_a_death_that_came_first_is_not_missed() -> None:
    script = f"ulimit -S -n 100 && ulimit -H -n 200 && exec {sys.executable} -c '{REPORT_LIMIT}'"
    done = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, env={"PATH": PATH}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["200", "signalled"]


def test_connections_leave_descriptors_for_everything_else() -> None:
    assert connections_within(100_000, 4000) == 4000
    assert 0 < connections_within(1024, 4000) < 1024 - RESERVED_DESCRIPTORS
    assert connections_within(10, 4000) == 1
