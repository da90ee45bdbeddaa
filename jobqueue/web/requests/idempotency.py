r"""The header `Idempotency-Key`, by which a client may send a request again without having it done twice.

The key is a word of visible ASCII characters, or the same word as a quoted string, in which `\` stands before `"` and
`\` (RFC 9651). Both spellings are the same key.
"""

from __future__ import annotations

import re

from flask import request

from jobqueue.errors import InvalidIdempotencyKey
from jobqueue.web.access.callers import entry_of_request

HEADER = "Idempotency-Key"
PATTERN = r'^([!#-~][!-~]{0,254}|"([!#-[\]-~]|\x5c["\x5c]){1,255}")$'
_key = re.compile(PATTERN)

PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "pattern": PATTERN},
    "description": "The client's name for this request: sent again with the same body, it gets the first answer again.",
}
REPLAY = {"schema": {"type": "string", "enum": ["true"]}, "description": "Sent if this is the first answer again."}


def key(operation: str) -> str:
    """Return the key of this request, "" if it has none. Raises InvalidIdempotencyKey.

    It begins with the name of the operation: the key of one says nothing about another. Before that comes the name of
    the caller's token, if it has one, so that nobody gets the jobs of somebody else by guessing a key. Neither has the
    character that comes after it.
    """
    value = request.headers.get(HEADER)
    if value is None:
        return ""
    if _key.fullmatch(value) is None:
        raise InvalidIdempotencyKey
    word = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    name = entry_of_request().name
    return f"{name}/{operation}:{word}" if name else f"{operation}:{word}"


def replayed(is_replay: bool) -> dict[str, str]:
    """Return the headers of an answer: they say so if it is the first answer again."""
    return {"Idempotent-Replay": "true"} if is_replay else {}
