"""Threat: a header Authorization that was made to confuse the server gets past it, or breaks it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.access.scopes import Scope
from tests.support.serving import Server, running_api
from tests.support.tokens import NOT_CONFIGURED, line, token

SEED, RANDOM_VALUES = 13, 300
LONGEST_VALUE = 8000
"""A longer header line never reaches the app: it is refused while the head is read."""

VALID = token("valid").encode()
TARGETS = [b"GET /api/v1/jobs", b"POST /api/v1/jobs/claim", b"GET /api/v1/no-such-path", b"DELETE /api/v1/jobs/bulk"]
FORMS: list[bytes] = [
    b"",
    b" ",
    b"Bearer",
    b"Bearer ",
    b"Bearer  ",
    b"Bearer null",
    b"Bearer undefined",
    b"Bearer " + token(NOT_CONFIGURED).encode(),
    b"Bearer " + VALID[:-1],
    b"Bearer " + VALID + b"x",
    b"Bearer " + VALID[1:],
    b"Bearer " + VALID.upper(),
    b"Bearer " + VALID + b"," + VALID,
    b"Bearer " + VALID + b", Bearer " + VALID,
    b"Bearer " + VALID + b" " + VALID,
    b"Bearer " + VALID + b"\xa0",
    b"Bearer\t" + VALID,
    b"Bearer:" + VALID,
    b"Bearer=" + VALID,
    b"Bearer" + VALID,
    b"Bearer Bearer " + VALID,
    b'Bearer "' + VALID + b'"',
    b"Bearer token=" + VALID,
    b"Basic " + VALID,
    b"Token " + VALID,
    b"Digest username=x",
    b"Basic dmFsaWQ6dmFsaWQ=",
    b"NotBearer " + VALID,
    b"Bearer\xc2\xa0" + VALID,
    b"B\xc3\xa9arer " + VALID,
    "\u0412earer ".encode() + VALID,  # a Cyrillic letter that looks like a B
    b"Bearer \xff\xfe\xfd",
    b"Bearer " + "ключ".encode(),
    b"Bearer " + "\U0001f511".encode(),
    b"Bearer %s%n{0}${x}",
    b"Bearer ' OR 1=1 --",
    b"Bearer ../../etc/passwd",
    b"Bearer " + b"A" * LONGEST_VALUE,
    b"Bearer " + b"jq_" * (LONGEST_VALUE // 3),
    b"A" * LONGEST_VALUE,
    b"Bearer" + b" " * LONGEST_VALUE,
    VALID,
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Server]:
    """A server with one token."""
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with running_api(folder, REDIS_URL=server_url, API_TOKENS=line("valid", Scope.ADMIN)) as server:
        yield server


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Server]:
    """A server without tokens."""
    with running_api(tmp_path_factory.mktemp("open"), REDIS_URL=server_url) as server:
        yield server


def random_values() -> Iterator[bytes]:
    """Yield values that are random, or a valid one that was damaged. They are always the same ones."""
    chance = random.Random(SEED)
    allowed = [byte for byte in range(1, 256) if byte not in b"\r\n" and (byte >= 0x20 or byte == 9) and byte != 0x7F]
    for _ in range(RANDOM_VALUES):
        if chance.random() < 0.5:
            yield bytes(chance.choices(allowed, k=chance.randrange(1, 200)))
        else:
            damaged = bytearray(b"Bearer " + VALID)
            place = chance.randrange(7, len(damaged))
            damaged[place] = chance.choice([byte for byte in allowed if byte not in (damaged[place], 9, 0x20)])
            yield bytes(damaged)


def statuses(server: Server, heads: list[bytes]) -> set[bytes]:
    """Send requests on one connection, one after another; return the statuses of the answers, one for each."""
    last = heads.pop() + b"Connection: close\r\n\r\n"
    received = server.send(b"".join(head + b"\r\n" for head in heads) + last)
    found = [each[:3] for each in received.split(b"HTTP/1.1 ")[1:]]
    assert len(found) == len(heads) + 1, received[-500:]
    assert received.count(b"WWW-Authenticate: Bearer\r\n") == found.count(b"401")
    return set(found)


def head(target: bytes, *values: bytes) -> bytes:
    """Return a request up to its last header."""
    lines = b"".join(b"Authorization: " + value + b"\r\n" for value in values)
    return target + b" HTTP/1.1\r\nHost: localhost\r\n" + lines


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.decode())
def test_every_value_that_is_no_valid_token_is_answered_401(guarded: Server, target: bytes) -> None:
    for value in FORMS:
        assert statuses(guarded, [head(target, value)]) == {b"401"}, value[:100]


def test_every_random_or_damaged_value_is_answered_401(guarded: Server) -> None:
    heads = [head(TARGETS[0], value) for value in random_values()]
    for first in range(0, len(heads), 50):
        assert statuses(guarded, heads[first : first + 50]) == {b"401"}


@pytest.mark.parametrize(
    "values", [[b"Bearer " + VALID] * 2, [b"Bearer " + VALID, b""], [b"", b"Bearer " + VALID], [b"Bearer x"] * 50]
)
def test_several_headers_are_answered_401(guarded: Server, values: list[bytes]) -> None:
    assert statuses(guarded, [head(TARGETS[0], *values)]) == {b"401"}


@pytest.mark.parametrize("name", [b"X-Authorization", b"Authorization_", b"Proxy-Authorization", b"HTTP_AUTHORIZATION"])
def test_a_token_in_another_header_is_answered_401(guarded: Server, name: bytes) -> None:
    request = TARGETS[0] + b" HTTP/1.1\r\nHost: localhost\r\n" + name + b": Bearer " + VALID + b"\r\n"
    assert statuses(guarded, [request]) == {b"401"}


UNREADABLE = {
    "a zero byte": b"Bearer \x00",
    "a zero byte after the token": b"Bearer " + VALID + b"\x00",
    "a control character": b"Bearer a\x0bb",
    "a delete character": b"Bearer " + VALID + b"\x7f",
    "a line feed": b"Bearer " + VALID + b"\nX: y",
    "a carriage return": b"Bearer " + VALID + b"\rX: y",
    "a second line": b"Bearer\r\n " + VALID,
    "a line without a name": b"Bearer " + VALID + b"\r\n" + VALID,
    "a byte too long": b"A" * (8190 - len(b"Authorization: \r\n") + 1),
    "60,000 bytes": b"Bearer " + b"A" * 60_000,
    "more of them than headers are allowed": b"Bearer x" + b"\r\nAuthorization: Bearer x" * 150,
    "a megabyte": b"Bearer " + b"A" * 2**20,
    "a megabyte after other headers": b"x\r\nX: y\r\nauthorization: " + b"A" * 2**20,
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.decode())
def test_a_value_that_no_header_may_have_is_answered_401(guarded: Server, target: bytes, value: bytes) -> None:
    received = guarded.send(head(target, value) + b"X-Last: x\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Bearer\r\n")
    assert b'"code": "unauthenticated"' in received


def test_random_bytes_of_any_kind_are_answered_401(guarded: Server) -> None:
    chance = random.Random(SEED)
    for _ in range(RANDOM_VALUES):
        value = chance.randbytes(chance.randrange(1, 200))
        assert guarded.send(head(TARGETS[0], value) + b"Connection: close\r\n\r\n")[9:12] == b"401", value


def test_a_head_that_comes_in_pieces_is_answered_401(guarded: Server) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), 15) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (head(TARGETS[0])[:-2], b"\r\nAuthorization: Bea", b"rer \n" + VALID):
            client.sendall(piece)
        assert client.recv(1000)[9:12] == b"401"


@pytest.mark.parametrize("other", [b"X: " + b"a" * 9000, b"X: \x00", b"X"])
def test_a_request_whose_token_can_be_read_is_refused_for_its_own_fault(guarded: Server, other: bytes) -> None:
    status = b"431" if len(other) > 9000 else b"400"
    received = guarded.send(head(TARGETS[0], b"Bearer " + VALID) + b"X-Before: x\r\n" + other + b"\r\n\r\n")
    assert received[9:12] == status


def test_where_no_tokens_are_needed_the_header_is_refused_like_any_other(open_server: Server) -> None:
    assert open_server.send(head(TARGETS[0], b"A" * 9000) + b"\r\n")[9:12] == b"431"
    assert open_server.send(head(TARGETS[0], b"\x00") + b"\r\n")[9:12] == b"400"


@pytest.mark.parametrize("value", [b"Bearer " + VALID, b"bearer " + VALID, b"BEARER " + VALID, b"Bearer   " + VALID])
def test_the_valid_token_is_let_in(guarded: Server, value: bytes) -> None:
    assert statuses(guarded, [head(TARGETS[0], value)]) == {b"200"}
