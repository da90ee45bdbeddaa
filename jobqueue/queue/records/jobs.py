"""How jobs and reports are written for the scripts, and read back from their answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import count, pairwise, takewhile
from typing import cast

from jobqueue.job import Attempt, AttemptStatus, Job, JobSummary, Measured, Priority, Reason, Spec, Status
from jobqueue.queue.scripts import Reply
from jobqueue.result import LiveOutput, Result

UNKNOWN = "-"
"""Stands for an unknown address or reason, because archived attempts are words separated by spaces."""

ARCHIVED_WORDS = 6
"""How many words of an archived attempt come before its message, which may have spaces of its own."""

ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
"""Made once: `json.dumps` with options makes one for each call, which takes as long as using it."""
MOMENTS = [each.name for each in fields(Measured) if each.name.endswith("_at_ms")]
TEXTS = ("stdout", "stderr", "error_message", "measured")
"""The texts of a result, by the names of their fields in Redis."""

FULL_OUTPUT_BYTES = 1024
FULL_MESSAGE_BYTES = 256
"""How much of each output, and of the error message, is stored when Redis is full."""


def write_spec(spec: Spec) -> str:
    """Return a spec as the JSON text that is stored. Lua never decodes it: it would turn empty lists into objects."""
    # A signature comes first, where `lua/lib/leases/finish.lua` sees at once that the spec has more than the usual
    # fields. It would take a signature at the end for a part of the variables.
    return ENCODER.encode(
        ({} if spec.signature is None else {"signature": spec.signature})
        | {
            "binary_url": spec.binary_url,
            "binary_sha256": spec.binary_sha256,
            "arguments": list(spec.arguments),
            "env_variables": dict(spec.env_variables),
        }
        | ({} if spec.timeout_seconds is None else {"timeout_seconds": spec.timeout_seconds})
    )


def write_live_output(output: LiveOutput) -> list[str]:
    """Return live output as `lua/heartbeat.lua` takes it: for each stream its offset, or "" for none, and its text."""
    return [
        text
        for piece in (output.stdout, output.stderr)
        for text in (("", "") if piece is None else (str(piece.offset), piece.data))
    ]


def write_result(stored: Result, with_message: bool) -> list[str]:
    """Return the texts of a result, which is cut already, as `lua/complete.lua` and `lua/fail.lua` take them.

    Lua cannot shorten an output and mark it as truncated, so it is given what to store on a full Redis, too.
    """
    short = stored.shortened(FULL_OUTPUT_BYTES, FULL_MESSAGE_BYTES)
    bare = stored.shortened(0, FULL_MESSAGE_BYTES)
    measured = write_measured(stored.measured)
    measured_when_full = [
        measured if each.measured is stored.measured else write_measured(each.measured) for each in (short, bare)
    ]
    whole = [stored.stdout, stored.stderr, stored.reason or "", measured]
    when_full = [short.stdout, short.stderr, *measured_when_full]
    if not with_message:
        return [*whole, *when_full]
    return [*whole, stored.error_message, *when_full, short.error_message]


def write_measured(measured: Measured) -> str:
    """Return measured fields as the JSON text that is stored: their values in the order in which the class lists them.

    A moment after the first is stored as the milliseconds since the one before. So a usual text has at most 64 bytes,
    and fits into one field of the job's hash.
    """
    values = vars(measured)
    moments = [name for name in MOMENTS if values[name] is not None]
    since = {name: values[name] - values[before] for before, name in pairwise(moments)}
    stored = [int(value) if isinstance(value, bool) else value for value in (values | since).values()]
    return ENCODER.encode(stored)


def read_measured(text: str | None) -> Measured:
    """Return measured fields from the stored text; all are unknown when there is none.

    An object with the names of the fields, and all moments since 1970, was stored by an older server.
    """
    stored = json.loads(text) if text else {}
    if isinstance(stored, dict):
        return Measured(**stored)
    values = dict(zip((field.name for field in fields(Measured)), stored, strict=False))
    moment = 0
    for name, value in values.items():
        if name.endswith("_at_ms") and value is not None:
            values[name] = moment = moment + value
        elif name.endswith("_truncated"):
            values[name] = bool(value)
    return Measured(**values)


def read_spec(text: str) -> Spec:
    """Return a spec from its stored text. The names of its fields are left out once the job has ended."""
    stored = json.loads(text)
    return Spec(*stored) if isinstance(stored, list) else Spec(**stored)


def read_job(reply: Reply) -> Job:
    """Return the job from an answer of `lua/lib/jobs/read_job.lua`."""
    job_id, flat_fields, spec, archive, flat_output = cast("tuple[str, list[str], str, list[str], list[str]]", reply)
    fields = _paired(flat_fields)
    output = {name: _text(fields, name) for name in TEXTS} | _paired(flat_output)
    return Job(
        id=job_id,
        type=fields["type"],
        priority=Priority(fields["priority"]),
        status=Status(fields["status"]),
        executor_id=fields.get("executor_id"),
        created_at_ms=int(fields["created_at_ms"]),
        started_at_ms=_number(fields.get("started_at_ms")),
        spec=read_spec(spec or _text(fields, "spec") or ""),
        completed_at_ms=_number(fields.get("completed_at_ms")),
        exit_code=_number(fields.get("exit_code")),
        stdout=output["stdout"] or "",
        stderr=output["stderr"] or "",
        error_message=output["error_message"],
        reason=_reason(fields.get("reason")),
        measured=read_measured(output["measured"]),
        cancel_requested="cancel_requested_at_ms" in fields,
        attempts=[*map(_archived_attempt, archive), *_latest_attempt(fields, output)],
    )


def read_attempt(reply: Reply) -> tuple[str, int]:
    """Return the token and the number of the running attempt, from the same answer as `read_job`."""
    fields = _paired(cast("list[list[str]]", reply)[1])
    return fields["attempt_token"], int(fields["attempt"])


def read_summaries(flat: Sequence[Reply]) -> list[JobSummary]:
    """Return the jobs of a page from the answer of `lua/list.lua`: each an id and a list of its fields."""
    return [
        JobSummary(
            id=job_id,
            type=type_,
            priority=Priority(priority),
            status=Status(status),
            executor_id=executor_id,
            created_at_ms=int(created_at_ms),
            started_at_ms=_number(started_at_ms),
        )
        for job_id, (type_, status, priority, executor_id, created_at_ms, started_at_ms) in cast(
            "Iterator[tuple[str, list[str]]]", zip(flat[::2], flat[1::2], strict=True)
        )
    ]


def read_rows(flat: Sequence[Reply], width: int) -> list[list[str]]:
    """Return the rows of a page, which a script answers as one flat list."""
    return [cast("list[str]", flat[i : i + width]) for i in range(0, len(flat), width)]


def _archived_attempt(line: str) -> Attempt:
    status, started_at_ms, ended_at_ms, executor_ip, executor_id, *rest = line.split(" ", ARCHIVED_WORDS)
    return Attempt(
        executor_id=executor_id,
        executor_ip=_ip(executor_ip),
        started_at_ms=int(started_at_ms),
        ended_at_ms=int(ended_at_ms),
        status=AttemptStatus(status),
        reason=_reason(*rest[:1]),
        error_message=rest[1] if len(rest) > 1 else None,
    )


def _latest_attempt(fields: Mapping[str, str], output: Mapping[str, str | None]) -> Iterator[Attempt]:
    """Yield the latest attempt, which is stored in the job's hash and not yet archived.

    It is there as long as the hash has a token: releasing or losing an attempt archives it and deletes the token. The
    status of such an attempt is the status of the job.
    """
    if "attempt_token" in fields:
        yield Attempt(
            executor_id=fields["executor_id"],
            executor_ip=_ip(fields["executor_ip"]),
            started_at_ms=int(fields["started_at_ms"]),
            ended_at_ms=_number(fields.get("completed_at_ms")),
            status=AttemptStatus(fields["status"]),
            reason=_reason(fields.get("reason")),
            error_message=output["error_message"],
        )


def _text(fields: Mapping[str, str], name: str) -> str | None:
    """Return a text from its pieces in a job's hash (`lua/lib/jobs/texts.lua`); None when it is not there."""
    if name not in fields:
        return None
    following = takewhile(fields.__contains__, (f"{name}{number}" for number in count(2)))
    return "".join(fields[piece] for piece in (name, *following))


def _paired(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _reason(text: str | None = None) -> Reason | None:
    return Reason(text) if text and text != UNKNOWN else None


def _ip(text: str) -> str | None:
    return None if text == UNKNOWN else text
