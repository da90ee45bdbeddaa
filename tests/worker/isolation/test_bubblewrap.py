"""Level `bwrap`: what a program sees, how it is signalled, and which start failures are noticed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue.worker.failures import Failure
from jobqueue.worker.host.process_tree import children_of
from jobqueue.worker.isolation import bubblewrap, system_paths
from jobqueue.worker.isolation.base import NETWORKS, Paths
from jobqueue.worker.isolation.bubblewrap import BubblewrapIsolation
from tests.support.confined import Sandbox, processes_of, python, sandbox, why_impossible
from tests.support.paths import PATH
from tests.support.waiting import wait_until


@pytest.fixture
def sandboxed() -> Iterator[Sandbox]:
    with sandbox("bwrap") as made:
        yield made


@pytest.mark.parametrize(
    ("leader_status", "program_status"),
    [(0, 0), (1, 1), (-9, -9), (128, 128), (137, -9), (143, -15), (192, -64), (193, 193), (255, 255)],
)
def test_an_exit_code_above_128_is_a_signal_as_in_a_shell(leader_status: int, program_status: int) -> None:
    assert BubblewrapIsolation().program_status(leader_status) == program_status


def test_a_program_sees_no_process_but_its_own(sandboxed: Sandbox) -> None:
    (seen,) = sandboxed.try_each("sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")
    assert seen == [1, 2]


def test_a_program_has_new_namespaces_except_the_networks(sandboxed: Sandbox) -> None:
    names = ("user", "pid", "ipc", "uts", "mnt", "net")
    inside = sandboxed.try_each(*(f"os.readlink('/proc/self/ns/{name}')" for name in names))
    outside = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    same = [name for name, ours, theirs in zip(names, outside, inside, strict=True) if ours == theirs]
    assert same == ["net"]


def test_a_program_without_network_sees_no_name_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(system_paths, "NAME_SERVICES", (str(tmp_path),))
    assert str(tmp_path) in bubblewrap.options("/p", "/d", [])
    options = bubblewrap.options("/p", "/d", [], "none")
    assert str(tmp_path) not in options
    assert "--unshare-net" in options


def test_a_programs_temporary_directories_are_empty_and_private(sandboxed: Sandbox) -> None:
    new = Path("/tmp", f"written-inside-{os.getpid()}")
    listed = [f"os.listdir({directory!r})" for directory in ("/tmp", "/var/tmp", "/dev/shm")]
    results = sandboxed.try_each(*listed, f"write({str(new)!r})")
    pythons = {root.split("/")[2] for root in system_paths.roots([]) if root.startswith("/tmp/")}  # of a checkout there
    assert set(results[0]) == {sandboxed.root.name, *pythons}
    assert results[1:] == [[], [], None]
    assert not new.exists()


def test_a_program_cannot_write_to_the_system(sandboxed: Sandbox) -> None:
    settings = [path for path in Path("/proc/sys").rglob("*") if path.is_file() and path.stat().st_mode & 0o200]
    paths = ["/usr/x", "/etc/x", "/sys/x", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", *settings]
    results = sandboxed.try_each(*(f"write({str(path)!r})" for path in paths))
    assert set(results) <= {"OSError", "PermissionError", "FileNotFoundError"}


def test_a_program_sees_empty_home_directories(sandboxed: Sandbox) -> None:
    (homes,) = sandboxed.try_each("[str(path) for path in pathlib.Path('/home').glob('*')]")
    assert homes == []
    (files,) = sandboxed.try_each("[str(path) for path in pathlib.Path('/root').glob('*') if path.is_file()]")
    assert files == []


def test_a_missing_interpreter_is_a_host_fault(sandboxed: Sandbox) -> None:
    outcome = sandboxed.run("#!/no/such/interpreter\n")
    assert (outcome.exit_code, outcome.host_fault) == (None, True)
    assert "interpreter" in str(outcome.start_failure)


@pytest.mark.parametrize("text", ["", "<html>", "echo no first line", "#!", "#! \n"])
def test_a_file_that_is_not_a_program_is_a_start_failure(sandboxed: Sandbox, text: str) -> None:
    outcome = sandboxed.run(text)
    assert (outcome.exit_code, outcome.host_fault) == (None, False)
    assert str(outcome.start_failure).startswith("could not be started")


def test_a_file_that_is_open_for_writing_is_busy(sandboxed: Sandbox) -> None:
    launch = sandboxed.launch("#!/bin/sh\necho ran")
    with open(launch.program, "a"):
        outcome = sandboxed.run_launch(launch)
    assert outcome.host_fault
    assert outcome.start_failure == "could not be started: Text file busy"
    assert sandboxed.run_launch(launch).stdout == "ran\n"


def test_signals_go_to_the_program_and_not_to_bwrap(sandboxed: Sandbox) -> None:
    launch = sandboxed.launch("#!/bin/sh\nsleep 600 &\nsetsid sleep 600 &\necho $$ >ready\nwait")
    future = sandboxed.begin(launch)
    wait_until("the program is ready", Path(launch.directory, "ready").exists)
    leader = min(processes_of(launch))
    targets = sandboxed.isolation.processes_to_signal(leader)
    assert leader not in targets
    assert {os.getpgid(pid) for pid in targets} == {leader}
    sandboxed.slot.stop()
    future.result(10)
    assert sandboxed.isolation.processes_to_signal(leader) == []


def test_links_of_the_system_stay_links() -> None:
    options = bubblewrap.options("/p", "/d", [])
    for path in system_paths.roots([]):
        if Path(path).is_symlink() and str(Path(path).resolve()).startswith("/usr/"):
            assert options[options.index(path) - 2] == "--symlink"


def test_bwrap_itself_does_not_get_the_programs_environment(sandboxed: Sandbox) -> None:
    """The dynamic linker would load what LD_PRELOAD names into bwrap itself, and command lines are public."""
    words = {"PATH": PATH, "LD_PRELOAD": "../program", "SECRET": "canary"}
    launch = sandboxed.launch('#!/bin/sh\necho "$SECRET" >begun\nexec sleep 600', environment=words)
    running = sandboxed.begin(launch)
    begun = Path(launch.directory) / "begun"
    wait_until("the program runs", lambda: begun.exists() and begun.read_text() == "canary\n")
    (bwrap,) = children_of(sandboxed.slot.supervisor_pid)
    (first,) = children_of(bwrap)
    for pid in (bwrap, first):
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert b"canary" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    sandboxed.slot.stop(0)
    assert running.result().stderr.count("LD_PRELOAD cannot be preloaded") <= 2  # sh and, if it got that far, sleep


def test_a_programs_environment_arrives_whole(sandboxed: Sandbox) -> None:
    words = {"PATH": PATH, "EMPTY": "", "--bind": "=/", "LINES": "a\nb", "HIGH": "ü\udcff", "LONG": "x" * 131_000}
    words |= {f"N{number}": "x" for number in range(2000)}
    program = f"#!{python()} -IS\nimport json, os\nprint(json.dumps(dict(os.environ)))"
    outcome = sandboxed.run_launch(sandboxed.launch(program, environment=words))
    assert outcome.exit_code == 0, outcome
    received = json.loads(outcome.stdout)
    assert {name: received[name] for name in words} == words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x"] * 9000, {}),
        ([], {f"N{number}": "x" for number in range(3000)}),
        (["x" * 131_000] * 17, {}),
        (["x" * 131_072], {}),
    ],
)
def test_too_many_or_too_long_arguments_are_a_start_failure(
    sandboxed: Sandbox, arguments: list[str], words: dict[str, str]
) -> None:
    outcome = sandboxed.run_launch(sandboxed.launch("#!/bin/sh\n", *arguments, environment={"PATH": PATH, **words}))
    assert outcome.start_failure == "could not be started: Argument list too long"
    assert outcome.failure is Failure.NOT_PERMITTED


@pytest.mark.parametrize("network", NETWORKS)
def test_a_socket_in_a_directory_of_the_system_is_open_and_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    if why_not := why_impossible("bwrap", network):
        pytest.skip(why_not)
    isolation = BubblewrapIsolation(network=network)
    isolation.reserve()
    assert isolation.closed()["path sockets"]
    with tempfile.TemporaryDirectory(prefix="jq-") as folder, socket.socket(socket.AF_UNIX) as service:
        monkeypatch.setattr(system_paths, "SYSTEM", (*system_paths.SYSTEM, folder))
        service.bind(f"{folder}/socket")
        service.listen()
        closed = isolation.closed()
        assert (closed["path sockets"], closed["network"]) == (False, False)
        assert BubblewrapIsolation([folder], network).closed()["path sockets"]
        program = tmp_path / "program"
        program.write_text(f"#!{python()} -IS\nimport socket; socket.socket(socket.AF_UNIX).connect('{folder}/socket')")
        program.chmod(0o500)
        command = isolation.command(Paths(str(program), str(tmp_path)), [], {"PATH": PATH})
        subprocess.run(command.words, env=command.environment, pass_fds=command.descriptors, check=True, timeout=30)
        isolation.close_descriptor()
