"""The directories of the host that a sandboxed program may read: what programs need to run, and no user's files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu"),
    *("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd"),  # needed to look up names
    *("/run/current-system", "/run/opengl-driver", "/var/lib/ca-certificates"),
)
"""The rest of /run is left out because it holds the secrets of containers and the sockets of services."""


def roots(hidden: Sequence[str]) -> list[str]:
    """Return the directories that programs may read and execute from: the system's and those of this Python.

    Each exists, and none lies in a hidden directory, but a hidden directory may lie in one of them.
    """
    readable: list[str] = []
    for path in (*SYSTEM, *_python()):
        secret = any(lies_in(os.path.realpath(path), os.path.realpath(each)) for each in hidden)
        if os.path.isdir(path) and not secret and not any(lies_in(path, other) for other in readable):
            readable.append(path)
    return readable


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


def lies_in(path: str, directory: str) -> bool:
    """Whether a path is that directory or below it. Both are absolute."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _python() -> set[str]:
    """Return the directories of the Python that runs this: many jobs are scripts for the worker's own Python."""
    executable = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    prefixes = {sys.prefix, sys.base_prefix}
    return ({executable} | prefixes | {os.path.realpath(path) for path in prefixes}) - {"/"}
