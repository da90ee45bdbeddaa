"""Requests that wait, on the real server with two processes."""

from __future__ import annotations

import json
import select
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import requests

from tests.support.impatient import CONNECTIONS, HEALTH, clients, read_answer
from tests.support.logins import administrator
from tests.support.serving import PREFIX, Server, standing_api
from tests.support.waiting import wait_until
from tests.support.web import JOB

LONG_SECONDS = 25
SOON_SECONDS = 0.9
"""Before anybody would have looked for a job without a notice."""


def store(server: Server) -> redis.Redis:
    return administrator(server.variables["REDIS_URL"])


def claim(executor_id: str, type: str, seconds: float = LONG_SECONDS) -> bytes:
    """Return the request of a claim that waits. It has an id, so it asks Redis first, and the executor is listed."""
    fields = {"executor_id": executor_id, "claim_id": "1", "types": [type], "wait_seconds": seconds}
    body = json.dumps(fields).encode()
    head = f"POST {PREFIX}/jobs/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def wait_for(server: Server, *executor_ids: str) -> None:
    """Return when these executors are listed: they have asked for a job, and found none."""

    def listed() -> set[str]:
        return {each["executor_id"] for each in server.call("GET", "/admin/executors").json()}

    wait_until("they wait", lambda: {*executor_ids} <= listed())


def submit(server: Server, type: str) -> str:
    response = server.call("POST", "/jobs", {**JOB, "type": type})
    assert response.status_code == 201
    return str(response.json()["id"])


def body_of(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def order_of_wakes(served: Server, type: str) -> list[int]:
    """Have six claims wait, submit six jobs one by one, and return which claims got them."""
    with ExitStack() as stack:
        waiting = []
        for number in range(6):
            [client] = stack.enter_context(clients(served, 1, claim(f"{type}-{number}", type)))
            waiting.append(client)
            wait_for(served, f"{type}-{number}")
        order = []
        for _ in range(len(waiting)):
            began = time.monotonic()
            job_id = submit(served, type)
            [woken], _, _ = select.select([each for each in waiting if waiting.index(each) not in order], [], [], 10)
            assert body_of(read_answer(woken))["id"] == job_id
            assert time.monotonic() - began < SOON_SECONDS
            order.append(waiting.index(woken))
        return order


def test_new_jobs_wake_those_who_have_waited_longest_in_whichever_process(served: Server) -> None:
    # On a machine that is very busy, a process may take another one that is only slow for one that hangs.
    orders = (order_of_wakes(served, type) for type in ("fifo-1", "fifo-2", "fifo-3"))
    assert any(order == [0, 1, 2, 3, 4, 5] for order in orders)


def test_a_job_is_not_handed_to_a_client_that_has_gone(served: Server) -> None:
    with clients(served, 2, claim("gone", "gone")) as gone:
        wait_for(served, "gone")
        for client in gone:
            client.close()
        with clients(served, 1, claim("there", "gone")) as (client,):
            wait_for(served, "there")
            job_id = submit(served, "gone")
            assert body_of(read_answer(client))["id"] == job_id


def test_a_notice_that_is_lost_costs_about_a_second(served: Server) -> None:
    with store(served) as client, clients(served, 1, claim("deaf", "deaf")) as (waiting,):
        wait_for(served, "deaf")
        client.client_kill_filter(_type="pubsub")
        job_id = submit(served, "deaf")
        waiting.settimeout(10)
        assert body_of(read_answer(waiting))["id"] == job_id


def test_a_wait_ends_in_time(served: Server) -> None:
    began = time.monotonic()
    answer = served.call("POST", "/jobs/claim", {"executor_id": "short", "types": ["none"], "wait_seconds": 0.25})
    assert (answer.status_code, answer.headers.get("Retry-After")) == (204, None)
    assert 0.25 <= time.monotonic() - began < 2.5


def test_readers_of_a_job_and_of_its_output_wait_for_them(served: Server) -> None:
    job_id = submit(served, "read")
    with ThreadPoolExecutor(2) as pool:
        ended = pool.submit(served.call, "GET", f"/jobs/{job_id}?wait_seconds=14")
        output = pool.submit(served.call, "GET", f"/jobs/{job_id}/output?wait_seconds=14")
        token = served.call("POST", "/jobs/claim", {"executor_id": "reader", "types": ["read"]}).json()["attempt_token"]
        holder = {"executor_id": "reader", "attempt_token": token}
        beat = {**holder, "output": {"stdout": {"offset": 0, "data": "text"}}}
        assert served.call("PUT", f"/jobs/{job_id}/heartbeat", beat).status_code == 200
        assert output.result().json()["data"] == "text"
        assert not ended.done()
        assert served.call("PUT", f"/jobs/{job_id}/complete", {**holder, "exit_code": 0}).status_code == 200
        assert ended.result().json()["status"] == "completed"


@pytest.mark.parametrize("seconds", ["-1", "25.5", "1e2", "1_0", "x", ""])
def test_a_wrong_wait_in_a_query_is_refused(served: Server, seconds: str) -> None:
    answer = served.call("GET", f"/jobs/{'0' * 8}-0000-4000-8000-{'0' * 12}?wait_seconds={seconds}")
    assert (answer.status_code, [*answer.json()["context"]]) == (400, ["wait_seconds"])


def test_reports_are_stored_before_the_claim_after_them_waits(served: Server) -> None:
    job_id = submit(served, "batch")
    token = served.call("POST", "/jobs/claim", {"executor_id": "batch", "types": ["batch"]}).json()["attempt_token"]
    result = {"id": job_id, "attempt_token": token, "outcome": "complete", "exit_code": 0}
    body = {"executor_id": "batch", "results": [result], "claim": {"types": ["batch"], "wait_seconds": 14}}
    with ThreadPoolExecutor(1) as pool:
        finishing = pool.submit(served.call, "POST", "/jobs/bulk/finish", body)
        wait_until("it is stored", lambda: served.call("GET", f"/jobs/{job_id}").json()["status"] == "completed")
        next_id = submit(served, "batch")
        answer = finishing.result().json()
    assert ([each["id"] for each in answer["jobs"]], answer["results"][0]["status"]) == ([next_id], "completed")


def test_where_too_many_wait_the_others_are_answered_at_once_and_probes_are_served(impatient: Server) -> None:
    too_many = CONNECTIONS - 3
    with clients(impatient, too_many, claim("crowd", "crowd")) as crowd:
        refused, _, _ = select.select(crowd, [], [], 30)
        answers = [read_answer(client) for client in refused]
        assert answers
        assert all(answer.startswith(b"HTTP/1.1 204 ") and b"Retry-After: 5\r\n" in answer for answer in answers)
        with clients(impatient, 1, HEALTH) as (probe,):
            assert read_answer(probe).startswith(b"HTTP/1.1 200 ")
        waiting = [client for client in crowd if client not in refused]
        job_id = submit(impatient, "crowd")
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200 "):
            (client, *_), _, _ = select.select(waiting, [], [], 30)
            waiting.remove(client)
            answer = read_answer(client)
        assert body_of(answer)["id"] == job_id


def test_a_server_that_stops_answers_those_who_wait_at_once() -> None:
    with standing_api() as server, ThreadPoolExecutor(3) as pool:
        job_id = submit(server, "stop")
        body = {"executor_id": "stop", "claim_id": "1", "types": ["none"], "wait_seconds": LONG_SECONDS}
        waiting: list[Future[requests.Response]] = [
            pool.submit(server.call, "POST", "/jobs/claim", body),
            pool.submit(server.call, "GET", f"/jobs/{job_id}?wait_seconds={LONG_SECONDS}"),
            pool.submit(server.call, "GET", f"/jobs/{job_id}/output?wait_seconds={LONG_SECONDS}"),
        ]
        wait_for(server, "stop")
        with store(server) as client:
            wait_until("both read", lambda: client.pubsub_numsub(f"{{jobqueue}}:job:{job_id}")[0][1] >= 1)
        server.process.send_signal(signal.SIGTERM)
        claimed, job, output = (each.result() for each in waiting)
        assert (claimed.status_code, claimed.headers["Retry-After"]) == (204, "1")
        assert job.json()["status"] == output.json()["status"] == "pending"
        server.process.wait(10)
