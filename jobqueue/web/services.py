"""What the views work with: given to the app when it is created, found again from each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection
from jobqueue.queue.queries import Queries

EXTENSION = "jobqueue"


@dataclass(frozen=True)
class Services:
    """The queue, and the connection to its Redis."""

    connection: Connection
    commands: Commands
    claims: Claims
    queries: Queries


def install(app: Flask, services: Services) -> None:
    """Give an app its services."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """Return the services of the app that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])
