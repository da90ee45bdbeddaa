"""How a server process accepts connections."""

from __future__ import annotations

import socket
from typing import Any

import gevent

from jobqueue.web.server.connections.table import ConnectionTable
from jobqueue.web.server.worker import Worker

WAITING = 100


class Listener:
    """A listening socket for which clients wait."""

    family = socket.AF_UNIX
    accepted = 0

    def accept(self) -> tuple[Any, str]:
        if self.accepted == WAITING:
            raise gevent.GreenletExit
        self.accepted += 1
        return None, ""


class Accepting(Worker):
    """A server process that only accepts."""

    def __init__(self) -> None:
        self.table = ConnectionTable(WAITING)

    def _begin(self, *_: object) -> None:
        pass


def test_a_newcomer_does_not_wait_for_a_turn_of_every_connection_before_it() -> None:
    turns = 0
    accepting = gevent.spawn(Accepting()._accept_all, Listener())
    while not accepting.ready():
        gevent.sleep(0)
        turns += 1
    assert 2 < turns < WAITING / 4
