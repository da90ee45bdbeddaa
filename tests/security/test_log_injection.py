"""A client tries to forge lines of the log, or to make it unreadable, with what it sends."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.support.serving import PREFIX, standing_api
from tests.support.web import JOB

HOSTILE = "a\r\nevent=forged \x1b[31m\x00\x85\u2028\u202e\"}{'"
ACCESS_LOG = '--access-logfile - --access-logformat "%(h)s %(r)s %(U)s %(q)s %(a)s %(f)s %({x-y}i)s"'


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_nothing_that_a_client_sends_breaks_a_line(log_format: str) -> None:
    raw = HOSTILE.encode()
    header = raw.replace(b"\r\n", b"").replace(b"\x00", b"").replace(b"\x1b", b"")
    lines = b"User-Agent: %s\r\nReferer: %s\r\nX-Y: %s\r\n" % ((header,) * 3)
    head = b"Host: x\r\nX-Request-Id: %s\r\nConnection: close\r\n" % header
    with standing_api(WEB_CONCURRENCY="1", LOG_FORMAT=log_format, GUNICORN_CMD_ARGS=ACCESS_LOG) as server:
        for path in (f"{PREFIX}/jobs/{quote(HOSTILE)}", f"/{quote(HOSTILE)}", f"{PREFIX}/jobs?type={quote(HOSTILE)}"):
            server.send(b"GET %s HTTP/1.1\r\n%s%s\r\n" % (path.encode(), head, lines))
        for malformed in (
            b"GET / %s\r\n\r\n" % raw,
            raw,
            b"%s: x\r\n\r\n" % raw,
            b"GET / HTTP/1.1\r\n%s\r\n\r\n" % raw,
        ):
            server.send(malformed)
        # A line of this kind once took minutes to be searched for passwords, during which nobody else was answered.
        assert server.send(b"@" + b":" * 8000 + b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        for name in ("type", "binary_url", "priority"):
            assert server.call("POST", "/jobs", {**JOB, name: HOSTILE}).status_code == 400
        assert server.call("POST", "/jobs/claim", {"executor_id": HOSTILE}).status_code == 400
        assert server.call("POST", "/jobs", {**JOB, "type": "'}{\\\"=\u65e5"}).status_code == 201
        server.stop()
        logged = server.log.split("\n")[:-1]
    assert len(logged) > 10
    assert [line for line in logged if not line.isprintable() or line.startswith("event=forged")] == []
    if log_format == "json":
        assert {"submit", "gunicorn", "access"} <= {json.loads(line)["event"] for line in logged}
