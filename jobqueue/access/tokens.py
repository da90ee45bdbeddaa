"""What an API token looks like: `jq_<name>_<random>_<checksum>`.

The prefix and the fixed lengths let secret scanners recognise a token wherever it was left by mistake. The checksum
tells them, and us, a token from a text that only looks like one: it is the CRC-32 of all that precedes it, written with
six digits of base 62, as in GitHub's tokens. It proves nothing about who made the token.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "jq"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_DIGITS = 43
"""So many digits of base 62 are 256 random bits."""

CHECKSUM_DIGITS = 6

MAX_NAME_CHARACTERS = 64
"""A running job's hash in Redis has the name in one field, and a field over 64 bytes triples the memory of a hash."""

NAME = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9.-]{{0,{MAX_NAME_CHARACTERS - 2}}}[A-Za-z0-9])?")
NAME_RULE = (
    f"a name has 1 to {MAX_NAME_CHARACTERS} letters (A-Z, a-z), digits, dots and hyphens, "
    "with a letter or a digit at both ends"
)
"""No underscore, which separates the parts of a token, and no colon, which separates those of an entry."""

TOKEN = re.compile(
    rf"{PREFIX}_{NAME.pattern}_[0-9A-Za-z]{{{RANDOM_DIGITS}}}_[0-9A-Za-z]{{{CHECKSUM_DIGITS}}}", re.ASCII
)


def is_name(text: str) -> bool:
    """Return whether a token may have this name. A digest is none, so that messages may show any name."""
    return NAME.fullmatch(text) is not None and not is_digest(text)


def is_digest(text: str) -> bool:
    """Return whether a text is a SHA-256 as hexadecimal digits."""
    return re.fullmatch("[0-9A-Fa-f]{64}", text) is not None


def new_token(name: str) -> str:
    """Return a new token that nobody can guess. Raises ValueError for a name that no token may have."""
    if not is_name(name):
        raise ValueError(NAME_RULE)
    text = f"{PREFIX}_{name}_{''.join(secrets.choice(DIGITS) for _ in range(RANDOM_DIGITS))}"
    return f"{text}_{checksum(text)}"


def checksum(text: str) -> str:
    """Return the checksum of a token's first three parts."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_DIGITS):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def is_mistyped(text: str) -> bool:
    """Return whether a text is meant to be a token of this form, and is none: something was left out or changed."""
    if not text.startswith(f"{PREFIX}_"):
        return False
    return TOKEN.fullmatch(text) is None or checksum(text.rpartition("_")[0]) != text.rpartition("_")[2]


def digest_of(token: bytes) -> bytes:
    """Return the SHA-256 of a token: what the server is given instead of the token.

    No salt and no slow hash: nobody can guess 256 random bits, however fast each guess is.
    """
    return hashlib.sha256(token).digest()
