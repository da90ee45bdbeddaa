r"""Rules for text. Their patterns are published in the OpenAPI document, and have to mean the same in every language.

So they have no look-ahead and no `\u….`, which RE2 (Go) does not have, no `\s`, which is another set in each language,
and no character beyond U+FFFF, which JavaScript reads as two. Python has them match the whole text: a bare `$` would
let a newline through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from marshmallow import ValidationError, validate

HIDDEN = (
    (0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD),
    (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000),
    (0x3164, 0x3164), (0xFDD0, 0xFDEF), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFF),
)  # fmt: skip
"""Characters up to U+FFFF that are not seen, or that change how others are seen, from the first to the last of each
range: white space, control and format characters (Unicode's Z*, Cc, Cf), those that programs may leave out when they
show a text (Default_Ignorable_Code_Point: joiners, variation selectors, fillers), blank ones, and what is no character.
"""

HIDDEN_BEYOND = (
    (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF), *((plane + 0xFFFE, plane + 0xFFFF) for plane in range(0x10000, 0x110000, 0x10000)),
)  # fmt: skip
"""Such characters beyond U+FFFF."""


LATIN1_SIZE = 0x100
"""The characters below are written as `\\x..`, which means the same everywhere; so is a character itself."""


class Pattern(validate.Regexp):
    """A regular expression that the whole text has to match."""

    def matches(self, value: Any) -> bool:
        """Whether a text is valid."""
        return self.regex.fullmatch(value) is not None

    def __call__(self, value: Any) -> Any:
        """Return the text. Raises ValidationError."""
        if not self.matches(value):
            raise ValidationError(self._format_error(value))
        return value


def _outside(ranges: Iterable[tuple[int, int]]) -> str:
    """Return a class of the characters outside some ranges."""
    return f"[^{''.join(f'{_written(first)}-{_written(last)}' for first, last in ranges)}]"


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < LATIN1_SIZE else chr(code)


VISIBLE = _outside(HIDDEN)
_VISIBLE_BEYOND = re.compile(f"{_outside(HIDDEN_BEYOND)}*")


def has_hidden_beyond(text: str) -> bool:
    """Whether a text has one of HIDDEN_BEYOND: patterns cannot say so."""
    return not text.isascii() and _VISIBLE_BEYOND.fullmatch(text) is None


def no_hidden_characters(text: str) -> str:
    """Return the text. Raises ValidationError if it has one of HIDDEN_BEYOND."""
    if has_hidden_beyond(text):
        raise ValidationError("Must have no invisible characters.")
    return text


MAX_WORD_CHARACTERS = 128
VISIBLE_TEXT = Pattern(f"^{VISIBLE}+$", error="Must be visible characters without white space.")
WORD: list[Callable[[str], object]] = [validate.Length(1, MAX_WORD_CHARACTERS), VISIBLE_TEXT, no_hidden_characters]
"""The rules for a name that appears in lists and logs: two that look the same are the same, and none looks like text
of the log. So a name has no emoji that are made of several characters.
"""
