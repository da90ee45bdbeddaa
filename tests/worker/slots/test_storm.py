"""Eight slots write and start programs at once: no file is ever "busy", and no slot runs another's program."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces
from jobqueue.worker.supervisor.messages import Launch
from tests.support.fake_server import Reply, Request, serving
from tests.support.paths import PATH
from tests.support.programs import SHELL
from tests.support.slots import open_slot, sparing_children

SLOTS = 8
LAUNCHES = 2000
PROGRAMS = 40


@pytest.fixture
def slots() -> Iterator[list[Slot]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(open_slot())) for _ in range(SLOTS)]


@pytest.mark.timeout(300)
def test_no_start_fails_while_other_slots_write_programs(slots: list[Slot], temporary: Path, tmp_path: Path) -> None:
    programs = {f"/{number}": (SHELL + f"echo {number}").encode() for number in range(PROGRAMS)}

    def answer(request: Request) -> Reply:
        return Reply(body=programs[request.path])

    with serving(answer) as host, closing(Workspaces(sparing_children(), temporary)) as workspaces:
        cache = Cache(tmp_path / "cache", 1 << 20, DownloadRules())
        numbers = iter(range(LAUNCHES))
        lock = threading.Lock()

        def work(slot: Slot) -> list[tuple[int, str]]:
            done: list[tuple[int, str]] = []
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return done
                path = f"/{number % PROGRAMS}"
                sha256 = hashlib.sha256(programs[path]).hexdigest()
                with workspaces.create("storm", slot.isolation) as workspace:
                    cache.fetch(host.url + path, sha256, workspace.program, threading.Event())
                    launch = Launch(str(workspace.program), [], {"PATH": PATH}, str(workspace.directory))
                    outcome = slot.run(launch, threading.Event())
                    done.append((number % PROGRAMS, outcome.start_failure or outcome.stdout))

        with ThreadPoolExecutor(SLOTS) as pool:
            done = [each for found in pool.map(work, slots) for each in found]
    assert len(done) == LAUNCHES
    assert [each for each in done if each[1] != f"{each[0]}\n"] == []
