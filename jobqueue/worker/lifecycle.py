"""A worker's life: its parts are put together, do their work, and are taken down in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

from jobqueue import logs
from jobqueue.client.claims import Claims
from jobqueue.client.transport import Transport
from jobqueue.net.urls import without_secrets
from jobqueue.worker.attempts.attempt import Cause
from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.attempts.heartbeat import StopPolicy
from jobqueue.worker.attempts.runner import Means, Runner
from jobqueue.worker.attempts.spool import Spool
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.config import WorkerSettings, misspelt
from jobqueue.worker.host import directories, hardening, open_files
from jobqueue.worker.isolation import levels
from jobqueue.worker.loop import Limits, Loop
from jobqueue.worker.pool import Lanes
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.leftovers import sweep
from jobqueue.worker.slots.selftest import verify_slot
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces

GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL for what has not ended when the worker has to."""

ENDING_SECONDS = 7.0
"""From the end of DRAIN_SECONDS to the worker's: to stop what runs, and to give it back."""

LAST_SECONDS = 2.0
SHORTEST_SECONDS = 1.0
"""What is kept of that for the slots to be closed in, and for the reports that still wait then."""

REMOVING_SECONDS = 1.0
"""How long what jobs have left may take to be removed, after all else."""

LOOK_UP_SECONDS = 0.25


class GaveUp(Exception):
    """The worker was to end when no job is pending, and the API did not say whether one is."""


def live(settings: WorkerSettings, variables: Mapping[str, str], shutdown: Shutdown, limits: Limits) -> None:
    """Work until asked to stop or until the limits are reached. Raises InvalidSetting, GaveUp."""
    hardening.adopt_orphans()
    hardening.close_memory()
    open_files.allow(settings.slots)
    with _means(settings, variables, shutdown) as means, _slots(settings, means) as slots:
        with directories.usable("TMPDIR", settings.temporary_directory):
            verify_slot(slots[0], means.workspaces)
        for name, meant in misspelt(variables).items():
            logs.logger().warning("setting_unknown", name=name, meant=meant)
        breaker = Breaker()
        lanes = Lanes(slots, lambda: Runner(means), breaker.note)
        claims = means.connect()
        logs.logger().info(
            "worker_started",
            executor_id=settings.executor_id,
            api_url=without_secrets(settings.api_url),
            slots=len(slots),
            isolation=settings.isolation,
        )
        loop = Loop(claims, lanes, shutdown, breaker, limits)
        late = loop.run()
        if late:
            with closing(Runner(means)) as runner:
                runner.give_back(late)
        claims.close()
        means.set_aside.close()
        _drain(lanes, shutdown, settings.drain_seconds)
        _deliver_the_rest(means.spool, shutdown, settings.drain_seconds, loop.gave_up)
        lanes.close()
    logs.logger().info("worker_stopped", executor_id=settings.executor_id)
    if loop.gave_up:
        raise GaveUp


@contextmanager
def _means(settings: WorkerSettings, variables: Mapping[str, str], shutdown: Shutdown) -> Iterator[Means]:
    """Have all that attempts are made with. What dead workers have left is swept first: it may be what fills the disk.

    Raises InvalidSetting.
    """

    def connect() -> Claims:
        return Claims(Transport(settings.api_url), settings.executor_id)

    temporary, children = settings.temporary_directory, Children()
    with directories.usable("TMPDIR", temporary):
        sweep(temporary, children)
    cache_directory = directories.CACHE.find(settings.cache_directory, variables, temporary)
    spool_directory = directories.SPOOL.find(settings.spool_directory, variables, temporary)
    with ExitStack() as stack:
        with directories.usable("TMPDIR", temporary):
            workspaces = Workspaces(children, temporary)
        stack.callback(workspaces.close, REMOVING_SECONDS)
        with directories.usable("CACHE_DIR", cache_directory):
            cache = Cache(cache_directory, settings.cache_max_bytes, settings.download)
        with directories.usable("SPOOL_DIR", spool_directory):
            spool = Spool(spool_directory, settings.api_url, connect)
            spool.start()
        stack.callback(spool.close, 0)
        yield Means(
            connect=connect,
            programs=cache,
            workspaces=workspaces,
            spool=spool,
            shutdown=shutdown,
            variables=shared_variables(variables, settings.env_passthrough),
            stop_policy=StopPolicy(settings.on_lease_loss == "finish", settings.kill_grace_seconds),
            job_timeout_seconds=settings.job_timeout_seconds,
            hidden=(cache_directory, spool_directory, workspaces.path),
        )


@contextmanager
def _slots(settings: WorkerSettings, means: Means) -> Iterator[Sequence[Slot]]:
    """Have the slots, each confined as the settings say. Raises InvalidSetting when that is not possible here."""
    hidden = [str(path) for path in means.hidden]
    with ExitStack() as stack:
        slots = []
        for _ in range(settings.slots):
            confined = levels.make(settings.isolation, hidden, settings.isolation_uid)
            confined.reserve()
            slots.append(Slot(means.workspaces.children, confined, settings.max_open_files))
            stack.callback(slots[-1].close)
        yield slots


def _drain(lanes: Lanes, shutdown: Shutdown, drain_seconds: float) -> None:
    """Let what runs end: for as long as it takes, but for so long only once the worker was asked to stop."""
    while not lanes.wait_for_all(LOOK_UP_SECONDS):
        if shutdown.requested and shutdown.seconds_left(drain_seconds) == 0:
            break
    else:
        return
    lanes.stop(Cause.SHUTDOWN, 0 if shutdown.hurried else GRACE_SECONDS)
    while not lanes.wait_for_all(LOOK_UP_SECONDS) and _time_left(shutdown, drain_seconds) > SHORTEST_SECONDS:
        if shutdown.hurried:
            lanes.stop(Cause.SHUTDOWN, 0)


def _deliver_the_rest(spool: Spool, shutdown: Shutdown, drain_seconds: float, nobody_answers: bool) -> None:
    """Send the reports that wait: until they are answered, but in the time that is left once asked to stop."""
    while not nobody_answers and not shutdown.requested and not spool.wait_until_sent(LOOK_UP_SECONDS):
        continue
    spool.close(max(_time_left(shutdown, drain_seconds), SHORTEST_SECONDS))


def _time_left(shutdown: Shutdown, drain_seconds: float) -> float:
    """Return how long jobs may still be given back and reports sent."""
    return shutdown.seconds_left(drain_seconds, ENDING_SECONDS) - LAST_SECONDS
