"""`Scripts.call_many`: several scripts in one round trip, each with its own answer."""

from __future__ import annotations

import gc
import socketserver
import weakref
from pathlib import Path

import pytest
import redis

from jobqueue.errors import JobNotFound, NotPending, StoreFull, StoreUnavailable
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.scripts import Call, Scripts
from tests.support.redis_proxy import Proxy, ScriptedServer, Server

CODE = {
    "echo": "return ARGV[1]",
    "append": "return redis.call('RPUSH', KEYS[1], ARGV[1])",
    "refuse": "return redis.error_reply('NOT_PENDING ' .. ARGV[1])",
    "miss": "return redis.error_reply('JOB_NOT_FOUND ')",
    "fill": "return redis.error_reply('OOM command not allowed')",
    "break": "return redis.error_reply('BROKEN by design')",
}
THREE: list[Call] = [("append", ["a"]), ("append", ["b"]), ("append", ["c"])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, code in CODE.items():
        (tmp_path / f"{name}.lua").write_text(f"{code}\n")
    return tmp_path


@pytest.fixture
def scripts(client: redis.Redis, folder: Path) -> Scripts:
    return Scripts(Connection(client), folder=folder)


def test_the_answers_come_in_the_order_of_the_calls(scripts: Scripts) -> None:
    assert scripts.call_many([("echo", ["one"]), ("append", ["x"]), ("echo", [3])]) == ["one", 1, "3"]


def test_no_calls_have_no_answers(scripts: Scripts) -> None:
    assert scripts.call_many([]) == []


def test_a_refusal_stands_in_the_place_of_the_answer_and_stops_nothing(scripts: Scripts) -> None:
    first, refused, missed, last = scripts.call_many(
        [("append", ["x"]), ("refuse", ["running"]), ("miss", []), ("append", ["y"])]
    )
    assert (first, last) == (1, 2)
    assert isinstance(refused, NotPending)
    assert refused.facts == {"status": "running"}
    assert isinstance(missed, JobNotFound)


def test_a_faulty_script_is_an_error_after_the_others_have_run(scripts: Scripts) -> None:
    with pytest.raises(redis.ResponseError, match="BROKEN by design"):
        scripts.call_many([("append", ["x"]), ("break", []), ("append", ["y"])])
    assert scripts.call("append", "z") == 3


def test_scripts_that_redis_does_not_have_run_all_the_same(real_client: redis.Redis, folder: Path) -> None:
    scripts = Scripts(Connection(real_client), folder=folder)
    for _ in range(2):
        real_client.script_flush()
        scripts.call("echo", "known")
        assert scripts.call_many([("echo", ["a"]), ("append", ["x"]), ("refuse", ["x"]), ("echo", ["b"])])[::3] == [
            "a",
            "b",
        ]
    assert scripts.call("append", "y") == 3


def test_all_calls_are_sent_before_the_first_answer_is_read(folder: Path) -> None:
    class Patient(socketserver.StreamRequestHandler):
        """Answers three commands of four arguments when it has read all of them."""

        def handle(self) -> None:
            for _ in range(3 * (1 + 2 * 5)):
                self.rfile.readline()
            self.wfile.write(b":1\r\n:2\r\n:3\r\n")

    server = Server(Patient)
    with server.running(), connect(server.url) as client:
        assert Scripts(Connection(client), folder=folder).call_many(THREE) == [1, 2, 3]


def test_a_full_store_is_the_answer_of_the_script_that_needs_memory(folder: Path) -> None:
    server = ScriptedServer(lambda command: "-OOM no memory" if command.endswith("b") else "+OK")
    with server.running(), connect(server.url) as client:
        first, full, last = Scripts(Connection(client), folder=folder).call_many(THREE)
    assert (first, last) == ("OK", "OK")
    assert isinstance(full, StoreFull)
    assert len(server.received) == 3


def test_what_a_replica_refuses_is_called_again_and_nothing_else(folder: Path) -> None:
    """In a failover the first scripts may have run on the primary that became a replica before the last ones."""
    server = ScriptedServer(
        lambda command: "-READONLY I am" if server.connections == 1 and not command.endswith("a") else "+OK"
    )
    with server.running(), connect(server.url) as client:
        assert Scripts(Connection(client), folder=folder).call_many(THREE) == ["OK"] * 3
    assert [command[-1] for command in server.received] == ["a", "b", "c", "b", "c"]


def test_what_nobody_can_run_stands_in_the_place_of_its_answer(folder: Path) -> None:
    server = ScriptedServer(lambda command: "-READONLY I am" if command.endswith("c") else "+OK")
    with server.running(), connect(server.url) as client:
        *others, refused = Scripts(Connection(client), folder=folder).call_many(THREE)
    assert others == ["OK", "OK"]
    assert isinstance(refused, StoreUnavailable)


def test_a_silence_before_the_last_answer_is_an_error_for_all(folder: Path, proxy: Proxy) -> None:
    with connect(proxy.url) as client:
        scripts = Scripts(Connection(client), folder=folder)
        scripts.call("append", "0")
        proxy.answers_to_cut = 1
        with pytest.raises(StoreUnavailable):
            scripts.call_many(THREE)
        assert scripts.call("append", "d") == 5, "the scripts were run once, and no answer is left on a connection"


def test_no_answer_of_a_batch_is_read_as_the_answer_of_another_call(folder: Path) -> None:
    """A server that is loading says so by an error on which redis-py gives up the connection at once."""
    server = ScriptedServer(lambda command: "-LOADING soon" if server.connections == 1 else f"+{command[-1]}")
    with server.running(), connect(server.url) as client:
        scripts = Scripts(Connection(client), folder=folder)
        assert scripts.call_many(THREE) == ["a", "b", "c"]
        assert scripts.call("echo", "d") == "d"


@pytest.mark.parametrize("calls", [[("refuse", ["x"])], [("fill", [])]])
def test_errors_keep_nothing_of_their_caller_in_memory(
    real_client: redis.Redis, folder: Path, calls: list[Call]
) -> None:
    class Body:
        """What a request holds."""

    def request() -> None:
        body = Body()
        bodies.append(weakref.ref(body))
        scripts.call_many(calls)

    scripts = Scripts(Connection(real_client), folder=folder)
    bodies: list[weakref.ref[Body]] = []
    gc.disable()
    try:
        request()
        assert bodies[0]() is None
    finally:
        gc.enable()
