"""Says what this host can do and what is wrong with it, before a job finds out: `python worker.py --check`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from jobqueue.net.urls import without_secrets
from jobqueue.settings import InvalidSetting
from jobqueue.worker.config import WorkerSettings, misspelt, usable_processors
from jobqueue.worker.host import directories, hardening, open_files
from jobqueue.worker.isolation import levels
from jobqueue.worker.slots.children import Family
from jobqueue.worker.slots.selftest import probe
from jobqueue.worker.slots.workspace import Workspaces

MEGABYTE = 1024**2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `good` is None for what is only told."""

    subject: str
    good: bool | None
    text: str


def report(settings: WorkerSettings, variables: Mapping[str, str]) -> int:
    """Print every finding on a line of its own; return the exit code, 1 when something is wrong."""
    hardening.adopt_orphans()
    wrong = 0
    for finding in _findings(settings, variables):
        wrong += finding.good is False
        mark = {True: "ok   ", False: "WRONG", None: "     "}[finding.good]
        sys.stdout.write(f"{mark} {finding.subject}: {finding.text}\n")
        sys.stdout.flush()
    return 1 if wrong else 0


def _findings(settings: WorkerSettings, variables: Mapping[str, str]) -> Iterator[Finding]:
    for name, meant in misspelt(variables).items():
        yield Finding(name, False, f"is no setting; is {meant} meant?")
    yield Finding("executor", None, settings.executor_id)
    yield _api(settings.api_url)
    yield _slots(settings.slots)
    yield from _directories(settings, variables)
    yield from _programs(settings)
    if hardening.is_root() and settings.isolation != "user":
        yield Finding("user", None, "root: better give the worker a user of its own, or set ISOLATION to user")


def _api(api_url: str) -> Finding:
    shown = without_secrets(api_url)
    try:
        with closing(Transport(api_url)) as transport:
            transport.call("GET", "/health")
    except ApiUnavailable as error:
        return Finding("API_URL", False, f"{shown} does not answer as it should: {error}")
    except ApiRefused as error:
        return Finding("API_URL", False, f"{shown} is not this API: {error}")
    return Finding("API_URL", True, f"{shown} is healthy")


def _slots(slots: int) -> Finding:
    try:
        open_files.allow(slots)
    except InvalidSetting as error:
        return Finding("slots", False, str(error))
    return Finding("slots", None, f"{slots} of {usable_processors()} usable processors")


def _directories(settings: WorkerSettings, variables: Mapping[str, str]) -> Iterator[Finding]:
    for name, find, asked in (
        ("CACHE_DIR", directories.CACHE.find, settings.cache_directory),
        ("SPOOL_DIR", directories.SPOOL.find, settings.spool_directory),
    ):
        try:
            path = find(asked, variables, settings.temporary_directory)
        except InvalidSetting as error:
            yield Finding(name, False, str(error))
            continue
        free = shutil.disk_usage(path).free // MEGABYTE
        yield Finding(name, True, f"{path}, {free} MB free")


def _programs(settings: WorkerSettings) -> Iterator[Finding]:
    """Run a program as a job's would be, at every level of isolation."""
    try:
        workspaces = Workspaces(Family(), settings.temporary_directory)
    except OSError as error:
        yield Finding(
            "TMPDIR", False, f"nothing can be made in {settings.temporary_directory}: {error.strerror or error}"
        )
        return
    with closing(workspaces):
        free = shutil.disk_usage(workspaces.path).free // MEGABYTE
        yield Finding("TMPDIR", True, f"{workspaces.path.parent}, {free} MB free")
        for level in levels.LEVELS:
            why_not = probe(level, workspaces, settings.isolation_uid, settings.max_open_files)
            asked = level == settings.isolation
            yield Finding(f"isolation {level}", why_not is None if asked else None, why_not or "possible here")
