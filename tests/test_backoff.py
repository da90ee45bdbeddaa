"""Pauses between tries grow, are random, and never end."""

from __future__ import annotations

from itertools import islice

from jobqueue.backoff import backoff


def test_every_pause_is_below_a_bound_that_doubles_to_the_longest() -> None:
    bounds = [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    for _ in range(200):
        assert all(0 <= pause <= bound for pause, bound in zip(backoff(0.25, 5), bounds, strict=False))


def test_pauses_fill_the_whole_range() -> None:
    """Full jitter: clients that failed together do not come back together."""
    seventh = [next(islice(backoff(0.25, 5), 6, None)) for _ in range(500)]
    assert min(seventh) < 1
    assert max(seventh) > 4


def test_pauses_never_end() -> None:
    assert 0 <= next(islice(backoff(0.25, 5), 5000, None)) <= 5
