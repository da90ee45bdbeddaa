"""An exhaustive model of the rules by which one job is claimed, held and reported about.

Three worker processes share it; the second is the first one, started again under the same executor id. The network
loses answers, delays requests, and delivers them more than once. A lease may end at any moment at which its executor
could have been silent for so long.

Times are left out: a claim is old, and a lease has ended, as soon as that can make a difference. A report and the claim
in the same request are two steps, and the server may end between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.queue.lease_rules import Rules

EXECUTORS = ("A", "A", "B")
MAX_LOST = 2
MAX_ATTEMPTS = 2
MAX_CLAIMS = 2


class Worker(NamedTuple):
    """A worker process: idle, asking, running, reporting, paused or dead; its claim, and its attempt."""

    state: str = "idle"
    claim: int = 0
    token: int = 0


class Request(NamedTuple):
    """A request on the network: a report about an attempt ("" for none), and a claim (0 for none)."""

    worker: int
    report: str
    token: int
    claim: int


class State(NamedTuple):
    """The job in the store, the claims that the store remembers, the workers, and the network."""

    status: str = "pending"
    token: int = 0
    executor: str = ""
    lease: str = ""  # alive, ended, or forgotten: ended, and the notice was lost
    lost: int = 0
    received: bool = False
    result: int = 0
    claims: frozenset[tuple[int, int]] = frozenset()  # claim, and the token that it got
    next_token: int = 1
    next_claim: int = 1
    workers: tuple[Worker, ...] = (Worker(),) * 3
    network: frozenset[Request] = frozenset()
    told_stored: frozenset[int] = frozenset()
    told_refused: frozenset[int] = frozenset()
    ever_received: bool = False
    cancelled: bool = False

    def with_worker(self, index: int, worker: Worker) -> State:
        """Return this state with another state of a worker."""
        return self._replace(workers=(*self.workers[:index], worker, *self.workers[index + 1 :]))


Step = tuple[str, State, str]
"""What happened, the state after it, and the property that it broke, "" for none."""

LATE = "late: "
"""Marks what comes from a message that nobody sends any more. It may never come, so nothing may depend on it."""

LIVE = ("idle", "asking", "running", "reporting")
HAS_JOB = ("running", "reporting", "paused")


def steps(state: State, rules: Rules) -> Iterator[Step]:
    """Yield everything that may happen next."""
    for index, worker in enumerate(state.workers):
        if _has_begun(state, index):
            yield from _worker_steps(state, rules, index, worker)
    for request in state.network:
        yield from _deliveries(state, rules, request)
    yield from _lease_steps(state, rules)
    if state.status == "pending" and not state.cancelled:
        yield "cancelled", state._replace(status="cancelled", cancelled=True), ""


def _worker_steps(state: State, rules: Rules, index: int, worker: Worker) -> Iterator[Step]:
    if worker.state == "idle" and state.next_claim <= MAX_CLAIMS:
        yield from _sends(state, index, "", 0)
    if worker.state == "running":
        for report in ("complete", "release"):
            yield from _sends(state, index, report, worker.token)
        if index == 0:
            yield f"{index} is suspended", state.with_worker(index, worker._replace(state="paused")), ""
        if _is_held(state, rules, worker.token, index):
            yield f"{index} sends a heartbeat", state._replace(lease="alive", received=True), ""
        else:
            yield f"{index} learns that its job is lost", state.with_worker(index, Worker()), ""
    if worker.state == "paused":
        yield f"{index} resumes", state.with_worker(index, worker._replace(state="running")), ""
    if index < 2 and worker.state in {"asking", "running", "reporting"}:
        yield f"{index} is killed", state.with_worker(index, Worker("dead")), ""


def _sends(state: State, index: int, report: str, token: int) -> Iterator[Step]:
    """A worker sends a report, a claim, or both. It repeats the request until it is answered."""
    with_claim = state.next_claim <= MAX_CLAIMS
    claim = state.next_claim if with_claim else 0
    request = Request(index, report, token, claim)
    sent = state.with_worker(index, Worker("reporting" if report else "asking", claim, token))
    next_claim = state.next_claim + with_claim
    yield f"{index} sends {request}", sent._replace(network=state.network | {request}, next_claim=next_claim), ""


def _deliveries(state: State, rules: Rules, request: Request) -> Iterator[Step]:
    """A request arrives, perhaps not for the first time. Its answer gets lost or not."""
    worker = state.workers[request.worker]
    awaited = worker.state in {"asking", "reporting"} and (worker.claim, worker.token) == (request.claim, request.token)
    when = "" if awaited else LATE
    what, stored, refused, broken = _reported(state, rules, request)
    yield f"{when}{request} arrives, the server ends within it: {what}", stored, broken
    what_too, claimed, got = _claimed(stored, rules, request)
    yield f"{when}{request} arrives, the answer is lost: {what} {what_too}", claimed, broken
    if not awaited:
        return
    if request.report == "complete":
        told = frozenset({request.token})
        if refused:
            claimed = claimed._replace(told_refused=claimed.told_refused | told)
        else:
            claimed = claimed._replace(told_stored=claimed.told_stored | told)
    answered = claimed.with_worker(request.worker, Worker("running", 0, got) if got else Worker())
    answered = answered._replace(ever_received=answered.ever_received or got > 0)
    yield f"{request} is answered: {what} {what_too}", answered, broken


def _reported(state: State, rules: Rules, request: Request) -> tuple[str, State, bool, str]:
    """Store a report. Return what happened, the new state, whether it was refused, and the property that it broke."""
    if not request.report:
        return "", state, False, ""
    if _is_held(state, rules, request.token, request.worker):
        if request.report == "release":
            return "released", _pending(state), False, ""
        broken = "stale" if request.token != state.token else ""
        broken = "overwritten" if state.result not in {0, request.token} else broken
        return "stored", state._replace(status="completed", result=request.token, lease=""), False, broken
    if rules.replays and request.report == "complete" and state.result == request.token:
        return "replayed", state, False, ""
    return "refused", state, True, ""


def _claimed(state: State, rules: Rules, request: Request) -> tuple[str, State, int]:
    """Hand out the job. Return what happened, the new state, and the token that the answer has, 0 for none."""
    if not request.claim:
        return "", state, 0
    remembered = dict(state.claims).get(request.claim)
    if remembered is not None and rules.claim_ids:
        still_held = state.token == remembered and state.executor == EXECUTORS[request.worker]
        if state.status == "running" and (still_held or not rules.held_claims):
            return "claimed again", state._replace(lease="alive"), state.token
        return "nothing again", state, 0
    if state.status != "pending" or state.next_token > MAX_ATTEMPTS:
        return "nothing", state, 0
    token = state.next_token
    state = state._replace(
        status="running", token=token, executor=EXECUTORS[request.worker], lease="alive", received=False,
        next_token=token + 1, claims=state.claims | {(request.claim, token)},
    )  # fmt: skip
    return "claimed", state, token


def _lease_steps(state: State, rules: Rules) -> Iterator[Step]:
    """The lease ends, or a heartbeat without the job arrives: one of now, or one that was sent long ago."""
    if state.status != "running":
        return
    if rules.take_back and not (rules.received and state.received):
        taken = _pending(state) if rules.forgiving else _lose(state)
        when = "" if _executor_lives(state) else LATE
        yield f"{when}a heartbeat does not name the job", taken, "robbed" if state.received else ""
    if state.lease == "alive" and not _is_kept(state, rules):
        yield "the lease ends", state._replace(lease="ended"), ""
        if not rules.deadlines:
            yield "the lease ends, the notice is lost", state._replace(lease="forgotten"), ""
    if state.lease == "ended":
        yield "the attempt is lost", _lose(state), ""


def _executor_lives(state: State) -> bool:
    """Return whether a process of the executor that claimed the job is at work."""
    return any(
        worker.state in LIVE and EXECUTORS[index] == state.executor and _has_begun(state, index)
        for index, worker in enumerate(state.workers)
    )


def _has_begun(state: State, index: int) -> bool:
    return index != 1 or state.workers[0].state in {"dead", "paused"}


def _is_kept(state: State, rules: Rules) -> bool:
    """Return whether the executor is alive, and prevents in time that the lease ends: by a heartbeat that names the
    job, by one that does not, or by repeating its claim.
    """
    for index, worker in enumerate(state.workers):
        if worker.state in LIVE and EXECUTORS[index] == state.executor and _has_begun(state, index):
            runs = worker.state in {"running", "reporting"} and worker.token == state.token
            repeats = rules.claim_ids and (worker.claim, state.token) in state.claims
            if runs or repeats or (rules.take_back and not state.received):
                return True
    return False


def _is_held(state: State, rules: Rules, token: int, index: int) -> bool:
    right_token = not rules.token or token == state.token
    right_executor = not rules.executor or EXECUTORS[index] == state.executor
    return right_token and right_executor and (state.status == "running" or not rules.status)


def _pending(state: State) -> State:
    return state._replace(status="pending", token=0, executor="", lease="", received=False)


def _lose(state: State) -> State:
    lost = _pending(state)._replace(lost=state.lost + 1)
    return lost._replace(status="failed") if lost.lost >= MAX_LOST else lost
