"""Whatever a URL or a message looks like, the secrets in it are not shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobqueue.redaction import SUSPICIOUS, is_suspicious, redacted, redacted_text, without_secrets
from jobqueue.settings import InvalidSetting, Setting, url

CANARY = "cAnArY"
NOISE = st.text("ab12.:/?#@&;=%[]\\ \t\n'\"<>~\u00e9\u202e", max_size=8)
SCHEMES = st.sampled_from(
    ["redis://", "REDISS://", "http://", "https://", "unix://", "http:\\\\", "//", "", " redis://"]
)
HOSTS = st.sampled_from(["host", "host:6379", "[::1]:80", "10.0.0.1", "a.b.example", "", "ho st", "[::1", "host:port"])
ENCODED_AT = st.sampled_from(["@", "@", "%40"])


@st.composite
def with_a_password(draw: st.DrawFn) -> str:
    """Return a URL, perhaps malformed, whose user has a password with the canary in it."""
    password = f"{draw(NOISE)}{CANARY}{draw(NOISE)}"
    user = draw(st.sampled_from(["", "user", "us.er", "us%20er"]))
    after = draw(st.sampled_from(["", "/", "/0", "/a/b.txt", "/0?x=y"]))
    return f"{draw(SCHEMES)}{user}:{password}{draw(ENCODED_AT)}{draw(HOSTS)}{after}"


@st.composite
def with_a_secret_parameter(draw: st.DrawFn) -> str:
    """Return a URL, perhaps malformed, with the canary in its query or fragment."""
    begin = draw(st.sampled_from(["?", "?a=b&", "#", ";", "?;", "%3F", "&"]))
    name = draw(st.sampled_from(["password=", "X-Amz-Signature=", "token=", "", "p%61ssword=", "unknown="]))
    path = draw(st.sampled_from(["", "/", "/0", "/a/b.txt", "/@scope/name"]))
    noise = draw(NOISE)
    if begin == "%3F":  # before an @, every reader takes it for a part of the user
        noise = noise.replace("@", "")
    return f"{draw(SCHEMES)}{draw(HOSTS)}{path}{begin}{name}{noise}{CANARY}{draw(NOISE)}"


URLS = st.one_of(with_a_password(), with_a_secret_parameter())


@given(URLS)
@example(f"redis://user:12/{CANARY}@host")
@example(f"redis://user:1?{CANARY}@host")
@example(f"redis://user:/{CANARY}%40host")
@example(f"redis://user:x@y/{CANARY}@host/0")
@settings(max_examples=300, deadline=None)
def test_no_secret_of_a_url_is_shown(text: str) -> None:
    assert CANARY not in without_secrets(text)
    assert CANARY not in redacted(text)


@given(st.one_of(with_a_password(), with_a_secret_parameter()))
@settings(max_examples=100, deadline=None)
def test_no_secret_of_a_wrong_setting_is_quoted(text: str) -> None:
    def refuse(_: str) -> None:
        raise ValueError("it is wrong")

    field: object = url("REDIS_URL", "redis://host", ("redis", "rediss", "unix"), "a URL", refuse)
    setting: Setting[str] = field.metadata["setting"]  # type: ignore[attr-defined]  # a dataclass field
    with pytest.raises(InvalidSetting) as refused:
        setting.read({"REDIS_URL": text})
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://user:canary@host/0", "redis://***@host/0"),
        ("REDIS://:canary@host:1/0?password=canary", "redis://***@host:1/0***"),
        ("redis://host/0?password=canary", "redis://host/0***"),
        ("redis://host:canary", "redis://***"),
        ("unix:///run/redis.sock?password=canary", "unix:///run/redis.sock***"),
        ("host:6379", "host:6379"),
        ("default:canary", "default:***"),
        ("TOKEN=canary", "TOKEN=***"),
        ("abc", "abc"),
        ("~/cache", "~/cache"),
        ("host;password=canary", "host;***"),
    ],
)
def test_a_wrong_value_is_shown_as_far_as_it_holds_no_secret(value: str, shown: str) -> None:
    assert redacted(value) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/b?token=canary", "https://host/a/b"),
        ("http://user:canary@host:8080/a#canary", "http://host:8080/a"),
        ("http://user:can@ary@[::1]:80/", "http://[::1]:80/"),
        ("http://canary@[::1", "an unreadable URL"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://cdn.example/npm/package@1.2.3/bin?token=canary", "https://cdn.example/"),
        ("https://h/a/b:c", "https://h/a/b"),
        ("canary", "an unreadable URL"),
    ],
)
def test_of_a_url_whose_parts_are_uncertain_less_is_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


LONG = 100_000
PARTS = [
    "x",
    "1",
    ".",
    "@:",
    ":",
    "@",
    "?",
    "\\",
    "a:/",
    "a://",
    "://",
    "(://",
    "a@b:",
    "password",
    "password ",
    "\x00",
]


@pytest.mark.parametrize("part", PARTS, ids=ascii)
@pytest.mark.parametrize(
    ("before", "after"), [("?", ""), ("@", ""), ("a://", "x"), ("", "@"), ("", "(://?"), ("", "=")]
)
def test_a_long_text_is_searched_in_a_time_that_grows_with_its_length(before: str, part: str, after: str) -> None:
    text = before + part * (LONG // len(part)) + after
    began = time.process_time()
    redacted_text(text)
    assert time.process_time() - began < 5  # it takes milliseconds; with the square of the length, minutes


@given(URLS.filter(lambda text: " " not in text and "\t" not in text and "\n" not in text and "://" in text[:8]))
@settings(max_examples=100, deadline=None)
def test_no_secret_of_a_url_within_a_message_is_shown(text: str) -> None:
    assert CANARY not in redacted_text(f"cannot reach {text}: refused")


def test_a_message_without_a_url_is_shown_as_it_is() -> None:
    message = "host is not the API of a job queue (does the URL end in /api/v1?): it answered 404, lasting 1:30"
    assert redacted_text(message) == message


@pytest.mark.parametrize("before", ["", " ", "=", '"', "/", ":", "Bearer ", "_"])
@pytest.mark.parametrize("end", ["", "_cA2f9z", "_cA2", "\n", '"', "/x"])
def test_no_api_token_within_a_message_is_shown(before: str, end: str) -> None:
    text = redacted_text(f"cannot use {before}jq_worker-pool.1_{CANARY}0123456789{end}")
    assert CANARY not in text
    assert "jq_worker-pool.1_***" in text or before == ":"


WORDS = ["PassWord", "JQ_", "AUTHORIZATION", "Beginning With", "pa\u017f\u017fw"]


@given(st.text(st.sampled_from("aS\u017f?@\\:/é")) | st.sampled_from(WORDS))
@settings(max_examples=200, deadline=None)
def test_the_quick_test_of_a_text_says_what_the_expression_says(text: str) -> None:
    assert is_suspicious(text) == bool(SUSPICIOUS.search(text))
