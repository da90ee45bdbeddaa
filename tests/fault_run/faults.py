"""What can go wrong: each fault is injected, lasts for a while, and is healed by one function."""

from __future__ import annotations

import random
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

from tests.fault_run.relay import Mode, Relay
from tests.fault_run.stage import LEASE_SECONDS, Stage, fill, remove_metrics
from tests.support.processes import children, signal_all

STORE_KILLED, STORE_STOPPED, STORE_HELD = "store killed", "store stopped", "store half-open"
STORE_RESET, STORE_ANSWERS_LOST = "store connections reset", "answers of the store lost"
FAILED_OVER, STORE_FULL, CLIENTS_KILLED = "store failed over", "store full", "clients of the store killed"
SCRIPTS_FLUSHED, LEASES_DELETED = "scripts flushed", "lease keys deleted"
SERVER_KILLED, SERVER_RELOADED = "server killed", "server reloaded"
PROCESS_KILLED, PROCESS_STOPPED = "server process killed", "server process stopped"
DISK_FULL, METRICS_REMOVED, SLOW_CLIENTS = "disk full", "metrics removed", "slow clients"
WORKER_KILLED, WORKER_STOPPED, SUPERVISOR_KILLED = "worker killed", "worker stopped", "supervisor killed"
LINK_RESET, LINK_HELD, LINK_ANSWERS_LOST = "link reset", "link half-open", "answers of the API lost"
HOST_AWAY = "program host away"

STORE_UNAVAILABLE = (
    STORE_KILLED,
    STORE_STOPPED,
    STORE_HELD,
    STORE_RESET,
    STORE_ANSWERS_LOST,
    FAILED_OVER,
    STORE_FULL,
    CLIENTS_KILLED,
)
"""The faults during which a server may answer 503."""

SERVER_INTERRUPTED = (SERVER_KILLED, SERVER_RELOADED, PROCESS_KILLED, PROCESS_STOPPED)
"""The faults during which a request to that server may get no answer."""

Fault = Callable[[Stage, random.Random], None]


def kill_worker(stage: Stage, rng: random.Random) -> None:
    number = rng.randrange(len(stage.workers))
    with stage.history.fault(WORKER_KILLED):
        stage.kill_worker(number)


def stop_worker(stage: Stage, rng: random.Random) -> None:
    """Stop a worker for less, about as much, or more than the length of a lease."""
    worker = stage.workers[rng.randrange(len(stage.workers))]
    with stage.history.fault(WORKER_STOPPED):
        worker.process.send_signal(signal.SIGSTOP)
        stage.pause(LEASE_SECONDS * rng.choice((0.5, 1.2, 2.0)))
        worker.process.send_signal(signal.SIGCONT)


def kill_store(stage: Stage, rng: random.Random) -> None:
    with stage.history.fault(STORE_KILLED):
        stage.store.primary.kill()
        stage.pause(rng.choice((0.1, 1.0, 4.0)))
        stage.store.primary.start()


def stop_store(stage: Stage, rng: random.Random) -> None:
    with stage.history.fault(STORE_STOPPED):
        stage.store.primary.pause()
        stage.pause(rng.uniform(1, 4))
        stage.store.primary.resume()


def fail_over_store(stage: Stage, _: random.Random) -> None:
    with stage.history.fault(FAILED_OVER):
        stage.store.fail_over()


def fill_store(stage: Stage, _: random.Random) -> None:
    with stage.history.fault(STORE_FULL), stage.store.primary.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"])
        stage.pause(8)
        client.config_set("maxmemory", 0)


def flush_scripts(stage: Stage, _: random.Random) -> None:
    with stage.history.fault(SCRIPTS_FLUSHED), stage.store.primary.client() as client:
        for _number in range(10):
            client.script_flush()
            stage.pause(0.2)


def kill_clients(stage: Stage, _: random.Random) -> None:
    with stage.history.fault(CLIENTS_KILLED), stage.store.primary.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)


def delete_leases(stage: Stage, rng: random.Random) -> None:
    """Delete some lease keys, as an eviction would. The deadlines in the sorted set are the truth."""
    with stage.history.fault(LEASES_DELETED), stage.store.primary.client() as client:
        names = [*client.scan_iter("*:lease:*")]
        if names:
            client.delete(*rng.sample(names, max(len(names) // 3, 1)))


def kill_server(stage: Stage, rng: random.Random) -> None:
    number = rng.randrange(len(stage.servers))
    with stage.history.fault(SERVER_KILLED, number):
        stage.kill_server(number)


def kill_process(stage: Stage, rng: random.Random) -> None:
    number = rng.randrange(len(stage.servers))
    with stage.history.fault(PROCESS_KILLED, number):
        signal_all([rng.choice(stage.servers[number].processes())], signal.SIGKILL)
        stage.pause(1)


def stop_process(stage: Stage, rng: random.Random) -> None:
    number = rng.randrange(len(stage.servers))
    with stage.history.fault(PROCESS_STOPPED, number):
        pid = rng.choice(stage.servers[number].processes())
        signal_all([pid], signal.SIGSTOP)
        stage.pause(rng.uniform(1, 6))
        signal_all([pid], signal.SIGCONT)


def reload_server(stage: Stage, rng: random.Random) -> None:
    number = rng.randrange(len(stage.servers))
    with stage.history.fault(SERVER_RELOADED, number):
        stage.servers[number].process.send_signal(signal.SIGHUP)
        stage.pause(2)


def annoy_server(stage: Stage, rng: random.Random) -> None:
    """Hold half-sent requests and silent connections. Nobody else may notice."""
    number = rng.randrange(len(stage.servers))
    with stage.history.fault(SLOW_CLIENTS, number), ExitStack() as connections:
        for begin in (b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Len", b"", b"GET /api"):
            for _ in range(40):
                with suppress(OSError):
                    connection = socket.create_connection(("127.0.0.1", stage.servers[number].port), timeout=2)
                    connections.enter_context(connection).sendall(begin)
        stage.pause(6)


def fill_disk(stage: Stage, rng: random.Random) -> None:
    if not stage.small_disks:
        return
    with stage.history.fault(DISK_FULL):
        path = fill(rng.choice(stage.small_disks))
        stage.pause(6)
        path.unlink(missing_ok=True)


def clean_metrics(stage: Stage, rng: random.Random) -> None:
    server = rng.choice(stage.servers)
    with stage.history.fault(METRICS_REMOVED):
        remove_metrics(server.folder)


def kill_supervisor(stage: Stage, rng: random.Random) -> None:
    """Kill one of a worker's supervisors. The worker starts another one."""
    worker = stage.workers[rng.randrange(len(stage.workers))]
    with stage.history.fault(SUPERVISOR_KILLED):
        pids = children(worker.pid)
        if pids:
            signal_all([rng.choice(pids)], signal.SIGKILL)


def take_program_host_away(stage: Stage, _: random.Random) -> None:
    with stage.history.fault(HOST_AWAY):
        stage.program_host_away.set()
        stage.pause(5)
        stage.program_host_away.clear()


def _on_relay(name: str, mode: Mode, which: Callable[[Stage, random.Random], Relay]) -> Fault:
    """Return the fault of a relay that is in that mode for a while."""

    def inject(stage: Stage, rng: random.Random) -> None:
        relay = which(stage, rng)
        with stage.history.fault(name):
            relay.set_mode(mode)
            stage.pause(rng.uniform(1, 6))
            relay.set_mode(Mode.PASS)

    inject.__name__ = name.replace(" ", "_")
    return inject


def _store_relay(stage: Stage, _: random.Random) -> Relay:
    return stage.store.relay


def _link(stage: Stage, rng: random.Random) -> Relay:
    return rng.choice(stage.links)


OF_STORE_AND_SERVERS: list[Fault] = [
    kill_store,
    stop_store,
    fail_over_store,
    fill_store,
    flush_scripts,
    kill_clients,
    delete_leases,
    _on_relay(STORE_HELD, Mode.HOLD, _store_relay),
    _on_relay(STORE_RESET, Mode.RESET, _store_relay),
    _on_relay(STORE_ANSWERS_LOST, Mode.LOSE_ANSWERS, _store_relay),
    kill_server,
    kill_process,
    stop_process,
    reload_server,
    annoy_server,
    clean_metrics,
]
OF_EXECUTORS: list[Fault] = [
    *[kill_worker] * 4,
    *[stop_worker] * 3,
    kill_supervisor,
    fill_disk,
    take_program_host_away,
    *[_on_relay(LINK_RESET, Mode.RESET, _link)] * 2,
    *[_on_relay(LINK_HELD, Mode.HOLD, _link)] * 2,
    *[_on_relay(LINK_ANSWERS_LOST, Mode.LOSE_ANSWERS, _link)] * 2,
]
"""Both lists hold a fault as often as its weight says. One fault of each list is under way at a time."""


def inject(faults: list[Fault], stage: Stage, rng: random.Random) -> None:
    """Inject faults, each list of them in a random order, until the run says that they are to end."""
    while not stage.over.is_set():
        for fault in rng.sample(faults, len(faults)):
            stage.pause(rng.uniform(1, 4))
            if stage.over.is_set():
                return
            try:
                fault(stage, rng)
            except Exception as error:  # noqa: BLE001  # a thread that ended silently would pass for a quiet run
                stage.history.unexpected.append(f"{fault.__name__} could not be injected or healed: {error!r}")
