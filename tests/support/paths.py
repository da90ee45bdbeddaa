"""Where the repository is, and where commands are found."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATH = "/usr/local/bin:/usr/bin:/bin"
"""The search path of the programs and services that tests start."""
