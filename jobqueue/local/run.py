"""`make run`: an embedded Redis-compatible server, the API and one worker. Each line they print gets a prefix.

They are stopped in the order worker, API, server, so that the report of a job that is just ending is still stored. If
the API or the server ends, all are stopped. If the worker ends, the others keep running, and another can be started.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from jobqueue.worker.supervisor.messages import signal_name

DATA = Path(".data")
REDIS, WEB, WORKER = "jobqueue.local.redis_server", "jobqueue.web.server", "jobqueue.worker.main"
POLL_SECONDS = 0.1
STOP_SECONDS = {"worker": 35.0, "web": 10.0, "redis": 10.0}
"""Time limit of each program from SIGTERM to SIGKILL, in the order in which they are stopped. The worker keeps to it by
itself: it drains within DRAIN_SECONDS and needs at most 7 more.
"""


@dataclass
class Program:
    """A process, and the task that prints its lines until neither it nor a child of it can write any more."""

    name: str
    process: Process
    printing: asyncio.Task[None]

    @classmethod
    async def start(cls, name: str, variables: Mapping[str, str], module: str, *arguments: str) -> Program:
        """Run a module of this Python, in a session of its own: Ctrl-C in the terminal does not reach it."""
        command = [sys.executable, "-m", module, *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, env=variables, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
        return cls(name, process, asyncio.create_task(print_lines(name, process)))

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL at the deadline. Returns when the process and its children have ended."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            # Wait for the end of the output, not only of the process, since its children write to the same pipe. The
            # shield keeps the time limit from cancelling the task, which has to print the last lines.
            await asyncio.wait_for(asyncio.shield(self.printing), STOP_SECONDS[self.name])
        except TimeoutError:
            say(f"{self.name} has not stopped after {STOP_SECONDS[self.name]:g} s: killing it")
            if self.process.returncode is None:
                self.process.kill()
            await self.printing
        await self.process.wait()


async def print_lines(name: str, process: Process) -> None:
    """Print each line that the process writes, until the end of its output."""
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # Longer than asyncio's buffer, which has dropped it. The next line can be read again.
            line = b"(a line too long to be shown)\n"
        if not line:
            return
        say(line.decode(errors="replace").rstrip("\n"), name)


def say(text: str, name: str = "run") -> None:
    """Print a line with its prefix."""
    print(f"{name:<6} | {text}", flush=True)


async def run(port: int) -> int:
    """Run everything until SIGTERM, SIGINT, or the end of the API or the server; return the exit code."""
    stop_requested = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    variables = program_variables(port)
    programs: dict[str, Program] = {}
    announcing = asyncio.create_task(announce(variables["API_URL"], port))
    try:
        await start_all(programs, variables, port)
        return await watch(programs, variables["API_URL"], stop_requested)
    finally:
        announcing.cancel()
        for name in filter(programs.get, STOP_SECONDS):
            await programs[name].stop()


def program_variables(port: int) -> dict[str, str]:
    """Return the environment of the programs: ours, with all data below DATA unless ours says otherwise."""
    data = DATA.absolute()
    # A deployed worker gives its jobs 18 s when it is stopped. At a terminal, Ctrl-C should act sooner.
    defaults = {"CACHE_DIR": f"{data}/cache", "SPOOL_DIR": f"{data}/spool", "DRAIN_SECONDS": "3"}
    # This worker works for this API, whatever API_URL means to others.
    api_url = f"http://127.0.0.1:{port}/api/v1"
    return {**defaults, **os.environ, "API_URL": api_url, "PORT": str(port), "PYTHONUNBUFFERED": "1"}


async def start_all(programs: dict[str, Program], variables: dict[str, str], port: int) -> None:
    """Start the programs. Each is added to `programs` at once: if the next one fails to start, it still is stopped."""
    if not variables.get("REDIS_URL"):
        redis_port = str(free_port())
        variables["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
        programs["redis"] = await Program.start("redis", variables, REDIS, redis_port, str(DATA))
        say(f"Redis-compatible server on 127.0.0.1:{redis_port}, data in {DATA}/")
    # The API has no authentication. Whoever reaches it can run programs on this machine, so it listens on loopback.
    programs["web"] = await Program.start("web", variables, WEB, "--bind", f"127.0.0.1:{port}")
    programs["worker"] = await Program.start("worker", variables, WORKER)


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
                return 1
            say(f"The queue stays up. To start another worker: API_URL={api_url} {sys.executable} -m {WORKER}")


def free_port() -> int:
    """Return a port of loopback on which nothing listens.

    The kernel takes the ports of outgoing connections from 32768 on. One from there might be taken before a server that
    starts listens on it.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def in_use(port: int) -> bool:
    """Whether something listens on that port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    """Check what can be wrong before anything is started, then run."""
    try:
        config.load(os.environ)
        port = config.load_gunicorn(os.environ).port
    except InvalidSetting as error:
        sys.exit(str(error))
    if in_use(port):
        sys.exit(f"Port {port} is in use. Choose another one, for example PORT=8081.")
    if os.environ.get("REDIS_URL"):
        return asyncio.run(run(port))
    DATA.mkdir(exist_ok=True)
    with (DATA / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"{DATA}/ is in use by another run. Stop that one first, or set REDIS_URL.")
        return asyncio.run(run(port))


if __name__ == "__main__":
    sys.exit(main())
