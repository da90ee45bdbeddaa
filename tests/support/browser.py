"""A real browser without a window, and a site of an attacker whose name leads to another server a moment later."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.support.fake_server import FakeServer, Reply, Request, serving
from tests.support.processes import family, signal_all
from tests.support.serving import Server

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # its own sandbox does not work for root, nor in most containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    # Newer browsers ask the user before a page reaches this machine. The server must not depend on it.
    "--disable-features=LocalNetworkAccessChecks,Translate,MediaRouter",
)
EVIL = "evil.example"


def browser() -> str:
    """Return the path of a browser; skip the test if there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or pytest.skip(f"there is no browser on the PATH: none of {', '.join(NAMES)}")


@contextmanager
def browsing(url: str, folder: Path) -> Iterator[None]:
    """Show a page in a browser for which the name EVIL leads to this machine; the browser is closed at the end."""
    options = [*OPTIONS, f"--user-data-dir={folder / 'profile'}", f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]
    with (folder / "browser.log").open("ab") as log:
        process = subprocess.Popen([browser(), *options, url], stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        signal_all(family(process.pid), signal.SIGKILL)
        process.wait()


@dataclass
class EvilSite:
    """A site with one page. Every other request that it gets is passed on to the API as it came, `Host` included.

    To browser and API this is DNS rebinding: a moment ago the page came from the attacker's machine, and now its name
    leads to the API. `reports` has what the page says about itself.
    """

    page: str
    api: Server
    reports: Queue[Any] = field(default_factory=Queue)

    def answer(self, request: Request) -> Reply:
        """Answer a request of the browser."""
        if request.path.startswith("/report"):
            self.reports.put(request.json)
            return Reply()
        if not request.path.startswith("/api/"):
            return Reply(200, self.page.encode(), {"Content-Type": "text/html; charset=utf-8"})
        connection = http.client.HTTPConnection("127.0.0.1", self.api.port, timeout=15)
        connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(request.body)
        answered = connection.getresponse()
        headers = {name: value for name, value in answered.getheaders() if name.lower() == "content-type"}
        body = answered.read()
        connection.close()
        return Reply(answered.status, body, headers)


@contextmanager
def evil_site(page: str, api: Server, **facts: object) -> Iterator[tuple[EvilSite, FakeServer]]:
    """Run such a site. `facts` are what the page knows: they replace the word FACTS in it."""
    site = EvilSite(page.replace("FACTS", json.dumps(facts)), api)
    with serving(site.answer) as server:
        yield site, server
