"""The program that jobs run, and what its lines say afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

PROGRAM = b"""#!/bin/sh
# $1: a mark that the output has to contain; $2: fifths of a second; $3: exit code; $4: bytes of output besides
say() { echo "$JOB_ID $JOB_ATTEMPT $1 $(date +%s.%N)" >>"$LINES"; }
say start
left=$2
while [ "$left" -gt 0 ]; do sleep 0.2; say alive; left=$((left - 1)); done
if [ "$4" -gt 0 ]; then head -c "$4" /dev/zero | tr '\\0' x; fi
echo "$1"
exit "$3"
"""
SHA256 = hashlib.sha256(PROGRAM).hexdigest()
WRITING_SECONDS = 0.15
"""How much later than it took the time a program may write its line, on a busy machine."""


@dataclass
class Runs:
    """When the attempts of one job ran: the first and the last sign of life of each, by number."""

    first: dict[int, float] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)

    def overlaps(self) -> list[tuple[int, int, float]]:
        """Return the pairs of attempts that ran at once, each with the seconds that they did."""
        numbers = sorted(self.first)
        pairs = [(a, b, self.last[a] - self.first[b]) for a, b in pairwise(numbers)]
        return [pair for pair in pairs if pair[2] > WRITING_SECONDS]


def read_lines(path: Path) -> Mapping[str, Runs]:
    """Return when the attempts of each job ran."""
    runs: dict[str, Runs] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        match line.split():
            case [job_id, attempt, _, moment]:
                job = runs.setdefault(job_id, Runs())
                number, at = int(attempt), float(moment)
                job.first[number] = min(at, job.first.get(number, at))
                job.last[number] = max(at, job.last.get(number, at))
    return runs
