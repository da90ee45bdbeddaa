"""Reports what this host can do and what is wrong with it, before a job finds out: `python worker.py --check`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jobqueue.client import token as tokens
from jobqueue.client.token import Token
from jobqueue.client.transport import ApiRefused, ApiUnavailable, Transport
from jobqueue.net import network
from jobqueue.redaction import without_secrets
from jobqueue.settings import InvalidSetting
from jobqueue.worker.attempts.signatures import Signatures
from jobqueue.worker.config import WorkerSettings, misspelt
from jobqueue.worker.host import directories, hardening, open_files
from jobqueue.worker.host.process_tree import require_proc
from jobqueue.worker.host.processors import usable_processors
from jobqueue.worker.isolation import landlock, levels, system_calls
from jobqueue.worker.slots.children import Children
from jobqueue.worker.slots.selftest import problem_with_level
from jobqueue.worker.slots.workspace import Workspaces

MEGABYTE = 1024**2
LATER_LANDLOCK = {
    landlock.SCOPES_VERSION: "abstract sockets and signals",
    landlock.PATH_SOCKETS_VERSION: "path sockets",
}


@dataclass(frozen=True)
class Finding:
    """The result of one check. `good` is None if it is for information only."""

    subject: str
    good: bool | None
    text: str


def report(settings: WorkerSettings, variables: Mapping[str, str]) -> int:
    """Print each finding on a line of its own. Return the exit code: 1 if anything is wrong, else 0."""
    hardening.adopt_orphans()
    wrong = 0
    for finding in _findings(settings, variables):
        wrong += finding.good is False
        mark = {True: "ok   ", False: "WRONG", None: "     "}[finding.good]
        try:
            # A message about a setting may begin with its name, which is the subject of the line already.
            sys.stdout.write(f"{mark} {finding.subject}: {finding.text.removeprefix(f'{finding.subject}=')}\n")
            sys.stdout.flush()
        except OSError:
            # The reader, such as `head`, has ended, or the disk is full. The other checks still decide about the exit
            # code. Their lines go nowhere, and so does this one, which Python would otherwise try to write once more
            # when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if wrong else 0


def _findings(settings: WorkerSettings, variables: Mapping[str, str]) -> Iterator[Finding]:
    for name, meant in misspelt(variables).items():
        yield Finding(name, False, f"unknown setting; did you mean {meant}?")
    yield Finding("executor", None, settings.executor_id)
    yield from findings_about_api(settings, variables)
    yield _slots(settings.slots)
    yield from _proc()
    yield from _directories(settings, variables)
    yield from _allowed_programs(settings)
    yield from _programs(settings)
    yield from _signatures(settings)
    if hardening.is_root() and settings.isolation != "user":
        yield Finding("user", None, "root; give the worker a user of its own, or set ISOLATION=user")


def findings_about_api(settings: WorkerSettings, variables: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether the API can be used with these settings: its health, and whether it accepts the token."""
    try:
        token = Token(settings.api_token, settings.api_token_file)
        tokens.check_url(settings.api_url, token)
        levels.directories_around(settings.isolation, settings.api_token_file)
        known = network.load(settings.ca_file, variables)
    except InvalidSetting as error:
        yield Finding("settings", False, str(error))
        return
    with closing(Transport(settings.api_url, known, token=token)) as transport:
        health = _health(transport, without_secrets(settings.api_url))
        yield health
        if health.good:
            yield from _token(transport, settings.api_url, token)


def _health(transport: Transport, url: str) -> Finding:
    try:
        transport.call("GET", "/health")
    except ApiUnavailable as error:
        away = " (it answers, but cannot use its Redis)" if str(error).startswith("503 from") else ""
        return Finding("API_URL", False, f"{url} is not available: {error}{away}")
    except ApiRefused as error:
        return Finding("API_URL", False, f"{url} is not the API of a job queue (does the URL end in /api/v1?): {error}")
    return Finding("API_URL", True, f"{url} is healthy")


def _token(transport: Transport, api_url: str, token: Token) -> Iterator[Finding]:
    """Say whether the API takes the token for what a worker does: a claim that nobody can be given a job for."""
    # The API looks at the token first. A claim without an executor is refused after that, and changes nothing.
    try:
        transport.call("POST", "/jobs/claim", {})
    except ApiRefused:
        text = "the API accepts it for claims" if token.is_set else "not set, and the API asks for none"
        yield Finding("API_TOKEN", token.is_set or None, text)
    except ApiUnavailable as error:
        yield Finding("API_TOKEN", False, str(error))
    if token.is_set and tokens.travels_openly(api_url):
        yield Finding("API_TOKEN", None, "is sent without encryption; an API_URL with https would protect it")


def _slots(slots: int) -> Finding:
    try:
        open_files.allow(slots)
    except InvalidSetting as error:
        return Finding("slots", False, str(error))
    return Finding("slots", None, f"{slots}, usable processors: {usable_processors()}")


def _proc() -> Iterator[Finding]:
    try:
        require_proc()
    except InvalidSetting as error:
        yield Finding("proc", False, str(error))


def _directories(settings: WorkerSettings, variables: Mapping[str, str]) -> Iterator[Finding]:
    configured = {directories.CACHE: settings.cache_directory, directories.SPOOL: settings.spool_directory}
    for kind, path in configured.items():
        try:
            yield _usable_directory(kind.setting, kind.find(path, variables, settings.temporary_directory))
        except InvalidSetting as error:
            yield Finding(kind.setting, False, str(error))


def _allowed_programs(settings: WorkerSettings) -> Iterator[Finding]:
    try:
        allowed = settings.load_allowed_programs()
    except InvalidSetting as error:
        yield Finding("ALLOWED_SHA256_FILE", False, str(error))
        return
    if allowed is not None:
        yield Finding("ALLOWED_SHA256_FILE", True, f"{settings.allowed_sha256_file}, {len(allowed)} programs")


def _programs(settings: WorkerSettings) -> Iterator[Finding]:
    """Run a program as a job's would be run, at each level of isolation."""
    try:
        with directories.usable("TMPDIR", settings.temporary_directory):
            workspaces = Workspaces(Children(), settings.temporary_directory)
    except InvalidSetting as error:
        yield Finding("TMPDIR", False, str(error))
        return
    with closing(workspaces):
        yield _usable_directory("TMPDIR", workspaces.path.parent)
        yield _kernel()
        for level in levels.LEVELS:
            why_not = problem_with_level(
                level, workspaces, settings.isolation_uid, settings.max_open_files, settings.network
            )
            configured = level == settings.isolation
            text = why_not or f"possible here; {_protection(level, settings.network)}"
            yield Finding(f"isolation {level}", why_not is None if configured else None, text)


def _kernel() -> Finding:
    """Say what the protection of programs depends on."""
    known = landlock.version()
    parts = [f"Linux {os.uname().release}", f"Landlock version {known}" if known else "no usable Landlock"]
    parts += [f"version {since} would close {what}" for since, what in LATER_LANDLOCK.items() if known < since]
    parts += ["filters of system calls" if system_calls.available() else "no usable filters of system calls"]
    return Finding("kernel", None, ", ".join(parts))


def _protection(level: str, network: str) -> str:
    """Say what is closed to programs at a level of isolation on this host, and what is open."""
    closed = levels.make(level, (), network=network).closed()
    parts = {"closed": [name for name in closed if closed[name]], "open": [name for name in closed if not closed[name]]}
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names)


def _signatures(settings: WorkerSettings) -> Iterator[Finding]:
    try:
        Signatures(settings.trusted_keys)
    except InvalidSetting as error:
        yield Finding("TRUSTED_KEYS", False, str(error))
    else:
        ids = ", ".join(key.id for key in settings.trusted_keys)
        text = f"only jobs are run that one of these keys has signed: {ids}" if ids else "none; any job is run"
        yield Finding("TRUSTED_KEYS", None, text)


def _usable_directory(setting: str, path: Path) -> Finding:
    return Finding(setting, True, f"{path}, {shutil.disk_usage(path).free // MEGABYTE} MB free")
