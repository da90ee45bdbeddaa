"""The login of Redis: users and passwords with any characters, given in the URL or by settings of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.transport.address import read
from jobqueue.settings import InvalidSetting
from jobqueue.web import config
from tests.support.logins import administrator, without_login

CANARY = "canary"
NAMES = st.text(st.characters(codec="utf-8", exclude_characters=" \0", exclude_categories=["Cc", "Zs"]), min_size=1)
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60).map(lambda text: CANARY + text)


@contextmanager
def user(url: str, name: str, password: str) -> Iterator[None]:
    """Let a user of that name log in with that password."""
    with administrator(url) as admin:
        command = ["ACL", "SETUSER", name, "reset", "on", f">{password}", "~*", "&*", "+@all"]
        admin.execute_command(*command)
        try:
            yield
        finally:
            admin.acl_deluser(name)


def connected(variables: dict[str, str]) -> Connection:
    """Return a connection of a server with these settings."""
    settings = config.load(variables)
    return Connection(connect(settings.redis_url, settings.verifies_redis, settings.redis_login))


@settings(max_examples=30, deadline=None)
@given(name=NAMES, password=PASSWORDS)
def test_any_user_and_password_log_in_both_ways_and_are_in_no_line_of_the_log(
    server_url: str, name: str, password: str
) -> None:
    name = f"user-{name}"
    url = without_login(server_url)
    in_url = url.replace("://", f"://{quote(name, safe='')}:{quote(password, safe='')}@")
    own = {"REDIS_URL": url.replace("://", "://other:word@"), "REDIS_USERNAME": name, "REDIS_PASSWORD": password}
    with capture_logs() as events:
        for variables in ({"REDIS_URL": in_url}, own):
            with user(server_url, name, password):
                connected(variables).ping()
            with pytest.raises(StoreUnavailable):
                connected(variables).ping()
            assert CANARY not in repr(config.load(own))
    assert CANARY not in str(events)
    assert any(event["event"] == "redis_away" for event in events)


def test_each_setting_takes_the_place_of_its_part_of_the_url() -> None:
    for variables, login in [
        ({"REDIS_USERNAME": "own"}, ("own", "word")),
        ({"REDIS_PASSWORD": " o w n "}, ("user", " o w n ")),
        ({"REDIS_USERNAME": "", "REDIS_PASSWORD": ""}, ("user", "word")),
    ]:
        given = config.load(variables).redis_login
        for url in ("redis://user:word@host", "unix://user:word@/redis.sock", "redis://h?username=user&password=word"):
            address = read(url, login=given)
            assert (address.username, address.password) == login


def test_a_password_alone_is_that_of_the_default_user(server_url: str) -> None:
    with administrator(server_url) as admin:
        admin.config_set("requirepass", "a b#c")
        try:
            connected({"REDIS_URL": without_login(server_url), "REDIS_PASSWORD": "a b#c"}).ping()
        finally:
            with suppress(redis.RedisError):
                admin.auth("a b#c")
            admin.acl_setuser("default", enabled=True, nopass=True)


UNESCAPED = ["se/cret", "se?cret", "se#cret", "se cret", "se[cret", "se]cret", "se?cret=x", "se/?#cret", "se℀cret"]


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
@pytest.mark.parametrize("password", UNESCAPED)
def test_a_character_that_is_not_escaped_is_named_as_the_cause_without_the_password(scheme: str, password: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^REDIS_URL .*%XX.*REDIS_PASSWORD") as refused:
        config.load({"REDIS_URL": f"{scheme}://user:{password}@host:6379/0"})
    assert "cret" not in str(refused.value)


def test_an_unescaped_slash_is_noticed_in_the_url_of_a_unix_socket_but_an_at_sign_in_its_path_is_none() -> None:
    with pytest.raises(InvalidSetting, match="%XX"):
        config.load({"REDIS_URL": "unix://user:se/cret@/run/redis.sock"})
    assert read("unix:///run/a@b/redis.sock").path == "/run/a@b/redis.sock"


@pytest.mark.parametrize("name", ["REDIS_USERNAME", "REDIS_PASSWORD"])
def test_bytes_that_are_no_text_are_refused_by_name_and_not_shown(name: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"^{name} must be text in UTF-8\.$"):
        config.load({name: b"canary\xff".decode(errors="surrogateescape")})
    with pytest.raises(ValueError, match="UTF-8"):
        read("redis://user:canary%ff@host")
