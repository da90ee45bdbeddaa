"""The envelope of a signed job is that of DSSE, and what is none is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jobqueue.signing import envelope
from jobqueue.signing.envelope import PAYLOAD_TYPE, BadSignature

GOOD = envelope.write(b"bytes", {"key": b"s" * 64})


def test_what_is_signed_is_as_dsse_says() -> None:
    """By the example in its protocol, which has another type."""
    assert envelope.to_sign(b"hello world") == b"DSSEv1 36 application/vnd.jobqueue.job.v1+json 11 hello world"
    assert len(PAYLOAD_TYPE) == 36
    assert envelope.to_sign("é".encode()).endswith(b" 2 \xc3\xa9")


def test_an_envelope_is_read_as_it_was_written() -> None:
    read = envelope.read(GOOD)
    assert (read.payload, read.signatures, read.signed) == (b"bytes", [b"s" * 64], envelope.to_sign(b"bytes"))


@pytest.mark.parametrize("content", [b"\xfb\xff\xfe", b"\xfb\xff\xfe\xfb", b""])
def test_both_alphabets_of_base64_are_read(content: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert envelope.read({**GOOD, "payload": encode(content).decode()}).payload == content


@pytest.mark.parametrize(
    "changed",
    [
        {"payloadType": "application/json"},
        {"payloadType": PAYLOAD_TYPE.upper()},
        {"payloadType": None},
        {"payload": None},
        {"payload": 5},
        {"payload": "YQ"},
        {"payload": "YQ==\n"},
        {"payload": "Y Q="},
        {"payload": "YQ==YQ=="},
        {"payload": "é" * 4},
        {"payload": "A" * (envelope.MAX_PAYLOAD_CHARACTERS + 4)},
        {"signatures": None},
        {"signatures": {}},
        {"signatures": []},
        {"signatures": ["c2ln"]},
        {"signatures": [{"keyid": "key"}]},
        {"signatures": [{"sig": "?"}]},
        {"signatures": [{"sig": "c2ln"}] * 9},
    ],
)
def test_what_is_no_envelope_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        envelope.read({**GOOD, **changed})


@pytest.mark.parametrize("value", [None, [], "text", 5, {}])
def test_a_signature_that_is_no_object_of_this_kind_is_refused(value: object) -> None:
    with pytest.raises(BadSignature):
        envelope.read(value)
