"""Keys are made, kept, written down and read; a key that would protect nothing is refused."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from jobqueue.signing import envelope, keys
from jobqueue.signing.envelope import Envelope
from jobqueue.signing.keys import OF_SMALL_ORDER, SIGN, BadKey, PrivateKey, PublicKey, TrustedKeys
from tests.support.child_script import output_of
from tests.support.signed import make_key


def test_a_private_key_is_kept_for_this_user_alone_and_never_replaced(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert PrivateKey.load(tmp_path / "key").public == key.public
    with pytest.raises(FileExistsError):
        make_key(tmp_path)


def test_a_public_key_is_a_line_of_text(tmp_path: Path) -> None:
    first, second = make_key(tmp_path, "1").public, make_key(tmp_path, "2").public
    assert keys.parse(str(first)) == [first]
    assert keys.parse(f"\n# ours\n{first}, {second} # theirs\n") == [first, second]
    (tmp_path / "trusted").write_text(f"{first}\n{second}\n")
    assert keys.read_public(tmp_path / "trusted") == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#",
        ",",
        "ed25519:",
        f"ed25519:{'A' * 42}=",
        f"ed25519:{'A' * 44}",
        f"rsa:{'A' * 43}=",
        "A" * 43 + "=",
        "-----BEGIN PRIVATE KEY----- canary",
        " ".join([f"ed25519:{'A' * 43}="] * 33),
    ],
)
def test_what_is_no_public_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadKey) as caught:
        keys.parse(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff", b"x" * 100_000], ids=["empty", "binary", "large"])
def test_a_file_without_public_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trusted").write_bytes(content)
    with pytest.raises(BadKey):
        keys.read_public(tmp_path / "trusted")


@pytest.mark.parametrize(
    "content", [b"", b"canary", b"-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_without_a_private_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(BadKey) as caught:
        PrivateKey.load(tmp_path / "key")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("number", sorted(OF_SMALL_ORDER))
@pytest.mark.parametrize("sign", [0, SIGN])
def test_a_key_for_which_anybody_can_sign_is_refused(number: int, sign: int) -> None:
    with pytest.raises(BadKey):
        TrustedKeys([PublicKey((number | sign).to_bytes(32, "little"))])


def test_the_key_of_zeros_is_one_of_them() -> None:
    """Without the rule, 64 bytes of zeros would be a signature over anything."""
    (zeros,) = keys.parse(f"ed25519:{base64.b64encode(bytes(32)).decode()}")
    with pytest.raises(BadKey):
        TrustedKeys([zeros])


def test_one_signature_by_one_trusted_key_is_enough_whatever_the_key_ids_say(tmp_path: Path) -> None:
    first, second, stranger = (make_key(tmp_path, name) for name in "123")
    trusted = TrustedKeys([first.public, second.public])
    good, bad = second.sign(envelope.to_sign(b"x")), stranger.sign(envelope.to_sign(b"x"))
    assert trusted.have_signed(Envelope(b"x", [bad, good]))
    assert not trusted.have_signed(Envelope(b"x", [bad]))
    assert not trusted.have_signed(Envelope(b"y", [bad, good]))
    assert not trusted.have_signed(Envelope(b"x", [second.sign(b"x")]))  # without the type
    assert not trusted.have_signed(Envelope(b"x", [b"", good[:63], good + b"\0", os.urandom(64)]))


def test_who_signs_nothing_and_trusts_nobody_does_not_load_cryptography() -> None:
    script = (
        "import sys\n"
        "import jobqueue.worker.lifecycle, jobqueue.worker.check, jobqueue.command_line.main\n"
        "from jobqueue.worker.attempts.signatures import Signatures\n"
        "Signatures()\n"
        "print('cryptography' in sys.modules)"
    )
    assert output_of(script).strip() == "False"
