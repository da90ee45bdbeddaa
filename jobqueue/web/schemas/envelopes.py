"""The form of a signature: an envelope of DSSE. Only executors know keys, so nobody verifies it here."""

from __future__ import annotations

from marshmallow import fields as basic
from marshmallow import validate

from jobqueue.signing import envelope
from jobqueue.web.schemas import fields
from jobqueue.web.schemas.requests import Request
from jobqueue.web.schemas.text import Pattern

BASE64 = Pattern(envelope.BASE64, error="Must be base64.")


class SignatureIn(Request):
    """A signature over the payload, and a hint which key has made it."""

    keyid = basic.String(validate=Pattern(envelope.KEY_ID, error="Must be up to 128 of A-Z a-z 0-9 : . _ -"))
    sig = basic.String(
        required=True,
        validate=[validate.Length(1, envelope.MAX_SIGNATURE_CHARACTERS), BASE64],
        metadata={"format": "byte"},
    )


class EnvelopeIn(Request):
    """What was signed, and by whom."""

    payload = basic.String(
        required=True,
        validate=[validate.Length(1, envelope.MAX_PAYLOAD_CHARACTERS), BASE64],
        metadata={"format": "byte", "description": "The signed bytes: JSON with the fields of the job."},
    )
    payloadType = basic.String(required=True, validate=validate.Equal(envelope.PAYLOAD_TYPE))  # noqa: N815  # as DSSE has it
    signatures = fields.Entries(
        basic.Nested(SignatureIn()),
        at_most=envelope.MAX_SIGNATURES,
        required=True,
        validate=validate.Length(min=1),
    )
