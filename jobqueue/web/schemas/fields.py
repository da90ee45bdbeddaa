r"""Fields that check what they publish: each rule here is also in the OpenAPI document, in the words of JSON Schema.

`$(?!\n)` is the end of the text in Python and in JavaScript alike; a bare `$` lets a newline through in Python.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields, validate

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux refuses to start a program with a longer argument or `NAME=value` (MAX_ARG_STRLEN, with its final NUL)."""

MAX_EXACT = 2**53
MAX_FLOAT = sys.float_info.max

WORD = r"^[^\s\x00-\x1f\x7f-\x9f]+$(?!\n)"
PRINTABLE_WORD = r"^[^\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]+$(?!\n)"
WITHOUT_NUL = r"^[^\x00]*$"
ENV_NAME = r"^[^=\x00]+$"
SHA256 = r"^[0-9a-fA-F]{64}$(?!\n)"
GROUP = "[0-9A-Fa-f]{1,4}"
IPV6 = "|".join(
    [
        f"({GROUP}:){{7}}{GROUP}",
        *(f"({GROUP}:){{1,{7 - after}}}(:{GROUP}){{1,{after}}}" for after in range(1, 7)),
        f"({GROUP}:){{1,7}}:",
        f":(:{GROUP}){{1,7}}",
        "::",
    ]
)
HTTP_URL = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://"
    r"([A-Za-z0-9._~!$&'()*+,;=:%-]*@)?"
    rf"([A-Za-z0-9._~-]+|\[({IPV6})\])"
    r"(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    r"([/?#][^\s\x00-\x1f\x7f-\x9f]*)?$(?!\n)"
)


def word(longest: int) -> list[validate.Validator]:
    """Return the rules for a name of 1 to `longest` characters without white space and control characters."""
    return [
        validate.Length(1, longest),
        validate.Regexp(WORD, error="Must not be empty or hold white space or control characters."),
    ]


def printable_word(longest: int) -> list[validate.Validator]:
    """Return the rules for a name of 1 to `longest` printable characters without white space."""
    return [
        validate.Length(1, longest),
        validate.Regexp(PRINTABLE_WORD, error="Must be printable characters without white space."),
    ]


def http_url(longest: int) -> list[validate.Validator]:
    """Return the rules for an absolute http or https URL with a host."""
    return [
        validate.Length(1, longest),
        validate.Regexp(HTTP_URL, error="Must be an absolute http or https URL with a host."),
    ]


def sha256() -> list[validate.Validator]:
    """Return the rule for 64 hexadecimal digits."""
    return [validate.Regexp(SHA256, error="Must be 64 hexadecimal digits.")]


def env_name() -> list[validate.Validator]:
    """Return the rules for the name of an environment variable."""
    return [validate.Length(min=1), validate.Regexp(ENV_NAME, error="A name must not be empty or hold '=' or NUL.")]


def at_most(longest_bytes: int) -> list[Callable[[str], object]]:
    """Return the rules for a text of so many bytes of UTF-8."""

    def short_enough(text: str) -> None:
        if len(text.encode()) > longest_bytes:
            raise ValidationError(f"Must be at most {longest_bytes} bytes of UTF-8.")

    return [validate.Length(max=longest_bytes), short_enough]


def passable() -> list[Callable[[str], object]]:
    """Return the rules for text that Linux can hand to a program."""
    return [
        validate.Regexp(WITHOUT_NUL, error="Must not hold NUL."),
        *at_most(MAX_ARGUMENT_BYTES),
    ]


class Texts(fields.List[str]):
    """A list of texts, counted before it is looked at: millions of faults would cost minutes."""

    def __init__(self, text: fields.String, at_most: int, **options: Any) -> None:
        super().__init__(text, metadata={"maxItems": at_most}, **options)
        self._at_most = at_most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        _check_count(value, self._at_most)
        return super()._deserialize(value, attr, data, **kwargs)


class Variables(fields.Dict):
    """An object of texts by name, counted before it is looked at."""

    def __init__(self, name: fields.String, text: fields.String, at_most: int, **options: Any) -> None:
        super().__init__(name, text, metadata={"maxProperties": at_most}, **options)
        self._at_most = at_most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[Any, Any]:
        _check_count(value, self._at_most)
        found: dict[Any, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]  # as it is
        return found


def _check_count(value: Any, at_most: int) -> None:
    if isinstance(value, list | dict) and len(value) > at_most:
        raise ValidationError(f"Must be at most {at_most}, not {len(value)}.")


class WholeNumber(fields.Integer):
    """An integer as JSON Schema has it: 8.0 is one; 8.5, "8" and true are not."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class QueryNumber(fields.Integer):
    """A whole number in a query string: ASCII digits and nothing else (`int` would take "+5", "1_0" and "١٢")."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, error_messages={"invalid": "Not a whole number from 0 on."})

    def _validated(self, value: Any) -> int:
        if not isinstance(value, str) or not re.fullmatch("[0-9]{1,20}", value):
            raise self.make_error("invalid", input=value)
        return int(value)


class Number(fields.Float):
    """A number as JSON Schema has it, whole or not: "8" and true are none, and nothing that has no end."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_FLOAT <= value <= MAX_FLOAT:
            raise self.make_error("invalid", input=value)
        return int(value) if abs(value) < MAX_EXACT and value == int(value) else float(value)


class Flag(fields.Boolean):
    """true or false, and no other word for them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryFlag(fields.Boolean):
    """`true` or `false` in a query string, written so."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


class IpAddress(fields.String):
    """An IPv4 or IPv6 address, stored in its usual form."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return str(ipaddress.ip_address(_without_scope(text)))
        except ValueError:
            raise ValidationError("Must be an IPv4 or IPv6 address.") from None


def _without_scope(address: str) -> str:
    """Return an address without its zone ("%eth0"), which means something only on the machine it was written on."""
    return re.sub(r"%[A-Za-z0-9._~-]{1,32}$", "", address)
