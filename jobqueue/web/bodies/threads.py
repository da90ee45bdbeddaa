"""Keeps long calculations out of gevent's event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from gevent import get_hub, monkey

T = TypeVar("T")

TURN_SECONDS = 0.0005
"""How long a native thread may keep the interpreter while another waits for it."""


def take_short_turns() -> None:
    """Let threads take turns ten times as often as Python does by default.

    gevent's loop gives the interpreter away whenever it reads or writes a socket, and while a thread calculates, it
    then waits for a whole turn to get it back: a request waited half a dozen times 5 ms.
    """
    sys.setswitchinterval(TURN_SECONDS)


def run_apart(function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise what it raises; under gevent, from a native thread.

    A greenlet that calculates stops all others of its process. A native thread shares the interpreter with them.
    `function` must not use the request nor anything else that belongs to the greenlet.
    """
    if not monkey.is_module_patched("threading"):
        return function()
    outcomes: list[tuple[Any, Exception | None]] = []
    get_hub().threadpool.apply(_add_outcome, (function, outcomes))
    result, error = outcomes.pop()
    if error is None:
        return cast("T", result)
    try:
        raise error
    finally:
        # The error's traceback leads to this frame, and to its callers with the body. If the frame led back to the
        # error, all of that would stay in memory until the garbage collector finds the circle.
        del error


def _add_outcome(function: Callable[[], object], outcomes: list[tuple[Any, Exception | None]]) -> None:
    """Add what `function` returns or raises to the list. gevent would print an exception that leaves this function, and
    keep for a while what this function returns.
    """
    try:
        outcomes.append((function(), None))
    except Exception as error:  # noqa: BLE001  # raised again by the caller
        outcomes.append((None, error))
