"""How an event is written on a line: as logfmt, `event=claim job_id=…`, or as a JSON object.

Whatever the values are, the line is one line of characters that every terminal shows as they are. In JSON, this is true
of the decoded values as well.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from jobqueue.redaction import escaped

Format = Callable[[Mapping[str, Any]], str]

NEEDS_QUOTES = re.compile('[ ="]')
MAX_NUMBER = 2**53
"""Beyond this, readers of JSON disagree about a whole number."""


def logfmt(event: Mapping[str, Any]) -> str:
    """Return the event as `name=value` pairs."""
    return escaped(" ".join([f"{name}={_quoted(value)}" for name, value in event.items()]))


def in_json(event: Mapping[str, Any]) -> str:
    """Return the event as a JSON object in ASCII."""
    return json.dumps({escaped(name): _plain(value) for name, value in event.items()}, allow_nan=False)


FORMATS: dict[str, Format] = {"logfmt": logfmt, "json": in_json}
"""The first is the default."""


def is_text(value: object) -> bool:
    """Whether a value is written as text, and may hold a secret or be shortened."""
    return not (value is None or isinstance(value, bool | int | float))


def shortened(write: Format, event: Mapping[str, Any], excess: int) -> dict[str, Any]:
    """Return the event without that many bytes in the middle of its longest value. Some may remain: call it again."""
    sizes = {name: len(write({name: value}).encode()) for name, value in event.items()}
    name = max(sizes, key=lambda each: sizes[each])
    value = str(event[name])
    mark = f" …{len(value)} characters… "
    kept = max(int(len(value) * (1 - excess / sizes[name])) - 2 * len(mark), 0)
    return {**event, name: value[: kept // 2] + mark + value[len(value) - (kept - kept // 2) :]}


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        return str(value)
    return escaped(str(value)) if is_text(value) else value


def _quoted(value: object) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not NEEDS_QUOTES.search(text):
        return text
    text = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{text}"'
