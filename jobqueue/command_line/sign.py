"""`python -m jobqueue sign --key FILE [JOB]`: signs jobs, so that workers with TRUSTED_KEYS run them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobqueue.signing import envelope, payload
from jobqueue.signing.envelope import BadSignature
from jobqueue.signing.keys import BadKey, PrivateKey

DAY_SECONDS = 24 * 3600
LONGEST_SECONDS = 10 * 366 * DAY_SECONDS
UNSIGNED = frozenset({"priority", "signature"})
"""The fields of a job that may differ from what was signed: they decide when it runs, not what."""


class InvalidJob(Exception):
    """The input is not a job that can be signed. The message is the end of a sentence."""


def add(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "sign",
        help="sign a job",
        description="Signs a job, or each of a list of jobs: JSON as it would be submitted. Prints the JSON to submit.",
    )
    parser.add_argument("job", metavar="JOB", nargs="?", type=Path, help="a file with the JSON; standard input without")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="the private key, as keygen makes it")
    parser.add_argument(
        "--valid-seconds",
        metavar="N",
        type=_seconds,
        default=DAY_SECONDS,
        help="for how long the job may be begun, in seconds from now; a day by default",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the signed jobs."""
    try:
        key = PrivateKey.load(options.key)
    except (OSError, BadKey) as error:
        sys.exit(f"{options.key} cannot be used: {_reason(error)}.")
    try:
        text = options.job.read_text("utf-8") if options.job else sys.stdin.buffer.read().decode()
        jobs = _parsed(text)
        not_after = datetime.fromtimestamp(time.time() + options.valid_seconds, UTC)
        signed = (
            [_signed(job, key, not_after) for job in jobs] if isinstance(jobs, list) else _signed(jobs, key, not_after)
        )
    except (OSError, UnicodeDecodeError, InvalidJob) as error:
        sys.exit(f"The job cannot be signed: {_reason(error)}.")
    json.dump(signed, sys.stdout, ensure_ascii=True)
    sys.stdout.write("\n")
    return 0


def _signed(job: object, key: PrivateKey, not_after: datetime) -> dict[str, Any]:
    """Return a job with its signature. Raises InvalidJob."""
    fields = _checked(job)
    try:
        signed = payload.write(fields, not_after)
    except BadSignature as error:
        raise InvalidJob(f"it {error}".replace("was signed with", "has")) from None
    made = envelope.write(signed, {key.public.id: key.sign(envelope.to_sign(signed))})
    if len(made["payload"]) > envelope.MAX_PAYLOAD_CHARACTERS:
        raise InvalidJob("its arguments and variables are too long")
    return {**fields, "signature": made}


def _checked(job: object) -> dict[str, Any]:
    """Return the fields of a job as the API will store them, so that what is signed is what will be claimed.

    A field that this version does not know is refused. It may be one that changes what runs: it must not go unsigned.
    """
    if not isinstance(job, dict):
        raise InvalidJob("it is not an object")
    fields = {name: value for name, value in job.items() if value is not None}
    if unknown := sorted(fields.keys() - payload.FIELDS.keys() - UNSIGNED):
        raise InvalidJob(f"it has fields that cannot be signed: {', '.join(unknown)[:200]}")
    fields = {"arguments": [], "env_variables": {}, **fields}
    if isinstance(fields.get("binary_sha256"), str):
        fields["binary_sha256"] = fields["binary_sha256"].lower()
    timeout = fields.get("timeout_seconds")
    if isinstance(timeout, float) and timeout.is_integer():
        fields["timeout_seconds"] = int(timeout)
    fields.pop("signature", None)
    return fields


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise InvalidJob("the input is not JSON") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidJob("it has the same name twice")
    return fields


def _seconds(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 1 to {LONGEST_SECONDS}")
    return int(text)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
