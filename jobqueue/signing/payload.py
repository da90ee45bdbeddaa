"""What a signature says about a job: JSON with everything that decides what runs, and until when it may."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jobqueue.signing.envelope import BadSignature

TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"
NOT_AFTER = "not_after"

FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "type": lambda value: isinstance(value, str),
    "binary_url": lambda value: isinstance(value, str),
    "binary_sha256": lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
    "arguments": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "env_variables": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "timeout_seconds": lambda value: value is None or (_is_number(value) and value > 0),
}
"""The fields of a job that are signed, and what each may be: all that a program or its run depends on.

The URL is among them although the SHA-256 says which program it is: the program gets its name from the URL, on which
what it does can depend, and whoever could change the URL could have workers request any other.
"""

WHOLE = re.compile("0|[1-9][0-9]{0,15}")
WITH_FRACTION = re.compile(r"(0|[1-9][0-9]{0,9})\.[0-9]{0,11}[1-9]")
"""The one way to write each number: without a sign, an exponent or a final zero of a fraction."""


def write(fields: Mapping[str, Any], not_after: datetime) -> bytes:
    """Return the bytes to sign for the fields of a job, of which FIELDS are taken. Raises BadSignature."""
    payload = {name: fields.get(name) for name in FIELDS} | {NOT_AFTER: not_after.astimezone(UTC).strftime(TIMESTAMP)}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        written = text.encode()
    except UnicodeEncodeError:
        raise BadSignature("holds text that is not Unicode") from None
    read(written)
    return written


def read(signed: bytes) -> dict[str, Any]:
    """Return the fields that signed bytes hold, each as it has to be. Raises BadSignature.

    Whatever two readers of JSON might read differently is refused: the same name twice, several ways to write a number,
    text that is not Unicode, fields that this version does not know.
    """
    try:
        payload = json.loads(
            signed.decode(),
            object_pairs_hook=_without_duplicates,
            parse_int=_whole_number,
            parse_float=_fraction,
            parse_constant=_no_constant,
        )
        json.dumps(payload, ensure_ascii=False).encode()  # half a pair of surrogates has an escape in JSON
    except (ValueError, RecursionError) as error:
        problem = str(error) if isinstance(error, BadSignature) else "holds signed bytes that are not JSON"
        raise BadSignature(problem) from None
    if not isinstance(payload, dict):
        raise BadSignature("holds signed bytes that are not an object")
    for name in payload.keys() - FIELDS.keys() - {NOT_AFTER}:
        raise BadSignature(f"was signed with a field that is not known here: {name[:50]!r}")
    for name, is_valid in FIELDS.items():
        if (name not in payload and name != "timeout_seconds") or not is_valid(payload.get(name)):
            raise BadSignature(f"was signed with no {name} or an invalid one")
    return {**dict.fromkeys(FIELDS), **payload, NOT_AFTER: _moment(payload.get(NOT_AFTER))}


def difference(signed: Mapping[str, Any], job: Mapping[str, Any]) -> str | None:
    """Return the name of a field of a job that is not what was signed; None when all are."""
    return next((name for name in FIELDS if signed[name] != job.get(name)), None)


def _moment(text: object) -> datetime:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        raise BadSignature(f"was signed without a {NOT_AFTER} like 2024-01-01T12:00:00Z")
    try:
        return datetime.strptime(text, TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        raise BadSignature(f"was signed with a {NOT_AFTER} that does not exist") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadSignature("was signed with the same name twice")
    return fields


def _whole_number(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise BadSignature("was signed with a number that is not written in the usual way")
    return int(text)


def _fraction(text: str) -> float:
    if not WITH_FRACTION.fullmatch(text):
        raise BadSignature("was signed with a number that is not written in the usual way")
    return float(text)


def _no_constant(_: str) -> float:
    raise BadSignature("was signed with a number that is none")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
