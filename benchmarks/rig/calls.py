"""The script call by which the API stores jobs, as it is sent to Redis, to be repeated without the API."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from jobqueue.job import NewJob, Priority, Spec
from jobqueue.queue.commands import Commands
from jobqueue.queue.policy import Policy
from jobqueue.queue.records import write_spec
from jobqueue.queue.scripts import LUA, ROOT, Reply, Script, Scripts

SUBMIT = "submit"


class Recorder:
    """Takes the place of the scripts, and keeps what it is called with."""

    def __init__(self) -> None:
        self.arguments: tuple[str | int, ...] = ()

    def call(self, name: str, *arguments: str | int) -> Reply:
        """Keep the arguments; answer as if the jobs were stored."""
        assert name == SUBMIT
        self.arguments = arguments
        return 0


@dataclass(frozen=True)
class SubmitCall:
    """The arguments of EVALSHA that store jobs, with the places at which their ids and specs are."""

    script: Script
    arguments: tuple[Any, ...]
    id_places: Sequence[int]
    spec_place: int

    def again(self, spec: str | None = None) -> list[Any]:
        """Return the arguments for other jobs of the same kind: with new ids, and for one job with another spec."""
        arguments = list(self.arguments)
        for place in self.id_places:
            arguments[place] = str(uuid.uuid4())
        if spec is not None:
            arguments[self.spec_place] = spec
        return [self.script.sha1, 1, ROOT, *arguments]


def submit_call(jobs: Sequence[dict[str, Any]]) -> SubmitCall:
    """Return the call that stores these jobs, given as bodies of requests."""
    recorder = Recorder()
    new_jobs = [_new_job(job) for job in jobs]
    submitted = Commands(cast("Scripts", recorder), Policy()).submit(new_jobs)
    arguments = recorder.arguments
    return SubmitCall(
        Script.read(LUA / f"{SUBMIT}.lua"),
        arguments,
        [place for place, argument in enumerate(arguments) if argument in set(submitted.job_ids)],
        arguments.index(write_spec(new_jobs[0].spec)),
    )


def _new_job(job: dict[str, Any]) -> NewJob:
    spec = Spec(job["binary_url"], job["binary_sha256"], job["arguments"], job["env_variables"])
    return NewJob(job["type"], Priority(job["priority"]), spec)
