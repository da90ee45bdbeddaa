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
    recorder = Recorder()
    new_jobs = [_new_job(job) for job in jobs]
    submitted = Commands(cast("Scripts", recorder), Policy()).submit(new_jobs)
    job_ids = iter(submitted.job_ids)
    job_id = next(job_ids)
    id_of_argument = {}
    for place, argument in enumerate(recorder.arguments):
        if isinstance(argument, str) and job_id in argument:
            id_of_argument[place] = job_id
            job_id = next(job_ids, job_id)
    assert len(id_of_argument) == len(jobs), "the ids of jobs are sent in another way: adapt this module"
    script = Script.read(LUA / f"{SUBMIT}.lua")
    return SubmitCall(script, recorder.arguments, id_of_argument, write_spec(new_jobs[0].spec))


def _new_job(job: dict[str, Any]) -> NewJob:
    spec = Spec(job["binary_url"], job["binary_sha256"], job["arguments"], job["env_variables"])
    return NewJob(job["type"], Priority(job["priority"]), spec)
