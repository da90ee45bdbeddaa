"""`lib/jobs/texts.lua` and `finish.lua`: where the texts of an ended job are stored, and what older servers stored."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import redis

from jobqueue.job import Job, Measured, NewJob, Priority, Reason, Spec, Status, Stream
from jobqueue.queue.scripts import ROOT
from jobqueue.result import Result
from tests.support.attempts import Attempt, claim, start
from tests.support.bench import SHA256, Bench
from tests.support.contents import contents

MEASURED = Measured(None, 7, 0, False, False, 0.25, 0.5, 1_000_000, 1_700_000_000_000, 1_700_000_000_010)
LONGEST_IN_THE_HASH = 512


def finished(bench: Bench, spec: Spec, result: Result) -> tuple[Attempt, Job]:
    """Run a job with this spec and this result. Return its attempt, and what the queue says about it."""
    bench.commands.submit([NewJob("demo", Priority.BACKGROUND, spec)])
    attempt = claim(bench)
    bench.claims.fail(attempt.job_id, attempt.holder, result)
    return attempt, bench.queries.get(attempt.job_id)


def keys_of(bench: Bench, job_id: str) -> set[str]:
    """Return which kinds of keys a job has."""
    return {name.split(":")[1] for name in contents(bench.client).names() if name.endswith(job_id)}


SPECS = [
    Spec("u", SHA256, [], {}),
    Spec("u", SHA256, [], {}, 1.5),
    Spec("u", SHA256, ["a", 'quo"te', "back\\slash", "é🎉"], {"A": "b"}, 31_536_000),
    Spec("u", SHA256, ['],"env_variables":{'], {"timeout_seconds": "5", "arguments": "["}),
    Spec('u","binary_sha256":"ab","arguments":[],"env_variables":{}}', SHA256, ["}"], {"A": '},"timeout_seconds":3}'}),
    Spec("é" * 200, SHA256, [], {}),
    Spec("u" * 8000, SHA256, ["x" * 70_000], {}),
    Spec("u", SHA256, [], {}, 1.5, {"payload": "eA==", "signatures": [{"keyid": "key", "sig": "eA=="}]}),
    Spec("u", SHA256, [], {"A": "b"}, None, {"payload": "eA==", "signatures": [{"sig": "eA=="}]}),
]


def test_a_spec_is_the_same_after_the_end(bench: Bench) -> None:
    for spec in SPECS:
        assert finished(bench, spec, Result(0))[1].spec == spec


@pytest.mark.parametrize("character", ["x", "é", "漢", "🎉"])
def test_an_output_of_any_length_is_read_as_it_was_reported(bench: Bench, character: str) -> None:
    for size in (0, 1, 64, 65, 129, LONGEST_IN_THE_HASH - 3, LONGEST_IN_THE_HASH - 2, 5000):
        text = character * (size // len(character.encode())) + "x" * (size % len(character.encode()))
        result = Result(1, text, "", "why", Reason.EXITED, MEASURED)
        attempt, job = finished(bench, Spec("u", SHA256), result)
        assert (job.stdout, job.stderr, job.error_message, job.measured) == (text, "", "why", MEASURED)
        assert bench.queries.output(attempt.job_id, Stream.STDOUT, 0).part.data == text
        assert bench.claims.fail(attempt.job_id, attempt.holder, result).replayed
        fits = size + len("why") <= LONGEST_IN_THE_HASH
        assert keys_of(bench, attempt.job_id) == ({"job"} if fits else {"job", "output"})


def test_the_hash_of_a_job_with_a_short_result_stays_compact(real_bench: Bench) -> None:
    spec = Spec("https://example.com/" + "p" * 180, SHA256, ["arg1", "arg2"], {"KEY": "value"})
    attempt, _ = finished(real_bench, spec, Result(1, "o" * 200, "e" * 200, "é" * 50, Reason.EXITED, MEASURED))
    assert keys_of(real_bench, attempt.job_id) == {"job"}
    assert real_bench.client.object("encoding", f"{ROOT}:job:{attempt.job_id}") in ("listpack", "ziplist")


def as_stored_by_an_older_server(client: redis.Redis, job: Job) -> None:
    """Store the texts of an ended job as the version before did: the spec and the output in keys of their own."""
    key = f"{ROOT}:job:{job.id}"
    texts = ("spec", "stdout", "stderr", "error_message", "measured")
    names = [str(name) for name in client.hkeys(key)]
    client.hdel(key, *(name for name in names if name.rstrip("23456789") in texts))
    client.set(f"{ROOT}:spec:{job.id}", json.dumps(asdict(job.spec), separators=(",", ":")))
    measured = {name: value for name, value in asdict(job.measured).items() if value}
    output = {"stdout": job.stdout, "stderr": job.stderr, "measured": json.dumps(measured, separators=(",", ":"))}
    client.hset(f"{ROOT}:output:{job.id}", mapping={name: text for name, text in output.items() if text})


def test_what_an_older_server_stored_is_read_replayed_and_removed(bench: Bench) -> None:
    result = Result(0, "out", "", reason=Reason.EXITED, measured=MEASURED)
    attempt = start(bench)
    bench.claims.complete(attempt.job_id, attempt.holder, result)
    job = bench.queries.get(attempt.job_id)
    as_stored_by_an_older_server(bench.client, job)
    assert bench.queries.get(attempt.job_id) == replace(job, measured=replace(job.measured, stderr_bytes=None))
    assert bench.queries.output(attempt.job_id, Stream.STDOUT, 1).part.data == "ut"
    assert bench.claims.complete(attempt.job_id, attempt.holder, result).replayed
    assert bench.queries.get(attempt.job_id).status is Status.COMPLETED
    bench.clock.advance(bench.policy.retention_ms)
    bench.commands.sweep()
    assert keys_of(bench, attempt.job_id) == set()
