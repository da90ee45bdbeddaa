"""Visits every state of the model of leases that a set of rules allows, and looks for broken properties."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tests.queue.lease_model import HAS_JOB, LATE, LIVE, State, steps
from tests.queue.lease_rules import Rules

PROPERTIES = {
    "result lost": "A worker was told that its result is stored, but it is not.",
    "stale": "The result of an attempt that had ended was stored.",
    "lied": "A worker was told that its result is refused, but it is stored.",
    "stuck": "The job is not claimed, does not end, and never will.",
    "overwritten": "A stored result was replaced.",
    "cancel lost": "A job was cancelled and ended otherwise.",
    "shared": "Two workers run the same attempt.",
    "never run": "The job failed by lost attempts, though no worker had died and none had received it.",
    "robbed": "A job was taken back from an executor that had named it in a heartbeat.",
}


def broken_in(state: State) -> Iterator[str]:
    """Yield the properties that a state breaks."""
    if any(token != state.result or state.status != "completed" for token in state.told_stored):
        yield "result lost"
    if state.result in state.told_refused:
        yield "lied"
    if state.cancelled and state.status != "cancelled":
        yield "cancel lost"
    tokens = [worker.token for worker in state.workers if worker.state in HAS_JOB]
    if len(set(tokens)) < len(tokens):
        yield "shared"
    nobody_died = all(worker.state in LIVE for worker in state.workers)
    if state.status == "failed" and nobody_died and not state.ever_received:
        yield "never run"


def broken_by(rules: Rules) -> tuple[int, dict[str, list[str]]]:
    """Visit all states. Return how many there are, and for each broken property the shortest way to break it."""
    came_from: dict[State, tuple[State | None, str]] = {State(): (None, "")}
    before: dict[State, list[State]] = {}
    broken: dict[str, list[str]] = {}
    queue = deque([State()])
    while queue:
        state = queue.popleft()
        for what, after, broken_by_step in steps(state, rules):
            if not what.startswith(LATE):
                before.setdefault(after, []).append(state)
            if after not in came_from:
                came_from[after] = state, what
                queue.append(after)
            for name in {broken_by_step, *broken_in(after)} - {"", *broken}:
                broken[name] = [*_way_to(state, came_from), what]
    for state in _stuck(before, came_from):
        broken.setdefault("stuck", _way_to(state, came_from))
    return len(came_from), broken


def _stuck(before: dict[State, list[State]], states: dict[State, tuple[State | None, str]]) -> list[State]:
    """Return the states from which the job can neither end nor become pending."""
    fine = {state for state in states if state.status != "running"}
    queue = deque(fine)
    while queue:
        for state in before.get(queue.popleft(), []):
            if state not in fine:
                fine.add(state)
                queue.append(state)
    return [state for state in states if state not in fine]


def _way_to(state: State | None, came_from: dict[State, tuple[State | None, str]]) -> list[str]:
    way: list[str] = []
    while state is not None:
        state, what = came_from[state]
        way.append(what)
    return way[-2::-1]
