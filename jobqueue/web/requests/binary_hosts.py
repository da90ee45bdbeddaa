"""Refuses jobs whose programs come from elsewhere than BINARY_HOSTS allows."""

from __future__ import annotations

from collections.abc import Sequence

from jobqueue.job import NewJob
from jobqueue.net.destinations.hosts import Hosts
from jobqueue.web.bodies.parser import refuse
from jobqueue.web.schemas.fields import server_of

NOT_ALLOWED = {"binary_url": ["Must be on one of the hosts that BINARY_HOSTS allows."]}


def check_one(job: NewJob, hosts: Hosts) -> None:
    """Raise InvalidRequest unless the program of a job comes from one of the hosts, or there are none."""
    if hosts and not _is_from(job, hosts):
        refuse(NOT_ALLOWED)


def check(jobs: Sequence[NewJob], hosts: Hosts) -> None:
    """Raise InvalidRequest, which names each job of a bulk whose program comes from elsewhere by its index."""
    elsewhere = [index for index, job in enumerate(jobs) if not _is_from(job, hosts)] if hosts else []
    if elsewhere:
        refuse(dict.fromkeys(elsewhere, NOT_ALLOWED))


def _is_from(job: NewJob, hosts: Hosts) -> bool:
    return hosts.include(*server_of(job.spec.binary_url))
