"""The programs of the jobs, and a small host that workers download them from."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TRUE, SLEEP = Path("/bin/true"), Path("/bin/sleep")

CLOCK = """
#include <stdio.h>
#include <time.h>
int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%lld\\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    return 0;
}
"""
"""Prints the time at which it begins. All processes of a machine read the same monotonic clock, Python's too."""

ONE_MEGABYTE = """
#include <unistd.h>
static char block[65536];
int main(void) {
    for (unsigned i = 0; i < sizeof block; i++) block[i] = i % 64 == 63 ? '\\n' : 'a' + i % 26;
    for (int stream = 1; stream <= 2; stream++)
        for (int i = 0; i < 16; i++)
            for (size_t done = 0; done < sizeof block; ) done += write(stream, block + done, sizeof block - done);
    return 0;
}
"""
"""Writes a megabyte to each of its outputs."""


def compiler() -> str | None:
    """Return the path of a C compiler, None without one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compiled(source: str, folder: Path, name: str) -> Path:
    """Compile a program. It is linked statically where that is possible, so that no loader runs before it."""
    text = folder / f"{name}.c"
    text.write_text(source)
    command = [compiler() or "cc", "-O2", "-o", str(folder / name), str(text)]
    if subprocess.run([*command, "-static"], check=False, capture_output=True).returncode:
        subprocess.run(command, check=True, capture_output=True)
    return folder / name


def padded(program: Path, folder: Path, name: str, byte_count: int) -> Path:
    """Return a copy of a program that is that many bytes longer. The loader ignores what follows an ELF file."""
    path = folder / name
    block = hashlib.shake_256(b"padding").digest(1 << 20)
    with path.open("wb") as file:
        file.write(program.read_bytes())
        for _ in range(byte_count // len(block)):
            file.write(block)
    return path


@dataclass(frozen=True)
class Host:
    """A running host."""

    url: str
    served: dict[str, Path]

    def job(self, program: Path, *arguments: str, kind: str = "benchmark") -> dict[str, Any]:
        """Return a job that runs a program with these arguments."""
        sha256 = hashlib.sha256(program.read_bytes()).hexdigest()
        self.served[f"/{sha256}/{program.name}"] = program
        return {
            "type": kind,
            "binary_url": f"{self.url}/{sha256}/{program.name}",
            "binary_sha256": sha256,
            "arguments": list(arguments),
            "priority": "background",
        }


class Handler(BaseHTTPRequestHandler):
    """Serves the programs of a host."""

    protocol_version = "HTTP/1.1"
    served: Mapping[str, Path]

    def do_GET(self) -> None:  # the name that http.server calls
        """Send a program."""
        content = self.served[self.path].read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def running_host() -> Iterator[Host]:
    """Run a host in a thread. It is idle once the programs are in the worker's cache."""
    served: dict[str, Path] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Serving", (Handler,), {"served": served}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Host(f"http://127.0.0.1:{server.server_port}", served)
    finally:
        server.shutdown()
        server.server_close()
