"""Bodies that crash, exhaust or deceive a reader of JSON, sent to every route of the real server that takes a body."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable

import pytest

from tests.support.logins import administrator
from tests.support.serving import Server
from tests.support.web import ATTEMPT, HOLDER, JOB, RESULT, UNKNOWN_ID

ROUTES: dict[str, tuple[str, str, str]] = {
    "submit": ("POST", "/jobs", json.dumps(JOB)),
    "submit many": ("POST", "/jobs/bulk", json.dumps([JOB])),
    "cancel many": ("POST", "/jobs/bulk/cancel", json.dumps({"job_ids": [UNKNOWN_ID]})),
    "claim": ("POST", "/jobs/claim", json.dumps(HOLDER)),
    "heartbeat": ("PUT", f"/jobs/{UNKNOWN_ID}/heartbeat", json.dumps(HOLDER)),
    "complete": ("PUT", f"/jobs/{UNKNOWN_ID}/complete", json.dumps(RESULT)),
    "fail": ("PUT", f"/jobs/{UNKNOWN_ID}/fail", json.dumps(RESULT)),
    "release": ("POST", f"/jobs/{UNKNOWN_ID}/release", json.dumps(HOLDER)),
    "heartbeat many": ("POST", "/jobs/bulk/heartbeat", json.dumps(HOLDER | {"jobs": [ATTEMPT]})),
    "finish many": ("POST", "/jobs/bulk/finish", json.dumps(HOLDER | {"results": [ATTEMPT | {"outcome": "release"}]})),
}
"""Every route with a body that it accepts."""

ANYWHERE = {
    "empty": b"",
    "white space": b" \t\r\n",
    "null": b"null",
    "true": b"true",
    "number": b"5",
    "text": b'"x"',
    "no JSON": b"nonsense",
    "form": b"type=demo&priority=background",
    "list of null": b"[null]",
    "list of lists": b"[[]]",
    "100,000 open arrays": b"[" * 100_000,
    "50,000 nested arrays": b"[" * 50_000 + b"]" * 50_000,
    "20,000 open objects": b'{"a":' * 20_000,
    "object with 2,000 levels": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "NUL": bytes(1000),
    "bytes that are no text": b"\xff\xfe\xfd" * 100,
    "gzip that nothing announces": gzip.compress(b"{}"),
}
"""Bodies that no route accepts."""


FIRST_NAME = re.compile(r'\{"(\w)(\w+)": ')
FIRST_TEXT = re.compile(r'(: |\[)"[^"]*"')
NO_ID = {
    "NUL": b'"a\\u0000b"',
    "line break": b'"a\\r\\nX-Injected: yes"',
    "escape": b'"\\u001b[31m"',
}
"""Texts with which no field begins. As the id of a job, each is the id of none."""

VALUES = {
    **NO_ID,
    "integer of 5,000 digits": b"9" * 5000,
    "integer of 4,000 digits": b"9" * 4000,
    "infinite number": b"1e999",
    "NaN": b"NaN",
    "-Infinity": b"-Infinity",
    "lone surrogate": b'"\\ud800"',
    "lone low surrogate": b'"x\\udfffx"',
    "raw surrogate": b'"\xed\xa0\x80"',
    "overlong slash": b'"\xc0\xaf"',
    "cut character": b'"\xe6\x97"',
    "Latin-1": b'"\xe9"',
    "raw NUL": b'"a\x00b"',
    "raw line break": b'"a\nb"',
    "long text": b'"' + b"a" * 2**20 + b'"',
    "nested": b"[" * 900 + b"]" * 900,
    "object": b'{"__proto__":{"x":1}}',
    "null": b"null",
    "undefined": b"undefined",
    "hexadecimal number": b"0x10",
    "Python": b"True",
}
"""What stands in the place of the first text of a good body. No field accepts it."""


def spelt_in_two_ways(text: str) -> bytes:
    """Return a body whose first name comes twice, once with its first letter escaped."""
    return FIRST_NAME.sub(
        lambda found: f'{{"\\u{ord(found[1]):04x}{found[2]}": 1, {found[0][1:]}', text, count=1
    ).encode()


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "mark of UTF-8": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-7": lambda text: text.replace("{", "+AHs-").encode(),
    "cut": lambda text: text.encode()[:-1],
    "twice": lambda text: text.encode() * 2,
    "NUL at the end": lambda text: text.encode() + b"\0",
    "comma at the end": lambda text: text.encode()[:-1] + b"," + text.encode()[-1:],
    "comment": lambda text: b"/**/" + text.encode(),
    "single quotes": lambda text: text.replace('"', "'").encode(),
    "a name twice": lambda text: FIRST_NAME.sub(r'{"\1\2": 1, "\1\2": ', text, count=1).encode(),
    "a name in two spellings": spelt_in_two_ways,
    "a lone surrogate as a name": lambda text: text.replace("{", '{"\\ud800": 1, ', 1).encode(),
    "an unknown name": lambda text: text.replace("{", '{"__proto__": {}, ', 1).encode(),
}
"""What becomes of a good body."""

JSON_BOMB = gzip.compress(b"[" + b"0," * 2**23 + b"0]", 1)
BOMB = gzip.compress(bytes(16 * 2**20), 1)
BOMB_IN_A_BOMB = gzip.compress(BOMB.ljust(16 * 2**20), 1)
COMPRESSED: dict[str, tuple[int, str, Callable[[bytes], bytes]]] = {
    "bomb": (413, "gzip", lambda _: BOMB),
    "bomb of JSON": (413, "gzip", lambda _: JSON_BOMB),
    "bomb in a bomb": (413, "gzip", lambda _: BOMB_IN_A_BOMB),
    "no gzip": (400, "gzip", lambda text: text),
    "nothing": (400, "gzip", lambda _: b""),
    "cut gzip": (400, "gzip", lambda text: gzip.compress(text)[:-9]),
    "wrong checksum": (400, "gzip", lambda text: gzip.compress(text)[:-8] + bytes(8)),
    "more after the end": (400, "gzip", lambda text: gzip.compress(text) + b"{}"),
    "thousands of members": (400, "gzip", lambda text: gzip.compress(b"") * 5000 + gzip.compress(text)),
    "twice": (400, "gzip", lambda text: gzip.compress(gzip.compress(text))),
    "twice as announced": (415, "gzip, gzip", lambda text: gzip.compress(gzip.compress(text))),
    "deflate": (415, "deflate", zlib.compress),
    "brotli": (415, "br", lambda text: text),
    "header in a header": (415, "gzip;q=1", gzip.compress),
}

TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/html",
    "",
    "a" * 99,
]


def assert_refused(served: Server, route: str, body: bytes, *statuses: int, **headers: str) -> None:
    """Check that a body is refused in the one shape, and that nothing is stored."""
    method, path, _ = ROUTES[route]
    answer = served.call(method, path, data=body, headers={"Content-Type": "application/json", **headers})
    assert answer.status_code in statuses, answer.text[:500]
    assert list(answer.json()) == ["error", "context"]
    assert "X-Injected" not in answer.headers
    assert len(answer.content) < 10_000


def assert_well(served: Server) -> None:
    """Check that the server answers as before, has stored nothing and has logged no crash."""
    assert served.call("GET", "/health").status_code == 200
    with administrator(served.variables["REDIS_URL"]) as client:
        assert client.keys("*job:*") == []
    assert "event=crash" not in served.log


@pytest.mark.parametrize("body", ANYWHERE.values(), ids=ANYWHERE)
def test_a_body_that_no_route_accepts_is_refused(served: Server, body: bytes) -> None:
    for route in ROUTES:
        assert_refused(served, route, body, 400)
    assert_well(served)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_cannot_be_stored_or_read_alike_is_refused(served: Server, value: bytes) -> None:
    for route in ROUTES.keys() - ({"cancel many"} if value in NO_ID.values() else {}):
        _, _, text = ROUTES[route]
        before, after = FIRST_TEXT.sub("\\1|", text, count=1).split("|")
        assert_refused(served, route, before.encode() + value + after.encode(), 400, 413)
    assert_well(served)


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_body_that_two_readers_may_read_differently_is_refused(
    served: Server, encode: Callable[[str], bytes]
) -> None:
    for route, (_, _, text) in ROUTES.items():
        assert_refused(served, route, encode(text), 400)
    assert_well(served)


@pytest.mark.parametrize(("status", "encoding", "encode"), COMPRESSED.values(), ids=COMPRESSED)
def test_a_body_that_is_compressed_with_harm_is_refused(
    served: Server, status: int, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    for route, (_, _, text) in ROUTES.items():
        assert_refused(served, route, encode(text.encode()), status, **{"Content-Encoding": encoding})
    assert_well(served)


@pytest.mark.parametrize("media_type", TYPES, ids=lambda media_type: media_type[:20])
def test_a_body_that_a_form_can_send_is_refused(served: Server, media_type: str) -> None:
    for route, (_, _, text) in ROUTES.items():
        assert_refused(served, route, text.encode(), 415, **{"Content-Type": media_type})
    assert_well(served)
