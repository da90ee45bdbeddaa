"""Keys and signed jobs for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobqueue.signing import envelope, payload
from jobqueue.signing.keys import PrivateKey

LATER = datetime(2100, 1, 1, tzinfo=UTC)
JOB: Mapping[str, Any] = {
    "type": "demo",
    "binary_url": "http://host/program",
    "binary_sha256": "ab" * 32,
    "arguments": ["one", "two"],
    "env_variables": {"NAME": "wörld"},
    "timeout_seconds": 1.5,
}


def make_key(folder: Path, name: str = "key") -> PrivateKey:
    """Return a new key, kept in a file in a folder."""
    return PrivateKey.create(folder / name)


def sign_bytes(signed: bytes, *keys: PrivateKey) -> dict[str, Any]:
    """Return an envelope around any bytes."""
    return envelope.write(signed, {key.public.id: key.sign(envelope.to_sign(signed)) for key in keys})


def sign(job: Mapping[str, Any], *keys: PrivateKey, not_after: datetime = LATER) -> dict[str, Any]:
    """Return an envelope for a job."""
    return sign_bytes(payload.write(job, not_after), *keys)


def as_payload(job: Mapping[str, Any] = JOB, **more: Any) -> dict[str, Any]:
    """Return what is signed for a job, with other fields, before it is written as JSON; a field that is `...` is left
    out.
    """
    fields = {**job, "not_after": "2100-01-01T00:00:00Z", **more}
    return {name: value for name, value in fields.items() if value is not ...}


def as_json(fields: Mapping[str, Any]) -> bytes:
    """Return fields as other programs may write them: in any order, with white space."""
    return json.dumps(fields, ensure_ascii=False, indent=1).encode()
