"""Every answer has the id of its request, and so has every line that is logged for it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest

from jobqueue import logs
from jobqueue.web.perimeter.request_ids import current
from jobqueue.web.server import error_page
from tests.support.paths import ROOT
from tests.support.serving import Server
from tests.support.waiting import wait_until
from tests.support.web import JOB, Api

HEADER = "X-Request-Id"
NEW = re.compile("[0-9a-f]{32}")
MALFORMED = b"GET /api/v1/health HTTP/1.1\r\nno colon\r\n\r\n"


@pytest.mark.parametrize("sent", ["a", "Z" * 128, "0.-_", "550e8400-e29b-41d4-a716-446655440000"])
def test_an_answer_has_the_id_that_the_client_sent(api: Api, sent: str) -> None:
    answer = api.call("GET", "/nowhere", headers={HEADER: sent})
    assert answer.headers.getlist(HEADER) == [sent]
    assert current() == ""


@pytest.mark.parametrize("sent", [None, "", "a" * 129, "a b", "a,b", "a;b", "\u00e4", "a\u2028", 'a"', "{}", "event=x"])
def test_an_answer_has_a_new_id_where_the_client_sent_none_that_is_valid(api: Api, sent: str | None) -> None:
    headers = {} if sent is None else {HEADER: sent.encode().decode("latin-1")}
    ids = [api.call("GET", "/health", headers=headers).headers[HEADER] for _ in range(2)]
    assert all(map(NEW.fullmatch, ids))
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/jobs", 200), ("GET", "/nowhere", 404), ("BREW", "/jobs", 405), ("POST", "/jobs", 415)],
)
def test_every_kind_of_answer_has_an_id(api: Api, method: str, path: str, status: int) -> None:
    answer = api.call(method, path)
    assert (answer.status_code, len(answer.headers.getlist(HEADER))) == (status, 1)


def test_the_lines_of_a_request_have_its_id_and_others_have_none(api: Api, written: io.StringIO) -> None:
    api.call("POST", "/jobs", JOB, headers={HEADER: "the-id"})
    logs.logger().info("sweep")
    submitted, sweep = written.getvalue().splitlines()
    assert submitted.endswith(" request_id=the-id")
    assert "request_id" not in sweep


def test_the_line_about_a_crash_has_the_id(written: io.StringIO, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.bench.queries, "stats", None)
    answer = api.call("GET", "/admin/stats", headers={HEADER: "the-id"})
    assert (answer.status_code, answer.headers[HEADER]) == (500, "the-id")
    assert "event=crash" in written.getvalue()
    assert written.getvalue().endswith(" request_id=the-id\n")


def test_a_served_request_is_found_in_the_log_by_its_id(served: Server) -> None:
    job_id = served.call("POST", "/jobs", JOB, headers={HEADER: "a-submit"}).json()["id"]
    served.call("DELETE", f"/jobs/{job_id}", headers={HEADER: "a-cancel"})
    lines = [line for line in served.log.splitlines() if job_id in line]
    assert [re.findall(r"event=(\w+) .* request_id=(\S+)$", line) for line in lines] == [
        [("submit", "a-submit")],
        [("cancel", "a-cancel")],
    ]


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_claim_is_logged_when_it_has_been_answered_though_nothing_follows(served: Server, connection: str) -> None:
    job_id = served.call("POST", "/jobs", {**JOB, "type": connection}).json()["id"]
    wanted = {"executor_id": "worker-1", "types": [connection]}
    served.call("POST", "/jobs/claim", wanted, headers={HEADER: "a-claim", "Connection": connection})
    line = rf"level=info event=claim job_id={job_id} executor_id=worker-1 attempt=1 request_id=a-claim\n"
    wait_until("it is logged", lambda: bool(re.search(line, served.log)))


def test_requests_on_one_connection_have_ids_of_their_own(served: Server) -> None:
    request = b"GET /api/v1/health/x HTTP/1.1\r\nHost: x\r\n"
    answer = served.send(
        request + b"X-Request-Id: first\r\n\r\n" + request + b"X-Request-Id: a\r\nX-Request-Id: b\r\n\r\n"
        b"GET / HTTP/1.0\r\nHost: x\r\nx-request-id:third\r\n\r\n"
    )
    first, second, third = re.findall(rb"\r\nX-Request-Id: (\S+)\r\n", answer)
    assert (first, third) == (b"first", b"third")
    assert NEW.fullmatch(second.decode())


def test_a_malformed_request_is_found_in_the_log_by_the_id_in_its_answer(served: Server) -> None:
    answer = served.send(MALFORMED)
    (request_id,) = re.findall(rb"\r\nX-Request-Id: (\S+)\r\n", answer)
    lines = [line for line in served.log.splitlines() if "Invalid request" in line and request_id.decode() in line]
    assert len(lines) == 1


def test_an_answer_of_a_busy_server_has_an_id() -> None:
    sent: dict[str, str] = {}
    error_page.answer_busy(lambda _, headers: sent.update(headers))
    assert NEW.fullmatch(sent[HEADER])


IN_GREENLETS = """
from gevent import monkey; monkey.patch_all()
import sys, threading, gevent
from jobqueue import logs
from jobqueue.web.perimeter import request_ids
logs.configure(sys.stdout)
def log(event): logs.logger().info(event)
def work(name, turns):
    request_ids.begin(name)
    for _ in range(turns): gevent.sleep(0)
    if name == "second":
        thread = threading.Thread(target=log, args=["background"]); thread.start(); thread.join()
    log(name)
gevent.joinall([gevent.spawn(work, "first", 2), gevent.spawn(work, "second", 2)])
log("outside")
"""


def test_greenlets_have_requests_of_their_own_and_threads_none() -> None:
    command = [sys.executable, "-c", IN_GREENLETS]
    lines = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    logged = sorted(re.findall(r"event=(\w+)(?: request_id=(\w+))?$", line)[0] for line in lines)
    assert logged == [("background", ""), ("first", "first"), ("outside", ""), ("second", "second")]


def test_the_document_has_the_header_in_every_answer_of_success(api: Api) -> None:
    document = api.get("/openapi.json")
    paths = [operation for path in document["paths"].values() for operation in path.values()]
    answers = [
        answer
        for operation in paths
        if isinstance(operation, dict)
        for status, answer in operation["responses"].items()
        if status.startswith("2")
    ]
    assert answers
    assert [json.dumps(answer) for answer in answers if HEADER not in answer.get("headers", {})] == []
    assert HEADER in document["components"]["headers"]
