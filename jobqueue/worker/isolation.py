"""How far a job is shut off from its host: a level by its name, by its description, and whether it is possible here.

The worker's main process makes and claims one for each slot; the slot's own process makes it again from what that
describes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobqueue.worker.levels import (
    FIRST_USER,
    BubblewrapIsolation,
    ImpossibleIsolation,
    Isolation,
    LandlockIsolation,
    Place,
    UserIsolation,
)

__all__ = ["LEVELS", "ImpossibleIsolation", "Isolation", "Place", "from_description", "make", "probe"]

CODE = Path(__file__).parents[2]
TRIAL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from jobqueue.worker import hardening, isolation, trial
hardening.renounce()
sys.stdout.write(trial.run(isolation.from_description(json.loads(sys.argv[2]))) or "")
"""

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


def probe(level: str, hidden: Sequence[str] = (), first_uid: int = FIRST_USER) -> str | None:
    """Run a program in a level. Return None when that is possible here, else the sentence that says why not."""
    try:
        confined = make(level, hidden, first_uid)
        confined.claim()
    except ImpossibleIsolation as error:
        return str(error)
    why_not = _try(confined)
    confined.release()
    return why_not and f"ISOLATION is {level!r}, but a program could not be run in it here ({why_not}); choose another."


def _try(confined: Isolation) -> str | None:
    """Have a new process, which is like a slot's, run a program. Return why it could not."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", TRIAL, str(CODE), json.dumps(confined.describe())],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
    )
    if process.returncode != 0:
        return process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return process.stdout.decode().strip() or None
