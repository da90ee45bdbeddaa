"""The script call by which the API stores jobs, as it is sent to Redis, to be repeated without the API."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from jobqueue.job import NewJob, Priority, Spec
from jobqueue.queue.commands import Commands
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.jobs import write_spec
from jobqueue.queue.scripts import LUA, ROOT, Reply, Script, Scripts

SUBMIT = "submit"
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Recorded(Exception):
    """A script would have been called now, with these arguments."""

    def __init__(self, *arguments: str | int) -> None:
        self.arguments = arguments


class Recorder:
    """Takes the place of the scripts."""

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Raise Recorded."""
        assert name == SUBMIT
        raise Recorded(*arguments)


@dataclass(frozen=True)
class SubmitCall:
    """The arguments of EVALSHA that store jobs, the ids that occur in them, and the spec of the first job."""

    script: Script
    arguments: tuple[Any, ...]
    id_of_argument: dict[int, str]
    spec: str

    def again(self, job_id: str | None = None, spec: str | None = None) -> list[Any]:
        """Return the arguments for other jobs of the same kind: with new ids, and perhaps with another spec.

        How ids and specs are packed into arguments is the product's affair, so they are replaced as text.
        """
        arguments = list(self.arguments)
        for place, known_id in self.id_of_argument.items():
            arguments[place] = arguments[place].replace(known_id, job_id or str(uuid.uuid4()))
            if spec is not None:
                arguments[place] = arguments[place].replace(self.spec, spec)
        return [self.script.sha1, 1, ROOT, *arguments]


def submit_call(jobs: Sequence[dict[str, Any]]) -> SubmitCall:
    """Return the call that stores these jobs, given as bodies of requests."""
    new_jobs = [_new_job(job) for job in jobs]
    arguments = _arguments(new_jobs)
    found = {place: UUID.search(argument) for place, argument in enumerate(arguments) if isinstance(argument, str)}
    id_of_argument = {place: match[0] for place, match in found.items() if match}
    assert len(id_of_argument) == len(jobs), "the ids of jobs are sent in another way: adapt this module"
    return SubmitCall(Script.read(LUA / f"{SUBMIT}.lua"), arguments, id_of_argument, write_spec(new_jobs[0].spec))


def _arguments(jobs: Sequence[NewJob]) -> tuple[str | int, ...]:
    try:
        Commands(cast("Scripts", Recorder()), Policy()).submit(jobs)
    except Recorded as call:
        return call.arguments
    raise AssertionError("jobs are stored in another way: adapt this module")


def _new_job(job: dict[str, Any]) -> NewJob:
    spec = Spec(job["binary_url"], job["binary_sha256"], job["arguments"], job["env_variables"])
    return NewJob(job["type"], Priority(job["priority"]), spec)
