"""Percentiles, ratios and rates of measured values."""

from __future__ import annotations

import pytest

from benchmarks.figures import paired_ratios, percentile, rate_between, spread


@pytest.mark.parametrize(
    ("count", "share", "value", "label"),
    [
        (1000, 0.99, 990, "p99 of 1000"),
        (300, 0.99, 297, "p99 of 300"),
        (200, 0.99, 198, "p99 of 200"),
        (199, 0.99, 199, "max of 199"),
        (100, 0.99, 100, "max of 100"),
        (101, 0.5, 51, "p50 of 101"),
        (1, 0.5, 1, "max of 1"),
    ],
)
def test_a_percentile_without_samples_above_it_is_called_the_maximum(
    count: int, share: float, value: float, label: str
) -> None:
    found = percentile([*range(count, 0, -1)], share)
    assert (found.value, found.label) == (value, label)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


def test_ratios_are_those_of_the_turns() -> None:
    assert paired_ratios([2, 9], [1, 3]) == [2, 3]
    with pytest.raises(ValueError, match="shorter"):
        paired_ratios([1, 2], [1])


def test_a_rate_counts_the_events_after_the_first_one_that_counts() -> None:
    assert rate_between([7, 1, 2, 3], 2) == 2 / 5
    with pytest.raises(ValueError, match="not before the last"):
        rate_between([1, 2], 2)


def test_a_spread_names_the_median_and_both_ends() -> None:
    assert spread([1000, 3000, 2000]) == "2,000 (1,000 to 3,000)"
    assert spread([0.5], 2) == "0.50 (0.50 to 0.50)"
