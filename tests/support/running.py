"""How a test makes an attempt, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobqueue.worker.attempts.attempt import Attempt, Verdict


@dataclass(frozen=True)
class Ran:
    """An attempt that is over, and its verdict."""

    attempt: Attempt
    verdict: Verdict


Run = Callable[..., Ran]
