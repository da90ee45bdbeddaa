"""The threads of a server process that work beside its requests."""

from __future__ import annotations

from jobqueue.queue.policy import Policy
from jobqueue.queue.sweeper import Sweeper
from jobqueue.queue.waiting.looks import Looker
from jobqueue.web.services import Services


def start(services: Services, policy: Policy) -> None:
    """Start to sweep, to listen for notices, and to look for jobs when claims wait."""
    sweeper = Sweeper(services.commands, services.connection)
    listener = services.listener
    if listener is not None:
        listener.on_work = services.waiters.notice
        listener.on_expired = sweeper.poke
        listener.on_begin = services.waiters.poked.set  # earlier notices may have been lost
        listener.start()
    sweeper.start()
    Looker(services.commands, services.waiters, policy.executor_timeout_ms).start()
