"""The environment of each program that the launcher starts: what the program reads, and nothing else.

A job can read the environment of processes of its user, so what no program needs is passed to none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from jobqueue import settings
from jobqueue.web import config as web_config
from jobqueue.web.config import GunicornSettings, ServerSettings
from jobqueue.worker import config
from jobqueue.worker.config import WorkerSettings
from jobqueue.worker.isolation.landlock import version

SYSTEM = "PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|TZ|TMPDIR|PYTHON[A-Z]*|VIRTUAL_ENV|LD_LIBRARY_PATH"
CERTIFICATES = "SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
OF_GUNICORN = "GUNICORN_CMD_ARGS|FORWARDED_ALLOW_IPS"
OF_THE_NETWORK = "[a-z]+_proxy|[A-Z]+_PROXY|XDG_(CACHE|STATE)_HOME"


def of_redis(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the embedded server."""
    return _matching(variables, SYSTEM, ())


def of_web(variables: Mapping[str, str], port: int, redis_url: str) -> dict[str, str]:
    """Return the environment of the API."""
    own = {*_names(ServerSettings), *_names(GunicornSettings), *web_config.misspelt(variables)}
    if redis_url != variables.get("REDIS_URL"):  # the embedded server's, which has a login of its own
        own -= {"REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_CA_FILE"}
    chosen = _matching(variables, f"{SYSTEM}|{CERTIFICATES}|{OF_GUNICORN}", own)
    return {**chosen, "PORT": str(port), "REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}


def of_worker(variables: Mapping[str, str], api_url: str, data: Path) -> dict[str, str]:
    """Return the environment of the worker, which keeps its files below `data` unless the variables say otherwise."""
    passed = re.split(r"[\s,]+", variables.get("ENV_PASSTHROUGH", ""))
    names = [*_names(WorkerSettings), *passed, *config.misspelt(variables)]
    chosen = _matching(variables, f"{SYSTEM}|{CERTIFICATES}|{OF_THE_NETWORK}", names)
    # A deployed worker gives its jobs 18 s when it is stopped. At a terminal, Ctrl-C should act sooner.
    # The sandbox hides the worker's directories, so what lies beside the reports is hidden as well: the queue's data,
    # which may lie below a directory that jobs can read, such as /opt.
    defaults = {"CACHE_DIR": f"{data}/cache", "SPOOL_DIR": str(data), "DRAIN_SECONDS": "3"}
    # This worker works for this API, whatever API_URL means to others.
    return {**defaults, "ISOLATION": isolation(), **chosen, "API_URL": api_url, "PYTHONUNBUFFERED": "1"}


def isolation() -> str:
    """Return the level of isolation for jobs here: `landlock` where the kernel has it.

    They run as the user who tries the queue out. At the level `none` they could read all files of that user, among them
    the data of the queue, and the environment of the shell.
    """
    return "landlock" if os.uname().sysname == "Linux" and version() else "none"


def _matching(variables: Mapping[str, str], pattern: str, names: Iterable[str]) -> dict[str, str]:
    # An empty variable counts as unset. It must not replace a default.
    wanted = {*names}
    present = {name: value for name, value in variables.items() if value.strip()}
    return {name: value for name, value in present.items() if name in wanted or re.fullmatch(pattern, name)}


def _names(settings_class: type) -> list[str]:
    return [setting.name for setting in settings.declared(settings_class).values()]
