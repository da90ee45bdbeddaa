"""The memory of the server's processes over 100,000 requests of all kinds."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clients.load import send_load
from benchmarks.clients.requests import REFERENCE, request_bytes
from benchmarks.outcome import Effort, Group, Outcome, at_most
from benchmarks.rig.deployment import deployed
from benchmarks.rig.usage import memory_kb

MEGABYTES, GROWTH_MEGABYTES = 80, 2
PARTS = 10


def measure(effort: Effort, folder: Path) -> Group:
    """Send the requests in ten parts, and look after each."""
    count = effort.of(100_000, 2_000)
    requests = [
        request_bytes("POST", "/jobs", REFERENCE),
        request_bytes("POST", "/jobs/claim", {"executor_id": "benchmark"}),
        request_bytes("GET", "/jobs?limit=10"),
        request_bytes("POST", "/jobs", {}),
        request_bytes("GET", "/jobs/00000000-0000-4000-8000-000000000000"),
        request_bytes("GET", "/admin/stats"),
        request_bytes("GET", "/health"),
    ]
    with deployed(folder) as deployment:
        processes = deployment.server.workers()
        looks = [[memory_kb(pid) / 1024 for pid in processes]]
        for _ in range(PARTS):
            send_load(deployment.server.port, requests, count=count // PARTS)
            looks.append([memory_kb(pid) / 1024 for pid in processes])
            effort.say("MB: " + ", ".join(f"{value:.1f}" for value in looks[-1]))
    highest = max(max(look) for look in looks)
    # What a process needs once, it has after the first part.
    growth = max(last - first for first, last in zip(looks[1], looks[-1], strict=True))
    measured = f"{growth:+.1f} MB from the 10,000th on"
    return Group(
        [
            at_most("memory of a server process over 100,000 requests", f"{highest:.0f} MB", highest, MEGABYTES, " MB"),
            Outcome(
                "growth of a server process over 100,000 requests",
                measured,
                f"flat (at most {GROWTH_MEGABYTES} MB)",
                growth <= GROWTH_MEGABYTES,
                share=max(0.0, growth) / GROWTH_MEGABYTES,
            ),
        ]
    )
