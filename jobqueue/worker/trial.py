"""Whether a level of isolation is possible on this host, found out by running a program in it.

Runs in a process with a single thread, like the slots' own: what is done between fork and exec is only safe there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from jobqueue.worker.levels import Isolation, Place

PROGRAM = """#!/bin/sh
: >written || exit 1
if read -r word <"$1"; then echo "a program can read what it must not"; exit 1; fi 2>/dev/null
"""
"""Writes where it may, and tries to read what it must not."""

SECONDS = 10.0


def run(isolation: Isolation) -> str | None:
    """Run a program confined in this way, which has been claimed. Return why it failed, None when it did not."""
    try:
        with tempfile.TemporaryDirectory(prefix="jobqueue-trial-") as root:
            return _run(isolation, Path(root))
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    except subprocess.SubprocessError:
        return "the kernel refused to confine it"


def _run(isolation: Isolation, root: Path) -> str | None:
    root.chmod(0o711)
    place = Place(str(root / "program"), str(root / "work"))
    secret = root / "secret"
    for path, text, mode in ((Path(place.program), PROGRAM, isolation.program_mode()), (secret, "word\n", 0o600)):
        path.write_text(text)
        path.chmod(mode)
    Path(place.directory).mkdir(mode=0o700)
    if isolation.uid is not None:
        os.chown(place.directory, isolation.uid, isolation.uid)
    ended = _start(isolation, place, str(secret) if isolation.level != "none" else "/nowhere")
    shutil.rmtree(place.directory, ignore_errors=True)
    said = ended.stdout.decode(errors="replace").strip()
    return None if ended.returncode == 0 else said or f"it ended with {ended.returncode}"


def _start(isolation: Isolation, place: Place, secret: str) -> subprocess.CompletedProcess[bytes]:
    isolation.prepare(place)
    try:
        return subprocess.run(
            isolation.command(place, [secret]),
            check=False,
            cwd=place.directory,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            preexec_fn=isolation.enter,  # safe: this process has one thread
        )
    finally:
        isolation.finish()
