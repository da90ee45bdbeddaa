"""Reads JSON without what two readers might understand differently, and without more values than expected."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from jobqueue.errors import InvalidRequest

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
QUOTES_PER_ENTRY = 4
"""An entry has at most a name and a text, and so at most four quotation marks that are not escaped."""

COUNTED = (b",", b"[", b"{")
FEW = 1000
"""As many as are found one by one in less time than it takes to count them in a megabyte."""

Body = bytes | bytearray


def loads(raw: Body, max_entries: int) -> Any:
    """Return the value of a JSON text in UTF-8 with at most so many arrays, objects and commas.

    Raises InvalidRequest for more of them, for values that JSON does not have (NaN), for a name that comes twice in one
    object, which two readers may read differently, for an unpaired surrogate, which cannot be stored, and for too deep
    nesting.
    """
    check_entries(raw, max_entries)
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
        # Raw UTF-8 cannot hold a surrogate, so only a text with an escaped one is encoded again. That costs as much as
        # reading it, but says for certain whether a surrogate stands alone.
        if SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise InvalidRequest("Request body is nested too deeply", body=["Nested too deeply."]) from None
    except UnicodeEncodeError:
        raise InvalidRequest("Request body holds an unpaired surrogate", body=["Unpaired surrogate."]) from None
    except ValueError as error:
        reason = _reason(error) if raw.strip() else "The body is empty."
        raise InvalidRequest("Request body is not valid JSON", body=[reason]) from None
    return value


def check_entries(raw: Body, most: int) -> None:
    """Raise InvalidRequest if a JSON text has more than `most` arrays, objects and commas, counted outside strings.

    The text is counted before it is read, because `json.loads` makes all its values before anybody can look at them.
    Every step here is one pass of C code over the bytes, and none makes more than 4 * most objects.
    """
    if _has_at_most(raw, most):
        return  # with those inside strings; that is enough for nearly every body
    if b"\\" in raw:
        # A quotation mark is escaped if an odd number of backslashes stands before it. Without the pairs, from the left
        # as `replace` takes them, one backslash is left of an odd number and none of an even one.
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Of a text that is not JSON, the part up to its first fault is counted as `json.loads` would read it, and what
    # follows can only add to that. `json.loads` makes no values of what follows.
    if raw.count(b'"') <= QUOTES_PER_ENTRY * (most + 1) and _has_at_most(b"".join(raw.split(b'"')[::2]), most):
        return
    message = f"Must have at most {most} arrays, objects and commas outside of texts."
    raise InvalidRequest("Request body has too many entries", body=[message])


def _has_at_most(text: Body, most: int) -> bool:
    """Return whether a text has at most so many commas and opening brackets."""
    if most > FEW:
        return sum(map(text.count, COUNTED)) <= most
    # Megabytes of output often have none. `find` passes over them at thirty times the speed of `count`.
    for character in COUNTED:
        place = -1
        while (place := text.find(character, place + 1)) >= 0:
            most -= 1
            if most < 0:
                return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "Not UTF-8."
    return "A number has too many digits." if "integer string conversion" in str(error) else f"{error}."[:200]
