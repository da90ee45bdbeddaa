"""What the views work with: given to the app when it is created, found again from each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from flask import Flask, current_app

from jobqueue.net.destinations.hosts import Hosts
from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection
from jobqueue.queue.queries import Queries
from jobqueue.queue.waiting.listener import Listener
from jobqueue.queue.waiting.waiters import Waiters
from jobqueue.queue.waiting.watches import Watches
from jobqueue.web.access.policy import Access
from jobqueue.web.access.refusals import Refusals

EXTENSION = "jobqueue"


@dataclass(frozen=True)
class Services:
    """The queue, the connection to its Redis, and who may use it.

    waiters, watches: the requests that wait for a job, and those that wait for something to happen to a job. listener:
    gets notices for both; without it, they only look for themselves. access: by default, everybody may do everything.
    binary_hosts: where programs may come from; anywhere if it is empty. rate_limit: how many requests each caller may
    send, "" for any number.
    """

    connection: Connection
    commands: Commands
    claims: Claims
    queries: Queries
    waiters: Waiters = field(default_factory=Waiters)
    watches: Watches = field(default_factory=Watches)
    listener: Listener | None = None
    access: Access = field(default_factory=Access)
    binary_hosts: Hosts = field(default_factory=Hosts)
    rate_limit: str = ""

    @cached_property
    def refusals(self) -> Refusals:
        """The requests of this process that came without a valid token."""
        return Refusals(self.commands.record)

    def end_waits(self) -> None:
        """Have every request that waits answered at once, now and from now on: the server process ends.

        Their tokens are checked once more, with what the file has now: it may be the reason for the end.
        """
        self.access.keyring.read_again()
        self.waiters.end()
        self.watches.end()

    def recheck_waits(self) -> None:
        """Have every request that waits see whether its token is still valid: tokens have been removed or added."""
        self.waiters.recheck()
        self.watches.recheck()


def install(app: Flask, services: Services) -> None:
    """Give an app its services."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """Return the services of the app that handles this request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Return the services of an app."""
    return cast("Services", app.extensions[EXTENSION])
