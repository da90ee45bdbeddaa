"""What a confined job sees of the host: the system that programs need to run, and nothing of anybody's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu"),
    *("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd"),  # where names are looked up
    *("/run/current-system", "/run/opengl-driver", "/var/lib/ca-certificates"),
)
"""The rest of /run holds the secrets of containers and the sockets of services, and is left out for that."""


def roots(hidden: Sequence[str]) -> list[str]:
    """Return the directories that a job may read and run programs from: the system's and this Python's.

    Each exists, none lies in one that is `hidden`, though a hidden one may lie in them.
    """
    found: list[str] = []
    for path in (*SYSTEM, *_python()):
        secret = any(lies_in(os.path.realpath(path), os.path.realpath(each)) for each in hidden)
        if os.path.isdir(path) and not secret and not any(lies_in(path, other) for other in found):
            found.append(path)
    return found


def around(path: str, hidden: Sequence[str]) -> Iterator[str]:
    """Yield what lies in a directory without what is hidden there: the directory itself, if nothing is.

    Links are left out: what they lead to is seen where it lies, or not at all.
    """
    if path in hidden:
        return
    if not any(lies_in(each, path) for each in hidden):
        yield path
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.is_symlink():
                yield from around(entry.path, hidden)


def lies_in(path: str, directory: str) -> bool:
    """Whether a path is that directory or below it. Both are absolute."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _python() -> set[str]:
    """Return where the Python that runs this lies: jobs are written for it more often than for another."""
    executable = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    named = {sys.prefix, sys.base_prefix}
    return ({executable} | named | {os.path.realpath(path) for path in named}) - {"/"}
