"""A job runs only as somebody has signed it whom the worker trusts: every alteration of it is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.settings import InvalidSetting
from jobqueue.signing.keys import PrivateKey, parse
from jobqueue.worker.attempts.attempt import Verdict
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.attempts.signatures import Signatures
from tests.support.fake_api import FakeApi
from tests.support.programs import SHELL
from tests.support.running import Run
from tests.support.signed import JOB, as_json, as_payload, make_key, sign, sign_bytes

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return make_key(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return make_key(tmp_path_factory.mktemp("theirs"))


@pytest.fixture
def signatures(key: PrivateKey) -> Signatures:
    return Signatures([key.public], NOW.timestamp)


def claimed(signature: object, **changed: Any) -> ClaimedJob:
    """Return the signed job as it is claimed, with some of its fields changed on the way."""
    fields: dict[str, Any] = {**JOB, "signature": signature, **changed}
    return ClaimedJob(id="job-1", attempt_token="token-1", lease_ms=1000, **fields)


def test_a_job_that_is_as_it_was_signed_may_run(signatures: Signatures, key: PrivateKey, stranger: PrivateKey) -> None:
    assert signatures.refusal_of(claimed(sign(JOB, key))) is None
    assert signatures.refusal_of(claimed(sign(JOB, stranger, key))) is None
    assert signatures.refusal_of(claimed(sign_bytes(as_json(as_payload()), key))) is None


def test_a_job_may_be_signed_without_a_time_limit(signatures: Signatures, key: PrivateKey) -> None:
    job = {**JOB, "timeout_seconds": None}
    assert signatures.refusal_of(claimed(sign(job, key), timeout_seconds=None)) is None
    refusal = signatures.refusal_of(claimed(sign(job, key), timeout_seconds=5))
    assert "timeout_seconds" in (refusal or "")


CHANGED: Mapping[str, Any] = {
    "type": "Demo",
    "binary_url": "http://host/busybox",
    "binary_sha256": "cd" * 32,
    "arguments": ["one", "two", ""],
    "env_variables": {"NAME": "wörld", "LD_PRELOAD": "/tmp/x.so"},
    "timeout_seconds": 2,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *CHANGED.items(),
        ("type", ""),
        ("binary_url", "http://host/program?"),
        ("binary_sha256", "AB" * 32),
        ("arguments", []),
        ("arguments", ["two", "one"]),
        ("arguments", ["one two"]),
        ("arguments", ["one", "two\u200b"]),
        ("env_variables", {}),
        ("env_variables", {"NAME": "wo\u0308rld"}),  # looks the same
        ("env_variables", {"name": "wörld"}),
        ("env_variables", {"NAME": "wörld", "": ""}),
        ("timeout_seconds", None),
        ("timeout_seconds", 1),
        ("timeout_seconds", 1.5000001),
    ],
)
def test_a_job_with_another_field_than_was_signed_is_refused(
    signatures: Signatures, key: PrivateKey, name: str, value: object
) -> None:
    refusal = signatures.refusal_of(claimed(sign(JOB, key), **{name: value}))
    assert refusal is not None
    assert f"{name} is not what was signed" in refusal
    assert "wörld" not in refusal


def altered(envelope: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return an envelope whose payload was changed after it was signed."""
    fields = json.loads(base64.b64decode(envelope["payload"]))
    change(fields)
    return {**envelope, "payload": base64.b64encode(json.dumps(fields).encode()).decode()}


@pytest.mark.parametrize("name", [*CHANGED, "not_after"])
def test_a_payload_that_was_changed_with_the_job_is_refused(signatures: Signatures, key: PrivateKey, name: str) -> None:
    value = CHANGED.get(name, "2199-01-01T00:00:00Z")
    envelope = altered(sign(JOB, key), lambda fields: fields.update({name: value}))
    job = claimed(envelope, **({name: value} if name in CHANGED else {}))
    assert "changed after that" in (signatures.refusal_of(job) or "")


def test_who_nobody_trusts_cannot_sign(signatures: Signatures, key: PrivateKey, stranger: PrivateKey) -> None:
    foreign, own = sign(JOB, stranger), sign(JOB, key)
    pretended = {**foreign, "signatures": [{**foreign["signatures"][0], "keyid": key.public.id}]}
    of_another = {**own, "signatures": sign({**JOB, "type": "x"}, key)["signatures"]}
    for envelope in (foreign, pretended, of_another, {**own, "signatures": foreign["signatures"]}):
        assert "not signed by any of TRUSTED_KEYS" in (signatures.refusal_of(claimed(envelope)) or "")


@pytest.mark.parametrize(
    "envelope",
    [
        None,
        {},
        {"payload": "", "payloadType": "", "signatures": []},
        {"payload": 5, "payloadType": "application/vnd.jobqueue.job.v1+json", "signatures": [{"sig": "c2ln"}]},
    ],
)
def test_a_job_without_an_envelope_is_refused(signatures: Signatures, envelope: object) -> None:
    assert signatures.refusal_of(claimed(envelope)) is not None


@pytest.mark.parametrize(
    "signed",
    [
        as_json(as_payload()).replace(b'"type"', b'"type": "other", "type"'),
        as_json(as_payload()).replace(b"1.5", b"1.50"),
        as_json(as_payload()).replace(b"1.5", b"15e-1"),
        as_json(as_payload(stdin="text")),
        as_json(as_payload(not_after=...)),
        as_json(as_payload(env_variables=...)),
        b"[]",
        b"\xff",
    ],
    ids=range(8),
)
def test_signed_bytes_that_may_mean_several_things_are_refused(
    signatures: Signatures, key: PrivateKey, signed: bytes
) -> None:
    assert signatures.refusal_of(claimed(sign_bytes(signed, key))) is not None


@pytest.mark.parametrize("late_seconds", [-1, 0, 1])
def test_a_signature_counts_until_its_time_is_over(key: PrivateKey, late_seconds: int) -> None:
    signatures = Signatures([key.public], lambda: NOW.timestamp() + late_seconds)
    refusal = signatures.refusal_of(claimed(sign(JOB, key, not_after=NOW)))
    assert (refusal is None) == (late_seconds <= 0)
    assert refusal is None or "until 2030-01-01T00:00:00Z" in refusal


def test_without_trusted_keys_any_job_runs(key: PrivateKey) -> None:
    for envelope in (None, {}, sign({**JOB, "type": "x"}, key)):
        assert Signatures().refusal_of(claimed(envelope)) is None


def test_a_key_for_which_anybody_can_sign_stops_the_worker() -> None:
    with pytest.raises(InvalidSetting, match="TRUSTED_KEYS"):
        Signatures(parse(f"ed25519:{'A' * 43}="))


def test_a_job_that_is_refused_fails_before_anything_is_downloaded(
    api: FakeApi, run: Run, resources: Resources, key: PrivateKey
) -> None:
    job = api.offer(SHELL + "echo ran")
    with capture_logs() as logs:
        ran = run(job, signatures=Signatures([key.public]))
    verb, body = api.only_report()
    assert (verb, body["reason"], body["exit_code"]) == ("fail", "blocked_by_policy", None)
    assert "is not signed" in body["error_message"]
    assert "download_started_at_ms" not in body
    assert api.seen("program") == []
    assert ran.verdict is Verdict.NEITHER
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["job_blocked"]


def test_a_signed_job_is_run(api: FakeApi, run: Run, key: PrivateKey) -> None:
    job = api.offer(SHELL + 'echo "$1"', "signed", type="demo", timeout_seconds=20)
    signature = sign(vars(job), key)
    run(ClaimedJob(**{**vars(job), "signature": signature}), signatures=Signatures([key.public]))
    assert api.only_report()[1]["stdout"] == "signed\n"
