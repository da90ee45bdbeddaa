"""`make run`: an embedded server, the API and one worker, each line with a prefix, and all of them gone at the end.

Stopped in the order worker, API, server, so that a result on its way is still stored. When the API or the server ends,
all end; when the worker ends, the others go on, and another can be started beside them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobqueue.settings import InvalidSetting
from jobqueue.web import config

DATA = Path(".data")
PYTHON = sys.executable
STOP_SECONDS = {"worker": 35.0, "web": 10.0, "redis": 10.0}
"""How long each may take to stop after SIGTERM; their order is the order in which they are stopped. The worker sees to
it itself, within DRAIN_SECONDS and 7 more.
"""


@dataclass
class Program:
    """One of the processes, and the task that prints its lines until nobody can write any more."""

    name: str
    process: Process
    printing: asyncio.Task[None]

    @classmethod
    async def start(cls, name: str, command: list[str], variables: Mapping[str, str]) -> Program:
        """Start it in a session of its own, out of the reach of Ctrl-C."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env=variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        return cls(name, process, asyncio.create_task(_print_lines(name, process)))

    async def stop(self) -> None:
        """Ask it to stop; kill it when it takes too long. Returns when it and all it started are gone."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(self.printing), STOP_SECONDS[self.name])
        except TimeoutError:
            say(f"{self.name} takes too long, killing it")
            if self.process.returncode is None:
                self.process.kill()
            await self.printing
        await self.process.wait()


async def _print_lines(name: str, process: Process) -> None:
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:
            line = b"(a line too long to be shown)\n"
        if not line:
            return
        say(line.decode(errors="replace").rstrip("\n"), name)


def say(text: str, name: str = "run") -> None:
    """Print a line with its prefix."""
    print(f"{name:<6} | {text}", flush=True)


async def run(port: int) -> int:
    """Run everything until asked to stop, or until the API or the server ends; return the exit code."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    variables = {**os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    variables["API_URL"] = (
        f"http://127.0.0.1:{port}/api/v1"  # the worker's is this API, whatever else is meant elsewhere
    )
    variables.setdefault("CACHE_DIR", str(DATA.absolute() / "cache"))
    variables.setdefault("SPOOL_DIR", str(DATA.absolute() / "spool"))
    variables.setdefault("DRAIN_SECONDS", "3")  # whoever presses Ctrl-C does not want to wait
    programs: dict[str, Program] = {}
    try:
        if not os.environ.get("REDIS_URL"):
            redis_port = free_port()
            variables["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
            command = [PYTHON, "-m", "jobqueue.local.redis_server", str(redis_port), str(DATA)]
            programs["redis"] = await Program.start("redis", command, variables)
            say(f"Redis-compatible server on 127.0.0.1:{redis_port}, data in {DATA}/")
        only_here = ["--bind", f"127.0.0.1:{port}"]  # whoever reaches it can run programs on this machine
        gunicorn = [PYTHON, "-m", "gunicorn", *only_here, "app:app"]
        programs["web"] = await Program.start("web", gunicorn, variables)
        programs["worker"] = await Program.start("worker", [PYTHON, "worker.py"], variables)
        say(f"API on {variables['API_URL']} — try `make demo` in a second terminal, Ctrl-C stops everything")
        return await watch(programs, asked, variables)
    finally:
        for name in STOP_SECONDS:
            if name in programs:
                await programs[name].stop()


async def watch(programs: Mapping[str, Program], asked: asyncio.Event, variables: Mapping[str, str]) -> int:
    """Return 0 when asked to stop, 1 when a program ended that the others cannot do without."""
    stopping = asyncio.create_task(asked.wait())
    ends = {asyncio.create_task(program.process.wait()): program for program in programs.values()}
    while True:
        done, _ = await asyncio.wait([stopping, *ends], return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            say("stopping")
            return 0
        for end in done:
            program = ends.pop(end)
            say(f"{program.name} ended with code {program.process.returncode}")
            if program.name != "worker":
                return 1
            say(f"the queue goes on; start another worker: API_URL={variables['API_URL']} .venv/bin/python worker.py")


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_use(port: int) -> bool:
    """Whether somebody listens on that port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    """Check what can be wrong before anything is started, then run."""
    try:
        config.load(os.environ)
        port = config.load_port(os.environ)
    except InvalidSetting as error:
        sys.exit(str(error))
    if in_use(port):
        sys.exit(f"Port {port} is taken. Choose another: PORT=8081 make run")
    if os.environ.get("REDIS_URL"):
        return asyncio.run(run(port))
    DATA.mkdir(exist_ok=True)
    with (DATA / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another `make run` uses {DATA}/ already. Stop it first, or set REDIS_URL.")
        return asyncio.run(run(port))


if __name__ == "__main__":
    sys.exit(main())
