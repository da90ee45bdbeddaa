"""How far a job is shut off from its host: a level by its name, or by its description.

The worker's main process makes and claims one for each slot; the slot's own process makes it again from what that
describes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobqueue.worker.isolation.base import (
    FIRST_USER,
    BubblewrapIsolation,
    ImpossibleIsolation,
    Isolation,
    LandlockIsolation,
    Place,
    UserIsolation,
)

__all__ = ["LEVELS", "ImpossibleIsolation", "Isolation", "Place", "from_description", "make"]

_CLASSES: dict[str, type[Isolation]] = {
    each.level: each for each in (Isolation, LandlockIsolation, UserIsolation, BubblewrapIsolation)
}
LEVELS = tuple(_CLASSES)


def make(level: str, hidden: Sequence[str], first_uid: int = FIRST_USER) -> Isolation:
    """Return a level by its name, to be claimed. Raises ImpossibleIsolation."""
    if level not in _CLASSES:
        raise ImpossibleIsolation(f"ISOLATION is {level!r}; it has to be one of {', '.join(LEVELS)}.")
    options = {"first_uid": first_uid} if level == UserIsolation.level else {}
    return _CLASSES[level](hidden, **options)


def from_description(description: Mapping[str, Any]) -> Isolation:
    """Return what was described."""
    options = dict(description)
    return _CLASSES[options.pop("level")](**options)
