"""What a worker can be told by its environment."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from jobqueue.settings import Environment

DEFAULT_API_URL = "http://127.0.0.1:8080/api/v1"
LONGEST_ID = 128


@dataclass(frozen=True)
class WorkerSettings:
    """The worker's settings, read from:

    API_URL (http://127.0.0.1:8080/api/v1): where the API is.
    EXECUTOR_ID: the worker's name; left out, it is made of host name, process id and a random part.
    """

    api_url: str
    executor_id: str


def load(variables: Mapping[str, str]) -> WorkerSettings:
    """Read the settings. Raises InvalidSetting with a sentence for whoever starts the worker."""
    environment = Environment(variables)
    return WorkerSettings(
        api_url=environment.url("API_URL", DEFAULT_API_URL, ("http", "https")),
        executor_id=environment.read(
            "EXECUTOR_ID", _own_name(), _executor_id, "1 to 128 printable characters without white space"
        ),
    )


def _executor_id(text: str) -> str:
    if not text.isprintable() or re.search(r"\s", text) or len(text) > LONGEST_ID:
        raise ValueError
    return text


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:80] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
