"""Somebody has the server's login of Redis: `docs/redis.acl` keeps them from everything but the queue's own keys."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from jobqueue.local import redis_server
from jobqueue.queue.connection import connect
from jobqueue.queue.scripts import LUA, ROOT
from tests.support.attempts import DONE, start
from tests.support.bench import Bench
from tests.support.logins import ACL, USER, administrator, with_login
from tests.support.redis_server import running_redis
from tests.support.waiting import wait_until

SERVERS = {"embedded": redis_server.find(), "redis": shutil.which("redis-server")}
OF_CONNECTIONS = {"ping", "select", "client|setname", "info", "subscribe", "unsubscribe"}
OF_THE_QUEUE = {"eval", "evalsha", "setrange"}

MAY_BREAK = ("--enable-debug-command", "yes", "--enable-module-command", "yes")
"""Only the ACL is to refuse these commands."""

DANGEROUS = """
script load x | expire {jobqueue} 1 | ttl {jobqueue}
config get * | config set maxmemory 1 | config rewrite | config resetstat | debug sleep 0 | flushall | flushdb | keys *
scan 0 | dbsize | randomkey | script flush | script kill | script exists x | function load x | function flush
function list | fcall x 0 | eval_ro x 0 | module list | module load x | shutdown nosave | save | bgsave | bgrewriteaof
replicaof no one | slaveof no one | failover | psync ? -1 | sync | replconf x | acl whoami | acl list | acl setuser x
acl getuser jobqueue | acl log | acl save | acl load | client list | client kill type normal | client pause 1
client no-evict on | client id | client info | client tracking on | monitor | slowlog get | latency doctor
memory doctor | memory usage {jobqueue} | object encoding {jobqueue} | swapdb 0 1 | move {jobqueue} 1 | cluster info
migrate h 1 k 0 1 | dump {jobqueue} | restore {jobqueue} 0 x | copy {jobqueue} {jobqueue}:x | rename {jobqueue} x
sort {jobqueue} | psubscribe * | pubsub channels | spublish x x | multi | wait 0 0 | lolwut | command count
role | time x | persist {jobqueue} | append {jobqueue} x | getset {jobqueue} x | mget {jobqueue} | unlink {jobqueue}
lpush {jobqueue} x | blpop {jobqueue} 1 | spop {jobqueue} | xadd {jobqueue} * a b | pfadd {jobqueue} x
setbit {jobqueue} 0 1 | geoadd {jobqueue} 0 0 x | expireat {jobqueue} 1 | type {jobqueue} | strlen {jobqueue}
"""
"""Commands with which one could take over the server, read what others stored, or that just nobody needs."""


@contextmanager
def running(which: str, folder: Path) -> Iterator[str]:
    """A server of that kind; yields its URL with the server's login."""
    path = SERVERS[which]
    if path is None:
        pytest.skip(f"no {which} is installed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redis_server, "find", lambda: path)
        with running_redis(folder, *MAY_BREAK) as url:
            yield url


@pytest.fixture(scope="module", params=[*SERVERS])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of each kind of server, with the server's login."""
    with running(request.param, tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def thief(url: str) -> Iterator[redis.Redis]:
    """Somebody with the server's login."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield client


def log_in(socket: Path, **login: Any) -> redis.Redis:
    """Return a client that tries a login once."""
    return redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0), **login)


def refused(client: redis.Redis, *command: Any) -> bool:
    """Return whether the ACL forbids a command."""
    try:
        client.execute_command(*command)  # type: ignore[no-untyped-call]
    except NoPermissionError:
        return True
    except redis.ResponseError as error:
        return "The user executing the script can't" in str(error) or "ACL failure in script" in str(error)
    return False


def called(folder: Path, pattern: str) -> set[str]:
    """Return the commands that the scripts of a folder call."""
    texts = [path.read_text() for path in folder.rglob("*.lua")]
    return {command.lower() for text in texts for command in re.findall(pattern, text)}


def test_the_login_may_run_what_the_server_runs_and_nothing_else() -> None:
    allowed = {word[1:] for word in ACL.read_text().splitlines()[-1].split() if word.startswith("+")}
    of_scripts = called(LUA, r"redis\.p?call\('([A-Z]+)'")
    assert allowed == OF_CONNECTIONS | OF_THE_QUEUE | of_scripts


@pytest.mark.parametrize("command", [each.strip() for each in re.split(r"[|\n]", DANGEROUS) if each.strip()])
def test_a_dangerous_command_is_refused_in_a_script_as_well(thief: redis.Redis, command: str) -> None:
    words = command.split()
    if command != "time x":
        assert refused(thief, *words)
    text = "return redis.call(unpack(ARGV))"
    with pytest.raises(redis.ResponseError):
        thief.execute_command("EVAL", text, 0, *words)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("key", ["other", "{other}:job:1", "jobqueue:job:1", "{jobqueue}x", "{jobqueuex}:job", "", "*"])
def test_the_keys_of_others_are_out_of_reach(thief: redis.Redis, key: str) -> None:
    for command in (("GET", key), ("SET", key, "x"), ("DEL", key), ("DEL", ROOT, key), ("EXISTS", key)):
        assert refused(thief, *command)
        assert refused(thief, "EVAL", "return redis.call(unpack(ARGV))", 0, *command)
    assert refused(thief, "EVAL", "return 1", 1, key)


@pytest.mark.parametrize(
    "channel", ["other", "{jobqueue}:workers", "{jobqueue}", "__keyevent@0__:set", "__keyspace@0__:x"]
)
def test_the_channels_of_others_are_out_of_reach(thief: redis.Redis, channel: str) -> None:
    assert refused(thief, "PUBLISH", channel, "text")
    assert refused(thief, "SUBSCRIBE", channel)
    assert refused(thief, "EVAL", "return redis.call(unpack(ARGV))", 0, "PUBLISH", channel, "text")


def test_the_queue_works_with_that_login(url: str) -> None:
    with administrator(url) as admin, connect(url) as client:
        admin.execute_command("ACL", "LOG", "RESET")
        bench = Bench(client)
        attempt = start(bench)
        bench.claims.heartbeat(attempt.job_id, attempt.holder)
        bench.claims.complete(attempt.job_id, attempt.holder, DONE)
        bench.clock.advance(bench.policy.retention_ms + 1000)
        bench.commands.sweep()
        with client.pubsub() as listener:
            listener.subscribe("{jobqueue}:work", f"{ROOT}:job:{attempt.job_id}", "__keyevent@0__:expired")
            wait_until("it listens", lambda: listener.get_message(timeout=0.1) is not None)
        assert admin.acl_log() == []


@pytest.mark.parametrize("which", SERVERS)
def test_nobody_can_log_in_before_the_operator_has_set_passwords(which: str, tmp_path: Path) -> None:
    path, socket = SERVERS[which], tmp_path / "redis.sock"
    if path is None:
        pytest.skip(f"no {which} is installed")
    command = [path, "--port", "0", "--unixsocket", str(socket), "--save", "", "--aclfile", str(ACL)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until("it listens", socket.exists)
            logins: list[dict[str, str]] = [
                {},
                *({"username": name, "password": ""} for name in (USER, "administrator")),
            ]
            for login in [*logins, {"username": "default", "password": "x"}]:
                with log_in(socket, **login) as client, pytest.raises(redis.AuthenticationError):
                    client.ping()
        finally:
            process.kill()


def test_the_tests_servers_let_the_product_log_in_as_that_user(redis_url: str) -> None:
    assert urlsplit(with_login(redis_url)).username == USER
    with connect(redis_url) as client:
        assert "used_memory" in client.info("memory")
        with pytest.raises(NoPermissionError):
            client.keys()
