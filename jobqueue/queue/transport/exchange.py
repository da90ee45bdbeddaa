"""Sends commands to Redis in one go, and reads the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from jobqueue.queue.transport.pool import Pool
from jobqueue.queue.transport.replies import Command, packed


def exchange(client: redis.Redis, commands: Sequence[Command], answers: list[Any]) -> None:
    """Send commands over one connection, and append the answer to each, which may be an error of Redis's.

    Raises redis.RedisError if the connection fails, or Redis says that it is the wrong server for everything. The
    answers to the first commands are in the list then, and what became of the others is unknown.

    redis-py's own way to a command and back takes three times as long: it counts for its metrics, repeats what we never
    repeat, and reads the answer line by line.
    """
    pool = client.connection_pool
    if not isinstance(pool, Pool):
        _exchange_by_redis_py(pool, commands, answers)
        return
    connection = pool.get_connection()
    try:
        connection.exchange(b"".join(map(packed, commands)), len(commands), answers)
    finally:
        pool.release(connection)


def ask(client: redis.Redis, command: Command) -> Any:
    """Send one command and return its answer. Raises redis.RedisError, also if Redis answers an error."""
    answers: list[Any] = []
    exchange(client, [command], answers)
    answer = answers.pop()
    if not isinstance(answer, redis.ResponseError):
        return answer
    try:
        raise answer
    finally:
        del answer  # lest this frame, with all its callers, stays in memory: the error's traceback leads to it


def _exchange_by_redis_py(pool: Any, commands: Sequence[Command], answers: list[Any]) -> None:
    """Do the same over connections that are not ours."""
    connection = pool.get_connection()
    try:
        for command in commands:
            connection.send_command(*command)
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                answers.append(error.with_traceback(None))  # its frames hold the arguments
    finally:
        pool.release(connection)
