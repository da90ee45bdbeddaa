"""What needs the real gunicorn: chunked bodies, large bodies, and the exit. tests/security/ has malformed requests."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from jobqueue.web.bodies.limits import MAX_BODY_BYTES
from tests.support.paths import ROOT
from tests.support.serving import Server, environment, gunicorn, running_api
from tests.support.waiting import wait_until
from tests.support.web import JOB, UNKNOWN_ID

CLAIM = b'{"executor_id": "worker-1"}'
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n"


def post(body: bytes, *headers: str, path: str = "/api/v1/jobs/claim") -> bytes:
    """Return a raw request with these headers; no other header gives its length."""
    head = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def chunked(body: bytes, size: int = 1_000_000) -> bytes:
    """Return a raw claim whose body is chunked and has no Content-Length."""
    chunks = [body[first : first + size] for first in range(0, len(body), size)]
    return post(
        b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""]), "Transfer-Encoding: chunked"
    )


def assert_error(answer: bytes, status: int) -> None:
    """Check that a raw HTTP answer has this status and the shape of every error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ", 2)[:2] == [b"HTTP/1.1", str(status).encode()], answer[:300]
    assert b"\r\nContent-Type: application/json" in head
    assert f"\r\nContent-Length: {len(body)}".encode() in head
    shape = json.loads(body)
    assert list(shape) == ["error", "context"]
    assert shape["error"]
    assert not [word for word in ("Traceback", ".py", "gunicorn", "jobqueue", "<html") if word in body.decode()]


def test_a_body_without_a_length_is_empty(served: Server) -> None:
    assert_error(served.send(post(b"")), 400)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_may_come_in_chunks(served: Server, size: int) -> None:
    assert b" 204 " in served.send(chunked(CLAIM, size))[:20]
    assert_error(served.send(chunked(b'{"executor_id": 1}', size)), 400)


def test_a_body_whose_content_length_is_too_large_is_refused_unread(served: Server) -> None:
    assert_error(served.send(post(b"", f"Content-Length: {MAX_BODY_BYTES + 1}")), 413)
    assert_error(served.send(post(b"", f"Content-Length: {10**15}")), 413)


@pytest.mark.parametrize("more", [1, 1000, 2_000_000])
def test_a_chunked_body_that_is_too_large_is_refused(served: Server, more: int) -> None:
    assert_error(served.send(chunked(CLAIM.ljust(MAX_BODY_BYTES) + b"x" * more)), 413)


def test_a_refused_body_is_not_read_as_the_next_request(served: Server) -> None:
    hidden = b"GET /api/v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(hidden)}\r\n\r\n"
    answer = served.send(head.encode() + hidden + HEALTH + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b" 404 " not in answer


def test_two_outputs_of_a_mebibyte_are_accepted_even_if_every_byte_is_escaped(served: Server) -> None:
    sent = "\x00" * 1_048_576
    job_id = served.call("POST", "/jobs", JOB).json()["id"]
    served.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    body = json.dumps({"executor_id": "worker-1", "exit_code": 0, "stdout": sent, "stderr": sent}).encode()
    assert len(body) > 12_000_000
    headers = {"Content-Type": "application/json"}
    assert served.call("PUT", f"/jobs/{job_id}/complete", data=body, headers=headers).status_code == 200
    job = served.call("GET", f"/jobs/{job_id}").json()
    assert job["stdout"] == sent
    assert job["stderr"] == sent


@pytest.mark.parametrize("character", ["ß", "日", "🎉"])
def test_an_output_is_never_cut_inside_a_character(served: Server, character: str) -> None:
    job_id = served.call("POST", "/jobs", JOB).json()["id"]
    served.call("POST", "/jobs/claim", {"executor_id": "worker-1"})
    body = {"executor_id": "worker-1", "stdout": "x" + character * 1_048_576}
    assert served.call("PUT", f"/jobs/{job_id}/fail", body).status_code == 200
    stored = served.call("GET", f"/jobs/{job_id}").json()["stdout"]
    assert stored == "x" + character * ((1_048_576 - 1) // len(character.encode()))


def test_the_address_of_an_executor_is_not_taken_from_x_forwarded_for(served: Server) -> None:
    served.call("POST", "/jobs", JOB)
    claim = {"executor_id": "worker-1"}
    job = served.call("POST", "/jobs/claim", claim, headers={"X-Forwarded-For": "6.6.6.6"}).json()
    assert job["attempts"][0]["executor_ip"] == "127.0.0.1"


def test_a_line_break_in_a_request_starts_no_new_line_in_the_log(served: Server) -> None:
    served.call("GET", f"/jobs/{UNKNOWN_ID}")
    served.call("GET", "/jobs?type=%0d%0alevel=error")
    assert "\nlevel=error" not in served.log


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_metrics_directory_that_cannot_be_made_ends_the_server_with_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    variables = environment(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / name))
    done = subprocess.run(gunicorn(), cwd=ROOT, env=variables, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"PROMETHEUS_MULTIPROC_DIR is '{tmp_path / name}', but .+\.\n", done.stdout + done.stderr)


def test_gunicorn_exits_cleanly_on_sigterm_and_leaves_no_metrics_behind(tmp_path: Path, redis_url: str) -> None:
    with running_api(tmp_path, REDIS_URL=redis_url) as server:
        server.process.terminate()
        wait_until("gunicorn ends", lambda: server.process.poll() is not None, 10)
    assert server.process.returncode == 0
    assert not list(tmp_path.glob("*metrics*"))
    assert "Traceback" not in server.log
