"""Bodies compressed by gzip: every route takes them, and limits count what they become."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from werkzeug.test import TestResponse

from jobqueue.web.bodies import limits
from jobqueue.web.bodies.inflating import MAX_MEMBERS, SHORT_BYTES
from jobqueue.web.bodies.limits import KIB, MIB
from tests.support.web import HOLDER, JOB, UNKNOWN_ID, Api

ROUTES: list[tuple[str, str, Any, int]] = [
    ("POST", "/jobs", JOB, 201),
    ("POST", "/jobs/bulk", [JOB] * 2000, 201),
    ("POST", "/jobs/bulk/cancel", {"job_ids": [UNKNOWN_ID]}, 200),
    ("POST", "/jobs/claim", HOLDER, 204),
    ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", HOLDER, 404),
    ("PUT", f"/jobs/{UNKNOWN_ID}/complete", {**HOLDER, "exit_code": 0, "stdout": "é" * 300_000}, 404),
    ("PUT", f"/jobs/{UNKNOWN_ID}/fail", HOLDER, 404),
    ("POST", f"/jobs/{UNKNOWN_ID}/release", HOLDER, 404),
]
TEXT = json.dumps(JOB).encode()
WHOLE = gzip.compress(TEXT)


def send(api: Api, data: bytes, encoding: str = "gzip", path: str = "/jobs", method: str = "POST") -> TestResponse:
    """Send a body with this Content-Encoding."""
    headers = {"Content-Encoding": encoding}
    return api.call(method, path, data=data, content_type="application/json", headers=headers)


@pytest.mark.parametrize(("method", "path", "body", "status"), ROUTES, ids=[path for _, path, _, _ in ROUTES])
def test_every_route_takes_a_body_compressed_by_gzip(api: Api, method: str, path: str, body: Any, status: int) -> None:
    data = gzip.compress(json.dumps(body).encode())
    assert send(api, data, path=path, method=method).status_code == status


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZip", "identity, gzip", " gzip ,", "gzip, identity"])
def test_gzip_has_two_names(api: Api, encoding: str) -> None:
    response = send(api, WHOLE, encoding)
    assert response.status_code == 201
    assert api.get(f"/jobs/{response.get_json()['id']}")["binary_url"] == JOB["binary_url"]


@pytest.mark.parametrize("level", [0, 9])
def test_a_limit_counts_what_a_body_becomes(api: Api, level: int) -> None:
    for path, limit in (("/jobs/claim", limits.SMALL), ("/jobs/bulk/cancel", limits.JOB_IDS)):
        for more, status in ((0, 400), (1, 413)):
            data = gzip.compress(b"[{}]".ljust(limit.bytes + more), level)
            response = send(api, data, path=path)
            assert response.status_code == status
        assert f"at most {limit.text} " in response.get_json()["error"]


def test_inflating_stops_at_the_limit(api: Api) -> None:
    bomb = gzip.compress(bytes(16 * MIB), 1)
    tracemalloc.start()
    try:
        assert send(api, bomb, path="/jobs/claim").status_code == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, len(WHOLE) // 2, len(WHOLE) - 9, len(WHOLE) - 8, len(WHOLE) - 1])
def test_a_stream_that_is_cut_off_is_refused(api: Api, size: int) -> None:
    response = send(api, WHOLE[:size])
    assert response.status_code == 400
    assert list(response.get_json()["context"]) == ["body"]
    assert api.bench.client.dbsize() == 0


DAMAGED = {
    "not gzip": TEXT,
    "zlib without the header of gzip": b"\x78\x9c" + WHOLE[10:],
    "a wrong byte": WHOLE[:20] + bytes([WHOLE[20] ^ 0x55]) + WHOLE[21:],
    "a wrong checksum": WHOLE[:-8] + bytes(4) + WHOLE[-4:],
    "a wrong length": WHOLE[:-4] + bytes(4),
    "something after the end": WHOLE + b"x",
    "zeros after the end": WHOLE + bytes(16),
    "half of another stream after the end": WHOLE + WHOLE[:20],
    "too many members": gzip.compress(b"") * MAX_MEMBERS + WHOLE,
    "very many members": gzip.compress(b"") * (MIB // 20),
    "much that becomes nothing": WHOLE[:10] + b"\x00\x00\x00\xff\xff" * (MIB // 5) + WHOLE[10:],
    "twice": gzip.compress(WHOLE),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_stream_is_refused(api: Api, data: bytes) -> None:
    response = send(api, data)
    assert response.status_code == 400
    assert list(response.get_json()["context"]) == ["body"]
    assert api.bench.client.dbsize() == 0


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_stream_may_be_several_one_after_another(api: Api, count: int) -> None:
    parts = [TEXT[len(TEXT) * number // count : len(TEXT) * (number + 1) // count] for number in range(count)]
    assert send(api, b"".join(map(gzip.compress, parts))).status_code == 201


@pytest.mark.parametrize("size", [SHORT_BYTES, 256 * KIB, 257 * KIB, 3 * MIB])
def test_a_body_of_any_length_is_read_whole(api: Api, size: int) -> None:
    data = gzip.compress(TEXT.ljust(size), 0)
    assert send(api, data).status_code == 201
    assert send(api, data[:-9] + data[-8:]).status_code == 400
