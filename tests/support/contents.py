"""Everything that a store holds, by Redis's types, to compare two moments or to check it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import redis


@dataclass(frozen=True)
class Contents:
    """The values of all keys by name; sorted sets as scores by member. Times to live are left out."""

    strings: dict[str, str]
    hashes: dict[str, dict[str, str]]
    lists: dict[str, list[str]]
    sorted_sets: dict[str, dict[str, float]]

    def names(self) -> set[str]:
        """Return the names of all keys."""
        return {*self.strings, *self.hashes, *self.lists, *self.sorted_sets}


READERS: dict[str, Callable[[redis.client.Pipeline, str], object]] = {
    "string": lambda pipe, name: pipe.get(name),
    "hash": lambda pipe, name: pipe.hgetall(name),
    "list": lambda pipe, name: pipe.lrange(name, 0, -1),
    "zset": lambda pipe, name: pipe.zrange(name, 0, -1, withscores=True),
}


def contents(client: redis.Redis) -> Contents:
    """Read everything. Nobody may write meanwhile, and the client must decode responses."""
    names = sorted({str(name) for name in client.scan_iter(count=1000)})
    types = dict(zip(names, _for_each(client, names, lambda pipe, name: pipe.type(name)), strict=True))
    values = _for_each(client, names, lambda pipe, name: READERS[str(types[name])](pipe, name))
    of_type: dict[str, dict[str, object]] = {type: {} for type in READERS}
    for name, value in zip(names, values, strict=True):
        of_type[str(types[name])][name] = value
    return Contents(
        strings=cast("dict[str, str]", of_type["string"]),
        hashes=cast("dict[str, dict[str, str]]", of_type["hash"]),
        lists=cast("dict[str, list[str]]", of_type["list"]),
        sorted_sets={name: dict(cast("list[tuple[str, float]]", value)) for name, value in of_type["zset"].items()},
    )


def _for_each(
    client: redis.Redis, names: list[str], read: Callable[[redis.client.Pipeline, str], object]
) -> list[object]:
    if not names:
        return []
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            read(pipe, name)
        return cast("list[object]", pipe.execute())
