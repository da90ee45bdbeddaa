"""What the views work with, handed to the app when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection
from jobqueue.queue.queries import Queries

EXTENSION = "jobqueue"


@dataclass(frozen=True)
class Services:
    """The queue behind this app."""

    connection: Connection
    commands: Commands
    queries: Queries


def install(app: Flask, services: Services) -> None:
    """Give the app its services."""
    app.extensions[EXTENSION] = services


def services() -> Services:
    """Return the services of the app that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])
