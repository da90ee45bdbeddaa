"""Runs a small program as a job's would be run, to find out whether programs can be run and the sandbox holds.

The worker does this at its level of isolation when it starts, and `--check` does it at every level.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing

from jobqueue.settings import InvalidSetting
from jobqueue.worker.isolation import levels
from jobqueue.worker.isolation.levels import Isolation
from jobqueue.worker.slots.slot import Slot, SupervisorDied
from jobqueue.worker.slots.workspace import Workspace, Workspaces
from jobqueue.worker.supervisor.messages import Launch

PROGRAM = """#!/bin/sh
: >written || exit 1
if [ -n "$1" ] && read -r word <"$1"; then echo "a program can read what it must not"; exit 1; fi 2>/dev/null
"""
"""Writes where it may, and tries to read what it must not."""

TIME_LIMIT_SECONDS = 10.0


def problem_with_level(
    level: str, workspaces: Workspaces, first_uid: int, open_files: int, network: str = levels.HOST_NETWORK
) -> str | None:
    """Return None when programs can be run at this level of isolation, else a sentence that says why not."""
    try:
        isolation = levels.make(level, (), first_uid, network)
        isolation.reserve()
        with ExitStack() as stack:
            stack.callback(isolation.free)
            slot = stack.enter_context(closing(Slot(workspaces.children, isolation, open_files)))
            verify_slot(slot, workspaces)
    except (InvalidSetting, OSError) as error:
        return str(error)
    return None


def verify_slot(slot: Slot, workspaces: Workspaces) -> None:
    """Run the program in a workspace. Raises InvalidSetting when that is not possible here, OSError when the disk
    accepts nothing.
    """
    with workspaces.create("proof", slot.isolation) as workspace:
        problem = _problem(slot, workspace)
    if problem:
        raise InvalidSetting(_sentence(problem, slot.isolation, str(workspaces.path.parent)))


def _problem(slot: Slot, workspace: Workspace) -> str | None:
    try:
        outcome = slot.run(_launch(slot.isolation, workspace), threading.Event())
    except SupervisorDied as error:
        return str(error)
    if outcome.exit_code == 0:
        return None
    output = (outcome.stdout + outcome.stderr).strip()
    return outcome.start_failure or output or f"it ended with exit code {outcome.exit_code}"


def _launch(isolation: Isolation, workspace: Workspace) -> Launch:
    workspace.program.write_text(PROGRAM)
    workspace.program.chmod(isolation.program_mode)
    secret = workspace.program.with_name("secret")
    secret.write_text("word\n")
    secret.chmod(0o600)
    arguments, home = [str(secret)] if isolation.protects_worker_files else [], str(workspace.directory)
    return Launch(str(workspace.program), arguments, {"HOME": home}, home, TIME_LIMIT_SECONDS, kill_grace_seconds=0)


def _sentence(problem: str, isolation: Isolation, parent: str) -> str:
    if not isolation.protects_worker_files:
        remedy = "TMPDIR must be a directory on a file system that is not mounted noexec"
    elif isolation.uid is None:
        remedy = "choose another level, or a TMPDIR on a file system that is not mounted noexec"
    else:
        remedy = "choose another level, or a TMPDIR that other users may pass through and that is not mounted noexec"
    network = "" if isolation.network == levels.HOST_NETWORK else f" and NETWORK={isolation.network}"
    return f"Programs cannot be run in {parent!r} with ISOLATION={isolation.level}{network} ({problem}): {remedy}."
