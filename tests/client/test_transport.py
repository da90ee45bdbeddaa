"""One request to the API: what counts as a success, as a refusal, and as no answer."""

from __future__ import annotations

import gzip
import io
import os
import socket
import time
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from tests.support.fake_server import FakeServer, Reply, in_json, nobody, serving, serving_bytes


def test_a_success_is_its_body(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: in_json({"id": "1", "text": "ü"}, 201)
    assert transport.call("POST", "/jobs", {"type": "demo"}) == {"id": "1", "text": "ü"}


def test_a_success_without_a_body_has_none(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: Reply(204)
    assert transport.call("POST", "/jobs/claim") is None


def test_the_request_is_json_below_the_api_url(server: FakeServer) -> None:
    with closing(Transport(server.url + "/api/v1/")) as transport:
        transport.call("PUT", "/jobs/1/heartbeat", {"executor_id": "ü\0"})
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/api/v1/jobs/1/heartbeat")
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {"executor_id": "ü\0"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_a_passing_status_is_an_unavailable_api(server: FakeServer, transport: Transport, status: int) -> None:
    server.answer = lambda _: in_json({"error": "not now", "context": {}}, status)
    with pytest.raises(ApiUnavailable, match=rf"^{status} \(not now\) from {server.url}"):
        transport.call("GET", "/jobs/1")


@pytest.mark.parametrize(
    ("status", "retry_after", "pause"),
    [
        *((429, "7", 7), (429, "86400", 60), (429, "", 1), (429, "0", 1), (429, "9" * 400, 1), (503, "7", 0)),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 1),
    ],
)
def test_a_429_says_how_long_to_leave_the_api_alone(
    server: FakeServer, transport: Transport, status: int, retry_after: str, pause: float
) -> None:
    server.answer = lambda _: replace(in_json({}, status), headers={"Retry-After": retry_after})
    with pytest.raises(ApiUnavailable) as unavailable:
        transport.call("GET", "/jobs/1")
    assert unavailable.value.pause_seconds == pause


@pytest.mark.parametrize(("status", "code"), [(400, "unknown_host"), (403, "cross_origin")])
def test_an_api_that_does_not_know_its_name_is_unavailable_so_that_no_result_is_dropped(
    server: FakeServer, transport: Transport, status: int, code: str
) -> None:
    server.answer = lambda _: in_json({"error": "see ALLOWED_HOSTS", "context": {"code": code}}, status)
    with pytest.raises(ApiUnavailable, match=rf"^{status} \(see ALLOWED_HOSTS\) from {server.url}"):
        transport.call("PUT", "/jobs/1/complete", {})


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"status": "unhealthy"}', b'{"error": {"code": 1}}'])
def test_an_unavailable_api_that_does_not_say_why_is_its_status(
    server: FakeServer, transport: Transport, body: bytes
) -> None:
    server.answer = lambda _: Reply(503, body)
    with pytest.raises(ApiUnavailable, match=rf"^503 from {server.url}"):
        transport.call("GET", "/jobs/1")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 415, 422])
def test_a_refusal_carries_status_error_and_context(server: FakeServer, transport: Transport, status: int) -> None:
    server.answer = lambda _: in_json({"error": "no such thing", "context": {"field": "id"}}, status)
    with pytest.raises(ApiRefused, match=f"{status}: no such thing") as caught:
        transport.call("GET", "/jobs/1")
    refused = caught.value
    assert (refused.status, refused.error, refused.context) == (status, "no such thing", {"field": "id"})


@pytest.mark.parametrize("status", [200, 201, 400, 401, 404])
@pytest.mark.parametrize("body", [b"<html>", b'{"id": ', b"\xff", b"[" * 100_000], ids=["page", "half", "odd", "deep"])
def test_an_answer_that_is_not_json_comes_from_another_server(
    server: FakeServer, transport: Transport, status: int, body: bytes
) -> None:
    server.answer = lambda _: Reply(status, body)
    with pytest.raises(ApiUnavailable, match=f"{status} from .*, not from this API"):
        transport.call("GET", "/jobs/1")


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"null", b'{"message": "no"}'])
def test_a_refusal_in_another_shape_comes_from_another_server(
    server: FakeServer, transport: Transport, body: bytes
) -> None:
    """A proxy's 404 must not make a worker drop a result, nor stop a job."""
    server.answer = lambda _: Reply(404, body)
    with pytest.raises(ApiUnavailable, match="not from this API"):
        transport.call("GET", "/jobs/1")


@pytest.mark.parametrize("status", [400, 503])
def test_a_long_message_is_cut(server: FakeServer, transport: Transport, status: int) -> None:
    server.answer = lambda _: in_json({"error": "x" * 1_000_000, "context": {}}, status)
    with pytest.raises((ApiUnavailable, ApiRefused)) as caught:
        transport.call("GET", "/jobs/1")
    assert 500 < len(str(caught.value)) < 700


def test_a_body_too_large_for_a_proxy_is_refused(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: Reply(413, b"<html>Request Entity Too Large")
    with pytest.raises(ApiRefused, match="413"):
        transport.call("POST", "/jobs/1/complete")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: FakeServer, transport: Transport, status: int) -> None:
    with serving(lambda _: in_json({})) as elsewhere:
        server.answer = lambda _: Reply(status, headers={"Location": elsewhere.url})
        with pytest.raises(ApiUnavailable, match=str(status)):
            transport.call("PUT", "/jobs/1/complete", {"stdout": "secret"})
    assert elsewhere.requests == []


def test_a_dripping_answer_is_given_up_in_time(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: Reply(pieces=server.drip(1000, 0.01), length=1000)
    begun = time.monotonic()
    with pytest.raises(ApiUnavailable):
        transport.call("GET", "/jobs/1", within_seconds=0.2)
    assert time.monotonic() - begun < 5


def test_a_file_is_sent_whole_as_json(server: FakeServer, transport: Transport) -> None:
    content = b'{"stdout": "' + b"x" * 3_000_000 + b'"}'
    server.answer = lambda _: in_json({"id": "1"}, 201)
    with open(os.memfd_create("body"), "w+b") as body:
        body.write(content)
        answer = transport.send("PUT", "/jobs/1/complete", body)
    assert answer == {"id": "1"}
    request = server.requests[0]
    assert (request.method, request.path) == ("PUT", "/jobs/1/complete")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Content-Length"] == str(len(content))
    assert request.body == content


def test_a_file_is_sent_from_its_beginning_and_stays_open(server: FakeServer, transport: Transport) -> None:
    body = io.BytesIO(b"{}")
    body.seek(1)
    for _ in range(2):
        transport.send("PUT", "/jobs/1/complete", body)
    assert [request.body for request in server.requests] == [b"{}", b"{}"]


def test_a_request_from_a_file_can_be_refused(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: in_json({"error": "too large", "context": {}}, 413)
    with pytest.raises(ApiRefused, match="413: too large"):
        transport.send("PUT", "/jobs/1/complete", io.BytesIO(b"{}"))


def test_a_server_that_stops_reading_a_file_is_given_up_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        begun = time.monotonic()
        with closing(Transport(url)) as transport, pytest.raises(ApiUnavailable):
            transport.send("PUT", "/jobs/1/complete", io.BytesIO(b"x" * 50_000_000), 0.3)
    assert time.monotonic() - begun < 5


def test_a_refused_connection_is_an_unavailable_api() -> None:
    with (
        nobody() as url,
        closing(Transport(url)) as transport,
        pytest.raises(ApiUnavailable, match="Connection refused"),
    ):
        transport.call("GET", "/jobs/1")


def test_a_silent_server_is_unavailable_after_the_time_limit(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: server.hang()
    with pytest.raises(ApiUnavailable, match=r"not finished within 0\.05 s"):
        transport.call("GET", "/jobs/1", within_seconds=0.05)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00\xff\xfe garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": ',
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_an_answer_that_is_cut_short_or_not_http_is_an_unavailable_api(reply: bytes) -> None:
    with serving_bytes(reply) as url, closing(Transport(url)) as transport, pytest.raises(ApiUnavailable):
        transport.call("GET", "/jobs/1")


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(b'{"id": "1"}', mtime=0)),
        ("GZIP", gzip.compress(b'{"id": "1"}', mtime=0)),
        ("deflate", zlib.compress(b'{"id": "1"}')),
        ("identity", b'{"id": "1"}'),
        ("Identity", b'{"id": "1"}'),
    ],
)
def test_an_answer_that_a_proxy_has_encoded_is_decoded(
    server: FakeServer, transport: Transport, encoding: str, content: bytes
) -> None:
    server.answer = lambda _: Reply(body=content, headers={"Content-Encoding": encoding})
    for _ in range(2):
        assert transport.call("GET", "/jobs/1") == {"id": "1"}
    assert len({request.port for request in server.requests}) == 1


def test_a_connection_is_reused(server: FakeServer, transport: Transport) -> None:
    for _ in range(3):
        transport.call("GET", "/jobs/1")
    assert len({request.port for request in server.requests}) == 1


def test_a_connection_that_the_server_closed_is_replaced(server: FakeServer, transport: Transport) -> None:
    server.answer = lambda _: Reply(body=b"{}", headers={"Connection": "close"})
    for _ in range(3):
        assert transport.call("GET", "/jobs/1") == {}
    assert len({request.port for request in server.requests}) == 3


def test_proxies_and_netrc_of_the_environment_are_not_used(
    server: FakeServer, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    transport.call("GET", "/jobs/1")
    assert "Authorization" not in server.requests[0].headers


def test_a_password_in_the_api_url_is_sent_but_never_shown(server: FakeServer) -> None:
    with closing(Transport(server.url.replace("//", "//user:canary@"))) as transport:
        transport.call("GET", "/jobs/1")
        assert server.requests[0].headers["Authorization"].startswith("Basic ")
        server.answer = lambda _: Reply(503)
        with pytest.raises(ApiUnavailable) as caught:
            transport.call("GET", "/jobs/1")
    assert "canary" not in str(caught.value)
