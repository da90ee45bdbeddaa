"""A job uses the kernel's keyring of the worker's user, or leaves keys there for the next job."""

from __future__ import annotations

import errno
import json
import os

import pytest

from jobqueue.worker.isolation.levels import LEVELS
from tests.support.confined import python, sandbox
from tests.support.keyrings import TRY_KEYRINGS, forget_key, key_of_the_user

CALLS = ("search", "request", "read", "add", "session")


@pytest.mark.parametrize("level", LEVELS)
def test_a_job_uses_the_keyring_of_its_worker_only_where_the_level_leaves_it_open(level: str) -> None:
    name = f"jobqueue-test-{os.getpid()}-{level}"
    with sandbox(level) as made, key_of_the_user(name, "canary") as serial:
        outcome = made.run(f"#!{python()} -IS\n{TRY_KEYRINGS}", name, str(serial))
        closed = made.isolation.closed()["keyrings"]
    results = json.loads(outcome.stdout)
    left = forget_key(f"{name}-left")
    if closed:
        assert {results[each] for each in CALLS} == {os.strerror(errno.ENOSYS)}
        assert not left
    else:
        assert (level, results["search"], results["secret"], left) == ("none", serial, "canary", True)
