"""What is signed about a job: everything that decides what runs, in JSON that has one meaning only."""

from __future__ import annotations

import json
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from typing import Any

import pytest

from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.command_line.sign import UNSIGNED
from jobqueue.signing import payload
from jobqueue.signing.envelope import BadSignature
from jobqueue.web.schemas.submitters import NewJobIn
from tests.support.signed import JOB, LATER, as_json, as_payload

UNSIGNED_IN_A_CLAIM = {"id", "attempt", "attempt_token", "lease_ms", "asked_at", "signature"}
"""What a claim says about the attempt, and the signature itself."""


def test_everything_in_a_claim_that_decides_what_runs_is_signed() -> None:
    """A new field of a claim must be added to what is signed, or here if a program cannot depend on it."""
    assert {field.name for field in fields_of(ClaimedJob)} == {*payload.FIELDS, *UNSIGNED_IN_A_CLAIM}


def test_everything_that_can_be_submitted_is_signed_or_known_to_decide_nothing() -> None:
    assert set(NewJobIn().fields) == {*payload.FIELDS, *UNSIGNED}


def test_what_was_written_is_read_again() -> None:
    written = payload.write(JOB, LATER)
    assert payload.read(written) == {**JOB, "not_after": LATER}
    assert payload.difference(payload.read(written), JOB) is None


def test_the_same_job_is_always_written_the_same() -> None:
    turned = {name: JOB[name] for name in reversed([*JOB])}
    assert payload.write(turned, LATER) == payload.write(JOB, LATER)
    assert b"w\xc3\xb6rld" in payload.write(JOB, LATER)


def test_the_layout_of_the_json_does_not_matter() -> None:
    assert payload.read(as_json(as_payload())) == {**JOB, "not_after": LATER}


@pytest.mark.parametrize("timeout", [..., None])
def test_no_time_limit_may_be_left_out(timeout: object) -> None:
    signed = payload.read(as_json(as_payload(timeout_seconds=timeout)))
    assert signed["timeout_seconds"] is None
    assert payload.difference(signed, JOB) == "timeout_seconds"


@pytest.mark.parametrize(
    "changed",
    [
        *({name: ...} for name in (*JOB, "not_after") if name != "timeout_seconds"),
        *({name: None} for name in (*JOB, "not_after") if name != "timeout_seconds"),
        {"type": 5},
        {"binary_sha256": "AB" * 32},
        {"binary_sha256": "ab" * 31},
        {"arguments": "one two"},
        {"arguments": ["one", 2]},
        {"arguments": {"0": "one"}},
        {"env_variables": [["NAME", "x"]]},
        {"env_variables": {"NAME": 5}},
        {"timeout_seconds": "5"},
        {"timeout_seconds": True},
        {"timeout_seconds": 0},
        {"not_after": 5},
        {"not_after": "2100-01-01"},
        {"not_after": "2100-01-01T00:00:00"},
        {"not_after": "2100-01-01T00:00:00+00:00"},
        {"not_after": "2100-02-30T00:00:00Z"},
        {"not_after": "2100-01-01T00:00:00Z\n"},
        {"stdin": "text"},
        {"NOT_AFTER": "2100-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_a_payload_that_does_not_say_exactly_what_runs_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        payload.read(as_json(as_payload(**changed)))


WHOLE = json.dumps(as_payload(timeout_seconds=10, arguments=["A"]), ensure_ascii=False)


@pytest.mark.parametrize(
    "number", ["1e1", "10.0", "1.0e1", "-0", "010", "+10", "10.50", "0x0A", "NaN", "Infinity", "1e999"]
)
def test_a_number_can_be_written_in_one_way_only(number: str) -> None:
    with pytest.raises(BadSignature):
        payload.read(WHOLE.replace(": 10", f": {number}").encode())


@pytest.mark.parametrize("number", ["10", "10.5", "0.001", "31536000"])
def test_a_number_in_that_way_is_read(number: str) -> None:
    assert payload.read(WHOLE.replace(": 10", f": {number}").encode())["timeout_seconds"] == float(number)


@pytest.mark.parametrize(
    "signed",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"[" * 100_000,
        WHOLE.encode("utf-16"),
        b"\xef\xbb\xbf" + WHOLE.encode(),
        WHOLE.encode() + b"{}",
        WHOLE.replace('"A"', '"\\ud800"').encode(),
        WHOLE.encode().replace(b'"A"', b'"\xff"'),
        WHOLE.replace('"type": "demo"', '"type": "other", "type": "demo"').encode(),
        WHOLE.replace('"NAME": "wörld"', '"NAME": "x", "NAME": "wörld"').encode(),
        WHOLE.replace('"NAME": "wörld"', '"N\\u0041ME": "x", "NAME": "wörld"').encode(),
    ],
    ids=range(14),
)
def test_bytes_that_are_not_json_of_one_meaning_are_refused(signed: bytes) -> None:
    with pytest.raises(BadSignature):
        payload.read(signed)


def test_half_a_character_cannot_be_signed() -> None:
    with pytest.raises(BadSignature):
        payload.write({**JOB, "arguments": ["\ud800"]}, LATER)


def test_a_moment_is_written_in_utc() -> None:
    assert payload.read(payload.write(JOB, datetime(2030, 5, 6, 7, 8, 9, 999, tzinfo=UTC)))["not_after"] == datetime(
        2030, 5, 6, 7, 8, 9, tzinfo=UTC
    )
