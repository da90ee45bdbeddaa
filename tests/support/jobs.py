"""A job as the API answers a claim, and as the client reads it."""

from __future__ import annotations

from typing import Any

from jobqueue.client.claimed_job import ClaimedJob

JOB = ClaimedJob(
    "id-1", "http://host/program", "ab" * 32, ["one", ""], {"KEY": "value"}, "token-1", 60_000, "demo", 3, 2.5
)
DETAILS: dict[str, Any] = {
    "id": "id-1",
    "type": "demo",
    "binary_url": "http://host/program",
    "binary_sha256": "ab" * 32,
    "arguments": ["one", ""],
    "env_variables": {"KEY": "value"},
    "priority": "background",
    "status": "running",
    "stdout": "",
    "attempts": [],
    "attempt": 3,
    "attempt_token": "token-1",
    "timeout_seconds": 2.5,
    "lease_ms": 60_000,
}
