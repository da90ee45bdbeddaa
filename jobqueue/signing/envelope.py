"""The envelope of DSSE (https://github.com/secure-systems-lab/dsse): signed bytes, and the signatures over them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAYLOAD_TYPE = "application/vnd.jobqueue.job.v1+json"
"""What the signed bytes are. It is signed with them, so that no signature made for something else counts for a job."""

MAX_PAYLOAD_CHARACTERS = 2 * 1024**2
"""In base64: 1 MiB of arguments and variables, and some space for quotes, escapes and the other fields."""

MAX_SIGNATURES = 8
SIGNATURE_BYTES = 64
MAX_SIGNATURE_CHARACTERS = 88
"""So many are 64 bytes in base64."""

BASE64 = "^([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2}==|[A-Za-z0-9+/_-]{3}=)?$"
"""DSSE takes both alphabets of base64."""

KEY_ID = "^[A-Za-z0-9:._-]{0,128}$"


class BadSignature(ValueError):
    """A signed job is not in order. The message completes the sentence "the job …" and quotes nothing secret."""


@dataclass(frozen=True)
class Envelope:
    """The bytes that are signed, and the signatures."""

    payload: bytes
    signatures: Sequence[bytes]

    @property
    def signed(self) -> bytes:
        """What each signature is over (DSSE's pre-authentication encoding)."""
        return to_sign(self.payload)


def to_sign(payload: bytes) -> bytes:
    """Return what is signed for these bytes: their type and their length come first, so nothing can be shifted."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def write(payload: bytes, signatures: Mapping[str, bytes]) -> dict[str, Any]:
    """Return an envelope ready for JSON; `signatures` are by the id of their key."""
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": key_id, "sig": base64.b64encode(signature).decode()} for key_id, signature in signatures.items()
        ],
    }


def read(fields: object) -> Envelope:
    """Return the envelope from decoded JSON. Raises BadSignature. Other fields are not signed and mean nothing."""
    if not isinstance(fields, dict) or fields.get("payloadType") != PAYLOAD_TYPE:
        raise BadSignature(f"has a signature that is not an envelope of the type {PAYLOAD_TYPE}")
    signatures = fields.get("signatures")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise BadSignature(f"has an envelope without 1 to {MAX_SIGNATURES} signatures")
    decoded = [_decoded(each.get("sig") if isinstance(each, dict) else None) for each in signatures]
    return Envelope(_decoded(fields.get("payload")), decoded)


def _decoded(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > MAX_PAYLOAD_CHARACTERS or not re.fullmatch(BASE64, text):
        raise BadSignature("has an envelope with something that is not base64, or too long")
    return base64.b64decode(text, altchars=b"-_") if "-" in text or "_" in text else base64.b64decode(text)
