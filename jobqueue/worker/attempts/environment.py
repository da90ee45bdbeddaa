"""What a program finds in its environment. Nothing else of the worker's reaches it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobqueue.client.claims import ClaimedJob

ALWAYS = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
"""What every program gets: as the worker has it, or else this."""

IF_SET = ("LC_ALL", "TZ")


def shared_variables(variables: Mapping[str, str], passthrough: Iterable[str]) -> dict[str, str]:
    """Return what every program gets of the worker's variables: these few, and those that are to be passed through."""
    taken = {name: variables[name] for name in (*IF_SET, *passthrough) if name in variables}
    return {**ALWAYS, **{name: variables[name] for name in ALWAYS if name in variables}, **taken}


def variables_of(
    job: ClaimedJob, shared: Mapping[str, str], directory: Path, timeout_seconds: float | None
) -> dict[str, str]:
    """Return a program's whole environment: what its job asks for comes before what it gets from the worker, and what
    it is told about itself before that. JOB_DEADLINE is in seconds since 1970, empty without a time limit.
    """
    deadline = "" if timeout_seconds is None else str(int(time.time() + timeout_seconds))
    return {
        **shared,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        **job.env_variables,
        "JOB_ID": job.id,
        "JOB_TYPE": job.type,
        "JOB_ATTEMPT": str(job.attempt),
        "JOB_DEADLINE": deadline,
    }
