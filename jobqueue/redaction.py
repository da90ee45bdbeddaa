"""Hides secrets in URLs and in texts that quote URLs or API tokens, and shows characters that hide themselves.

Where it is not certain which part is a password, more is hidden than necessary: a value that is shown may be one that
no parser accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):[/\\]{2}")
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{0,5})?")
AT = re.compile(r"@|%40")
HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)+")
NOT_IN_PATH = re.compile(r"[^\w/.,~+%!()\[\]-]|%(3f|23|3b|26|3d|40|3a|25)", re.IGNORECASE)
"""What ends the part of a path that is shown: any character that a password may follow, also percent-encoded."""

WORD = re.compile(r"\S+")
URL_IN_WORD = re.compile(r"(?<![A-Za-z0-9+.-])[0-9+.-]*([A-Za-z][A-Za-z0-9+.-]*:[/\\]{2})")
"""Where a URL begins in a word of a message, and its scheme."""

PUNCTUATION = "\"'<>`)],.:;"
"""What may follow a URL in a message. A password may contain quotes, so these end no URL."""

USER = re.compile(r"(?<![^/\"'(])[^/\"'(][^/\"'(:]*:")
"""Where the user of a URL without a scheme begins in a word of a message, and the colon before the password."""

QUERY = re.compile(r"(?<=[\w/.~%-])\?[^\s\"')]\S*")
"""The query of a path without a host."""

OF_TOKENS = "jq_"
SECRETS_IN_TEXT = [
    (re.compile(rf"(?<![A-Za-z0-9])({OF_TOKENS}[A-Za-z0-9.-]+_)[A-Za-z0-9_]+"), r"\1***"),  # an API token, whole or not
    (re.compile(r"(with args beginning with:).*", re.DOTALL), r"\1 ***"),  # Redis quotes a refused AUTH
    (re.compile(r"\b(passw(?:or)?d|authorization)(['\"]?\s*[=:]\s*)\S.*", re.IGNORECASE), r"\1\2***"),
]
SUSPICIOUS = re.compile(rf"://|[?@\\]|passw|authorization|beginning with|{OF_TOKENS}", re.IGNORECASE)
"""What a text contains that may quote a URL, a password or an API token. `is_suspicious` says the same of ASCII without
it.
"""

INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that show nothing although Unicode counts them as letters, marks or symbols."""


@dataclass(frozen=True)
class _Shown:
    """The parts of a URL that hold no secret, and whether there is something before the host or after the path."""

    scheme: str
    authority: str
    path: str
    hidden_before: bool
    hidden_after: bool


def without_secrets(url: str) -> str:
    """Return a URL without the parts that may hold secrets: user, password, query, fragment."""
    shown = _shown(url)
    return f"{shown.scheme}://{shown.authority}{shown.path}" if shown else "an unreadable URL"


def redacted(value: str) -> str:
    """Return the value of a setting, a URL or not, with *** in place of everything that may be a secret."""
    scheme = SCHEME.match(value)
    if scheme and not value[scheme.end() :].strip():
        return value
    shown = _shown(value)
    if shown:
        user, rest = "***@" * shown.hidden_before, "***" * shown.hidden_after
        return f"{shown.scheme}://{user}{shown.authority}{shown.path}{rest}"
    if scheme:
        return f"{scheme[1].lower()}://***"
    if AT.search(value) or value.startswith(("//", "\\\\")):
        return "***"
    # Not a URL. NAME=value and user:password are hidden, host:port is shown.
    return re.sub(r"([?#;&=%]|:(?![0-9]{1,5}(?:[/,\s]|$))).*", r"\1***", value, flags=re.DOTALL)


def is_suspicious(text: str) -> bool:
    """Return whether a text may quote a URL, a password or an API token."""
    if not text.isascii():
        return SUSPICIOUS.search(text) is not None
    # Every line of the log is asked this. Each test is one pass of C code; the expression tries all its alternatives at
    # every character and takes ten times as long.
    return (
        "?" in text
        or "@" in text
        or "\\" in text
        or "://" in text
        or "passw" in (lower := text.lower())
        or "authorization" in lower
        or "beginning with" in lower
        or OF_TOKENS in lower
    )


def redacted_text(text: str) -> str:
    """Return a message, possibly one of a library or of another host, without the secrets of the URLs in it, and
    without API tokens.
    """
    if not is_suspicious(text):
        return text
    text = WORD.sub(lambda word: _word(word[0]), text)
    for pattern, replacement in SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _word(word: str) -> str:
    """Return a word of a message without the secrets of the URL in it, with a scheme or without.

    Every step takes a time that grows with the length of the word and not with its square: clients send long ones.
    """
    if begin := URL_IN_WORD.search(word):
        first, after = begin.start(1), len(word.rstrip(PUNCTUATION))
        after = max(after, begin.end())
        word = word[:first] + without_secrets(word[first:after]) + word[after:]
    before, at, rest = QUERY.sub("?***", word).rpartition("@")
    if at and (user := USER.search(before)):
        before = f"{before[: user.start()]}***"
    return f"{before}{at}{rest}"


def escaped(text: str) -> str:
    """Return the text with every control, invisible or direction-changing character written as an escape."""
    # Both tests run in C over the whole text, as almost every text passes them.
    if text.isascii() and text.isprintable():
        return text
    text = INVISIBLE.sub(lambda match: _escape(match[0]), text)
    return text if text.isprintable() else "".join(map(_escape_unprintable, text))


def printable(text: str) -> str:
    """Return the text with a question mark in place of every character that cannot be printed."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _shown(url: str) -> _Shown | None:
    """Return what may be shown of a URL; None when its host cannot be told from a password."""
    scheme = SCHEME.match(url)
    if not scheme:
        return None
    rest = url[scheme.end() :].rstrip()
    # A password may contain any character. So the host begins after the last @ that can be one before a host.
    region = re.split(r"[?#;&]", rest, maxsplit=1)[0]
    later = rest[len(region) :]
    before, at, tail = region.rpartition("@")
    head, slash, _ = before.partition("/")
    if slash and HOST_NAME.fullmatch(head):
        # The @ is one of the path, as in https://cdn.example/npm/package@1.2.3, and what precedes it has no colon.
        return _Shown(scheme[1].lower(), head, "/", False, True)
    authority, path = re.fullmatch(r"([^/\\]*)(.*)", tail, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches
    if (at or ":" in authority) and AT.search(path + later):  # the password may contain a / or a ?
        return None
    if not AUTHORITY.fullmatch(authority) and (authority or not path):
        return None
    end = NOT_IN_PATH.search(path)
    path = path[: end.start()] if end else path
    return _Shown(scheme[1].lower(), authority, path, bool(at), bool(end or later))


def _escape_unprintable(character: str) -> str:
    return character if character.isprintable() else _escape(character)


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else repr(character)[1:-1]
