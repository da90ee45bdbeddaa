"""`python -m jobqueue keygen` and `python -m jobqueue sign`: what they print is what the API and the workers take."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.command_line.main import main
from jobqueue.signing import envelope, payload
from jobqueue.signing.keys import parse
from jobqueue.web.schemas.submitters import NewJobIn
from jobqueue.worker.attempts.signatures import Signatures
from tests.support.paths import ROOT
from tests.support.signed import JOB

SUBMITTED: dict[str, Any] = {**JOB, "priority": "background"}


@pytest.fixture
def public(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The public key to the private one in the file `key`."""
    assert main(["keygen", str(tmp_path / "key")]) == 0
    return capsys.readouterr().out


def sign(folder: Path, job: object, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    """Sign what is in a file; return what is printed."""
    (folder / "job.json").write_text(job if isinstance(job, str) else json.dumps(job))
    assert main(["sign", "--key", str(folder / "key"), *options, str(folder / "job.json")]) == 0
    return json.loads(capsys.readouterr().out)


def as_claimed(job: dict[str, Any]) -> ClaimedJob:
    fields = {name: value for name, value in job.items() if name != "priority"}
    return ClaimedJob(id="1", attempt_token="t", lease_ms=1, **fields)


def test_a_signed_job_can_be_submitted_and_is_run_by_who_trusts_the_key(
    tmp_path: Path, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = sign(tmp_path, SUBMITTED, capsys)
    assert NewJobIn().load(signed).spec.signature == signed["signature"]
    assert {name: signed[name] for name in SUBMITTED} == SUBMITTED
    assert Signatures(parse(public)).refusal_of(as_claimed(signed)) is None


@pytest.mark.parametrize("timeout", [5.0, 5, 0.25, None])
def test_a_job_is_signed_as_the_api_will_store_it(
    tmp_path: Path, public: str, capsys: pytest.CaptureFixture[str], timeout: float | None
) -> None:
    written = {
        "type": "demo",
        "binary_url": "http://host/program",
        "binary_sha256": "AB" * 32,
        "priority": "foreground",
        "arguments": None,
        "timeout_seconds": timeout,
    }
    signed = sign(tmp_path, written, capsys)
    stored = NewJobIn().load(signed)
    assert Signatures(parse(public)).refusal_of(as_claimed({"type": stored.type, **vars(stored.spec)})) is None


def test_each_of_a_list_of_jobs_is_signed(tmp_path: Path, public: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = sign(tmp_path, [SUBMITTED, {**SUBMITTED, "type": "other"}], capsys)
    trusted = Signatures(parse(public))
    assert trusted.refusal_of(as_claimed(first)) is None
    assert trusted.refusal_of(as_claimed(second)) is None
    assert trusted.refusal_of(as_claimed({**second, "signature": first["signature"]})) is not None


def test_a_signature_ends_when_it_was_told_to(tmp_path: Path, public: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert public
    for options, seconds in ((["--valid-seconds", "60"], 60), ([], 24 * 3600)):
        signed = sign(tmp_path, SUBMITTED, capsys, *options)
        not_after = payload.read(envelope.read(signed["signature"]).payload)["not_after"]
        assert 0 <= time.time() + seconds - not_after.timestamp() < 60


def test_a_job_can_be_signed_again(tmp_path: Path, public: str, capsys: pytest.CaptureFixture[str]) -> None:
    signed = sign(tmp_path, SUBMITTED, capsys)
    again = sign(tmp_path, {**signed, "type": "other"}, capsys)
    assert Signatures(parse(public)).refusal_of(as_claimed(again)) is None


def test_a_job_is_read_from_standard_input(tmp_path: Path, public: str) -> None:
    command = [sys.executable, "-m", "jobqueue", "sign", "--key", str(tmp_path / "key")]
    text = json.dumps({**SUBMITTED, "arguments": ["ü"]})
    ran = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    trusted = Signatures(parse(public), lambda: datetime.now(UTC).timestamp())
    assert trusted.refusal_of(as_claimed(json.loads(ran.stdout))) is None


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("{", "not JSON"),
        ("5", "not an object"),
        ('{"type": "a", "type": "b"}', "same name twice"),
        (json.dumps({**SUBMITTED, "stdin": "canary"}), "stdin"),
        (json.dumps({**SUBMITTED, "binary_sha256": "canary"}), "binary_sha256"),
        (json.dumps({**SUBMITTED, "arguments": ["\ud800"]}), "Unicode"),
        (json.dumps({**SUBMITTED, "timeout_seconds": 1e-9}), "number"),
        (json.dumps({**SUBMITTED, "timeout_seconds": float("nan")}), "number"),
        (json.dumps([{**SUBMITTED, "type": 5}]), "type"),
        (json.dumps({**SUBMITTED, "arguments": ["x" * 2_000_000]}), "too long"),
    ],
)
@pytest.mark.usefixtures("public")
def test_what_cannot_be_signed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], job: str, words: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(job.encode())))
    with pytest.raises(SystemExit, match=f"^The job cannot be signed: .*{words}") as ended:
        main(["sign", "--key", str(tmp_path / "key")])
    assert "canary" not in str(ended.value.code).replace("signed: it has fields", "")
    assert capsys.readouterr().out == ""


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "public").write_text("ed25519:canary")
    for name in ("missing", "public"):
        with pytest.raises(SystemExit, match=f"{tmp_path}/{name} cannot be used: ") as ended:
            main(["sign", "--key", str(tmp_path / name)])
        assert "canary" not in str(ended.value.code)


@pytest.mark.usefixtures("public")
def test_a_private_key_is_not_overwritten(tmp_path: Path) -> None:
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(SystemExit, match="File exists"):
        main(["keygen", str(tmp_path / "key")])
    assert (tmp_path / "key").read_bytes() == before


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "x", "9" * 30])
def test_a_wrong_time_is_named(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sign", "--key", "k", "--valid-seconds", seconds])
    assert "whole number of seconds" in capsys.readouterr().err
