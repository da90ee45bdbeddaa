"""The levels of isolation, by name and by description.

The worker makes one object for each slot, by name, and reserves it. The slot's supervisor makes an equal one from its
description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobqueue.worker.isolation import system_paths
from jobqueue.worker.isolation.base import (
    HOST_NETWORK,
    NETWORKS,
    NO_NETWORK,
    ImpossibleIsolation,
    Isolation,
    Paths,
)
from jobqueue.worker.isolation.bubblewrap import BubblewrapIsolation
from jobqueue.worker.isolation.landlock import LandlockIsolation
from jobqueue.worker.isolation.user import FIRST_UID, UserIsolation, anybody_may_read

__all__ = [
    "FIRST_UID",
    "HOST_NETWORK",
    "LEVELS",
    "NETWORKS",
    "NO_NETWORK",
    "ImpossibleIsolation",
    "Isolation",
    "Paths",
    "from_description",
    "make",
]

_CLASSES: dict[str, type[Isolation]] = {
    each.level: each for each in (Isolation, LandlockIsolation, UserIsolation, BubblewrapIsolation)
}
LEVELS = tuple(_CLASSES)


def make(level: str, hidden: Sequence[str], first_uid: int = FIRST_UID, network: str = HOST_NETWORK) -> Isolation:
    """Return a level by its name, not yet reserved. Raises ImpossibleIsolation."""
    if level not in _CLASSES:
        raise ImpossibleIsolation(f"ISOLATION is {level!r}, but must be one of {', '.join(LEVELS)}.")
    options: dict[str, Any] = {"first_uid": first_uid} if level == UserIsolation.level else {}
    return _CLASSES[level](hidden, network=network, **options)


def directories_around(level: str, secret: Path | None) -> list[str]:
    """Return the directories to hide from programs at a level, so that they cannot read a file of the worker's, also
    when it is replaced. Raises ImpossibleIsolation when they could read it all the same; at the level `none` they can.
    """
    if secret is None or level == Isolation.level:
        return []
    if level == UserIsolation.level:
        if anybody_may_read(secret):
            raise ImpossibleIsolation(
                f"Every user can read {str(secret)!r}, which holds a secret, and so can programs with ISOLATION=user: "
                "take the right to read it from others (chmod o-r)."
            )
        return []
    try:
        return system_paths.directories_around(secret)
    except ValueError as error:
        raise ImpossibleIsolation(
            f"Programs with ISOLATION={level} can read the files in {str(error)!r}, and {str(secret)!r} there holds a "
            "secret: put it into a directory of its own."
        ) from None


def from_description(description: Mapping[str, Any]) -> Isolation:
    """Return an object equal to the one that was described."""
    options = dict(description)
    return _CLASSES[options.pop("level")](**options)
