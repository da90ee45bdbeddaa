"""The queue on a real server agrees with its model in plain Python, whatever moves are made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from jobqueue.queue.scripts import LUA
from tests.queue.drive import DETERMINISTIC, SETTINGS, connect_without_time_limit, drive
from tests.queue.seeded_bugs import FOUND_SOON, planted
from tests.support.seeding import SeededBug


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the real server, emptied, that never gives up an answer."""
    with connect_without_time_limit(redis_url) as client:
        yield client


def test_the_queue_does_what_its_model_does(client: redis.Redis) -> None:
    drive(client, LUA, SETTINGS)


@pytest.mark.parametrize("bug", FOUND_SOON, ids=[bug.name for bug in FOUND_SOON])
def test_a_seeded_bug_is_found(bug: SeededBug, client: redis.Redis, tmp_path: Path) -> None:
    folder = planted(bug, tmp_path)  # raises AssertionError as well, if the bug's place is not there
    with pytest.raises(AssertionError):
        drive(client, folder, DETERMINISTIC)
