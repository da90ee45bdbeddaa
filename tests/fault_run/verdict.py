"""The promises, checked against the history and the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from tests.fault_run.faults import PROCESS_STOPPED, SERVER_INTERRUPTED, STORE_UNAVAILABLE
from tests.fault_run.history import Call, History
from tests.fault_run.programs import read_lines
from tests.fault_run.stage import SERVERS, Stage
from tests.support import consistency

LONGEST_SECONDS = 5.0
RECOVERY_SECONDS = 2.0
EXPECTED = {
    "submit": {201},
    "submit_many": {201},
    "cancel": {200, 400},
    "claim": {200, 204},
    "complete": {200, 400},
    "finish": {200},
    "health": {200},
    "metrics": {200},
    "stats": {200},
    "list": {200},
}
"""The statuses that a request may be answered with at any time, by the names that the clients give it."""
PROCESSES = 2


def breaches(stage: Stage, jobs: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return a sentence for each broken promise. `jobs` are the details of all jobs that were submitted, by id."""
    history = stage.history
    with stage.store.primary.client() as client:
        inconsistent = consistency.check(client)
    return [
        *history.unexpected,
        *_calls(history),
        *_jobs(history, jobs),
        *_runs(stage, jobs),
        *_processes(stage),
        *_logs(stage),
        *(f"index: {sentence}" for sentence in inconsistent),
    ]


def _calls(history: History) -> Iterator[str]:
    for call in history.calls:
        if call.seconds > LONGEST_SECONDS and not history.under(call, (PROCESS_STOPPED,), RECOVERY_SECONDS):
            yield f"slow: {_shown(call, history)}"
        if call.status == 0:
            if not history.under(call, SERVER_INTERRUPTED, RECOVERY_SECONDS):
                yield f"no answer: {_shown(call, history)}"
        elif call.status == requests.codes.unavailable:
            if not history.under(call, STORE_UNAVAILABLE, RECOVERY_SECONDS):
                yield f"503 without a fault: {_shown(call, history)}"
        elif call.status not in EXPECTED[call.name]:
            yield f"status {call.status}: {_shown(call, history)}"


def _shown(call: Call, history: History) -> str:
    start = history.calls[0].begun
    near = [
        f"{window.fault} {window.begun - start:.1f}-{window.ended - start:.1f}"
        for window in history.windows
        if window.touches(call, 10)
    ]
    where = f"{call.name} on server {call.server} at {call.begun - start:.1f} for {call.seconds:.2f} s"
    return f"{where} {call.error} (faults: {', '.join(near) or 'none'})"


def _jobs(history: History, jobs: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    for job_id, submitted in history.submitted.items():
        job = jobs.get(job_id)
        if job is None:
            yield f"lost: {job_id} was submitted and is gone"
            continue
        taken = history.completed.get(job_id, set())
        if len(taken) > 1:
            yield f"wrong: {job_id} has taken the results of {len(taken)} attempts"
        if job_id in history.cancelled:
            if job["status"] != "cancelled":
                yield f"wrong: {job_id} was cancelled and is {job['status']}"
        elif taken:
            if job["status"] != "completed" or job["stdout"] not in taken:
                yield f"lost: {job_id} took the result {taken} and is {job['status']} with {job['stdout'][-60:]!r}"
        else:
            yield from _result(job_id, submitted, job)


def _result(job_id: str, submitted: dict[str, Any], job: dict[str, Any]) -> Iterator[str]:
    """Compare a job that a worker (or a careless executor whose answer was lost) has run with what it had to do."""
    mark, _, exit_code, _ = submitted["arguments"]
    if job["status"] not in ("completed", "failed"):
        yield f"lost: {job_id} is {job['status']} after the drain"
    elif " has run " in job["stdout"]:
        return
    elif job["exit_code"] != int(exit_code):
        why = f"{job['reason']}, {job['error_message']}, exit code {job['exit_code']}"
        yield f"wrong: {job_id} is {job['status']} ({why}) and not with exit code {exit_code}"
    elif mark not in job["stdout"]:
        yield f"wrong: {job_id} lacks its mark: {job['stdout'][-60:]!r}"


def _runs(stage: Stage, jobs: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    for job_id, runs in read_lines(stage.lines).items():
        for before, after, seconds in runs.overlaps():
            yield f"overlap: attempts {before} and {after} of {job_id} ran at once for {seconds:.2f} s"
        if job_id in stage.history.cancelled:
            yield f"wrong: {job_id} ran although its cancel was answered 200 while it was pending"


def _processes(stage: Stage) -> Iterator[str]:
    for number, server in enumerate(stage.servers):
        if len(server.processes()) != PROCESSES:
            yield f"server {number} has {len(server.processes())} processes at the end"
        if not server.is_healthy():
            yield f"server {number} is not healthy at the end"


def _logs(stage: Stage) -> Iterator[str]:
    for path in [*stage.folder.glob("*.log"), *stage.folder.glob("*/*.log")]:
        traces = path.read_text(errors="replace").count("Traceback (most recent call last)")
        if traces:
            yield f"{path.name} in {path.parent} has {traces} tracebacks"


def summary(stage: Stage, jobs: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Yield lines that say what the run consisted of."""
    history = stage.history
    seconds = sorted(call.seconds for call in history.calls)
    statuses = Counter(call.status or "no answer" for call in history.calls)
    attempts = [len(job["attempts"]) for job in jobs.values()]
    yield f"faults: {len(history.windows)}: {_counted(Counter(window.fault for window in history.windows))}"
    yield f"requests: {len(seconds)} to {SERVERS} servers: {_counted(statuses)}"
    p50, p99 = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    yield f"seconds: p50 {p50:.3f}, p99 {p99:.3f}, max {seconds[-1]:.3f}"
    yield f"jobs: {len(history.submitted)}: {_counted(Counter(job['status'] for job in jobs.values()))}"
    yield f"attempts: {sum(attempts)}, at most {max(attempts, default=0)} of one job"
    yield f"late reports of careless executors refused: {history.stale_refused}"


def _counted(counter: Counter[Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items(), key=lambda pair: str(pair[0])))
