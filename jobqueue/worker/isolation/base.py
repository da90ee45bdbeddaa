"""The base class of all levels of isolation, which is level `none` itself.

`docs/isolation.md` says what each level protects and what it does not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobqueue.settings import InvalidSetting
from jobqueue.worker.host.hardening import Call
from jobqueue.worker.isolation import system_calls

NETWORKS = HOST_NETWORK, NO_NETWORK = ("host", "none")
"""The values of NETWORK: programs use the network of the host, or none."""


class ImpossibleIsolation(InvalidSetting):
    """The configured isolation is not possible on this host. The message tells the operator why, in a sentence."""


@dataclass(frozen=True)
class Paths:
    """The absolute paths that a sandbox is built around: the program's file, and the directory that it may write."""

    program: str
    directory: str


@dataclass(frozen=True)
class Command:
    """What to execute: argument list, environment, and the descriptors to inherit besides the standard ones."""

    words: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Sequence[int] = ()


class Isolation:
    """Level `none`, which adds nothing to what every program gets. The other levels override what they do differently.

    The worker calls `reserve` and `describe`. The supervisor makes the same object again from the description, and
    calls `confine_supervisor` once. For each start it calls `prepare`, `command` and `calls`, has the child make those
    calls, and calls `close_descriptor`.
    """

    level: ClassVar[str] = "none"
    program_mode: ClassVar[int] = 0o500
    """The mode that the program's file must have."""
    executes_itself: ClassVar[bool] = True
    """Whether `command` executes the program's file itself, and not another program that does."""
    uid: int | None = None
    """The user who must own the job's directory; None for the worker's own user."""
    descriptor: int | None = None
    """What `prepare` or `command` opened for one start."""

    def __init__(self, hidden: Sequence[str] = (), network: str = HOST_NETWORK) -> None:
        """`hidden` lists directories that programs must not see although they lie below a readable directory.

        `network` is one of NETWORKS.
        """
        self._hidden = [os.path.realpath(path) for path in hidden]
        self.network = network

    @property
    def families_without_network(self) -> Sequence[int]:
        """The families of sockets that programs may open with NETWORK=none, besides connected pairs."""
        # Not even those of Unix: a service of this host that is reached by one could use the network for the program.
        return ()

    @property
    def protects_worker_files(self) -> bool:
        """Whether programs are kept from files that only the worker's user may read."""
        return self.level != "none"

    def closed(self) -> Mapping[str, bool]:
        """Return, for each thing that a program might reach, whether this host closes it to programs."""
        no_sockets = self.network == NO_NETWORK
        return {
            "files": self.protects_worker_files,
            "signals": False,
            "abstract sockets": no_sockets,
            "path sockets": no_sockets,
            "network": no_sockets,
            "keyrings": self.protects_worker_files and system_calls.available(),
        }

    def reserve(self) -> None:
        """Reserve for one slot what the level needs of this host. Raises ImpossibleIsolation."""
        if self.network == NO_NETWORK and not self.protects_worker_files:
            raise ImpossibleIsolation(
                "NETWORK is 'none', but without a sandbox a program can have other programs of the worker's user do "
                "what it must not; set ISOLATION to landlock, user or bwrap, or NETWORK to host."
            )
        if self.network == NO_NETWORK and not system_calls.available():
            raise ImpossibleIsolation(
                "NETWORK is 'none', but this host cannot keep programs from the network: that takes Linux with "
                "seccomp filters on x86-64, AArch64 or RISC-V, not blocked by a container; set NETWORK to host."
            )

    def free(self) -> None:
        """Free what `reserve` reserved. The end of this process frees it, too."""

    def describe(self) -> dict[str, Any]:
        """Return a description, ready for JSON, of which `from_description` makes an equal object. Call `reserve`
        first.
        """
        return {"level": self.level, "hidden": self._hidden, "network": self.network}

    def confine_supervisor(self) -> None:
        """Deny the calling process, a supervisor, what neither it nor any of its programs needs: they inherit that.

        Raises OSError.
        """
        # A level that does not keep programs from the files and processes of the worker's user cannot keep them from
        # its keyrings either.
        if self.protects_worker_files and system_calls.available():
            system_calls.deny(self.families_without_network if self.network == NO_NETWORK else None)

    def command(self, paths: Paths, arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
        """Return what to execute to start the program. Raises OSError or ValueError if it could not be started."""
        return Command([paths.program, *arguments], environment)

    def prepare(self, paths: Paths) -> None:
        """Build what the sandbox around these paths needs. Raises OSError."""

    def calls(self, outputs: Sequence[int]) -> Sequence[Call]:  # noqa: ARG002  # the level `user` needs them
        """Return the calls of C functions by which a new child, before it executes the program, confines itself.

        `outputs` are the descriptors of the pipes that the program writes to. Raises OSError.
        """
        return []

    def close_descriptor(self) -> None:
        """Close what `prepare` or `command` opened. May be called again."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def processes_to_signal(self, leader: int) -> list[int]:  # noqa: ARG002  # bwrap's version needs it
        """Return the processes to signal when a program should end; an empty list means the leader's process group."""
        return []

    def program_status(self, leader_status: int) -> int:
        """Return how the program ended, given how the process that was started did (-n: killed by signal n)."""
        return leader_status
