"""Many jobs and three workers, one of which is killed meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.support.deployment import Deployment
from tests.support.programs import SHELL
from tests.support.waiting import wait_until

NOTES = SHELL + 'echo "start $2" >> "$1"; sleep 0.05; echo "end $2" >> "$1"; echo "$2"'
"""Notes when it starts and when it ends, in a line each; lines of this length are written whole."""

ORDER = {"foreground": 0, "background": 1, "best_effort": 2}
WORKERS = 3
JOBS = 40


def lines(path: Path, word: str) -> list[int]:
    """Return the numbers of the jobs that started, or ended, in order."""
    if not path.exists():
        return []
    return [int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(word)]


def test_every_job_is_run_once_and_the_urgent_ones_first(deployment: Deployment, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    priorities = [list(ORDER)[number * 7 % 3] for number in range(JOBS)]
    ids = [deployment.submit(NOTES, notes, number, priority=each) for number, each in enumerate(priorities)]
    # A killed worker loses what it has claimed ahead, too, and on a busy machine some of that is released.
    workers = [deployment.worker(f"worker-{number}", PREFETCH="0") for number in range(WORKERS)]
    wait_until("some are done", lambda: len(lines(notes, "end")) >= JOBS // 4)
    workers[0].kill()
    jobs = [deployment.wait_for(job_id, "completed", "failed", seconds=60) for job_id in ids]

    assert [job["stdout"] for job in jobs] == [f"{number}\n" for number in range(JOBS)]
    attempts = [[attempt["status"] for attempt in job["attempts"]] for job in jobs]
    assert Counter(map(tuple, attempts)).keys() <= {("completed",), ("lost", "completed")}
    lost = [number for number, statuses in enumerate(attempts) if "lost" in statuses]
    assert len(lost) <= 1
    starts, ends = Counter(lines(notes, "start")), Counter(lines(notes, "end"))
    for number in range(JOBS):
        assert ends[number] == 1 or number in lost
        assert starts[number] == 1 or number in lost

    seen = [number for number in dict.fromkeys(lines(notes, "start")) if number not in lost]
    assert inversions([ORDER[priorities[number]] for number in seen]) < WORKERS * 3
    for priority in ORDER:
        places = [number for number in seen if priorities[number] == priority]
        assert inversions(places) < WORKERS * 3


def inversions(places: list[int]) -> int:
    """Return how many pairs are in the wrong order: some are, since workers start jobs side by side."""
    return sum(later < earlier for index, earlier in enumerate(places) for later in places[index + 1 :])
