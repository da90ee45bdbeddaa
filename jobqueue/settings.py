"""Declares settings and reads them from environment variables.

A dataclass declares its fields by `declare`; `load` makes one from the environment. A wrong value is reported in one
sentence that says what is allowed. The documentation's tables are tested against the declarations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from jobqueue.redaction import redacted, redacted_text

T = TypeVar("T")

LONGEST_SECONDS = 10 * 365 * 24 * 3600
LONGEST_SHOWN = 200
SIMILARITY = 0.85
"""How similar (0 to 1, as difflib counts it) a variable's name must be to a setting's to count as a misspelling."""


class InvalidSetting(Exception):
    """A setting has a value that is not allowed. The message names the variable, the value and what is allowed."""


@dataclass(frozen=True)
class Setting(Generic[T]):
    """An environment variable that a program reads.

    default: the value when the variable is unset or empty, or a function that returns it. parse: returns the value for
    a text, raises ValueError for one that is not allowed. allowed: completes the sentence "NAME must be …".
    meaning, default_text: what the setting and its default are, in words. is_secret: the value counts with the spaces
    around it, and is never shown.
    """

    name: str
    default: T | Callable[[], T]
    parse: Callable[[str], T]
    allowed: str
    meaning: str
    default_text: str
    is_secret: bool = False

    def read(self, variables: Mapping[str, str]) -> T:
        """Return the value. Raises InvalidSetting."""
        text = variables.get(self.name, "")
        text = text if self.is_secret else text.strip()
        if not text:
            return self.default() if callable(self.default) else self.default
        try:
            return self.parse(text)
        except ValueError:
            if self.is_secret:
                raise InvalidSetting(f"{self.name} must be {self.allowed}.") from None
            raise InvalidSetting(f"{self.name} is {_shown(text)!r}, but must be {self.allowed}.") from None


def declare(setting: Setting[T]) -> T:
    """Return a dataclass field that `load` reads from a setting. Type checkers take it for the setting's value."""
    return cast("T", field(metadata={"setting": setting}, repr=not setting.is_secret))


def declared(settings_class: Any) -> dict[str, Setting[Any]]:
    """Return the settings that a dataclass declares, by the names of its fields."""
    return {each.name: each.metadata["setting"] for each in fields(settings_class)}


def load(settings_class: type[T], variables: Mapping[str, str]) -> T:
    """Return the dataclass, read from the variables. Raises InvalidSetting."""
    return settings_class(**{name: setting.read(variables) for name, setting in declared(settings_class).items()})


def allow(value: T, condition: object) -> T:
    """Return the value. Raises ValueError unless the condition holds."""
    if not condition:
        raise ValueError
    return value


def whole_number(
    name: str, default: int | Callable[[], int], bounds: tuple[int, int], meaning: str, default_text: str = ""
) -> int:
    """Declare a setting that is a whole number between the bounds, which are allowed, too."""

    def parse(text: str) -> int:
        number = int(text) if re.fullmatch("[0-9]{1,18}", text) else -1
        return allow(number, bounds[0] <= number <= bounds[1])

    allowed = f"a whole number from {bounds[0]} to {bounds[1]}"
    return declare(Setting(name, default, parse, allowed, meaning, default_text or str(default)))


def seconds(name: str, default: T, lowest: float, meaning: str) -> float | T:
    """Declare a setting in seconds, with fractions down to a millisecond."""

    def parse(text: str) -> float:
        number = float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12}", text) else math.nan
        return allow(round(number, 3), lowest <= number <= LONGEST_SECONDS)

    allowed = f"a number of seconds from {lowest:g} to {LONGEST_SECONDS}"
    default_text = "none" if default is None else f"{default:g}"
    return declare(Setting[float | T](name, default, parse, allowed, meaning, default_text))


def job_timeout() -> float | None:
    """Declare JOB_TIMEOUT_SECONDS. The server applies it to a job that is submitted without a time limit, the worker to
    one that it claims without.
    """
    return seconds("JOB_TIMEOUT_SECONDS", None, 0.1, "time limit of programs whose job names no timeout_seconds")


def log_format() -> str:
    """Declare LOG_FORMAT, which server and worker read."""
    return choice("LOG_FORMAT", ("logfmt", "json"), "how a line of the log is written")


def choice(name: str, options: Sequence[str], meaning: str) -> str:
    """Declare a setting that is one of several words, of which the first is the default."""
    allowed = "one of " + ", ".join(options)
    return declare(Setting(name, options[0], lambda text: allow(text, text in options), allowed, meaning, options[0]))


def words(name: str, pattern: str, what: str, meaning: str, default_text: str = "none") -> tuple[str, ...]:
    """Declare a setting that is a list of words, separated by commas, each of which matches the pattern. `what` says in
    a message what they are.
    """

    def parse(text: str) -> tuple[str, ...]:
        # Nothing but commas is refused: a list of allowed hosts that is empty by accident would allow every host.
        listed = tuple(word.strip() for word in text.split(",") if word.strip())
        return allow(listed, listed and all(re.fullmatch(pattern, word) for word in listed))

    return declare(Setting(name, (), parse, f"{what}, with commas between", meaning, default_text))


def directory(name: str, default: T, meaning: str, default_text: str = "") -> Path | T:
    """Declare a setting that is an absolute path."""

    def parse(text: str) -> Path:
        return allow(Path(text), text.startswith("/") and "\0" not in text)

    return declare(Setting[Path | T](name, default, parse, "an absolute path", meaning, default_text or str(default)))


def secret(name: str, meaning: str) -> str | None:
    """Declare a setting that is any text, which is never shown."""

    def parse(text: str) -> str:
        return allow(text, text.encode())  # bytes that are no text cannot be encoded again

    return declare(Setting[str | None](name, None, parse, "text in UTF-8", meaning, "none", is_secret=True))


class Unescaped(ValueError):
    """A URL contains a character that has to be written as %XX. The text completes the sentence "NAME is …, but …"."""


def url(
    name: str, default: str, schemes: Sequence[str], meaning: str, check: Callable[[str], None] = lambda _: None
) -> str:
    """Declare a setting that is a URL with one of the schemes and a host (`unix`: a path). `check` raises ValueError if
    it is wrong in another way, with a text that completes the sentence "NAME is …, but …".
    """

    def parse(text: str) -> str:
        wrong = ""
        try:
            check(text)
        except ValueError as error:
            wrong = f"{name} is {_shown(text)!r}, but {redacted_text(str(error)).rstrip('.')}."
            if isinstance(error, Unescaped):  # which part is which cannot be told then
                raise InvalidSetting(wrong) from None
        parts = urlsplit(text)
        complete = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0
        allow(text, complete and parts.scheme in schemes and not re.search(r"\s", text))
        if wrong:
            raise InvalidSetting(wrong)
        return text

    allowed = "a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes)
    return declare(Setting(name, default, parse, allowed, meaning, default))


def misspelt(variables: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables whose names are nearly the name of a setting, or its first words (JOB_TIMEOUT), each with
    that setting's name.
    """
    import difflib  # noqa: PLC0415  # supervisors import this module, and every fork copies their memory

    matches = {}
    for variable in sorted({*variables}.difference(names)):
        # Other programs have settings that end like ours (UV_CACHE_DIR), so only errors after the first letter count.
        candidates = [name for name in names if name[0] == variable[:1] and not variable.endswith(name)]
        begun = [name for name in candidates if "_" in variable and name.startswith(f"{variable}_")]
        matches[variable] = "".join(begun[:1] or difflib.get_close_matches(variable, candidates, 1, SIMILARITY))
    return {variable: name for variable, name in matches.items() if name}


def _shown(text: str) -> str:
    """Return a value as a message may quote it: without secrets, and not too long."""
    text = redacted(text)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
