"""Makes the environments of the peers: `python -m benchmarks.peers.environments` installs those that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.rig.children import ROOT

FOLDER = ROOT / ".venv-peers"
APPS = Path(__file__).parent / "apps"
INSTALLED = "installed"


def folder_of(key: str) -> Path:
    """Return where the environment of a peer is."""
    return FOLDER / key


def is_installed(key: str) -> bool:
    """Whether the environment of a peer exists, in the versions that the catalogue names."""
    mark = folder_of(key) / INSTALLED
    return mark.exists() and mark.read_text() == "\n".join(PEERS[key].requirements)


def interpreter(key: str) -> str:
    """Return the Python of an environment, or node."""
    return (shutil.which("node") or "node") if PEERS[key].uses_node else str(folder_of(key) / "bin" / "python")


def variables(key: str, redis_url: str, log: Path) -> dict[str, str]:
    """Return the environment variables of a peer's processes: nothing of this project is on their path."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    paths = {"PYTHONPATH": str(APPS), "NODE_PATH": str(folder_of(key) / "node_modules")}
    # Celery refuses to start as root without this one. It warns that messages could be forged; nobody else sends any.
    return {**kept, **paths, "PEER_REDIS_URL": redis_url, "PEER_LOG": str(log), "C_FORCE_ROOT": "1"}


def install(key: str) -> str | None:
    """Make the environment of a peer unless it exists. Return in a sentence why that is not possible, or None."""
    if is_installed(key):
        return None
    peer = PEERS[key]
    if peer.uses_node and not (shutil.which("node") and shutil.which("npm")):
        return f"{peer.name} needs node and npm, which are not installed here."
    folder = folder_of(key)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in _commands(folder, peer):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            last = [*done.stderr.strip().splitlines(), "no message"][-1 if done.stderr.strip() else 0]
            return f"{peer.name} could not be installed: {last}"
    (folder / INSTALLED).write_text("\n".join(peer.requirements))
    return None


def _commands(folder: Path, peer: Peer) -> list[list[str]]:
    if peer.uses_node:
        return [["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(folder), *peer.requirements]]
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, *peer.requirements]]


def main() -> None:
    """Install all of them, and say what is not possible."""
    for key, peer in PEERS.items():
        print(install(key) or f"{peer.name}: {', '.join(peer.requirements)}", flush=True)


if __name__ == "__main__":
    main()
