"""The connection for notices: what it passes on, and how it is replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import redis
from structlog.typing import EventDict

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.transport import pool
from jobqueue.queue.waiting import events, listener
from jobqueue.queue.waiting.listener import WORK, Listener
from jobqueue.queue.waiting.watches import ENDED, OUTPUT, Wait, Watches
from jobqueue.result import LiveOutput, Piece
from tests.support.attempts import DONE, start
from tests.support.bench import Bench
from tests.support.logins import without_login
from tests.support.redis_proxy import Proxy
from tests.support.waiting import wait_until
from tests.support.waits import LONG_SECONDS, Caller


@dataclass
class Heard:
    """What a listener has passed on."""

    work: list[tuple[int, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    begun: int = 0
    connection: Connection | None = None
    expired: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self.begun += 1

    def note(self, work: list[tuple[int, str]], name: str) -> None:
        self.work += work
        self.names.append(name)


@contextmanager
def listening(url: str) -> Iterator[tuple[Listener, Heard]]:
    """A listener that has begun to listen."""
    heard = Heard()
    with connect(url) as client:
        heard.connection = Connection(client)
        listener = Listener(heard.connection)
        listener.on_work, listener.on_begin, listener.on_expired = heard.note, heard.begin, heard.expired.set
        listener.start()
        listener.follow_work(True)
        try:
            wait_until("it listens", lambda: heard.begun == 1)
            yield listener, heard
        finally:
            listener.stop()


def test_work_is_passed_on(redis_url: str, real_bench: Bench) -> None:
    with listening(redis_url) as (listener, heard):
        real_bench.submit(3, type="render")
        real_bench.submit(1, type="größer")
        wait_until("both notices have come", lambda: len(heard.work) == 2)
        assert heard.work == [(3, "render"), (1, "größer")]
        assert heard.names == ["3", "4"]
        assert listener.hears


def test_work_that_nobody_follows_is_announced_to_nobody(redis_url: str, real_bench: Bench) -> None:
    with listening(redis_url) as (listener, heard):
        listener.follow_work(False)
        assert listener.hears
        assert not listener.hears_work
        wait_until("nobody gets notices", lambda: real_bench.client.pubsub_numsub(WORK) == [(WORK, 0)])
        real_bench.submit()
        listener.follow_work(True)
        wait_until("they come again", lambda: listener.hears_work and heard.begun == 2)
        real_bench.submit()
        wait_until("the notice has come", lambda: heard.names == ["2"])


def test_a_listener_whose_connection_ends_listens_again(redis_url: str, real_bench: Bench) -> None:
    with listening(redis_url) as (_, heard):
        for begun in (1, 2):
            wait_until("it listens", lambda begun=begun: heard.begun == begun)  # type: ignore[misc]
            real_bench.client.client_kill_filter(_type="pubsub")
        wait_until("it listens again", lambda: heard.begun == 3)
        real_bench.submit()
        wait_until("the notice has come", lambda: heard.work == [(1, "demo")])


def test_a_connection_that_falls_silent_is_replaced(
    proxy: Proxy, real_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(pool, "ANSWER_SECONDS", 0.1)
    with listening(proxy.url) as (_, heard):
        proxy.silence()
        wait_until("it listens again", lambda: heard.begun == 2)
        real_bench.submit()
        wait_until("the notice has come", lambda: heard.work == [(1, "demo")])


def test_a_listener_follows_the_other_connections_to_another_server(redis_url: str, real_bench: Bench) -> None:
    def refuse() -> None:
        raise redis.exceptions.ReadOnlyError("READONLY this is a replica now")

    with listening(redis_url) as (_, heard):
        assert heard.connection is not None
        with pytest.raises(StoreUnavailable):
            heard.connection.call(refuse)
        wait_until("it has noticed", lambda: bool(real_bench.submit()) and heard.begun == 2)


def test_a_quiet_connection_is_kept(redis_url: str, monkeypatch: pytest.MonkeyPatch, real_bench: Bench) -> None:
    monkeypatch.setattr(listener, "SILENCE_SECONDS", 0.05)
    with listening(redis_url) as (_, heard):
        before = real_bench.client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
        wait_until(
            "it was asked for signs of life",
            lambda: real_bench.client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] > before + 3,
        )
        assert heard.begun == 1


def test_the_end_of_a_lease_is_passed_on_and_foreign_keys_are_not(redis_url: str, real_bench: Bench) -> None:
    real_bench.client.config_set("notify-keyspace-events", "Kg")
    with listening(without_login(redis_url)) as (_, heard):
        assert set(str(real_bench.client.config_get()["notify-keyspace-events"])) == set("KgEx")
        real_bench.client.set(b"\xff", "not text", px=1)
        real_bench.client.set("{jobqueue}:spec:1", "", px=1)
        wait_until("both are gone", lambda: real_bench.client.dbsize() == 0)
        assert not heard.expired.wait(0.05)
        real_bench.client.set("{jobqueue}:lease:1", "token", px=1)
        assert heard.expired.wait(LONG_SECONDS)


@pytest.mark.parametrize(("present", "wanted"), [("", "Ex"), ("xE", "xE"), ("AKE", "AKE"), ("A", "AE"), ("Kx", "KxE")])
def test_the_events_of_keys_that_expire_are_added_to_those_that_are_announced(present: str, wanted: str) -> None:
    assert events.with_expired(present) == wanted


def test_a_login_that_may_not_listen_is_logged_once(
    real_bench: Bench, logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REFUSED_PAUSE_SECONDS", 0.01)
    client = real_bench.client
    commands = ["+@all", "-config"]
    denied = client.info("stats")["acl_access_denied_cmd"]
    client.acl_setuser("deaf", enabled=True, passwords=["+secret"], keys=["*"], commands=commands, reset=True)
    path = client.connection_pool.connection_kwargs["address"].path
    with connect(f"unix://{path}?username=deaf&password=secret") as deaf:
        refused = Listener(Connection(deaf))
        refused.start()
        # Each time it asks for the events of keys that expire, which is refused as well.
        wait_until("it has tried three times", lambda: client.info("stats")["acl_access_denied_cmd"] >= denied + 3)
        refused.stop()
    client.acl_deluser("deaf")
    assert not refused.hears
    assert [each["event"] for each in logged].count("notices_refused") == 1
    assert [each["event"] for each in logged].count("expired_events_unavailable") == 1


def reading(watches: Watches, wait: Wait, read: object) -> tuple[threading.Thread, list[object]]:
    """Start to wait until what `read` returns is true; return the thread, and the list that gets the answer."""
    answers: list[object] = []
    reads: list[object] = []

    def read_now() -> object:
        reads.append(None)
        return read()  # type: ignore[operator]

    thread = threading.Thread(target=lambda: answers.append(watches.read(wait, read_now, bool)), daemon=True)
    thread.start()
    wait_until("it has read once", lambda: bool(reads))
    return thread, answers


def test_readers_are_woken_by_the_notices_that_they_want(redis_url: str, real_bench: Bench) -> None:
    attempt = start(real_bench)
    with listening(redis_url) as (listener, _):
        watches = Watches(listener)
        facts: dict[str, bool] = {}
        waits = [Wait(attempt.job_id, wants, LONG_SECONDS, Caller()) for wants in [(ENDED, OUTPUT), (ENDED,)]]
        (output, seen), (end, ended) = (
            reading(watches, wait, lambda name=name: facts.get(name))
            for wait, name in zip(waits, ("output", "ended"), strict=True)
        )
        facts["output"] = True
        real_bench.claims.heartbeat(attempt.job_id, attempt.holder, LiveOutput(Piece(0, "text")))
        output.join(1.5)  # before it would look for itself
        assert (seen, ended) == ([True], [])
        facts["ended"] = True
        real_bench.claims.complete(attempt.job_id, attempt.holder, DONE)
        end.join(1.5)
        assert ended == [True]
        client: redis.Redis = real_bench.client
        wait_until("nobody listens any more", lambda: client.pubsub_channels("{jobqueue}:job:*") == [])


def test_a_reader_notices_the_end_of_a_lost_connection_and_the_end_of_the_server(
    redis_url: str, real_bench: Bench
) -> None:
    with listening(redis_url) as (listener, heard):
        watches, facts = Watches(listener), dict[str, bool]()
        wait = Wait("a-job", (ENDED,), LONG_SECONDS, Caller())
        waiting, answers = reading(watches, wait, lambda: facts.get("ended"))
        facts["ended"] = True
        real_bench.client.client_kill_filter(_type="pubsub")
        wait_until("it listens again", lambda: heard.begun == 2)
        waiting.join(1.5)
        assert answers == [True]
        facts.clear()
        waiting, answers = reading(watches, wait, lambda: facts.get("ended"))
        watches.end()
        waiting.join(1.5)
        assert answers == [None]
