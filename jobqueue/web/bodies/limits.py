"""How large the body of a request may be. Each route names its limit in `blueprint.arguments`."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Limit:
    """The most bytes of a body, and the most arrays, objects and commas in it.

    Each value in JSON is the whole body, the first entry of an array or object, or it follows a comma. So `entries`
    limits what the body becomes in memory: 13 MiB of `{"":0},` are 2 million objects and need 300 MB.
    """

    bytes: int
    entries: int

    @property
    def text(self) -> str:
        """The most bytes, as people read it."""
        return f"{self.bytes // MIB} MiB" if self.bytes % MIB == 0 else f"{self.bytes // KIB} KiB"


SMALL = Limit(256 * KIB, 1000)
"""For bodies with a few short fields. No body of such a route is ever large (see `large`)."""

REPORT = Limit(13 * MIB, 1000)
"""Two outputs of 1 MiB, each byte of them written as six (`\\u0000`), and some space for the other fields."""

REPORTS = Limit(13 * MIB, 5000)
"""100 reports with some 20 fields each, and a claim with 100 types."""

BEATS = Limit(13 * MIB, 15_000)
"""1,000 jobs with three fields, and output of two streams, each."""

JOB = Limit(7 * MIB, 25_000)
"""1 MiB of arguments and variables, each byte written as six, a URL of 8,192 characters, and some space for the rest.

A job may have 10,000 arguments and as many variables. What is just beyond that is left to the schema, whose answer
names the field.
"""

JOBS = Limit(13 * MIB, 225_000)
"""10,000 jobs with seven fields, an array, and an object each, and 100,000 arguments and variables in all."""

JOB_IDS = Limit(2 * MIB, 5000)
"""1,000 texts of up to 128 characters, each character written as twelve bytes (`\\ud83c\\udf89`)."""

MAX_BODY_BYTES = max(limit.bytes for limit in (SMALL, REPORT, REPORTS, BEATS, JOB, JOBS, JOB_IDS))
"""What a proxy in front has to let through."""
