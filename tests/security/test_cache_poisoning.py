"""A job alters a program in the worker's cache, so that another job runs something else.

`tests/worker/programs/test_cache_hostile.py` has all that a job may do to an entry.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobqueue.worker.isolation.levels import LEVELS, make
from jobqueue.worker.programs.cache import Cache
from jobqueue.worker.programs.policy import DownloadRules
from jobqueue.worker.slots.workspace import Workspaces
from jobqueue.worker.supervisor.messages import Launch
from tests.support.confined import why_impossible
from tests.support.fake_server import FakeServer, Reply, serving
from tests.support.paths import PATH
from tests.support.slots import open_slot, sparing_children

PROGRAM = b"#!/bin/sh\n" + b"# padding\n" * 30_000 + b"echo good\n"
SHA256 = hashlib.sha256(PROGRAM).hexdigest()
POISON = """#!/bin/sh
for file in $(find "$1" -type f); do
    chmod u+w "$file"
    echo 'echo poison' >> "$file"
    printf '#!/bin/sh\\necho poison\\n' > "$file.new" && mv -f "$file.new" "$file"
done
mkdir -p "$1/$2" && printf '#!/bin/sh\\necho poison\\n' > "$1/$2/$3"
exit 0
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving(lambda _: Reply(body=PROGRAM)) as server:
        yield server


class Store:
    """A cache, and what is fetched from it."""

    def __init__(self, folder: Path, server: FakeServer) -> None:
        self.folder = folder
        self.directory = folder / "cache"
        self.entry = self.directory / SHA256[:2] / SHA256
        self._cache = Cache(self.directory, 1 << 30, DownloadRules(retry_seconds=0))
        self._url = f"{server.url}/x"
        self._count = 0

    def fetch(self) -> bytes:
        """Return the program that the next job would get."""
        self._count += 1
        target = self.folder / f"program-{self._count}"
        self._cache.fetch(self._url, SHA256, target, threading.Event())
        return target.read_bytes()


@pytest.fixture
def store(tmp_path: Path, server: FakeServer) -> Store:
    return Store(tmp_path, server)


@pytest.mark.parametrize("place", [0, 1, len(PROGRAM) // 2, len(PROGRAM) - 1])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_in_a_cached_program_is_noticed(store: Store, server: FakeServer, place: int, bit: int) -> None:
    store.fetch()
    content = bytearray(PROGRAM)
    content[place] ^= 1 << bit
    store.entry.chmod(0o700)
    store.entry.write_bytes(content)
    assert store.fetch() == PROGRAM
    assert store.entry.read_bytes() == PROGRAM
    assert len(server.requests) == 2


@pytest.mark.parametrize("level", LEVELS)
def test_what_a_job_writes_to_the_cache_reaches_no_other_job(store: Store, tmp_path: Path, level: str) -> None:
    if (reason := why_impossible(level)) is not None:
        pytest.skip(reason)
    store.fetch()
    tmp_path.chmod(0o711)
    isolation = make(level, [str(store.directory)])
    isolation.reserve()
    with (
        closing(Workspaces(sparing_children(), Path("/tmp"))) as workspaces,
        closing(open_slot(isolation)) as slot,
        workspaces.create("job", isolation) as workspace,
    ):
        workspace.program.write_text(POISON)
        workspace.program.chmod(isolation.program_mode)
        arguments = [str(store.directory), SHA256[:2], SHA256]
        launch = Launch(str(workspace.program), arguments, {"PATH": PATH}, str(workspace.directory))
        outcome = slot.run(launch, threading.Event())
    isolation.free()
    assert outcome.exit_code == 0
    if level != "none":
        assert store.entry.read_bytes() == PROGRAM
        assert [*store.directory.rglob("*.new")] == []
    assert store.fetch() == PROGRAM
