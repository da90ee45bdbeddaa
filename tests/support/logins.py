"""The logins of the tests' Redis servers: what the server logs in with is allowed no more than `docs/redis.acl` says.

`default` is the administrator of the tests: it needs no password, inspects what is stored, and breaks things.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import redis

from jobqueue.queue.connection import connect
from jobqueue.queue.transport.pool import Pool
from tests.support.paths import ROOT

ACL = ROOT / "docs" / "redis.acl"
USER, PASSWORD = "jobqueue", "p@ss:wörd/ 100%?#&"
ADMINISTRATOR = "default"


def write_acl(folder: Path) -> Path:
    """Write the file of users, with a password for the server's and an administrator without one; return its path."""
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    text = ACL.read_text().replace(f"user {USER} reset on", f"user {USER} reset on #{digest}")
    path = folder / "users.acl"
    path.write_text(text.replace("user default reset off", "user default reset on nopass ~* &* +@all"))
    return path


def with_login(url: str) -> str:
    """Return the URL with the login of the server."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@{rest.rpartition('@')[2]}"


def without_login(url: str) -> str:
    """Return the URL with the administrator's login: none."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def administrator(url: str) -> redis.Redis:
    """Return a client that may do everything on the server at this URL."""
    return redis.Redis.from_url(without_login(url), decode_responses=True)


def connect_as_administrator(url: str) -> redis.Redis:
    """Return such a client, made as the product makes its own."""
    return connect(without_login(url).replace("://", f"://{ADMINISTRATOR}:@"))


def administrator_of(client: redis.Redis) -> redis.Redis:
    """Return a client that may do everything on the server of one that redis-py made from a URL."""
    pool = client.connection_pool
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in ("username", "password")}
    return redis.Redis(connection_pool=redis.ConnectionPool(pool.connection_class, **options))


def as_server(client: redis.Redis) -> redis.Redis:
    """Return a client with the login of the server, for one that `connect_as_administrator` returned; else the client
    itself.
    """
    pool = client.connection_pool
    if not isinstance(pool, Pool) or pool.connection_kwargs["username"] != ADMINISTRATOR:
        return client
    address = pool.connection_kwargs["address"]
    return redis.Redis(connection_pool=Pool(replace(address, username=USER, password=PASSWORD)))
