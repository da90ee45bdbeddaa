"""`queue/scripts.py`: scripts are assembled from fragments and called by name, and their refusals become errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.queries import Filter, Queries
from jobqueue.queue.refusals import REFUSALS, refusal
from jobqueue.queue.scripts import LUA, Script, Scripts, assemble, uses
from tests.support.bench import Bench
from tests.support.redis_proxy import ScriptedServer
from tools.assemble_lua import write_assembled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of scripts with one in it, `greet`, that uses two fragments."""
    for name, code in {
        "words/greeting": "local greeting = 'hello '",
        "verbs/greet_with": "local function greet_with(name) return greeting .. name end\n",
    }.items():
        path = tmp_path / "lib" / f"{name}.lua"
        path.parent.mkdir(parents=True)
        path.write_text(code)
    (tmp_path / "greet.lua").write_text("-- USES greeting\n-- USES   greet_with\nreturn greet_with(ARGV[1])\n")
    return tmp_path


def test_the_fragments_come_in_the_order_they_are_named_and_the_script_last(folder: Path) -> None:
    parts = ["lib/words/greeting.lua", "lib/verbs/greet_with.lua", "greet.lua"]
    assert assemble(folder / "greet.lua") == "\n".join((folder / part).read_text() for part in parts)


def test_every_line_of_uses_counts() -> None:
    assert list(uses("-- USES     keys clock\n-- USES whole\nreturn 1")) == ["keys", "clock", "whole"]
    assert list(uses("return 1 -- USES nothing")) == []


def test_a_missing_fragment_is_an_error_at_the_start(folder: Path, client: redis.Redis) -> None:
    (folder / "greet.lua").write_text("-- USES no_such_fragment\nreturn 1\n")
    with pytest.raises(FileNotFoundError):
        Scripts(Connection(client), folder=folder)


def test_a_script_is_called_by_its_name(folder: Path, client: redis.Redis) -> None:
    assert Scripts(Connection(client), folder=folder).call("greet", "Ada") == "hello Ada"


def test_nothing_is_sent_before_the_first_call() -> None:
    with redis.Redis(host="127.0.0.1", port=1) as nobody:
        Scripts(Connection(nobody))


def test_two_roots_are_two_queues(client: redis.Redis) -> None:
    bench = Bench(client)
    bench.submit()
    other = Queries(Scripts(Connection(client), root="{another}"), bench.policy)
    assert bench.queries.list(Filter(), 10, 0).total == 1
    assert other.list(Filter(), 10, 0).total == 0


def test_scripts_that_redis_no_longer_has_are_loaded_again(real_bench: Bench) -> None:
    real_bench.submit()
    real_bench.client.script_flush()
    assert real_bench.claims.claim("executor-1", None) is not None
    real_bench.client.script_flush()
    assert len(real_bench.submit(2)) == 2
    assert real_bench.queries.list(Filter(), 10, 0).total == 3


def test_a_server_that_forgets_scripts_all_the_time_still_runs_them(folder: Path) -> None:
    server = ScriptedServer(lambda command: "-NOSCRIPT No matching script." if command.startswith("EVALSHA") else "+OK")
    with server.running(), connect(server.url) as client:
        assert Scripts(Connection(client), folder=folder).call("greet", "Ada") == "OK"


def test_scripts_that_are_sent_again_after_a_lost_answer_write_nothing() -> None:
    writes = {"SET", "DEL", "HSET", "HDEL", "HINCRBY", "ZADD", "ZREM", "INCR", "INCRBY", "RPUSH", "LTRIM", "SETRANGE"}
    reading = [script for script in map(Script.read, LUA.glob("*.lua")) if script.changes_nothing]
    assert len(reading) >= 4
    for script in reading:
        assert not set(re.findall(r"redis\.p?call\('(\w+)'", script.text)) & writes


@pytest.mark.parametrize(
    ("text", "error", "facts"),
    [
        ("JOB_NOT_FOUND ", JobNotFound, {}),
        ("JOB_NOT_FOUND", JobNotFound, {}),
        ("NOT_PENDING running", NotPending, {"status": "running"}),
        ("NOT_HELD pending", NotHeld, {"status": "pending"}),
        ("NOT_RUNNING completed", NotRunning, {"status": "completed"}),
        ("LEASE_LOST running", LeaseLost, {"status": "running"}),
    ],
)
def test_a_refusal_becomes_its_error(text: str, error: type[JobQueueError], facts: dict[str, str]) -> None:
    refused = refusal(text)
    assert type(refused) is error
    assert refused.facts == facts


@pytest.mark.parametrize("text", ["", "ERR unknown command", "not_held pending", "NOT_HELDpending", "WRONGTYPE x"])
def test_a_text_that_is_no_refusal_is_none(text: str) -> None:
    assert refusal(text) is None


def test_every_refusal_is_an_error_of_its_own() -> None:
    assert len(set(REFUSALS.values())) == len(REFUSALS)


def test_an_error_that_is_no_refusal_is_raised_as_it_is(folder: Path, client: redis.Redis) -> None:
    (folder / "break.lua").write_text("return redis.error_reply('BROKEN by design')\n")
    scripts = Scripts(Connection(client), folder=folder)
    for _ in range(2):
        with pytest.raises(redis.ResponseError, match="BROKEN by design"):
            scripts.call("break")


def test_every_script_can_be_written_as_redis_gets_it(tmp_path: Path) -> None:
    write_assembled(tmp_path / "out")
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {path.name: assemble(path) for path in LUA.glob("*.lua")}
