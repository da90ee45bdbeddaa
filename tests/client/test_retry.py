"""What may be asked again, and how long is waited in between."""

from __future__ import annotations

from itertools import islice

import pytest

from jobqueue.client.claims import Claims, Report
from jobqueue.client.jobs import Jobs
from jobqueue.client.retry import MAY_REPEAT, backoff, until_answered
from jobqueue.client.transport import ApiRefused, ApiUnavailable


class Api:
    """Fails to answer that many times, then answers."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ApiUnavailable
        return "answer"


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


def test_a_call_is_made_until_it_is_answered() -> None:
    api, pauses = Api(failures=4), list[float]()

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    assert until_answered("complete", api, pause) == "answer"
    assert (api.calls, len(pauses)) == (5, 4)


def test_an_answer_at_once_costs_no_pause() -> None:
    assert until_answered("get", Api(failures=0), lambda _: pytest.fail("paused")) == "answer"


def test_a_refusal_is_an_answer() -> None:
    def refuse() -> None:
        raise ApiRefused(400, "no", {})

    with pytest.raises(ApiRefused):
        until_answered("complete", refuse, lambda _: pytest.fail("paused"))


def test_giving_up_tells_the_last_failure() -> None:
    api = Api(failures=100)
    left = iter([True, True, False])
    with pytest.raises(ApiUnavailable):
        until_answered("heartbeat", api, lambda _: next(left))
    assert api.calls == 3


@pytest.mark.parametrize("verb", [verb for verb, may in MAY_REPEAT.items() if not may])
def test_what_must_not_be_repeated_is_not_even_tried(verb: str) -> None:
    api = Api(failures=0)
    with pytest.raises(ValueError, match=verb):
        until_answered(verb, api, lambda _: True)
    assert api.calls == 0


def test_neither_a_submit_nor_a_claim_may_be_repeated() -> None:
    assert not MAY_REPEAT["submit"]
    assert not MAY_REPEAT["claim"]


def test_every_verb_of_the_client_is_in_the_table_and_no_other() -> None:
    verbs = (public_methods(Claims) | public_methods(Jobs)) - {"close", "report"}
    reports = {Report(0).verb, Report(1, error_message="exited with code 1").verb}
    assert set(MAY_REPEAT) == verbs | reports
