"""A program is replaced between the check of its hash and its start."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from jobqueue.worker.isolation import executable
from jobqueue.worker.isolation.landlock import version
from jobqueue.worker.isolation.levels import make
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.errors import DownloadFailed
from jobqueue.worker.programs.kept_copies import MOST_BYTES, KeptCopies
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.programs.program_request import ProgramRequest
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.slots.workspace import Workspaces
from jobqueue.worker.supervisor.messages import Launch, Outcome
from tests.support.child_script import output_of
from tests.support.fake_server import Reply, serving
from tests.support.paths import PATH
from tests.support.slots import open_slot, sparing_children

GOOD = Path(os.path.realpath("/bin/echo")).read_bytes()
FOREIGN = Path(os.path.realpath("/usr/bin/id")).read_bytes()
SHA256 = hashlib.sha256(GOOD).hexdigest()
STARTS_BY_WAY = {"vfork": 4500, "vfork by path": 4500, "fork": 1000}
"""Ten thousand in all."""

OPENINGS = 1000
SWAPS_WHILE_STARTING = 30


class Attacker:
    """Puts a foreign program into the place of a file, again and again, from a thread: as a job of the same user can.

    swaps: how often it has done so with what was there before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.foreign = folder / "foreign"
        self.foreign.write_bytes(FOREIGN)
        self.foreign.chmod(0o700)
        self.places: Callable[[], list[Path]] = list
        self.swaps = 0
        self._over = threading.Event()

    def swap(self, place: Path) -> None:
        """Put the foreign program into a place by one step, so that there is always a file."""
        link = self.folder / secrets.token_hex(4)
        with suppress(OSError):
            os.link(self.foreign, link)
            before = place.stat().st_ino
            os.rename(link, place)
            self.swaps += before != self.foreign.stat().st_ino
        link.unlink(missing_ok=True)

    def write(self, place: Path) -> None:
        """Write the foreign program into the file itself."""
        with suppress(OSError):
            place.chmod(0o700)
            with open(os.open(place, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK), "wb") as file:
                file.write(FOREIGN)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Swap all places while the context lasts."""

        def work() -> None:
            while not self._over.is_set():
                for place in self.places():
                    self.swap(place)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


class Worker:
    """A cache, workspaces and a slot, as a worker has them, and a server of the good program."""

    def __init__(self, stack: ExitStack, folder: Path, level: str, keeps: bool, max_bytes: int) -> None:
        self.server = stack.enter_context(serving(lambda _: Reply(body=GOOD)))
        self.workspaces = stack.enter_context(closing(Workspaces(sparing_children(), folder)))
        kept = KeptCopies(lambda: self.workspaces.path, MOST_BYTES if keeps else 0)
        self.cache = Cache(folder / "cache", max_bytes, DownloadRules(retry_seconds=0), kept)
        self.isolation = make(level, [])
        self.isolation.reserve()
        self.slot: Slot = stack.enter_context(closing(open_slot(self.isolation)))
        self.entry = folder / "cache" / SHA256[:2] / SHA256

    def run(self, between: Callable[[Path], None] = lambda _: None) -> Outcome:
        """Fetch the program, do something to its file, and start it: what an attempt does."""
        with self.workspaces.create("job", self.isolation) as workspace:
            request = ProgramRequest(f"{self.server.url}/x", SHA256, workspace.program, threading.Event())
            with closing(request.verified) as verified:
                self.cache.fetch_requested(request)
                verified.chmod(self.isolation.program_mode)
                between(workspace.program)
                directory = str(workspace.directory)
                path, number = str(workspace.program), verified.number
                assert number is not None
                launch = Launch(path, ["good"], {"PATH": PATH}, directory, program_number=number)
                return self.slot.run(launch, threading.Event())


def foreign_ran(outcome: Outcome) -> bool:
    """Whether anything but the good program has run."""
    return outcome.start_failure is None and outcome.stdout != "good\n"


LEVELS = ["none", pytest.param("landlock", marks=pytest.mark.skipif(not version(), reason="no Landlock"))]


@pytest.fixture(params=[(True, 1 << 30), (False, 1 << 30), (False, 0)], ids=["kept copies", "other copies", "no cache"])
def copies(request: pytest.FixtureRequest) -> tuple[bool, int]:
    """Whether copies are kept, and the size of the cache."""
    keeps, cache_bytes = request.param
    return keeps, cache_bytes


@pytest.fixture(params=LEVELS)
def worker(request: pytest.FixtureRequest, tmp_path: Path, copies: tuple[bool, int]) -> Iterator[Worker]:
    with ExitStack() as stack:
        yield Worker(stack, tmp_path, request.param, *copies)


def test_a_file_that_was_swapped_after_the_check_is_not_started(worker: Worker, tmp_path: Path) -> None:
    attacker = Attacker(tmp_path)
    for _ in range(3):
        assert worker.run().stdout == "good\n"
        outcome = worker.run(attacker.swap)
        assert "replaced" in (outcome.start_failure or "")
        assert outcome.host_fault
    assert attacker.swaps == 3


def test_a_file_that_was_swapped_for_a_link_is_not_started(worker: Worker, tmp_path: Path) -> None:
    attacker = Attacker(tmp_path)

    def link(place: Path) -> None:
        place.unlink()
        place.symlink_to(attacker.foreign)

    assert worker.run(link).start_failure is not None


def test_nobody_writes_into_a_file_after_the_check(worker: Worker, tmp_path: Path) -> None:
    attacker = Attacker(tmp_path)
    for _ in range(3):
        outcome = worker.run(attacker.write)
        assert not foreign_ran(outcome)


def test_no_foreign_program_is_started_while_a_thread_swaps_all_files(worker: Worker, tmp_path: Path) -> None:
    attacker = Attacker(tmp_path)
    attacker.places = lambda: [worker.entry, *worker.workspaces.path.glob("job-*/program")]
    outcomes = []
    with attacker.at_work():
        while attacker.swaps < SWAPS_WHILE_STARTING:
            with suppress(OSError, DownloadFailed):  # as when its place is taken, or another file is there
                outcomes.append(worker.run())
    assert not any(map(foreign_ran, outcomes))


STARTS = """
import os
from jobqueue.worker.host.hardening import OomScore
from jobqueue.worker.isolation.base import Isolation
from jobqueue.worker.supervisor import program, vfork
from jobqueue.worker.supervisor.messages import Launch

way, folder, starts = sys.argv[1], sys.argv[2], int(sys.argv[3])
path, good, foreign = (f"{folder}/{name}" for name in ("program", "good", "foreign"))

class Swapping(Isolation):
    def prepare(self, paths):  # after the look at the file, before its execution
        os.link(foreign, f"{path}-next")
        os.rename(f"{path}-next", path)

if way == "fork":
    vfork.Vfork.make = lambda: None
starter = program.Starter(Swapping(), OomScore())
if way == "vfork by path":
    starter._vfork._execveat = None
info, texts = os.stat(good), set()
for _ in range(starts):
    os.link(good, f"{path}-next")
    os.rename(f"{path}-next", path)
    launch = Launch(path, ["good"], {}, "/", program_number=(info.st_dev, info.st_ino))
    pid, outputs = starter.start(launch)
    os.waitpid(pid, 0)
    for name, descriptor in outputs.items():
        texts.add((name, os.read(descriptor, 1000) if name == "stdout" else b""))
        os.close(descriptor)
    assert os.stat(path).st_ino == os.stat(foreign).st_ino
print(sorted(texts))
"""
"""Starts the program that often, and swaps its file each time at the last moment; prints what was written."""


@pytest.mark.parametrize(("way", "starts"), STARTS_BY_WAY.items(), ids=STARTS_BY_WAY)
def test_ten_thousand_swaps_at_the_last_moment_change_nothing(tmp_path: Path, way: str, starts: int) -> None:
    Attacker(tmp_path)
    (tmp_path / "good").write_bytes(GOOD)
    (tmp_path / "good").chmod(0o500)
    assert output_of(STARTS, way, tmp_path, str(starts)) == "[('stderr', b''), ('stdout', b'good\\n')]\n"


def test_whenever_a_file_is_swapped_only_the_verified_one_is_opened(tmp_path: Path) -> None:
    """The supervisor executes the descriptor that it opens."""
    attacker, good, place = Attacker(tmp_path), tmp_path / "good", tmp_path / "program"
    good.write_bytes(GOOD)
    place.touch()
    verified = good.stat()
    opened = 0
    for number in range(OPENINGS):
        os.link(good, tmp_path / "next")
        os.rename(tmp_path / "next", place)
        if number % 2:
            attacker.swap(place)
        with suppress(OSError), executable.opened(str(place), (verified.st_dev, verified.st_ino)) as descriptor:
            if not number % 2:
                attacker.swap(place)
            assert descriptor is not None
            assert os.fstat(descriptor).st_ino == verified.st_ino
            opened += 1
    assert (opened, attacker.swaps) == (OPENINGS // 2, OPENINGS)
