"""The four levels of isolation, each a class: from what every job gets to walls all around.

`docs/worker.md` says what each protects and what it does not.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobqueue.settings import InvalidSetting
from jobqueue.worker.isolation import bubblewrap, executable, landlock, system_paths, user

FIRST_USER = 59000


class ImpossibleIsolation(InvalidSetting):
    """The isolation that was asked for is not to be had. Says why in a sentence, for whoever starts the worker."""


@dataclass(frozen=True)
class Place:
    """What a launch is confined to: the absolute path of its program's file, and of the directory that it may write."""

    program: str
    directory: str


@dataclass(frozen=True)
class Command:
    """What to start: words, environment, and the descriptors that it gets beside the standard ones."""

    words: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Sequence[int] = ()


class Isolation:
    """Level `none`: nothing beyond what every job gets. The others differ in what they override.

    Processes start in this order: `claim` and `describe` in the worker; `prepare`, `command` and `finish` in the slot,
    `enter` in the child in between.
    """

    level: ClassVar[str] = "none"

    @property
    def closed(self) -> bool:
        """Whether files that are the worker's alone are closed to its jobs."""
        return self.level != "none"

    def __init__(self, hidden: Sequence[str] = ()) -> None:
        """`hidden` are the directories that a job must not see though they lie in what it may read."""
        self._hidden = [os.path.realpath(path) for path in hidden]

    def claim(self) -> None:
        """Take, for one slot, what the level needs of this host. Raises ImpossibleIsolation."""

    def release(self) -> None:
        """Give back what was claimed. It is given back too when this process ends."""

    def describe(self) -> dict[str, Any]:
        """Return what `from_description` makes the same of, ready for JSON. To be asked after `claim`."""
        return {"level": self.level, "hidden": self._hidden}

    @property
    def uid(self) -> int | None:
        """The user whose the job's directory has to be; None: the worker's own."""
        return None

    def program_mode(self) -> int:
        """Return the mode that the program's file has to have."""
        return 0o500

    def command(self, place: Place, arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
        """Return what to start. Raises OSError or ValueError when that would not start the program."""
        return Command([place.program, *arguments], environment)

    def prepare(self, place: Place) -> None:
        """Make ready for starts in this place. Raises OSError."""

    def enter(self) -> None:
        """Confine this process, a new child, before it becomes the program. Raises OSError."""

    def finish(self) -> None:
        """Put away what was prepared."""

    def polite_targets(self, leader: int) -> list[int]:  # noqa: ARG002  # bwrap's needs it
        """Return whom to ask to end, given who was started; nobody: the whole process group."""
        return []

    def interpret(self, status: int) -> int:
        """Return how the program ended (-n: by signal n), given how what was started did."""
        return status


class LandlockIsolation(Isolation):
    """Level `landlock`: the kernel denies the files that a program does not need, and whatever root could do."""

    level = "landlock"
    _ruleset: int | None = None

    def claim(self) -> None:
        """Find the kernel to know of it. Raises ImpossibleIsolation."""
        if not landlock.version():
            raise ImpossibleIsolation(
                "ISOLATION is 'landlock', but this kernel has no Landlock that may be used (Linux 5.13 or later has, "
                "unless it is turned off or a container does not let it through); choose none."
            )

    def prepare(self, place: Place) -> None:
        """Write down what is allowed."""
        system = [os.path.realpath(path) for path in system_paths.roots(self._hidden)]
        rules = [(path, landlock.RUN) for root in system for path in system_paths.around(root, self._hidden)]
        rules += [(path, landlock.SEE) for path in ("/proc", "/sys")]
        rules += [(path, landlock.USE_DEVICE) for path in landlock.DEVICES]
        rules += [("/dev/shm", landlock.SHARE)]  # noqa: S108  # that is where it is
        rules += [(place.program, landlock.RUN), (place.directory, landlock.OWN)]
        self._ruleset = landlock.create_ruleset(rules)

    def enter(self) -> None:
        """Be confined, and have no capability left to get around it."""
        assert self._ruleset is not None, "prepare comes first"  # noqa: S101
        landlock.restrict_self(self._ruleset)
        user.drop_capabilities()

    def finish(self) -> None:
        """Forget what was allowed."""
        if self._ruleset is not None:
            os.close(self._ruleset)
            self._ruleset = None


class UserIsolation(Isolation):
    """Level `user`: the jobs of each slot are a user of their own, who owns nothing but their directory."""

    level = "user"

    def __init__(self, hidden: Sequence[str] = (), first_uid: int = FIRST_USER, uid: int | None = None) -> None:
        """`first_uid` is where to look for a user from, `uid` one that was claimed already."""
        super().__init__(hidden)
        self._first = first_uid
        self._uid = uid
        self._reservation: socket.socket | None = None

    def claim(self) -> None:
        """Reserve a user. Raises ImpossibleIsolation."""
        if os.geteuid() != 0:
            raise ImpossibleIsolation(
                "ISOLATION is 'user', but this worker does not run as root, who alone can start programs as another "
                "user; start it as root or choose landlock or none."
            )
        self.release()
        try:
            self._uid, self._reservation = user.reserve_user(self._first)
        except LookupError:
            raise ImpossibleIsolation(
                f"ISOLATION is 'user', but {user.USERS_LOOKED_AT} users from ISOLATION_UID={self._first} on are "
                "taken; choose another ISOLATION_UID."
            ) from None

    def release(self) -> None:
        """Let another slot have the user."""
        if self._reservation:
            self._reservation.close()
            self._reservation = self._uid = None

    def describe(self) -> dict[str, Any]:
        """Return the user, too."""
        return super().describe() | {"uid": self._uid}

    @property
    def uid(self) -> int | None:
        """The user of this slot's jobs; None before `claim`."""
        return self._uid

    def program_mode(self) -> int:
        """Return a mode that lets somebody else than its owner start it."""
        return 0o555

    def enter(self) -> None:
        """Become the user, who may open /dev/stdout and /dev/stderr, too."""
        assert self._uid is not None, "claim comes first"  # noqa: S101
        user.give_pipes(self._uid)
        user.become(self._uid)
        user.drop_capabilities()


class BubblewrapIsolation(Isolation):
    """Level `bwrap`: the program sees no process but its own, and no file but the system's and its own."""

    level = "bwrap"
    _told: int | None = None

    def __init__(self, hidden: Sequence[str] = (), bwrap: str | None = None) -> None:
        """`bwrap` is where that lies, if that was found already."""
        super().__init__(hidden)
        self._bwrap = bwrap

    def claim(self) -> None:
        """Find bwrap. Raises ImpossibleIsolation."""
        self._bwrap = bubblewrap.find()
        if not self._bwrap:
            raise ImpossibleIsolation(
                "ISOLATION is 'bwrap', but this host has no bwrap program; install bubblewrap or choose none."
            )

    def describe(self) -> dict[str, Any]:
        """Return where bwrap lies, too."""
        return super().describe() | {"bwrap": self._bwrap}

    def command(self, place: Place, arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
        """Return the program behind its wall. bwrap itself stands before it and has no environment: the program's could
        have the dynamic linker run a job's code there (LD_PRELOAD).
        """
        assert self._bwrap is not None, "claim comes first"  # noqa: S101
        executable.require_startable(place.program)
        wall = bubblewrap.options(place.program, place.directory, self._hidden)
        words = [place.program, *arguments]
        # bwrap exits with code 1 when it gets too many words, which would look like the program's own exit code.
        if len(wall) + len(words) + 3 * len(environment) + 8 > bubblewrap.MAX_WORDS:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), place.program)
        self.finish()
        self._told = bubblewrap.write_down(environment)
        return Command([self._bwrap, *wall, "--args", str(self._told), "--", *words], {}, [self._told])

    def finish(self) -> None:
        """Forget what bwrap was told."""
        if self._told is not None:
            os.close(self._told)
            self._told = None

    def polite_targets(self, leader: int) -> list[int]:
        """Return the program and what it started: bwrap itself has to outlive them to tell how they ended."""
        return bubblewrap.behind(leader)

    def interpret(self, status: int) -> int:
        """Return how the program behind the wall ended."""
        return bubblewrap.unwrapped(status)
