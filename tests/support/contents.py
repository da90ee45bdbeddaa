"""Everything that a store holds, by Redis's types, to compare two moments or to check it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis


@dataclass(frozen=True)
class Contents:
    """The values of all keys by name; sorted sets as scores by member. Times to live are left out."""

    strings: dict[str, str]
    hashes: dict[str, dict[str, str]]
    lists: dict[str, list[str]]
    sorted_sets: dict[str, dict[str, float]]
    sets: dict[str, set[str]]

    def names(self) -> set[str]:
        """Return the names of all keys."""
        return {*self.strings, *self.hashes, *self.lists, *self.sorted_sets, *self.sets}


READ_ALL = """
local readers = {
    string = function(name) return redis.call('GET', name) end,
    hash = function(name) return redis.call('HGETALL', name) end,
    list = function(name) return redis.call('LRANGE', name, 0, -1) end,
    set = function(name) return redis.call('SMEMBERS', name) end,
    zset = function(name) return redis.call('ZRANGE', name, 0, -1, 'WITHSCORES') end,
}
local entries = {}
for _, name in ipairs(redis.call('KEYS', '*')) do
    local type = redis.call('TYPE', name).ok
    entries[#entries + 1] = { type, name, readers[type](name) }
end
return cjson.encode(entries)
"""
"""One script and JSON: reading key by key takes three times as long, and the state machine does it at every step."""


def contents(client: redis.Redis) -> Contents:
    """Read everything. The client must decode responses."""
    of_type: dict[str, dict[str, Any]] = {type: {} for type in ("string", "hash", "list", "set", "zset")}
    for type, name, value in json.loads(cast("str", client.eval(READ_ALL, 0))):
        of_type[type][name] = value
    return Contents(
        strings=of_type["string"],
        hashes={name: dict(_pairs(flat)) for name, flat in of_type["hash"].items()},
        lists=of_type["list"],
        sorted_sets={
            name: {member: float(score) for member, score in _pairs(flat)} for name, flat in of_type["zset"].items()
        },
        sets={name: set(members) for name, members in of_type["set"].items()},
    )


def _pairs(flat: list[str]) -> Iterator[tuple[str, str]]:
    return zip(flat[::2], flat[1::2], strict=True)
