"""The threads of a server process that work beside its requests."""

from __future__ import annotations

import threading
import time

from jobqueue.access.keyring import LOOK_SECONDS, Keyring
from jobqueue.queue.policy import Policy
from jobqueue.queue.sweeper import Sweeper
from jobqueue.queue.waiting.looks import Looker
from jobqueue.queue.waiting.notices import read_work
from jobqueue.queue.waiting.waiters import Waiters
from jobqueue.web.services import Services


def start(services: Services, policy: Policy) -> None:
    """Start to sweep, to listen for notices, to look for jobs when claims wait, and to look after the tokens."""
    sweeper = Sweeper(services.commands, services.connection)
    listener = services.listener
    if listener is not None:
        listener.on_work = services.waiters.notice
        listener.on_expired = sweeper.poke
        listener.on_begin = services.waiters.poked.set  # earlier notices may have been lost
        services.commands.company = services.waiters
        services.commands.on_stored = lambda text: _wake_at_once(services.waiters, text)
        listener.start()
    sweeper.start()
    Looker(services.commands, services.waiters, policy.executor_timeout_ms).start()
    if not services.access.is_open or services.access.metrics_digest:
        services.refusals.start()
    keyring = services.access.keyring
    if keyring.may_change:
        keyring.on_change = services.recheck_waits
        threading.Thread(target=_look_after, args=[keyring], name="tokens", daemon=True).start()


def _wake_at_once(waiters: Waiters, text: str) -> None:
    """Wake claims for jobs that were just stored, and let them ask before the submitter is answered.

    The request of such a claim is under way to Redis while the answer to the submitter is made. Otherwise an executor
    that is idle would wait for that, too.
    """
    if waiters.notice_here(*read_work(text)):
        time.sleep(0)


def _look_after(keyring: Keyring) -> None:
    """Look at the file of tokens also while no request comes: a token may be removed whose claim waits."""
    while True:
        time.sleep(LOOK_SECONDS)
        keyring.look()
