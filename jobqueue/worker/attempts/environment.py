"""The environment variables of a program: a few of the worker's, those of the job, and some that describe the job."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobqueue.client.claimed_job import ClaimedJob

DEFAULTS = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
"""Variables that every program gets: with the worker's value where it has one, else with this one.

Without PYTHONUNBUFFERED, the output of a Python program would be shown only when 8 KiB of it are full.
"""

IF_SET = ("LC_ALL", "TZ")
"""Variables that every program gets when the worker has them."""


def shared_variables(variables: Mapping[str, str], passthrough: Iterable[str]) -> dict[str, str]:
    """Return the variables that every program gets from the worker's own: a fixed few, and the names in `passthrough`
    as far as the worker has them.
    """
    return DEFAULTS | {name: variables[name] for name in (*DEFAULTS, *IF_SET, *passthrough) if name in variables}


def user_name(uid: int | None) -> str:
    """Return the name of a user (None: the user of this process); its number when the host has no name for it."""
    number = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # as for the users of the level `user`, and in containers that are started with any number
        return str(number)


def variables_of(
    job: ClaimedJob, shared: Mapping[str, str], directory: Path, timeout_seconds: float | None, user: str
) -> dict[str, str]:
    """Return the whole environment of a job's program, which runs in `directory` as that user.

    The variables that the job was submitted with replace those from the worker. JOB_ID, JOB_TYPE, JOB_ATTEMPT and
    JOB_DEADLINE describe the job and cannot be replaced. JOB_DEADLINE is in seconds since 1970, and empty without a
    time limit.
    """
    deadline = "" if timeout_seconds is None else str(int(time.time() + timeout_seconds))
    return {
        "USER": user,
        "LOGNAME": user,
        **shared,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        **job.env_variables,
        "JOB_ID": job.id,
        "JOB_TYPE": job.type,
        "JOB_ATTEMPT": str(job.attempt),
        "JOB_DEADLINE": deadline,
    }
