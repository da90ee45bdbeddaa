"""`lua/submit.lua`: new jobs are stored all or none, each at the end of its queue."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
import redis

from jobqueue.job import NewJob, Priority, Spec, Status
from jobqueue.queue.commands import Commands
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Filter
from tests.support.attempts import claim
from tests.support.bench import SHA256, Bench, new_job
from tests.support.clock import START_MS
from tests.support.contents import contents


def test_a_new_job_is_pending_and_has_no_attempts(bench: Bench) -> None:
    [job_id] = bench.submit(1, Priority.FOREGROUND, "report")
    job = bench.queries.get(job_id)
    assert (job.status, job.priority, job.type) == (Status.PENDING, Priority.FOREGROUND, "report")
    assert job.created_at_ms == START_MS
    assert (job.executor_id, job.started_at_ms, job.completed_at_ms, job.exit_code) == (None, None, None, None)
    assert (job.stdout, job.stderr, job.error_message, list(job.attempts)) == ("", "", None, [])


def test_submit_returns_the_ids_in_the_order_sent_and_one_time(bench: Bench) -> None:
    submitted = bench.commands.submit([new_job(type="first"), new_job(type="second")])
    assert [bench.queries.get(job_id).type for job_id in submitted.job_ids] == ["first", "second"]
    assert submitted.created_at_ms == START_MS


def test_two_equal_jobs_are_two_jobs(bench: Bench) -> None:
    job_ids = bench.submit(2)
    assert len(set(job_ids)) == 2
    assert bench.queries.list(Filter(), 10, 0).total == 2


def test_a_thousand_jobs_are_stored_in_the_order_sent(bench: Bench) -> None:
    job_ids = bench.submit(1000)
    page = bench.queries.list(Filter(), 1000, 0)
    assert [job.id for job in page.jobs] == job_ids[::-1]
    assert [claim(bench).job_id for _ in range(20)] == job_ids[:20]


def test_more_jobs_than_an_index_takes_at_once_are_stored_in_the_order_sent(bench: Bench) -> None:
    types = ["common", *(f"rare-{number}" for number in range(10))]
    jobs = [new_job(type=types[max(number - 2095, 0)]) for number in range(2105)]
    job_ids = bench.commands.submit(jobs).job_ids
    assert [job.id for job in bench.queries.list(Filter(), 1000, 1105).jobs] == list(job_ids[999::-1])
    assert bench.queries.list(Filter(type="common"), 1, 0).total == 2096
    assert [bench.queries.list(Filter(type=type), 1, 0).total for type in types[1:]] == [1] * 9 + [0]


def test_the_ids_of_jobs_are_random_uuids(bench: Bench) -> None:
    job_ids = bench.submit(500) + bench.submit(500)
    assert len(set(job_ids)) == 1000
    assert {(UUID(job_id).version, UUID(job_id).variant, str(UUID(job_id)) == job_id) for job_id in job_ids} == {
        (4, RFC_4122, True)
    }


def test_submitting_no_jobs_stores_nothing(bench: Bench) -> None:
    assert list(bench.commands.submit([]).job_ids) == []
    assert bench.queries.list(Filter(), 10, 0).total == 0


def test_empty_lists_and_objects_stay_what_they_are(bench: Bench) -> None:
    spec = Spec("http://127.0.0.1:1/program", SHA256, [], {})
    [job_id] = bench.commands.submit([NewJob("demo", Priority.BACKGROUND, spec)]).job_ids
    assert bench.queries.get(job_id).spec == spec


@pytest.mark.parametrize(
    ("named", "usual", "expected"), [(2.5, None, 2.5), (None, None, None), (None, 9.5, 9.5), (1, 9.5, 1)]
)
def test_a_job_without_a_time_limit_gets_the_default(
    bench: Bench, named: float | None, usual: float | None, expected: float | None
) -> None:
    bench = Bench(bench.client, Policy(timeout_seconds=usual), bench.clock)
    spec = Spec("http://127.0.0.1:1/program", SHA256, timeout_seconds=named)
    [job_id] = bench.commands.submit([NewJob("demo", Priority.BACKGROUND, spec)]).job_ids
    assert bench.queries.get(job_id).spec.timeout_seconds == expected


def test_every_character_of_a_spec_survives(bench: Bench) -> None:
    hostile = "\0 é 漢 🎉 \" \\ \n \u2028 ' %s $HOME {}"
    spec = Spec("http://127.0.0.1:1/é", SHA256, [hostile, ""], {"Ü": hostile, "EMPTY": ""})
    [job_id] = bench.commands.submit([NewJob("größe:漢🎉", Priority.BACKGROUND, spec)]).job_ids
    job = bench.queries.get(job_id)
    assert (job.type, job.spec) == ("größe:漢🎉", spec)


def test_types_that_look_like_parts_of_keys_are_kept_apart(bench: Bench) -> None:
    types = ["demo", "demo:demo", ":", "background", "pending:background"]
    job_ids = {type: bench.submit(1, type=type) for type in types}
    for type in types:
        assert [job.id for job in bench.queries.list(Filter(type=type), 10, 0).jobs] == job_ids[type]


def test_every_key_belongs_to_the_queue_s_hash_tag(bench: Bench) -> None:
    bench.submit(2)
    claim(bench)
    bench.commands.sweep()
    assert all(name.startswith("{jobqueue}:") for name in contents(bench.client).names())


def test_the_default_clock_is_redis_s_own(bench: Bench) -> None:
    commands = Commands(bench.scripts, bench.policy)
    before_ms = _time_ms(bench.client)
    created_at_ms = commands.submit([new_job()]).created_at_ms
    assert before_ms <= created_at_ms <= _time_ms(bench.client)


def _time_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
