"""Compares every job with every index. `check(client)` returns a sentence for each disagreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import redis

from jobqueue.job import Priority, Status
from jobqueue.output import LIVE_BYTES
from jobqueue.queue.scripts import ROOT
from tests.support.contents import Contents, contents

T = TypeVar("T")

ATTEMPTS_AT_MOST = 100
SETS = ("types", "deadlines", "due", "ended", "executors", "askers", "busy")
ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
ALWAYS = {"status", "priority", "type", "sequence", "created_at_ms"}
CLAIMED = {"executor_id", "executor_ip", "started_at_ms", "attempt"}
MUST_HAVE = {
    Status.PENDING: ALWAYS,
    Status.RUNNING: ALWAYS | CLAIMED | {"attempt_token"},
    Status.COMPLETED: ALWAYS | CLAIMED | {"attempt_token", "completed_at_ms", "reason", "exit_code"},
    Status.FAILED: ALWAYS | CLAIMED | {"completed_at_ms"},
    Status.CANCELLED: ALWAYS | {"completed_at_ms", "reason"},
}
COUNTS = {"lost_attempts", "host_faults"}
TEXTS = {"spec", "stdout", "stderr", "error_message", "measured"}
"""Texts of an ended job, each in one field or in numbered ones."""

PIECE_BYTES = 64
RELEASED = {"released_by", "others_first_until_ms"}
MAY_HAVE = {
    Status.PENDING: {*COUNTS, *RELEASED, "attempt", "not_before_ms"},
    Status.RUNNING: {*COUNTS, *RELEASED, "cancel_requested_at_ms", "owner"},
    Status.COMPLETED: {*COUNTS, *TEXTS, "cancel_requested_at_ms", "owner"},
    Status.FAILED: {*COUNTS, *TEXTS, "cancel_requested_at_ms", "attempt_token", "owner", "exit_code", "reason"},
    Status.CANCELLED: {*COUNTS, "attempt"},
}
STOPPED_MAY_HAVE = {*TEXTS, "cancel_requested_at_ms", "attempt_token", "owner", "exit_code"}
"""What else a job may have that was cancelled while it ran. It also has the fields that a claim sets."""


@dataclass(frozen=True)
class Keys:
    """The contents of a store, and its jobs by id."""

    all: Contents
    jobs: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, stored: Contents) -> Keys:
        """Find the jobs."""
        return cls(stored, named(stored.hashes, "job:"))

    def with_status(self, *statuses: Status) -> Mapping[str, Mapping[str, str]]:
        """Return the jobs that have one of these statuses."""
        return {job_id: job for job_id, job in self.jobs.items() if job["status"] in statuses}


def check(client: redis.Redis) -> list[str]:
    """Return one sentence for each disagreement, none for a consistent store.

    Nobody may write meanwhile, and the client must decode responses.
    """
    return judge(contents(client))


def judge(stored: Contents) -> list[str]:
    """Do what `check` does with contents that were read before."""
    keys = Keys.of(stored)
    wrong = [*_unknown_keys(keys), *_fields(keys)]
    return wrong or [
        *_texts(keys),
        *_indexes(keys),
        *_sequences(keys),
        *_leases(keys),
        *_companions(keys),
        *_live(keys),
        *_attempts(keys),
        *_counts(keys),
    ]


def named(values: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Return the values whose key begins with `prefix`, by the rest of the key."""
    begin = f"{ROOT}:{prefix}"
    return {name.removeprefix(begin): value for name, value in values.items() if name.startswith(begin)}


def _unknown_keys(keys: Keys) -> Iterator[str]:
    known = {
        *_of_kind(keys.all.strings, ("spec:", "lease:", "idempotency:", "rate:"), ("sequence", "claims")),
        *_of_kind(keys.all.hashes, ("job:", "output:", "live:", "claim_ids:"), ("jobs_completed", "counters", "sweep")),
        *_of_kind(keys.all.lists, ("attempts:",), ("endings", "activity")),
        *_of_kind([*keys.all.sets, *keys.all.sorted_sets], ("jobs:", "held:", "unreceived:"), SETS),
    }
    for name in sorted(keys.all.names() - known):
        yield f"The key {name} is unknown or of the wrong type."


def _of_kind(values: Iterable[str], prefixes: tuple[str, ...], names: tuple[str, ...]) -> Iterator[str]:
    beginnings = tuple(f"{ROOT}:{prefix}" for prefix in prefixes)
    return (name for name in values if name.startswith(beginnings) or name in {f"{ROOT}:{name}" for name in names})


def _fields(keys: Keys) -> Iterator[str]:
    for job_id, job in keys.jobs.items():
        if job.get("status") not in list(Status) or job.get("priority") not in list(Priority):
            yield f"Job {job_id} has the status {job.get('status')} and the priority {job.get('priority')}."
            continue
        status = Status(job["status"])
        must, may = MUST_HAVE[status], MAY_HAVE[status]
        if status is Status.CANCELLED and "cancel_requested_at_ms" in job:
            must, may = must | CLAIMED, may | STOPPED_MAY_HAVE
        for missing in sorted(must - job.keys()):
            yield f"Job {job_id} is {status} but has no {missing}."
        for excess in sorted({name for name in job if _unnumbered(name) not in must | may}):
            yield f"Job {job_id} is {status} but has {excess}."


def _unnumbered(name: str) -> str:
    """Return the name of the text that a field is a piece of; the name of any other field itself."""
    return text if (text := name.rstrip("23456789")) in TEXTS else name


def _texts(keys: Keys) -> Iterator[str]:
    for job_id, job in keys.jobs.items():
        for name in sorted(name for name in job if _unnumbered(name) in TEXTS):
            number = int(name.removeprefix(_unnumbered(name)) or "1")
            before = _unnumbered(name) + (str(number - 1) if number > 2 else "")
            if number > 1 and before not in job:
                yield f"Job {job_id} has {name} but no {before}."
            if not 0 < len(job[name].encode()) <= PIECE_BYTES:
                yield f"Job {job_id} has {len(job[name].encode())} bytes of {name}."


def _indexes(keys: Keys) -> Iterator[str]:
    expected: dict[str, dict[str, float]] = {}
    for job_id, job in keys.jobs.items():
        by_priority = f"jobs:{'delayed' if 'not_before_ms' in job else job['status']}:{job['priority']}"
        for index in (by_priority, f"{by_priority}:{job['type']}"):
            expected.setdefault(index, {})[job_id] = float(job["sequence"])
    actual = {f"jobs:{rest}": members for rest, members in named(keys.all.sorted_sets, "jobs:").items()}
    for index in sorted(expected.keys() | actual.keys()):
        yield from _compare(index, expected.get(index, {}), actual.get(index, {}))
    ended = {job_id: float(job["completed_at_ms"]) for job_id, job in keys.with_status(*ENDED).items()}
    yield from _compare("endings or ended", ended, _endings(keys))
    due = {job_id: float(job["not_before_ms"]) for job_id, job in keys.jobs.items() if "not_before_ms" in job}
    yield from _compare("due", due, keys.all.sorted_sets.get(f"{ROOT}:due", {}))


def _endings(keys: Keys) -> dict[str, float]:
    entries = [entry.split(":", 1) for entry in keys.all.lists.get(f"{ROOT}:endings", [])]
    return {job_id: float(time_ms) for time_ms, job_id in entries} | keys.all.sorted_sets.get(f"{ROOT}:ended", {})


def _compare(index: str, expected: Mapping[str, float], actual: Mapping[str, float]) -> Iterator[str]:
    for job_id in sorted(expected.keys() - actual.keys()):
        yield f"Job {job_id} is missing from {index}."
    for job_id in sorted(actual.keys() - expected.keys()):
        yield f"Job {job_id} is in {index}, where it does not belong."
    for job_id in sorted(expected.keys() & actual.keys()):
        if expected[job_id] != actual[job_id]:
            yield f"Job {job_id} is in {index} with {actual[job_id]:.0f} instead of {expected[job_id]:.0f}."


def _sequences(keys: Keys) -> Iterator[str]:
    newest = int(keys.all.strings.get(f"{ROOT}:sequence", "0"))
    for sequence, count in Counter(int(job["sequence"]) for job in keys.jobs.values()).items():
        if count > 1:
            yield f"{count} jobs have the sequence number {sequence}."
        if not 1 <= sequence <= newest:
            yield f"A job has the sequence number {sequence}, but the newest is {newest}."


def _leases(keys: Keys) -> Iterator[str]:
    running = keys.with_status(Status.RUNNING)
    deadlines = keys.all.sorted_sets.get(f"{ROOT}:deadlines", {})
    yield from _compare("deadlines", {job_id: deadlines.get(job_id, 0.0) for job_id in running}, deadlines)
    held = named(keys.all.sorted_sets, "held:")
    for executor_id in sorted(held.keys() | {job["executor_id"] for job in running.values()}):
        actual = held.get(executor_id, {})
        own = [job_id for job_id, job in running.items() if job["executor_id"] == executor_id]
        yield from _compare(f"held:{executor_id}", {job_id: actual.get(job_id, 0.0) for job_id in own}, actual)
    for executor_id, unreceived in named(keys.all.sorted_sets, "unreceived:").items():
        for job_id in sorted(unreceived.keys() - held.get(executor_id, {}).keys()):
            yield f"The executor {executor_id} has not received job {job_id}, which it does not run."
    for executor_id in sorted(held.keys() ^ keys.all.sorted_sets.get(f"{ROOT}:busy", {}).keys()):
        yield f"The executor {executor_id} runs jobs or is busy, but not both."
    for job_id, token in named(keys.all.strings, "lease:").items():
        if job_id not in running:
            yield f"Job {job_id} does not run but has a lease."
        elif token != running[job_id]["attempt_token"]:
            yield f"Job {job_id} has the lease of another attempt."


def _companions(keys: Keys) -> Iterator[str]:
    specs, outputs = named(keys.all.strings, "spec:"), named(keys.all.hashes, "output:")
    for kind, owners in (("spec", specs), ("output", outputs), ("attempts", named(keys.all.lists, "attempts:"))):
        for job_id in sorted(set(owners) - keys.jobs.keys()):
            yield f"There are {kind} of job {job_id}, which does not exist."
    for job_id, job in sorted(keys.jobs.items()):
        if (job_id in specs) == ("spec" in job):
            yield f"Job {job_id} has {'two specs' if job_id in specs else 'no spec'}."
    for job_id, output in outputs.items():
        for name in sorted(name for name, text in output.items() if not text):
            yield f"The output of job {job_id} holds an empty {name}."
        job = keys.jobs.get(job_id, {"status": Status.FAILED})
        if job["status"] not in ENDED or (job["status"] == Status.CANCELLED and "attempt_token" not in job):
            yield f"Job {job_id} has output but is {job['status']}."


def _live(keys: Keys) -> Iterator[str]:
    running = keys.with_status(Status.RUNNING)
    for job_id, live in named(keys.all.hashes, "live:").items():
        if job_id not in running:
            yield f"Job {job_id} does not run but has live output."
        for stream in ("stdout", "stderr"):
            if (stream in live) != (f"{stream}_offset" in live):
                yield f"Job {job_id} has half of a live {stream}."
            if len(live.get(stream, "").encode()) > LIVE_BYTES:
                yield f"Job {job_id} has too much of a live {stream}."


def _attempts(keys: Keys) -> Iterator[str]:
    attempts = named(keys.all.lists, "attempts:")
    for job_id, job in keys.jobs.items():
        over = int(job.get("attempt", 0)) - ("attempt_token" in job)
        archived = attempts.get(job_id, [])
        if len(archived) != min(over, ATTEMPTS_AT_MOST):
            yield f"Job {job_id} has had {over} attempts, but {len(archived)} are written down."
        lost = int(job.get("lost_attempts", 0))
        written = sum(line.startswith("lost ") for line in archived)
        if not written <= lost <= over or (over <= ATTEMPTS_AT_MOST and written != lost):
            yield f"Job {job_id} has lost {lost} attempts, but {written} are written down as lost."


def _counts(keys: Keys) -> Iterator[str]:
    remembered = keys.all.sorted_sets.get(f"{ROOT}:executors", {}).keys()
    for executor_id in sorted(keys.all.hashes.get(f"{ROOT}:jobs_completed", {}).keys() - remembered):
        yield f"The executor {executor_id} is forgotten, but not the number of its jobs."
    for name, total in keys.all.hashes.get(f"{ROOT}:counters", {}).items():
        if int(total) < 0:
            yield f"The counter {name} is {total}."
