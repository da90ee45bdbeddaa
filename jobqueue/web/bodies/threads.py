"""Keeps long calculations out of gevent's event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def run_apart(function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise what it raises; under gevent, from a native thread.

    A greenlet that calculates stops all others of its process. A native thread shares the interpreter with them.
    `function` must not use the request nor anything else that belongs to the greenlet.
    """
    if not under_gevent():
        return function()
    from gevent import get_hub  # noqa: PLC0415  # only a server that runs under gevent needs it

    # gevent would print an exception that leaves the function, as if nobody expected it.
    result, error = get_hub().threadpool.apply(_outcome, (function,))
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def under_gevent() -> bool:
    """Return whether threads are greenlets in this process."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _outcome(function: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001  # raised again by the caller
        return None, error
