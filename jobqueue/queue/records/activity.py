"""Who did what: how it is written for the scripts, and read back."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "-"
LONGEST_WORD = 128


@dataclass(frozen=True)
class Who:
    """A caller: the name of its API token, and its address. Both are "" where they are unknown."""

    token: str = ""
    address: str = ""

    @property
    def text(self) -> str:
        """The caller as the scripts take it."""
        return f"{word(self.token)} {word(self.address)}"

    @property
    def facts(self) -> dict[str, str]:
        """What is known of the caller, for the log."""
        return {name: value for name, value in vars(self).items() if value}


NOBODY = Who()


@dataclass(frozen=True)
class Activity:
    """What was done: when (milliseconds since 1970), by whom, to what (None for several), and how many times."""

    at_ms: int
    who: Who
    action: str
    target: str | None
    count: int


@dataclass(frozen=True)
class ActivityPage:
    """One page of the record, newest first, how many entries are kept, and where the next page begins: at a cursor that
    is 0 if there is none.
    """

    entries: list[Activity]
    total: int
    next_cursor: int


def word(text: str) -> str:
    """Return a text as one word of a line, without white space and not too long. It may come from a header."""
    return "".join(text.split())[:LONGEST_WORD] or UNKNOWN


def read_activity(line: str) -> Activity:
    """Return what `lua/lib/store/record_activity.lua` wrote."""
    at_ms, token, address, action, target, count = line.split(" ")
    return Activity(int(at_ms), Who(_known(token), _known(address)), action, _known(target) or None, int(count))


def _known(text: str) -> str:
    return "" if text == UNKNOWN else text
