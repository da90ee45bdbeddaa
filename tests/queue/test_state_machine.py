"""The queue on a real server agrees with its model in plain Python, whatever moves are made."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from jobqueue.queue.scripts import LUA
from tests.queue.drive import DETERMINISTIC, SETTINGS, drive
from tests.queue.seeded_bugs import FOUND_SOON, planted
from tests.support.seeding import SeededBug


def test_the_queue_does_what_its_model_does(real_client: redis.Redis) -> None:
    drive(real_client, LUA, SETTINGS)


@pytest.mark.parametrize("bug", FOUND_SOON, ids=[bug.name for bug in FOUND_SOON])
def test_a_seeded_bug_is_found(bug: SeededBug, real_client: redis.Redis, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        drive(real_client, planted(bug, tmp_path), DETERMINISTIC)
