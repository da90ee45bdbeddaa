"""What one measure gave: the value, the bound, and whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """A row of the table. `holds` is None where nothing could be compared; `detail` then says why.

    `share` is the part of the bound that was used: below 1 the bound holds, and the lower the better. None if unknown.
    """

    measure: str
    measured: str
    bound: str
    holds: bool | None
    detail: str = ""
    share: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields for the file of results."""
        return asdict(self)


@dataclass(frozen=True)
class Bar:
    """A bar of the chart: what it stands for, its length, and the name of the panel in which it is drawn."""

    panel: str
    name: str
    value: float


@dataclass(frozen=True)
class Group:
    """What a group of rows gave: its outcomes, its bars in the chart, and other sentences worth keeping."""

    outcomes: Sequence[Outcome]
    bars: Sequence[Bar] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Effort:
    """How much is measured. In the short form nothing but the harness is tried, so bounds say nothing."""

    short: bool
    peers: Sequence[str]
    say: Callable[[str], None]

    def of(self, full: int, short: int) -> int:
        """Return how often to measure."""
        return short if self.short else full


def at_most(measure: str, measured: str, value: float, bound: float, unit: str = "") -> Outcome:
    """Return the outcome of a value that has an upper bound."""
    return Outcome(measure, measured, f"at most {bound:g}{unit}", value <= bound, share=value / bound)


def at_least(measure: str, measured: str, value: float, bound: float, unit: str = "") -> Outcome:
    """Return the outcome of a value that has a lower bound."""
    share = bound / value if value else None
    return Outcome(measure, measured, f"at least {bound:g}{unit}", value >= bound, share=share)


def skipped(measure: str, bound: str, why: str) -> Outcome:
    """Return the outcome of a measure that cannot be made here."""
    return Outcome(measure, "not measured", bound, None, why)
