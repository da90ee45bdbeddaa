"""Sends commands to Redis in one go, and reads the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

Command = Sequence[str | int]
"""The words of a command."""


def exchange(client: redis.Redis, commands: Sequence[Command], answers: list[Any]) -> None:
    """Send commands over one connection, and append the answer to each, which may be an error of Redis's.

    Raises redis.RedisError if the connection fails, or Redis says that it is the wrong server for everything. The
    answers to the first commands are in the list then, and what became of the others is unknown.
    """
    if not commands:
        return
    connection: Any
    pool, connection = client.connection_pool, client.connection_pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        answers.extend(_answer(connection) for _ in commands)
    except BaseException:
        connection.disconnect()  # the answers that were not read must not become those of other commands
        raise
    finally:
        pool.release(connection)


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error.with_traceback(None)  # the frames hold the arguments
