"""Ids that are paths, patterns or keys of Redis: none leads anywhere, and Redis is not even asked."""

from __future__ import annotations

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.bench import Bench
from tests.support.raw_http import LAST, answers
from tests.support.refusals import assert_refused
from tests.support.serving import PREFIX, Server
from tests.support.web import UNKNOWN_ID, Api

IDS = [
    "..", ".", "..%2f", "..%2f..%2fhealth", "%2e%2e/health", "%2e%2e%2fhealth", "..%5c", "%00", UNKNOWN_ID + "%00",
    UNKNOWN_ID + "%0a", "%0d%0aX-Injected:%20yes", "%ff", "%c0%ae", "%ed%a0%80", "%u0041", "%", "%zz", "{x}",
    "{jobqueue}:job:x", "*", "?", "'", "%27%20OR%201=1", "$(id)", "%24%7bjndi:ldap://x%7d", "-1", "0", "null",
    UNKNOWN_ID[:-1], UNKNOWN_ID + "0", UNKNOWN_ID.replace("-", ""), "{" + UNKNOWN_ID + "}", "urn:uuid:" + UNKNOWN_ID,
    "%D9%A0" * 8 + UNKNOWN_ID[8:], "%20" + UNKNOWN_ID, UNKNOWN_ID + "%20", UNKNOWN_ID + "/", UNKNOWN_ID + "/..",
    "x" * 8000,
]  # fmt: skip
METHODS = ["GET", "PUT", "POST", "DELETE"]
BELOW = ["", "/output", "/heartbeat", "/complete", "/fail", "/release"]


@pytest.mark.parametrize("id_", IDS, ids=lambda id_: id_[:40])
def test_an_odd_id_is_not_found(served: Server, id_: str) -> None:
    lines = [f"{method} {PREFIX}/jobs/{id_}{below} HTTP/1.1" for below in BELOW for method in METHODS]
    found = answers(served.send(b"".join(f"{line}\r\nHost: x\r\n\r\n".encode() for line in lines) + LAST))
    assert [answer.status for answer in found].pop() == 200
    assert {answer.status for answer in found[:-1]} <= {404, 405}
    assert len(found) == len(lines) + 1
    assert b"X-Injected" not in b"".join(answer.head for answer in found)
    assert_refused(
        served, f"GET {PREFIX}/jobs/{id_} HTTP/1.1\r\n".encode() + b"Host: x\r\nConnection: close\r\n\r\n", 404
    )


def test_redis_is_not_asked_about_an_odd_id() -> None:
    nowhere = Api(Bench(redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0))))
    assert nowhere.call("GET", f"/jobs/{UNKNOWN_ID}").status_code == 503
    for id_ in IDS:
        for below in BELOW:
            assert nowhere.call("GET", f"/jobs/{id_}{below}").status_code in {404, 405}, id_
