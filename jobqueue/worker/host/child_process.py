"""Starts child processes. Worker and supervisor start every process through `start`."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def start(command: Sequence[str], environment: Mapping[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process with exactly this environment and, unless Popen's `options` say otherwise, without input.

    Raises OSError, ValueError, SubprocessError.
    """
    # The environment is an argument that must be given. By default a child gets its parent's, which holds the worker's
    # secrets, and every process of the same user can read it in /proc/<pid>/environ: only the worker and the
    # supervisors are protected from that (`hardening.close_memory`), and exec ends the protection.
    #
    # A session of its own keeps a terminal's signals away. Ctrl-Z must not suspend a supervisor, which has to end its
    # program when the lease ends, and Ctrl-C must not end the removal of a job's files half-way.
    defaults: dict[str, Any] = {"stdin": subprocess.DEVNULL, "start_new_session": True}
    return subprocess.Popen(command, env=dict(environment), **(defaults | options))


def helper_environment() -> dict[str, str]:
    """Return the environment of the worker's own processes: where programs are, and nothing else of the worker's."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def c_strings(words: Iterable[str | bytes]) -> ctypes.Array[ctypes.c_char_p]:
    """Return words as C has them. Raises ValueError when one contains a NUL or cannot be encoded."""
    encoded = [os.fsencode(each) for each in words]
    if b"\0" in b"".join(encoded):
        raise ValueError("embedded null byte")
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def pairs(environment: Mapping[str, str]) -> list[str]:
    """Return `NAME=value` for each variable. Raises ValueError for a name that holds a `=`."""
    if "=" in "".join(environment):
        raise ValueError("illegal environment variable name")
    return [f"{name}={value}" for name, value in environment.items()]
