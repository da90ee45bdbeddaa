"""Level `bwrap`: Bubblewrap runs a program in namespaces of its own.

Two processes stand between the supervisor and the program. `bwrap`, which the supervisor starts (the leader), waits for
the namespace's first process, which it has made and which adopts orphans there. The program is a child of that one.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from jobqueue.worker.host.process_tree import children_of, descendants_of
from jobqueue.worker.isolation import executable, landlock, system_calls, system_paths
from jobqueue.worker.isolation.base import (
    HOST_NETWORK,
    NO_NETWORK,
    Command,
    ImpossibleIsolation,
    Isolation,
    Paths,
)

NAMESPACES = ("user", "pid", "ipc", "uts", "cgroup-try")
"""All but the network namespace, which programs get with NETWORK=none only."""

KERNEL_SETTINGS = ("sys", "irq", "bus", "fs", "acpi", "scsi", "driver", "pressure")
"""Entries of /proc that configure the kernel. Root needs no capability to write most of them, and bwrap makes them
read-only by itself only where their directories, too, can be written.
"""

TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # a program gets empty ones of its own

SIGNALLED = 128
"""bwrap exits with this plus n when the program was killed by signal n, as a shell does."""

MAX_WORDS = 9000
"""The most arguments that bwrap accepts, the program's own included (MAX_ARGS in its bubblewrap.c)."""


class BubblewrapIsolation(Isolation):
    """A program sees no processes but its own, and no files but the system's and its own."""

    level = "bwrap"
    executes_itself = False

    def __init__(self, hidden: Sequence[str] = (), network: str = HOST_NETWORK, bwrap: str | None = None) -> None:
        """`bwrap` is the path of that program, if the worker has found it already."""
        super().__init__(hidden, network)
        self._bwrap = bwrap

    @property
    def families_without_network(self) -> Sequence[int]:
        """Those that the new namespaces keep to themselves, so that a program has a loopback interface of its own."""
        # A network namespace does not separate all families: a virtual machine's host, say, is reached by AF_VSOCK.
        return system_calls.IN_A_NAMESPACE

    def closed(self) -> Mapping[str, bool]:
        """Return what is closed."""
        closed = super().closed()
        abstract = closed["abstract sockets"] or landlock.has_scopes()
        # A file that is shown read-only can be connected to, if it is a socket. The service behind it, such as the
        # daemon of Nix, may use the network for its clients.
        sockets = system_paths.sockets_in(system_paths.roots(self._hidden, name_services=False))
        path = all(any(system_paths.lies_in(each, hidden) for hidden in self._hidden) for each in sockets)
        network = closed["network"] and path
        return {**closed, "signals": True, "abstract sockets": abstract, "path sockets": path, "network": network}

    def reserve(self) -> None:
        """Find bwrap. Raises ImpossibleIsolation."""
        super().reserve()
        # Besides the PATH, its wheel installs it beside this Python.
        self._bwrap = shutil.which("bwrap") or shutil.which("bwrap", path=sysconfig.get_path("scripts"))
        if not self._bwrap:
            raise ImpossibleIsolation(
                "ISOLATION is 'bwrap', but this host has no bwrap program; install bubblewrap or choose none."
            )

    def describe(self) -> dict[str, Any]:
        """Return the description with the path of bwrap."""
        return super().describe() | {"bwrap": self._bwrap}

    def confine_supervisor(self) -> None:
        """Deny the sockets of others in the abstract namespace, too: that one belongs to the network's."""
        super().confine_supervisor()
        landlock.scope_abstract_sockets()

    def command(self, paths: Paths, arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
        """Return the bwrap command that starts the program in its sandbox."""
        assert self._bwrap is not None, "reserve comes first"  # noqa: S101
        executable.require_startable(paths.program)
        sandbox = options(paths.program, paths.directory, self._hidden, self.network)
        words = [paths.program, *arguments]
        # bwrap exits with code 1 when it gets too many words, which would look like the program's own exit code.
        if len(sandbox) + len(words) + 3 * len(environment) + 8 > MAX_WORDS:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), paths.program)
        # bwrap itself runs outside the sandbox, so it must not get the program's environment: with LD_PRELOAD a job
        # could have the dynamic linker load the job's own code into bwrap. The variables reach the program through
        # `--setenv` options in a file, not on the command line, which every user of the host can read.
        self.close_descriptor()
        self.descriptor = os.memfd_create("environment", os.MFD_CLOEXEC)
        write_environment(self.descriptor, environment)
        command = [self._bwrap, *sandbox, "--args", str(self.descriptor), "--", *words]
        return Command(command, {}, [self.descriptor])

    def processes_to_signal(self, leader: int) -> list[int]:
        """Return the processes in the sandbox that are in the program's process group, or all when it has left that.

        The list is empty while bwrap is still setting up: a signal to bwrap itself then ends what has not started.
        """
        # bwrap must not be signalled: it would be killed and take the program with it, before the program could end in
        # its own way and bwrap could report its exit code. The sandbox's first process ignores such signals.
        inside = [pid for first in children_of(leader) for pid in descendants_of(first)]
        return [pid for pid in inside if _process_group(pid) == leader] or inside

    def program_status(self, leader_status: int) -> int:
        """Return how the program in the sandbox ended. An exit code of 129 to 192 counts as a death by a signal."""
        number = leader_status - SIGNALLED
        return -number if number in signal.valid_signals() else leader_status


def options(program: str, directory: str, hidden: Sequence[str], network: str = HOST_NETWORK) -> list[str]:
    """Return bwrap's options: the system can be read, the directory can be written, nothing else exists."""
    closed = network == NO_NETWORK
    roots = system_paths.roots(hidden, name_services=not closed)
    # The empty temporary directories would cover these: a Python below /tmp, say.
    covered = [path for path in roots if any(system_paths.lies_in(path, each) for each in TEMPORARY)]
    return [
        *(f"--unshare-{namespace}" for namespace in (*NAMESPACES, *(["net"] if closed else []))),
        *("--die-with-parent", "--cap-drop", "ALL"),
        *_system(roots, hidden),
        *("--ro-bind-try", "/sys", "/sys", "--proc", "/proc", "--dev", "/dev"),
        *(word for name in KERNEL_SETTINGS for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")),
        *(word for path in TEMPORARY for word in ("--tmpfs", path)),
        *(word for path in covered for word in ("--ro-bind", path, path)),
        *("--bind", directory, directory, "--ro-bind", program, program, "--chdir", directory),
    ]


def write_environment(environment_fd: int, environment: Mapping[str, str]) -> None:
    """Write bwrap's options that set these variables to a file, and rewind it. Raises ValueError when a variable cannot
    be encoded.
    """
    words = [word for name, value in environment.items() for word in ("--setenv", name, value)]
    with open(environment_fd, "wb", closefd=False) as file:
        file.write(b"".join(os.fsencode(word) + b"\0" for word in words))
        file.seek(0)


def _system(shown: Sequence[str], hidden: Sequence[str]) -> Iterator[str]:
    """Yield the options that show these directories of the system without those that are hidden in them."""
    for path in shown:
        # A link such as /bin -> usr/bin stays a link: bound as a directory it would be a second copy of /usr/bin, and
        # a hidden directory in it would have to be covered twice.
        if os.path.islink(path) and any(system_paths.lies_in(os.path.realpath(path), root) for root in shown):
            yield from ("--symlink", os.readlink(path), path)
        else:
            yield from ("--ro-bind", path, path)
    for path in map(os.path.realpath, hidden):
        if os.path.isdir(path) and any(system_paths.lies_in(path, os.path.realpath(root)) for root in shown):
            yield from ("--tmpfs", path)


def _process_group(pid: int) -> int:
    """Return the process group of a process; 0 when it is gone."""
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0
