"""The directories of the host that a sandboxed program may read: what programs need to run, and no user's files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu"),
    *("/run/current-system", "/run/opengl-driver", "/var/lib/ca-certificates"),
)
"""The rest of /run is left out because it holds the secrets of containers and the sockets of services."""

NAME_SERVICES = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd")
"""What programs need to look up names: files, and sockets of services that use the network on their behalf."""

SHARED = ("/dev/shm", "/proc", "/sys")  # noqa: S108  # nothing is written there
"""What programs can read besides, in whole or in part."""


def roots(hidden: Sequence[str], name_services: bool = True) -> list[str]:
    """Return the directories that programs may read and execute from: the system's and those of this Python.

    Those of name services are left out when a program must not look up names.

    Each exists, and none lies in a hidden directory, but a hidden directory may lie in one of them.
    """
    readable: list[str] = []
    for path in (*SYSTEM, *(NAME_SERVICES if name_services else ()), *_python()):
        secret = any(lies_in(os.path.realpath(path), os.path.realpath(each)) for each in hidden)
        if os.path.isdir(path) and not secret and not any(lies_in(path, other) for other in readable):
            readable.append(path)
    return readable


def sockets_in(directories: Sequence[str], bound: str = "/proc/net/unix") -> list[str]:
    """Return the Unix sockets below these directories to which this user may connect now.

    `bound` is the kernel's list of sockets. One that was bound in another network namespace is not in it.
    """
    resolved = [os.path.realpath(each) for each in directories]
    # What comes before a path are numbers. Abstract names begin with `@`; where relative paths lie is not known.
    with open(bound, encoding="utf-8", errors="surrogateescape") as lines:
        paths = {f"/{path}" for _, _, path in (line.rstrip("\n").partition(" /") for line in lines) if path}
    places = {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in paths}
    shown = (place for place in places if any(lies_in(place, each) for each in resolved))
    return sorted(place for place in shown if os.access(place, os.W_OK))


def around(path: str, hidden: Sequence[str]) -> Iterator[str]:
    """Yield the entries of a directory, at any depth, that together are all of it but what is hidden; the directory
    itself when nothing in it is hidden. All paths are real ones.
    """
    if path in hidden:
        return
    if not any(lies_in(each, path) for each in hidden):
        yield path
        return
    with os.scandir(path) as entries:
        for entry in entries:
            # A link is left out: a rule about it would be one about its target, which has a rule where it lies or
            # must not be seen.
            if not entry.is_symlink():
                yield from around(entry.path, hidden)


def directories_around(file: Path) -> list[str]:
    """Return the directories to hide so that programs cannot read a file that they could read otherwise; none for a
    file that they cannot see anyway.

    It is the directory and not the file that is hidden, because a file is replaced by another one of the same name. A
    link is replaced, too. Raises ValueError with the directory when it cannot be hidden: it is what programs need, or
    has that in it.
    """
    needed = [os.path.realpath(path) for path in (*SYSTEM, *SHARED, *_python()) if os.path.isdir(path)]
    around = {os.path.realpath(file.parent), os.path.dirname(os.path.realpath(file))}
    seen = sorted(folder for folder in around if any(lies_in(folder, path) for path in needed))
    for folder in seen:
        if any(lies_in(path, folder) for path in needed):
            raise ValueError(folder)
    return seen


def lies_in(path: str, directory: str) -> bool:
    """Whether a path is that directory or below it. Both are absolute."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _python() -> set[str]:
    """Return the directories of the Python that runs this: many jobs are scripts for the worker's own Python."""
    executable = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    prefixes = {sys.prefix, sys.base_prefix}
    return ({executable} | prefixes | {os.path.realpath(path) for path in prefixes}) - {"/"}
