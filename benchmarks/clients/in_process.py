"""The API without a server: requests are answered in this process, so that Redis runs their scripts and nothing else.

The sweeper of a server process would run scripts of its own meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient

from benchmarks.clients.requests import PREFIX, Refused
from benchmarks.rig.store import Store
from jobqueue import logs
from jobqueue.web import config
from jobqueue.web.factory import create_app, create_services


@dataclass(frozen=True)
class Cost:
    """What a request took: in all, and in the scripts that Redis ran for it. Microseconds."""

    whole: float
    in_redis: float


class Api:
    """Sends requests to the app."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._http: FlaskClient = create_app(create_services(config.load({"REDIS_URL": store.url}))).test_client()

    def send(self, method: str, path: str, content: object = None) -> Any:
        """Return the answer. Raises Refused for 3xx to 5xx."""
        answer = self._http.open(PREFIX + path, method=method, json=content)
        if answer.status_code >= 300:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.get_data(as_text=True)[:300]}")
        return answer

    def cost(self, method: str, path: str, content: object = None) -> tuple[Any, Cost]:
        """Return the answer and what it took."""
        _, before = self.store.script_calls()
        started = time.perf_counter()
        answer = self.send(method, path, content)
        whole = (time.perf_counter() - started) * 1e6
        _, after = self.store.script_calls()
        return answer, Cost(whole, after - before)


@contextmanager
def without_logs() -> Iterator[None]:
    """Throw away what the product logs in this process."""
    with open(os.devnull, "w") as nowhere:
        logs.configure(nowhere)
        yield
