"""What may be asked again, and how long is waited in between."""

from __future__ import annotations

from itertools import islice

from jobqueue.client.claims import METHODS, Claims
from jobqueue.client.jobs import Jobs
from jobqueue.client.retry import MAY_REPEAT, backoff


def public_methods(kind: type) -> set[str]:
    return {name for name, member in vars(kind).items() if callable(member) and not name.startswith("_")}


def test_every_waiting_time_is_below_a_bound_that_doubles_to_the_longest() -> None:
    bounds = [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    for _ in range(200):
        assert all(0 <= pause <= bound for pause, bound in zip(backoff(0.25, 5), bounds, strict=False))


def test_waiting_times_fill_the_whole_range() -> None:
    """Full jitter: clients that failed together do not come back together."""
    seventh = [next(islice(backoff(0.25, 5), 6, None)) for _ in range(500)]
    assert min(seventh) < 1
    assert max(seventh) > 4


def test_waiting_times_never_end() -> None:
    assert 0 <= next(islice(backoff(0.25, 5), 5000, None)) <= 5


def test_neither_a_submit_nor_a_claim_may_be_repeated() -> None:
    assert not MAY_REPEAT["submit"]
    assert not MAY_REPEAT["claim"]


def test_every_report_may_be_repeated() -> None:
    """They are sent until they are answered."""
    assert all(MAY_REPEAT[verb] for verb in METHODS)


def test_every_verb_of_the_client_is_in_the_table_and_no_other() -> None:
    verbs = (public_methods(Claims) | public_methods(Jobs)) - {"close", "report", "holder"}
    assert set(MAY_REPEAT) == verbs | set(METHODS)
