from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.host.process_tree import children_of
from jobqueue.worker.isolation import bubblewrap, system_paths
from tests.support.confined import PATH, House, house, processes_of, python
from tests.support.waiting import wait_until


@pytest.fixture
def walled() -> Iterator[House]:
    with house("bwrap") as built:
        yield built


@pytest.mark.parametrize(
    ("status", "told"),
    [(0, 0), (1, 1), (-9, -9), (128, 128), (137, -9), (143, -15), (192, -64), (193, 193), (255, 255)],
)
def test_a_status_is_read_as_a_shell_means_it(status: int, told: int) -> None:
    assert bubblewrap.unwrapped(status) == told


def test_a_program_sees_no_process_but_its_own(walled: House) -> None:
    (seen,) = walled.try_each("sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
    assert seen == [1, 2]


def test_namespaces_are_new_but_for_the_networks(walled: House) -> None:
    names = ("user", "pid", "ipc", "uts", "mnt", "net")
    inside = walled.try_each(*(f"os.readlink('/proc/self/ns/{name}')" for name in names))
    outside = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    same = [name for name, ours, theirs in zip(names, outside, inside, strict=True) if ours == theirs]
    assert same == ["net"]


def test_what_others_left_in_temporary_directories_is_not_there(walled: House) -> None:
    new = Path("/tmp", f"written-inside-{os.getpid()}")
    listed = [f"os.listdir({directory!r})" for directory in ("/tmp", "/var/tmp", "/dev/shm")]
    found = walled.try_each(*listed, f"write({str(new)!r})")
    pythons = {root.split("/")[2] for root in system_paths.roots([]) if root.startswith("/tmp/")}  # of a checkout there
    assert set(found[0]) == {walled.root.name, *pythons}
    assert found[1:] == [[], [], None]
    assert not new.exists()


def test_the_system_cannot_be_written(walled: House) -> None:
    settings = [path for path in Path("/proc/sys").rglob("*") if path.is_file() and path.stat().st_mode & 0o200]
    paths = ["/usr/x", "/etc/x", "/sys/x", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", *settings]
    found = walled.try_each(*(f"write({str(path)!r})" for path in paths))
    assert set(found) <= {"OSError", "PermissionError", "FileNotFoundError"}


def test_nothing_of_the_home_directories_is_there(walled: House) -> None:
    (homes,) = walled.try_each("[str(path) for path in pathlib.Path('/home').glob('*')]")
    assert homes == []
    (files,) = walled.try_each("[str(path) for path in pathlib.Path('/root').glob('*') if path.is_file()]")
    assert files == []


def test_a_missing_interpreter_is_told_before_the_start(walled: House) -> None:
    outcome = walled.run("#!/no/such/interpreter\n")
    assert (outcome.exit_code, outcome.host_fault) == (None, False)
    assert "interpreter" in str(outcome.start_failure)


@pytest.mark.parametrize("text", ["", "<html>", "echo no first line", "#!", "#! \n"])
def test_what_is_no_program_is_told_before_the_start(walled: House, text: str) -> None:
    outcome = walled.run(text)
    assert (outcome.exit_code, outcome.host_fault) == (None, False)
    assert str(outcome.start_failure).startswith("could not be started")


def test_a_file_that_is_being_written_is_busy(walled: House) -> None:
    launch = walled.launch("#!/bin/sh\necho ran")
    with open(launch.program, "a"):
        outcome = walled.run_launch(launch)
    assert outcome.host_fault
    assert outcome.start_failure == "could not be started: Text file busy"
    assert walled.run_launch(launch).stdout == "ran\n"


def test_signals_go_past_the_wall(walled: House) -> None:
    launch = walled.launch("#!/bin/sh\nsleep 600 &\nsetsid sleep 600 &\necho $$ >ready\nwait")
    future = walled.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    leader = min(processes_of(launch))
    targets = walled.confined.polite_targets(leader)
    assert leader not in targets
    assert {os.getpgid(pid) for pid in targets} == {leader}
    walled.slot.stop()
    future.result(10)
    assert walled.confined.polite_targets(leader) == []


def test_links_of_the_system_stay_links() -> None:
    told = bubblewrap.options("/p", "/d", [])
    for path in system_paths.roots([]):
        if Path(path).is_symlink() and str(Path(path).resolve()).startswith("/usr/"):
            assert told[told.index(path) - 2] == "--symlink"


def test_what_stands_before_the_wall_has_nothing_of_the_programs_environment(walled: House) -> None:
    """The dynamic linker would run what LD_PRELOAD names in bwrap itself; and command lines are for all to see."""
    words = {"PATH": PATH, "LD_PRELOAD": "../program", "SECRET": "canary"}
    launch = walled.launch('#!/bin/sh\necho "$SECRET" >begun\nexec sleep 600', environment=words)
    running = walled.begin(launch)
    begun = Path(launch.directory) / "begun"
    wait_until("it runs", lambda: begun.exists() and begun.read_text() == "canary\n")
    (bwrap,) = children_of(walled.slot.pid)
    (first,) = children_of(bwrap)
    for pid in (bwrap, first):
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert b"canary" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    walled.slot.stop(0)
    assert running.result().stderr.count("LD_PRELOAD cannot be preloaded") <= 2  # sh and, if it got that far, sleep


def test_an_environment_arrives_whole(walled: House) -> None:
    words = {"PATH": PATH, "EMPTY": "", "--bind": "=/", "LINES": "a\nb", "HIGH": "ü\udcff", "LONG": "x" * 131_000}
    words |= {f"N{number}": "x" for number in range(2000)}
    program = f"#!{python()} -IS\nimport json, os\nprint(json.dumps(dict(os.environ)))"
    outcome = walled.run_launch(walled.launch(program, environment=words))
    assert outcome.exit_code == 0, outcome
    found = json.loads(outcome.stdout)
    assert {name: found[name] for name in words} == words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x"] * 9000, {}),
        ([], {f"N{number}": "x" for number in range(3000)}),
        (["x" * 131_000] * 17, {}),
        (["x" * 131_072], {}),
    ],
)
def test_too_much_to_start_with_is_told_before_the_start(
    walled: House, arguments: list[str], words: dict[str, str]
) -> None:
    outcome = walled.run_launch(walled.launch("#!/bin/sh\n", *arguments, environment={"PATH": PATH, **words}))
    assert outcome.start_failure == "could not be started: Argument list too long"
    assert not outcome.host_fault
