"""Reads settings from an environment; a wrong one is told in one sentence that says what would be right."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

LONGEST_SECONDS = 10 * 365 * 24 * 3600
LONGEST_SHOWN = 200
LIKE = 0.85
"""From which similarity on (0 to 1, as difflib counts it) a name counts as a misspelt one."""


class InvalidSetting(Exception):
    """A setting has a value that is not allowed. The message names the variable, the value and what is allowed."""


class Environment:
    """The variables handed in, read one by one. An empty one counts as unset.

    Every method returns the default where the variable is unset, and raises InvalidSetting where it is wrong.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.names: set[str] = set()
        """Of the variables that were asked for."""

    def whole_number(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Return a whole number between `lowest` and `highest`."""

        def parse(text: str) -> int:
            number = int(text) if re.fullmatch("[0-9]{1,18}", text) else -1
            if not lowest <= number <= highest:
                raise ValueError
            return number

        return self.read(name, default, parse, f"a whole number from {lowest} to {highest}")

    def milliseconds(self, name: str, default_ms: int, lowest_seconds: float) -> int:
        """Return in milliseconds what the variable gives in seconds, fractions allowed."""

        def parse(text: str) -> int:
            seconds = float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12}", text) else math.nan
            if not (math.isfinite(seconds) and lowest_seconds <= seconds <= LONGEST_SECONDS):
                raise ValueError
            return round(seconds * 1000)

        allowed = f"a number of seconds from {lowest_seconds:g} to {LONGEST_SECONDS}"
        return self.read(name, default_ms, parse, allowed)

    def seconds(self, name: str, default: T, lowest_seconds: float) -> float | T:
        """Return what the variable gives in seconds, fractions allowed."""
        found = self.milliseconds(name, -1, lowest_seconds)
        return default if found < 0 else found / 1000

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of the words allowed."""

        def parse(text: str) -> str:
            if text not in allowed:
                raise ValueError
            return text

        return self.read(name, default, parse, "one of " + ", ".join(allowed))

    def words(self, name: str, pattern: str, what: str) -> tuple[str, ...]:
        """Return words with commas between, each of which the pattern matches; none when unset."""

        def parse(text: str) -> tuple[str, ...]:
            found = tuple(word.strip() for word in text.split(",") if word.strip())
            if not found or not all(re.fullmatch(pattern, word) for word in found):
                raise ValueError
            return found

        return self.read(name, (), parse, f"{what}, with commas between")

    def directory(self, name: str) -> Path | None:
        """Return an absolute path; None when unset."""

        def parse(text: str) -> Path | None:
            if not text.startswith("/") or "\0" in text:
                raise ValueError
            return Path(text)

        return self.read(name, None, parse, "an absolute path")

    def url(
        self, name: str, default: str, schemes: tuple[str, ...], check: Callable[[str], None] = lambda _: None
    ) -> str:
        """Return a URL of one of `schemes`, with a host or (for `unix`) a path, that `check` has no ValueError for."""

        def parse(text: str) -> str:
            parts = urlsplit(text)
            complete = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0
            if parts.scheme not in schemes or not complete or re.search(r"\s", text):
                raise ValueError
            check(text)
            return text

        return self.read(name, default, parse, "a URL that starts with " + " or ".join(f"{s}://" for s in schemes))

    def read(self, name: str, default: T, parse: Callable[[str], T], allowed: str) -> T:
        """Return what `parse` makes of the text; its ValueError becomes an InvalidSetting that says `allowed`."""
        self.names.add(name)
        text = self._variables.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            raise InvalidSetting(f"{name} is {_shown(text)!r}, but must be {allowed}.") from None

    def misspelt(self) -> dict[str, str]:
        """Return the variables that nobody has asked for though their name is nearly one of those, with that one."""
        others = sorted(self._variables.keys() - self.names)
        found = {other: next((name for name in self.names if _is_like(other, name)), None) for other in others}
        return {other: name for other, name in found.items() if name}


def _is_like(other: str, name: str) -> bool:
    """Whether a name is another misspelt. One with something before it (UV_CACHE_DIR) is another program's."""
    import difflib  # noqa: PLC0415  # its memory would be copied whenever a program is started

    if other[:1] != name[:1] or other.endswith(name):
        return False
    return difflib.SequenceMatcher(None, other, name).ratio() >= LIKE


def _shown(text: str) -> str:
    """Return what a sentence can quote."""
    text = _without_password(text)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def _without_password(text: str) -> str:
    return re.sub(r"^([a-z]+://)?.*@", r"\1***@", text, flags=re.DOTALL)
