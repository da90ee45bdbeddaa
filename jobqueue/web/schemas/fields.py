"""Field types and rules. Each rule is also published in the OpenAPI document, as far as JSON Schema can express it."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate

from jobqueue.web.schemas.text import VISIBLE, Pattern, no_hidden_characters

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux refuses to start a program with a longer argument or `NAME=value` (MAX_ARG_STRLEN, with its final NUL)."""

MAX_PASSED_BYTES = 1024 * 1024
"""Most bytes of arguments and environment together. Linux refuses to start a program with much more."""

OVERHEAD_BYTES = 9
"""What Linux counts for each argument or variable beside its text: a NUL and a pointer."""

MAX_ENTRIES = 10_000
"""Most arguments, and most variables, of one job."""

MAX_URL_CHARACTERS = 8192
MAX_EXACT = 2**53
MAX_FLOAT = sys.float_info.max
MAX_EXIT_CODE = 2**31 - 1
MAX_ID_CHARACTERS = MAX_TOKEN_CHARACTERS = 128
LATEST_MOMENT_MS = 253_402_300_799_999
"""The last millisecond since 1970 that can be written as a date: the end of the year 9999."""

DEFAULT_PORTS = {"http": 80, "https": 443}

EXACT = validate.Range(0, MAX_EXACT - 1)
"""The rule for a count or an offset. Larger numbers are not exact in JavaScript and in Lua."""

LONGEST_WAIT_SECONDS = 25
"""Proxies end a request after 30 seconds (Heroku), or 60."""

WAIT = validate.Range(0, LONGEST_WAIT_SECONDS)
"""The rule for how long a request waits."""

CURSOR = Pattern("^[0-9]{0,15}$", error="Not a cursor: take it from the header Link of the page before.")
SIGNAL = Pattern(r"^SIG[A-Z0-9+\-]{1,16}$", error="Must be the name of a signal, such as SIGKILL.")
SHA256 = Pattern(r"^[0-9a-fA-F]{64}$", error="Must be 64 hexadecimal digits.")
ENV_NAME = [
    validate.Length(min=1),
    Pattern(r"^[^=\x00]+$", error="A name must not be empty or hold '=' or NUL."),
]
"""The rules for the name of an environment variable."""

SCHEME = "[Hh][Tt][Tt][Pp][Ss]?://"
HOST_NAME = "[A-Za-z0-9._~-]+"
PORT = "[0-9]{1,4}|[1-5][0-9]{4}|6([0-4][0-9]{3}|5([0-4][0-9]{2}|5([0-2][0-9]|3[0-5])))"
"""A port, up to 65535."""

HTTP_URL = Pattern(f"^{SCHEME}{VISIBLE}+$", error="Must be an absolute http or https URL.")
AUTHORITY = re.compile(
    rf"([A-Za-z0-9._~!$&'()*+,;=:%-]*@)?(?P<host>{HOST_NAME}|\[(?P<ipv6>[0-9A-Fa-f:]+)\])(:(?P<port>{PORT}))?"
)
"""What may stand between `//` and the path of a URL: user and password, a host name or an address, and a port."""

PLAIN_URL = re.compile(f"{SCHEME}{HOST_NAME}(:({PORT}))?([/?#]{VISIBLE}*)?")
"""URLs whose host and port are certainly valid: most of them."""

choice = partial(fields.Enum, by_value=fields.String)
"""Makes the field of one value of an enumeration."""

timestamp = partial(fields.String, metadata={"example": "2024-01-01T12:00:00Z"})
"""Makes the field of a time in an answer."""

query_flag = partial(fields.Boolean, truthy={"true"}, falsy={"false"})
"""Makes the field of a query parameter that is `true` or `false`, in exactly these letters."""


def http_url(longest: int) -> list[Callable[[str], object]]:
    """Return the rules for an absolute http or https URL with a host."""
    return [validate.Length(1, longest), HTTP_URL, no_hidden_characters, _check_authority]


def server_of(url: str) -> tuple[str, int]:
    """Return the host and the port of a URL that these rules have found valid; an IPv6 address is in brackets."""
    parts = urlsplit(url)
    authority = AUTHORITY.fullmatch(parts.netloc)
    assert authority is not None, "the URL is checked before"  # noqa: S101
    return authority["host"], int(authority["port"] or DEFAULT_PORTS[parts.scheme])


def _check_authority(url: str) -> None:
    """Check the host, the port and the user of a URL: as a regular expression, an IPv6 address would fill a page."""
    with suppress(ValueError):  # from urlsplit and from IPv6Address
        authority = AUTHORITY.fullmatch(urlsplit(url).netloc)
        if authority:
            # urlsplit checks the address itself, but only since Python 3.11.4.
            ipaddress.IPv6Address(authority["ipv6"] or "::")
            return
    raise ValidationError("Must have a valid host and port.")


def at_most(longest_bytes: int) -> list[Callable[[str], object]]:
    """Return the rules for a text of at most so many bytes of UTF-8."""

    def short_enough(text: str) -> None:
        if len(text.encode()) > longest_bytes:
            raise ValidationError(f"Must be at most {longest_bytes} bytes of UTF-8.")

    return [validate.Length(max=longest_bytes), short_enough]


def passable() -> list[Callable[[str], object]]:
    """Return the rules for a text that Linux can pass to a program."""
    return [Pattern(r"^[^\x00]*$", error="Must not hold NUL."), *at_most(MAX_ARGUMENT_BYTES)]


class Counted(fields.Field[Any]):
    """Refuses a list or an object with too many entries before any entry is checked.

    Checking first would cost minutes for a body with millions of invalid entries.
    """

    LIMIT = ""

    def __init__(self, *entries: fields.Field[Any], at_most: int, **options: Any) -> None:
        super().__init__(*entries, metadata={self.LIMIT: at_most}, **options)
        self._at_most = at_most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, list | dict) and len(value) > self._at_most:
            raise ValidationError(f"Must be at most {self._at_most}, not {len(value)}.")
        return super()._deserialize(value, attr, data, **kwargs)


class Texts(Counted, fields.List[str]):
    """A list of texts."""

    LIMIT = "maxItems"


class Entries(Counted, fields.List[Any]):
    """A list of objects."""

    LIMIT = "maxItems"


class Variables(Counted, fields.Dict):
    """An object of texts by name."""

    LIMIT = "maxProperties"


class WholeNumber(fields.Integer):
    """An integer as JSON Schema defines it: 8.0 is one; 8.5, "8" and true are not."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class QueryNumber(fields.Integer):
    """A whole number in a query string: only ASCII digits (`int` would accept "+5", "1_0" and "١٢", too)."""

    default_error_messages = {"invalid": "Not a whole number from 0 on."}  # noqa: RUF012  # marshmallow declares it so

    def _validated(self, value: Any) -> int:
        if not isinstance(value, str) or not re.fullmatch("[0-9]{1,20}", value):
            raise self.make_error("invalid", input=value)
        return int(value)


JSON_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?([Ee][+-]?[0-9]{1,3})?")


class QuerySeconds(fields.Float):
    """A number of seconds in a query string, written as in JSON."""

    default_error_messages = {"invalid": "Not a number."}  # noqa: RUF012  # marshmallow declares it so

    def _validated(self, value: Any) -> float:
        if not isinstance(value, str) or not re.fullmatch(
            r"-?[0-9]{1,20}(\.[0-9]{1,40})?([Ee][+-]?[0-9]{1,3})?", value
        ):
            raise self.make_error("invalid", input=value)
        return float(value)


class Number(fields.Float):
    """A finite number as JSON Schema defines it, whole or not; "8" and true are not numbers."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_FLOAT <= value <= MAX_FLOAT:
            raise self.make_error("invalid", input=value)
        return exactly(value)


def exactly(value: float) -> float:
    """Return a finite number without a fraction of zero: 8.0 is 8."""
    return int(value) if abs(value) < MAX_EXACT and value == int(value) else float(value)


class Flag(fields.Boolean):
    """true or false; words and numbers are refused."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class IpAddress(fields.String):
    """An IPv4 or IPv6 address, in its canonical form.

    The zone of an address ("%eth0") is left out: it means something only on the machine where it was written.
    """

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return str(ipaddress.ip_address(re.sub(r"%[A-Za-z0-9._~-]{1,32}$", "", text)))
        except ValueError:
            raise ValidationError("Must be an IPv4 or IPv6 address.") from None
