"""A small program that is run as a job's would be, at the worker's start and by `--check`: whether programs can be run
here, and whether the wall around them holds.
"""

from __future__ import annotations

import threading
from contextlib import closing

from jobqueue.settings import InvalidSetting
from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import FIRST_UID, Isolation
from jobqueue.worker.slots.slot import OPEN_FILES, Slot, SlotDied
from jobqueue.worker.slots.workspace import Workspace, Workspaces
from jobqueue.worker.supervisor.messages import Launch

PROGRAM = """#!/bin/sh
: >written || exit 1
if [ -n "$1" ] && read -r word <"$1"; then echo "a program can read what it must not"; exit 1; fi 2>/dev/null
"""
"""Writes where it may, and tries to read what it must not."""

SECONDS = 10.0


def probe(level: str, workspaces: Workspaces, first_uid: int = FIRST_UID, open_files: int = OPEN_FILES) -> str | None:
    """Return None when programs can be run at this level of isolation, else the sentence that says why not."""
    try:
        confined = levels.make(level, (), first_uid)
        confined.reserve()
        try:
            with closing(Slot(workspaces.family, confined, open_files)) as slot:
                prove(slot, workspaces)
        finally:
            confined.free()
    except (InvalidSetting, OSError) as error:
        return str(error)
    return None


def prove(slot: Slot, workspaces: Workspaces) -> None:
    """Run the program in a workspace. Raises InvalidSetting when that is not possible here; OSError when the disk
    takes nothing.
    """
    with workspaces.create("proof", slot.isolation) as workspace:
        why_not = _run(slot, workspace)
    if why_not:
        raise InvalidSetting(_sentence(why_not, slot.isolation, str(workspaces.path.parent)))


def _run(slot: Slot, workspace: Workspace) -> str | None:
    confined = slot.isolation
    workspace.program.write_text(PROGRAM)
    workspace.program.chmod(confined.program_mode())
    secret = workspace.program.with_name("secret")
    secret.write_text("word\n")
    secret.chmod(0o600)
    launch = Launch(
        program=str(workspace.program),
        arguments=[str(secret)] if confined.protects_worker_files else [],
        environment={"HOME": str(workspace.directory)},
        directory=str(workspace.directory),
        timeout_seconds=SECONDS,
        kill_grace_seconds=0,
    )
    try:
        outcome = slot.run(launch, threading.Event())
    except SlotDied as error:
        return str(error)
    if outcome.exit_code == 0:
        return None
    return (
        outcome.start_failure
        or (outcome.stdout + outcome.stderr).strip()
        or f"it ended with exit code {outcome.exit_code}"
    )


def _sentence(why_not: str, confined: Isolation, parent: str) -> str:
    if not confined.protects_worker_files:
        remedy = "TMPDIR must be a directory on a file system that is not mounted noexec"
    elif confined.uid is None:
        remedy = "choose another level, or a TMPDIR on a file system that is not mounted noexec"
    else:
        remedy = "choose another level, or a TMPDIR that other users may pass through and that is not mounted noexec"
    return f"Programs cannot be run in {parent!r} with ISOLATION={confined.level} ({why_not}): {remedy}."
