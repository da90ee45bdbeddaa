"""Puts a worker's parts together, runs them, drains them and takes them down in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobqueue import logs
from jobqueue.client import token as tokens
from jobqueue.client.batches import Batches
from jobqueue.client.older_api import OlderApi
from jobqueue.client.token import Token
from jobqueue.client.transport import Transport
from jobqueue.net import network as networks
from jobqueue.net.network import Network
from jobqueue.redaction import without_secrets
from jobqueue.settings import InvalidSetting
from jobqueue.worker.attempts.attempt import Cause, StopPolicy
from jobqueue.worker.attempts.environment import shared_variables
from jobqueue.worker.attempts.heartbeat import Heartbeats
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.attempts.signatures import Signatures
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.config import WorkerSettings, misspelt
from jobqueue.worker.host import directories, hardening, open_files
from jobqueue.worker.host.process_tree import require_proc
from jobqueue.worker.isolation import levels
from jobqueue.worker.loop import ClaimPolicy, Loop
from jobqueue.worker.pool import Pool
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.kept_copies import MOST_BYTES, KeptCopies
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.reports.delivery import Delivery
from jobqueue.worker.reports.spool import Spool
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.leftovers import remove_leftovers
from jobqueue.worker.slots.selftest import verify_slot
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces
from jobqueue.worker.vacancies import Prefetch, Vacancies

STOP_GRACE_SECONDS = 2.0
"""Time from SIGTERM to SIGKILL for programs that have not ended when the drain is over."""

AFTER_DRAIN_SECONDS = 7.0
"""Time from the end of the drain to the end of the worker: for stopping programs, releasing their jobs and delivering
reports. With a DRAIN_SECONDS of 18 the worker ends 25 seconds after SIGTERM. Platforms send SIGKILL after 30.
"""

CLOSE_SECONDS = 2.0
"""The part of AFTER_DRAIN_SECONDS that is reserved for closing slots and directories."""

DELIVERY_SECONDS = 1.0
"""The part of AFTER_DRAIN_SECONDS that is reserved for delivering reports, even when programs take long to end."""

LAST_REMOVAL_SECONDS = 1.0
"""How long the removal of the remaining files of jobs may take at the very end."""

POLL_SECONDS = 0.25
"""How often the drain checks the time and whether there was a second signal."""


class GaveUp(Exception):
    """The worker should end when no job is pending, but the API did not answer whether one is."""


@dataclass(frozen=True)
class _Api:
    """How to reach the API. `older` is what all connections know about its version."""

    settings: WorkerSettings
    network: Network
    token: Token
    older: OlderApi = field(default_factory=OlderApi)

    def connect(self) -> Batches:
        """Return a connection, for one thread."""
        transport = Transport(self.settings.api_url, self.network, token=self.token)
        return Batches(transport, self.settings.executor_id, self.older)


def run(settings: WorkerSettings, variables: Mapping[str, str], shutdown: Shutdown, policy: ClaimPolicy) -> None:
    """Work until asked to stop or until the policy says so. Raises InvalidSetting, GaveUp.

    The order at the end matters. The loop releases jobs that came too late or have not begun first, since that waits
    for no program. Then the drain lets running jobs end, which produces the last reports. Only then is the time for
    delivery limited. The pool is closed last: by then every report is delivered or on disk, so nothing is lost if
    closing takes too long.
    """
    require_proc()
    hardening.adopt_orphans()
    open_files.allow(settings.slots)
    token = Token(settings.api_token, settings.api_token_file, logs_refusals=True)
    tokens.check_url(settings.api_url, token)
    if token.is_set and tokens.travels_openly(settings.api_url):
        logs.logger().warning("token_unencrypted", api_url=without_secrets(settings.api_url))
    api = _Api(settings, networks.load(settings.ca_file, variables), token)
    rules = replace(settings.download, network=api.network, programs=settings.load_allowed_programs())
    with _resources(api, rules, variables, shutdown) as resources, _slots(settings, resources) as slots:
        with directories.usable("TMPDIR", settings.temporary_directory):
            verify_slot(slots[0], resources.workspaces)
        for name, meant in misspelt(variables).items():
            logs.logger().warning("setting_unknown", name=name, meant=meant)
        prefetch = Prefetch(len(slots), settings.prefetch)
        vacancies = Vacancies(len(slots), resources.breaker, prefetch, policy.max_jobs)
        with enough_processes():
            pool = Pool(slots, resources, vacancies)
        logs.logger().info(
            "worker_started",
            executor_id=settings.executor_id,
            api_url=without_secrets(settings.api_url),
            slots=len(slots),
            isolation=settings.isolation,
            network=settings.network,
        )
        with closing(api.connect()) as connection:
            loop = Loop(connection, pool, vacancies, shutdown, policy)
            resources.delivery.claim_along(loop)
            loop.run()
            # After a request to stop, all that follows shares DRAIN_SECONDS and AFTER_DRAIN_SECONDS.
            _drain(pool, shutdown, settings.drain_seconds)
            loop.repeat_last()
        _deliver_the_rest(resources.delivery, shutdown, settings.drain_seconds, loop.gave_up)
        pool.close()
    logs.logger().info("worker_stopped", executor_id=settings.executor_id)
    if loop.gave_up:
        raise GaveUp


@contextmanager
def enough_processes() -> Iterator[None]:
    """Turn the error of a process or thread that cannot be started, in the context, into an InvalidSetting."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSetting(
            f"The worker cannot start its processes and threads on this host now: {reason}. If there are too many, "
            "raise the limit (ulimit -u) or set SLOTS lower."
        ) from error


@contextmanager
def _resources(
    api: _Api, rules: DownloadRules, variables: Mapping[str, str], shutdown: Shutdown
) -> Iterator[Resources]:
    """Yield what attempts are made with. Raises InvalidSetting.

    What dead workers have left is removed before anything is made, because it may be what fills the disk. The delivery
    is closed before the workspaces, as removing the files of jobs can take longest. It normally is closed already, by
    `_deliver_the_rest`; `close` then does nothing. Only when the worker cannot start is it closed here, and at once.
    """
    settings = api.settings
    temporary, children = settings.temporary_directory, Children()
    with enough_processes():
        children.keep_reaping()
    with directories.usable("TMPDIR", temporary):
        remove_leftovers(temporary, children)
    cache_directory = directories.CACHE.find(settings.cache_directory, variables, temporary)
    spool_directory = directories.SPOOL.find(settings.spool_directory, variables, temporary)
    with ExitStack() as stack:
        with directories.usable("TMPDIR", temporary):
            workspaces = Workspaces(children, temporary)
        stack.callback(workspaces.close, LAST_REMOVAL_SECONDS)
        with directories.usable("CACHE_DIR", cache_directory):
            kept = KeptCopies(lambda: workspaces.path, min(settings.cache_max_bytes, MOST_BYTES))
            cache = Cache(cache_directory, settings.cache_max_bytes, rules, kept)
        with enough_processes(), directories.usable("SPOOL_DIR", spool_directory):
            spool = Spool(spool_directory, settings.api_url)
            delivery = Delivery(spool, api.connect)
            delivery.start()
        stack.callback(delivery.close, 0)
        stop_policy = StopPolicy(settings.on_lease_loss == "finish", settings.kill_grace_seconds)
        heartbeats = Heartbeats(api.connect(), stop_policy)
        with enough_processes():
            heartbeats.start()
        stack.callback(heartbeats.close)
        yield Resources(
            programs=cache,
            workspaces=workspaces,
            spool=spool,
            delivery=delivery,
            heartbeats=heartbeats,
            breaker=Breaker(),
            shutdown=shutdown,
            stop_policy=stop_policy,
            executor_id=settings.executor_id,
            variables=shared_variables(variables, settings.env_passthrough),
            job_timeout_seconds=settings.job_timeout_seconds,
            signatures=Signatures(settings.trusted_keys),
        )


@contextmanager
def _slots(settings: WorkerSettings, resources: Resources) -> Iterator[Sequence[Slot]]:
    """Yield the slots, isolated as the settings say. Raises InvalidSetting when that is not possible here."""
    # Directories that no program may see, where its isolation can hide them.
    hidden = [resources.programs.directory, resources.spool.path.parent, resources.workspaces.path]
    hidden += map(Path, levels.directories_around(settings.isolation, settings.api_token_file))
    with ExitStack() as stack:
        slots = []
        for _ in range(settings.slots):
            isolation = levels.make(settings.isolation, [*map(str, hidden)], settings.isolation_uid, settings.network)
            isolation.reserve()
            with enough_processes():
                slots.append(Slot(resources.workspaces.children, isolation, settings.max_open_files))
            stack.callback(slots[-1].close)
        yield slots


def _drain(pool: Pool, shutdown: Shutdown, drain_seconds: float) -> None:
    """Let running jobs end: for as long as it takes or, once asked to stop, until the drain is over; then stop them.
    Jobs that have not begun are released once the worker is asked to stop.

    Stopped programs get a grace, unless there was a second signal, which also ends a grace that has begun. The wait for
    them ends early enough to deliver the waiting reports. A release that is not sent would delay its job by a lease.
    """
    while not pool.wait_until_idle(POLL_SECONDS):
        if not shutdown.requested:
            pool.release_waiting()
            continue
        pool.drain()
        if shutdown.seconds_left(drain_seconds) == 0:
            break
    else:
        return
    pool.stop(Cause.SHUTDOWN, 0 if shutdown.hurried else STOP_GRACE_SECONDS)
    while not pool.wait_until_idle(POLL_SECONDS) and _time_left(shutdown, drain_seconds) > DELIVERY_SECONDS:
        if shutdown.hurried:
            pool.stop(Cause.SHUTDOWN, 0)


def _deliver_the_rest(delivery: Delivery, shutdown: Shutdown, drain_seconds: float, gave_up: bool) -> None:
    """Deliver the reports that wait: until all are answered or, once asked to stop, for the time that is left.

    A worker that has just given up on the API does not wait for it again.
    """
    while not gave_up and not shutdown.requested and not delivery.wait_until_sent(POLL_SECONDS):
        continue
    delivery.close(max(_time_left(shutdown, drain_seconds), DELIVERY_SECONDS))


def _time_left(shutdown: Shutdown, drain_seconds: float) -> float:
    """Return for how long jobs may still be released and reports delivered."""
    return shutdown.seconds_left(drain_seconds, AFTER_DRAIN_SECONDS) - CLOSE_SECONDS
