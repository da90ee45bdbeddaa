"""How a job is written in Redis and read back from what the scripts answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import cast

from jobqueue.job import Attempt, AttemptStatus, Job, JobSummary, Measured, Priority, Reason, Spec, Status
from jobqueue.queue.scripts import Reply

UNKNOWN_IP = "-"
SUMMARY_FIELDS = 7


def write_spec(spec: Spec) -> str:
    """Return a spec as the JSON text that is stored. Lua never decodes it: there an empty list becomes an object."""
    return _json(
        {
            "binary_url": spec.binary_url,
            "binary_sha256": spec.binary_sha256,
            "arguments": list(spec.arguments),
            "env_variables": dict(spec.env_variables),
        }
        | ({} if spec.timeout_seconds is None else {"timeout_seconds": spec.timeout_seconds})
    )


def write_measured(measured: Measured) -> str:
    """Return how a run went as the JSON text that is stored: only what is known."""
    return _json({name: value for name, value in asdict(measured).items() if value is not None and value is not False})


def read_measured(text: str | None) -> Measured:
    """Return how a run went from what is stored of it."""
    return Measured(**json.loads(text)) if text else Measured()


def read_job(reply: Reply) -> Job:
    """Return the job that `lua/lib/read_job.lua` tells of."""
    job_id, flat_fields, spec, archive, flat_output = cast(
        "tuple[str, list[str], str, list[str], list[str]]", tuple(cast("list[Reply]", reply))
    )
    fields = _paired(flat_fields)
    output = _paired(flat_output)
    return Job(
        id=job_id,
        type=fields["type"],
        priority=Priority(fields["priority"]),
        status=Status(fields["status"]),
        executor_id=fields.get("executor_id"),
        created_at_ms=int(fields["created_at_ms"]),
        started_at_ms=_number(fields.get("started_at_ms")),
        spec=Spec(**json.loads(spec)),
        completed_at_ms=_number(fields.get("completed_at_ms")),
        exit_code=_number(fields.get("exit_code")),
        stdout=output.get("stdout", ""),
        stderr=output.get("stderr", ""),
        error_message=output.get("error_message"),
        reason=_reason(fields.get("reason")),
        measured=read_measured(output.get("measured")),
        cancel_requested="cancel_requested_at_ms" in fields,
        attempts=[*map(_archived_attempt, archive), *_latest_attempt(fields)],
    )


def read_attempt(reply: Reply) -> tuple[str, int]:
    """Return the token of the attempt that runs a job, and its number, from the same answer as `read_job`."""
    fields = _paired(cast("list[list[str]]", reply)[1])
    return fields["attempt_token"], int(fields["attempt"])


def read_summaries(flat: Sequence[Reply]) -> list[JobSummary]:
    """Return the jobs of a page as `lua/list.lua` tells them."""
    rows = [cast("list[str]", flat[i : i + SUMMARY_FIELDS]) for i in range(0, len(flat), SUMMARY_FIELDS)]
    return [
        JobSummary(
            id=job_id,
            type=type_,
            priority=Priority(priority),
            status=Status(status),
            executor_id=executor_id or None,
            created_at_ms=int(created_at_ms),
            started_at_ms=_number(started_at_ms),
        )
        for job_id, type_, status, priority, executor_id, created_at_ms, started_at_ms in rows
    ]


def _archived_attempt(line: str) -> Attempt:
    status, started_at_ms, ended_at_ms, executor_ip, executor_id, *reason = line.split(" ")
    return Attempt(
        executor_id=executor_id,
        executor_ip=_ip(executor_ip),
        started_at_ms=int(started_at_ms),
        ended_at_ms=int(ended_at_ms),
        status=AttemptStatus(status),
        reason=_reason(*reason),
    )


def _latest_attempt(fields: dict[str, str]) -> Iterator[Attempt]:
    """Yield the attempt that the hash itself holds. As long as it has a token its status is the job's own."""
    if "attempt_token" in fields:
        yield Attempt(
            executor_id=fields["executor_id"],
            executor_ip=_ip(fields["executor_ip"]),
            started_at_ms=int(fields["started_at_ms"]),
            ended_at_ms=_number(fields.get("completed_at_ms")),
            status=AttemptStatus(fields["status"]),
            reason=_reason(fields.get("reason")),
        )


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _paired(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _reason(text: str | None = None) -> Reason | None:
    return Reason(text) if text else None


def _ip(text: str) -> str | None:
    return None if text == UNKNOWN_IP else text
