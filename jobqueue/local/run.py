"""`make run`: an embedded Redis-compatible server, the API and one worker. Each line they print gets a prefix.

They are stopped in the order worker, API, server, so that the report of a job that is just ending is still stored. If
the API or the server ends, all are stopped. If the worker ends, the others keep running, and another can be started.
If the launcher is killed, all of them end as well.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from jobqueue import log_stream
from jobqueue.local import variables
from jobqueue.local.program import STOP_SECONDS, Program, Start, say
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from jobqueue.worker import config as worker_config
from jobqueue.worker.host import hardening
from jobqueue.worker.supervisor.messages import signal_name

DATA = Path(".data")
REDIS, WEB, WORKER = "jobqueue.local.redis_server", "jobqueue.web.server", "jobqueue.worker.main"
POLL_SECONDS = 0.1

PORTS = range(20_000, 32_000)
"""Where free ports are chosen. The kernel takes those of outgoing connections from 32768 on: one from there might be
taken before a server that starts listens on it.
"""


async def run(port: int, lock_fd: int | None) -> int:
    """Run everything until SIGTERM, SIGINT, SIGHUP, or the end of the API or the server; return the exit code.

    `lock_fd` is the lock of DATA, or None when REDIS_URL names a server. Raises OSError when nothing can be started.
    """
    stop_requested, hurried = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurried if stop_requested.is_set() else stop_requested).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup wants SIGHUP to be ignored
            asyncio.get_running_loop().add_signal_handler(number, stop)
    api_url = f"http://127.0.0.1:{port}/api/v1"
    programs: dict[str, Program] = {}
    announcing = asyncio.create_task(announce(api_url, port))
    try:
        for start in starts(port, api_url, lock_fd):
            # Added at once: if the next one fails to start, this one still is stopped.
            programs[start.name] = await Program.start(start)
        return await watch(programs, api_url, stop_requested)
    finally:
        announcing.cancel()
        for name in filter(programs.get, STOP_SECONDS):
            await programs[name].stop(hurried)


def starts(port: int, api_url: str, lock_fd: int | None) -> Iterator[Start]:
    """Yield what to start, in order."""
    redis_url = os.environ.get("REDIS_URL", "")
    if lock_fd is not None:
        redis_port, password = str(free_port()), secrets.token_hex(16)
        redis_url = f"redis://:{password}@127.0.0.1:{redis_port}/0"
        say(f"Redis-compatible server on 127.0.0.1:{redis_port}, data in {DATA}/")
        # The server holds the lock, too: if the launcher is killed, nobody else uses DATA before the server has ended.
        yield Start(
            "redis", REDIS, [redis_port, str(DATA)], variables.of_redis(os.environ), f"{password}\n".encode(), [lock_fd]
        )
    # The API has no authentication. Whoever reaches it can run programs on this machine, so it listens on loopback.
    yield Start("web", WEB, ["--bind", f"127.0.0.1:{port}"], variables.of_web(os.environ, port, redis_url))
    of_worker = variables.of_worker(os.environ, api_url, DATA.absolute())
    if not os.environ.get("ISOLATION") and of_worker["ISOLATION"] != "none":
        say(f"Jobs cannot read your files (ISOLATION={of_worker['ISOLATION']}). To let them, set ISOLATION=none.")
    if os.geteuid() == 0:
        say("You are root, and so are the jobs: they can read what only root may read, such as /etc/shadow.")
    yield Start("worker", WORKER, [], of_worker)


async def announce(api_url: str, port: int) -> None:
    """Print where the API is, once it answers."""
    while not in_use(port):
        await asyncio.sleep(POLL_SECONDS)
    say(f"API on {api_url}. In a checkout, `make demo` submits a job to it. Ctrl-C stops everything.")


async def watch(programs: Mapping[str, Program], api_url: str, stop_requested: asyncio.Event) -> int:
    """Return 0 when a stop was requested, 1 when a program has ended that the others need."""
    stopping = asyncio.create_task(stop_requested.wait())
    ends = {asyncio.create_task(program.process.wait()): program for program in programs.values()}
    while True:
        done, _ = await asyncio.wait([stopping, *ends], return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            say("stopping")
            return 0
        for end in done:
            program = ends.pop(end)
            code = end.result()
            say(f"{program.name} " + (f"was killed by {signal_name(-code)}" if code < 0 else f"ended with code {code}"))
            if program.name != "worker":
                say(f"Nothing works without {program.name}: stopping everything. Its last lines say why it ended.")
                return 1
            say(f"The queue stays up. To start another worker: API_URL={api_url} {sys.executable} -m {WORKER}")


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    while True:
        port = random.choice(PORTS)
        with suppress(OSError):
            bind(port)
            return port


def in_use(port: int) -> bool:
    """Whether something listens on that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def bind(port: int) -> None:
    """Bind a socket to that port of loopback, as a server would, and close it again. Raises OSError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def problem_with(port: int) -> str | None:
    """Return why the API could not listen on that port of loopback; None if it can."""
    # A server on all addresses may leave loopback free for us (macOS), so it is connected to, too.
    problem = "is in use" if in_use(port) else refusal_of(port)
    return problem and f"Port {port} {problem}. Choose another one, for example PORT=8081."


def refusal_of(port: int) -> str | None:
    """Return in a few words why that port of loopback cannot be bound; None if it can."""
    try:
        bind(port)
    except OSError as error:
        return "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
    return None


@contextmanager
def locked_data() -> Iterator[int]:
    """Make DATA, private and locked, and yield the descriptor of the lock. Exits with a sentence if that fails."""
    try:
        DATA.mkdir(mode=0o700, exist_ok=True)
        DATA.chmod(0o700)  # earlier versions made it readable by everybody
        lock = (DATA / "lock").open("w")
    except OSError as error:
        sys.exit(f"The data cannot be kept in {DATA.absolute()}/ ({error.strerror}): start in another directory.")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"{DATA}/ is in use by another run. Stop that one first, or set REDIS_URL.")
        yield lock.fileno()


def main() -> int:
    """Check what can be wrong before anything is started, then run."""
    if sys.platform == "linux":
        hardening.close_memory()
    os.umask(0o077)
    log_stream.replace_stderr()
    log_stream.replace_stdout()
    try:
        config.load(os.environ)
        port = config.load_gunicorn(os.environ).port
        if sys.platform == "linux":
            worker_config.load(variables.of_worker(os.environ, "http://127.0.0.1", DATA.absolute()))
    except InvalidSetting as error:
        sys.exit(str(error))
    if problem := problem_with(port):
        sys.exit(problem)
    try:
        if os.environ.get("REDIS_URL"):
            return asyncio.run(run(port, None))
        with locked_data() as lock_fd:
            return asyncio.run(run(port, lock_fd))
    except OSError as error:
        sys.exit(f"A process cannot be started: {error.strerror}.")


if __name__ == "__main__":
    sys.exit(main())
