"""Programs that jobs run, and a stage that runs them in a slot."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from jobqueue.worker.slots.run import OnLive
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.supervisor.messages import Launch, Outcome
from tests.support.paths import PATH
from tests.support.waiting import TIME_LIMIT_SECONDS

PYTHON = f"#!{sys.executable} -IS\n"
SHELL = "#!/bin/sh\n"

ARGUMENTS = PYTHON + "import json, sys; print(json.dumps(sys.argv[1:]))"
ENVIRONMENT = SHELL + "cat /proc/$$/environ"
EXIT_WITH = SHELL + "exit $1"
FOREVER = (
    PYTHON
    + """
import os, signal, sys
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
signal.pause()
"""
)
"""Ignores every signal that can be ignored, and writes its process id into the file that it is given. The programs
below write their process ids, too.
"""

SUSPENDS_ITSELF = SHELL + "echo $$ >> $1\nkill -STOP $$\nexec sleep 600"
WITH_ORPHANS = (
    PYTHON
    + """
import os, signal, sys, time
def note():
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()}\\n")
def daemonize():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note()
            signal.pause()
        os._exit(0)
    os.wait()
for _ in range(3):
    daemonize()
if os.fork() == 0:
    note()
    signal.pause()
note()
while open(sys.argv[1]).read().count("\\n") < 5:
    time.sleep(0.01)
time.sleep(float(sys.argv[2]))
"""
)
"""Five processes: the leader, which ends after the seconds that it is given, a child of it, and three daemons (made by
setsid and a double fork).
"""


class StopFlag(threading.Event):
    """The event that a run is given. `examined` is set once the slot has looked at it, at the beginning of the run."""

    def __init__(self) -> None:
        super().__init__()
        self.examined = threading.Event()

    def is_set(self) -> bool:
        self.examined.set()
        return super().is_set()


@dataclass
class Stage:
    """Runs programs in a slot, each in an empty directory of its own."""

    slot: Slot
    folder: Path
    _numbers: count[int] = field(default_factory=count)

    def launch(
        self, program: str | bytes, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> Launch:
        """Write a program, and return the launch that starts it."""
        number = next(self._numbers)
        path = self.folder / f"program-{number}"
        path.write_bytes(program.encode() if isinstance(program, str) else program)
        path.chmod(0o500)
        directory = self.folder / f"work-{number}"
        directory.mkdir()
        variables = {"PATH": PATH} if environment is None else environment
        return Launch(str(path), [str(argument) for argument in arguments], variables, str(directory))

    def run(
        self, program: str | bytes, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a program to its end."""
        return self.slot.run(self.launch(program, *arguments, environment=environment), threading.Event())

    def begin(self, program: str | bytes, *arguments: str | Path) -> Future[Outcome]:
        """Run a program in another thread; return as soon as `stop` would stop it."""
        return self.begin_launch(self.launch(program, *arguments))

    def begin_launch(
        self, launch: Launch, on_live: OnLive = lambda _: None, stopped: threading.Event | None = None
    ) -> Future[Outcome]:
        """Run a launch in another thread; return as soon as `stop` would stop it, at once with an event of its own."""
        # The slot examines the event while it holds the lock that `stop` needs, so that a stop waits for the run.
        flag, pool = stopped or StopFlag(), ThreadPoolExecutor(1)
        future = pool.submit(self.slot.run, launch, flag, on_live)
        pool.shutdown(wait=False)
        if isinstance(flag, StopFlag):
            assert flag.examined.wait(TIME_LIMIT_SECONDS)
        return future
