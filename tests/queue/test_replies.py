"""`transport/replies.py`: commands as bytes, and the answers in whatever pieces they arrive."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.connection import DefaultParser

from jobqueue.queue.connection import connect
from jobqueue.queue.transport.replies import Replies, packed
from tests.support.logins import connect_as_administrator
from tests.support.redis_proxy import ScriptedServer

ANSWERS: dict[bytes, Any] = {
    b"+OK\r\n": "OK",
    b":-12\r\n": -12,
    b"$-1\r\n": None,
    b"*-1\r\n": None,
    b"$0\r\n\r\n": "",
    b"*0\r\n": [],
    "$5\r\nä\r\nb\r\n".encode(): "ä\r\nb",
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n$2\r\nbc\r\n": ["a", [1, None], "bc"],
}


def replies(pieces: Iterator[bytes]) -> Replies:
    return Replies(lambda _: next(pieces, b""), DefaultParser.parse_error)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_answers_are_read_whatever_pieces_they_come_in(size: int) -> None:
    text = b"".join(ANSWERS)
    read = replies(text[begin : begin + size] for begin in range(0, len(text), size))
    for answer in ANSWERS.values():
        assert read.read() == answer
    assert not read.has_more
    with pytest.raises(redis.ConnectionError):
        read.read()


def test_an_answer_that_ends_early_is_a_lost_connection() -> None:
    with pytest.raises(redis.ConnectionError):
        replies(iter([b"$10\r\nabc"])).read()


def test_what_nobody_has_asked_for_is_seen() -> None:
    read = replies(iter([b":1\r\n:2\r\n"]))
    assert read.read() == 1
    assert read.has_more


def test_errors_are_answers_unless_they_end_the_connection() -> None:
    read = replies(iter([b"-OOM no memory\r\n-NOT_HELD pending\r\n-LOADING soon\r\n"]))
    assert isinstance(read.read(), redis.exceptions.OutOfMemoryError)
    assert str(read.read()) == "NOT_HELD pending"
    with pytest.raises(redis.exceptions.BusyLoadingError):
        read.read()


def test_another_protocol_is_refused() -> None:
    with pytest.raises(redis.InvalidResponse):
        replies(iter([b"HTTP/1.1 400 Bad Request\r\n"])).read()


def test_a_command_is_written_as_redis_reads_it() -> None:
    assert packed(("SET", "ä b", -5)) == "*3\r\n$3\r\nSET\r\n$4\r\nä b\r\n$2\r\n-5\r\n".encode()


def test_an_answer_too_many_is_not_read_as_the_answer_to_the_next_command() -> None:
    server = ScriptedServer(lambda command: "+one\r\n+too many" if command == "GET a" else "+two")
    with server.running(), connect(server.url) as client:
        answers: list[Any] = []
        for key in "ab":
            connection = client.connection_pool.get_connection()
            connection.exchange(packed(("GET", key)), 1, answers)
            client.connection_pool.release(connection)
    assert answers == ["one", "two"]
    assert server.connections == 2


def test_a_large_command_reaches_a_server_that_reads_slowly(redis_url: str) -> None:
    with connect_as_administrator(redis_url) as client:
        connection = client.connection_pool.get_connection()
        connection._sock._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        answers: list[Any] = []
        connection.exchange(packed(("ECHO", "x" * 5_000_000)), 1, answers)
        client.connection_pool.release(connection)
    assert answers == ["x" * 5_000_000]
