"""Names that were made to collide in a table of hashes: Python seeds its hashes, and Lua's take no time that counts."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time

import pytest

from jobqueue.queue.policy import Policy
from tests.support.bench import Bench, new_job
from tests.support.paths import ROOT
from tests.support.processes import children, environment
from tests.support.serving import Server

COUNT = 4_000
"""Jobs in one request, each with a type of its own."""

MOST_SECONDS = 5.0
"""For one request. It takes a twentieth of that, as it does with other names."""

PIECES = [
    "adeg5t", "u0l6l3", "xvpxwv", "xvpr4v", "lmdh3c", "lmdjfc", "q6bbp8", "stbbrv", "m9d36t", "m73z82",
    "r8od8v", "tvod8v", "duo1jg", "2nqsjg", "yrg4ko", "yn4obo", "ju6mvm", "p0to22", "06d5c1", "2xd5ix",
    "7463h7", "72t3h7", "wmxrsu", "wmv0su", "p4xtyw", "rvxtw9", "g7s6u8", "ew16sv",
]  # fmt: skip
"""Pairs after which the hash of Lua 5.1 for a text of 88 characters, which it reads backwards, is the same."""

STARTED_BY = ["Dockerfile", "Procfile", "Makefile", "gunicorn.conf.py"]


def hash_of_lua(text: str) -> int:
    """Return the hash of a short text as Lua 5.1 computes it, with no seed."""
    hashed = len(text)
    for character in reversed(text):
        hashed ^= ((hashed << 5) + (hashed >> 2) + ord(character)) & 0xFFFFFFFF
    return hashed


def colliding(count: int) -> list[str]:
    """Return so many texts with one hash."""
    pairs = zip(PIECES[::2], PIECES[1::2], strict=True)
    return [("".join(chosen) + "aaaa")[::-1] for chosen in itertools.islice(itertools.product(*pairs), count)]


@pytest.mark.parametrize("policy", [Policy(), Policy(max_pending_of_type=2, max_types=2 * COUNT)])
def test_types_that_collide_in_lua_hold_nobody_up(real_bench: Bench, policy: Policy) -> None:
    types = colliding(COUNT)
    assert len({*types}) == COUNT
    assert len({*map(hash_of_lua, types[:100])}) == 1
    bench = Bench(real_bench.client, policy)
    prepared = bench.commands.prepare([new_job(type=name) for name in types])
    started = time.monotonic()
    bench.commands.store(prepared)
    assert time.monotonic() - started < MOST_SECONDS


def test_the_hashes_of_a_server_process_are_seeded_by_chance(served: Server) -> None:
    (process,) = children(served.process.pid)
    code = "import sys; print(sys.flags.hash_randomization)"
    shown = subprocess.run([sys.executable, "-c", code], env=environment(process), capture_output=True, check=True)
    assert shown.stdout == b"1\n"
    assert [name for name in STARTED_BY if "PYTHONHASHSEED" in (ROOT / name).read_text()] == []
