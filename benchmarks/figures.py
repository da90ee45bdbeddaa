"""Medians, percentiles and ratios of measured values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

TAIL_SAMPLES = 2
"""How many samples must lie above a percentile for it to be called that, and not the largest sample."""


@dataclass(frozen=True)
class Percentile:
    """A percentile by the nearest rank. If there are too few samples for it, it is the largest sample, and says so."""

    value: float
    label: str


def percentile(samples: Sequence[float], share: float) -> Percentile:
    """Return the value below or at which `share` (0 to 1) of the samples lie. Raises ValueError without any sample.

    Of 100 samples, the 99th of 100 is nearly the largest: one more slow sample changes it entirely. So at least
    TAIL_SAMPLES samples must lie above it.
    """
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    rank = max(1, math.ceil(share * len(ordered) - 1e-9))
    if len(ordered) - rank < TAIL_SAMPLES:
        return Percentile(ordered[-1], f"max of {len(ordered)}")
    return Percentile(ordered[rank - 1], f"p{share * 100:g} of {len(ordered)}")


def spread(samples: Sequence[float], digits: int = 0) -> str:
    """Return the median with the lowest and the highest sample, as text."""
    return f"{number(median(samples), digits)} ({number(min(samples), digits)} to {number(max(samples), digits)})"


def number(value: float, digits: int = 0) -> str:
    """Return a number with thousands separators and that many digits behind the point."""
    return f"{value:,.{digits}f}"


def paired_ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each pair of turns. Raises ValueError when the turns are not pairs."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def rate_between(moments: Sequence[float], first: int) -> float:
    """Return how many events a second there were from the `first`th (counted from 1) to the last.

    Raises ValueError if there are too few events.
    """
    ordered = sorted(moments)
    if len(ordered) <= first:
        raise ValueError(f"{len(ordered)} events, but the {first}th is not before the last")
    return (len(ordered) - first) / (ordered[-1] - ordered[first - 1])
