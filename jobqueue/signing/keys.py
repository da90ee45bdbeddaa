"""Ed25519 keys: made and kept in files, written in one line, and used to sign and to verify.

`cryptography` is imported where a key is used: it takes a tenth of a second and some megabytes, and most processes
neither sign jobs nor trust keys.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobqueue.signing.envelope import Envelope

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "ed25519:"
KEY_BYTES = 32
PUBLIC = re.compile(rf"{PREFIX}([A-Za-z0-9+/]{{43}}=)")
"""A public key: its 32 bytes in base64."""

OF_SMALL_ORDER = frozenset(
    int(digits, 16)
    for digits in (
        "0",
        "1",
        "5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
        "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee",
    )
)
"""The keys, without their sign, for which anybody can make signatures. One of zeros only is what somebody
may write in place of a key that does not exist yet.
"""

SIGN = 1 << 255
MAX_KEYS = 32
MAX_FILE_BYTES = 64 * 1024
KEY_ID_DIGITS = 16


class BadKey(ValueError):
    """A key cannot be used. The message is the end of a sentence, and quotes nothing of the key."""


@dataclass(frozen=True)
class PublicKey:
    """A public key: its 32 bytes."""

    raw: bytes

    @property
    def id(self) -> str:
        """What signatures name it by. Only a hint, which nobody relies on."""
        return hashlib.sha256(self.raw).hexdigest()[:KEY_ID_DIGITS]

    def __str__(self) -> str:
        return PREFIX + base64.b64encode(self.raw).decode()


class TrustedKeys:
    """Keys whose signatures count. Any thread may use it."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        """Make the keys ready for use. Raises BadKey."""
        self._keys = [_usable(key) for key in keys]

    def have_signed(self, envelope: Envelope) -> bool:
        """Return whether one of the signatures is by one of the keys.

        Each is tried with each: what an envelope says about its keys is not signed.
        """
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # see above

        signed = envelope.signed
        for signature in envelope.signatures:
            for key in self._keys:
                try:
                    key.verify(signature, signed)
                except InvalidSignature:
                    continue
                return True
        return False


def parse(text: str) -> list[PublicKey]:
    """Return the keys in a text, one or more with commas or white space between; `#` begins a comment of a line.

    Raises BadKey.
    """
    lines = [line.partition("#")[0] for line in text.splitlines()]
    words = [word for line in lines for word in re.split(r"[\s,]+", line) if word]
    if not 1 <= len(words) <= MAX_KEYS:
        raise BadKey(f"1 to {MAX_KEYS} keys are needed, and there are {len(words)}")
    keys = []
    for number, word in enumerate(words, 1):
        match = PUBLIC.fullmatch(word)
        if match is None:
            raise BadKey(f"number {number} is not a public key, which is {PREFIX} and 44 characters of base64")
        keys.append(PublicKey(base64.b64decode(match[1])))
    return keys


def read_public(path: Path) -> list[PublicKey]:
    """Return the keys in a file. Raises OSError, BadKey."""
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES or not content.isascii():
        raise BadKey("it holds something else than public keys")
    return parse(content.decode())


class PrivateKey:
    """A key to sign with."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def create(cls, path: Path) -> PrivateKey:
        """Make a key, and a file for it that only this user can read. Raises OSError, also when the file exists."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # see above
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        key = Ed25519PrivateKey.generate()
        content = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> PrivateKey:
        """Return the key in a PEM file. Raises OSError, BadKey."""
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # see above
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
        try:
            key = serialization.load_pem_private_key(content, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadKey("it holds no private key, or one with a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey("it holds a key of another kind than Ed25519")
        return cls(key)

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one has signed."""
        return PublicKey(self._key.public_key().public_bytes_raw())

    def sign(self, content: bytes) -> bytes:
        """Return the signature over these bytes."""
        return self._key.sign(content)


def _usable(key: PublicKey) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  # see above

    if int.from_bytes(key.raw, "little") & ~SIGN in OF_SMALL_ORDER:
        raise BadKey(f"{key} is one for which anybody can make signatures")
    try:
        return Ed25519PublicKey.from_public_bytes(key.raw)
    except ValueError:
        raise BadKey("one of them is no key of Ed25519") from None
