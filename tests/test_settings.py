"""Settings: a wrong one is reported in one sentence, and every value that is allowed is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobqueue import settings
from jobqueue.settings import LONGEST_SECONDS as LONGEST
from jobqueue.settings import InvalidSetting, Setting

HOST_OR_PASSWORD = ("redis://:6379", "redis://host:port", "redis://[::1", "redis://ho st")
SCHEMES = ("redis", "rediss", "unix")
NUMBER = settings.whole_number("NAME", 3, (1, 9), "a number")
SECONDS = settings.seconds("NAME", 2.5, 0.1, "some time")
TIME_LIMIT = settings.seconds("NAME", None, 0, "a time limit")
CHOICE = settings.choice("NAME", ("stop", "finish"), "a choice")
WORDS = settings.words("NAME", "[a-z]+", "small words", "some words")
DIRECTORY = settings.directory("NAME", None, "a directory")
URL = settings.url("NAME", "redis://default", SCHEMES, "a URL")


def setting(declared: object) -> Setting[Any]:
    """Return the setting of a dataclass field, which type checkers take for the setting's value."""
    field: Any = declared
    result: Setting[Any] = field.metadata["setting"]
    return result


def read(declared: object, text: str) -> Any:
    """Return the value that a setting has when its variable holds the text."""
    return setting(declared).read({"NAME": text})


def refusal(declared: object, text: str) -> str:
    """Return the message of the refusal of a text."""
    with pytest.raises(InvalidSetting) as raised:
        read(declared, text)
    return str(raised.value)


@pytest.mark.parametrize("variables", [{}, {"NAME": ""}, {"NAME": "   "}])
@pytest.mark.parametrize(
    ("declared", "default"),
    [
        (NUMBER, 3),
        (SECONDS, 2.5),
        (TIME_LIMIT, None),
        (CHOICE, "stop"),
        (WORDS, ()),
        (DIRECTORY, None),
        (URL, "redis://default"),
        (settings.whole_number("NAME", lambda: 7, (1, 9), "a number"), 7),
    ],
)
def test_an_unset_or_empty_variable_means_the_default(
    declared: object, default: object, variables: dict[str, str]
) -> None:
    assert setting(declared).read(variables) == default


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("9", 9), (" 5 ", 5), ("007", 7)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert read(NUMBER, text) == number


@pytest.mark.parametrize("text", ["0", "10", "-1", "+1", "1.0", "1e0", "one", "1 2", "٣", "9" * 200, "0x1"])
def test_a_number_that_is_not_whole_or_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(NUMBER, text) == f"NAME is {text!r}, but must be a whole number from 1 to 9."


def test_a_long_value_is_quoted_in_part() -> None:
    assert refusal(NUMBER, "9" * 5000).startswith(f"NAME is '{'9' * 200}…', but must be")


@pytest.mark.parametrize(
    ("text", "value"),
    [("60", 60), ("0.1", 0.1), ("2.5", 2.5), (".25", 0.25), ("3.", 3), ("0.1004", 0.1), (str(LONGEST), LONGEST)],
)
def test_seconds_are_read_with_fractions_down_to_a_millisecond(text: str, value: float) -> None:
    assert read(SECONDS, text) == value


@pytest.mark.parametrize("text", ["0", "0.09", "0.0999", "-1", "nan", "inf", "-inf", "1e99", "60s", "1,5", "one"])
def test_a_text_that_is_not_a_number_of_seconds_is_refused(text: str) -> None:
    allowed = f"a number of seconds from 0.1 to {LONGEST}"
    assert refusal(SECONDS, text) == f"NAME is {text!r}, but must be {allowed}."


def test_zero_seconds_are_read_where_they_are_allowed() -> None:
    assert read(TIME_LIMIT, "0") == 0


@pytest.mark.parametrize("text", ["stop", "finish", " stop "])
def test_a_word_of_a_choice_is_read(text: str) -> None:
    assert read(CHOICE, text) == text.strip()


@pytest.mark.parametrize("text", ["Stop", "stop,finish", "stopped", "0"])
def test_a_word_outside_a_choice_is_refused(text: str) -> None:
    assert refusal(CHOICE, text) == f"NAME is {text!r}, but must be one of stop, finish."


@pytest.mark.parametrize(
    ("text", "words"),
    [("one", ("one",)), ("one,two", ("one", "two")), (" one , two ,", ("one", "two")), (",one", ("one",))],
)
def test_words_are_separated_by_commas(text: str, words: tuple[str, ...]) -> None:
    assert read(WORDS, text) == words


@pytest.mark.parametrize("text", ["one two", "one|two", "ONE", "one,2", "one\ntwo", ",", " , "])
def test_words_that_the_pattern_does_not_match_whole_are_refused(text: str) -> None:
    """Nothing but commas is refused, too: a list of allowed words that is empty by accident must not allow all."""
    assert refusal(WORDS, text).startswith(f"NAME is {text.strip()!r}, but must be small words")


@pytest.mark.parametrize("text", ["/", "/var/cache/jobqueue", "/with space/ü", "/trailing/"])
def test_a_directory_is_an_absolute_path(text: str) -> None:
    assert read(DIRECTORY, text) == Path(text)


@pytest.mark.parametrize("text", ["cache", "./cache", "~/cache", "$HOME/cache", "/nul\0byte"])
def test_a_relative_or_impossible_path_is_refused(text: str) -> None:
    assert refusal(DIRECTORY, text) == f"NAME is {text!r}, but must be an absolute path."


@pytest.mark.parametrize(
    "text",
    [
        "redis://127.0.0.1:6379/0",
        "redis://host",
        "rediss://user:secret@host:1/2",
        "redis://[::1]:6379",
        "unix:///run/redis.sock",
        "unix://redis.sock/",
    ],
)
def test_a_url_is_read_as_it_is(text: str) -> None:
    assert read(URL, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://host",
        "host:6379",
        "redis://",
        "redis://:6379",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:port",
        "redis://[::1",
        "redis://ho st",
        "unix://",
        "REDIS",
    ],
)
def test_a_url_without_scheme_host_or_valid_port_is_refused(text: str) -> None:
    allowed = "a URL that starts with redis:// or rediss:// or unix://"
    quoted = "redis://***" if text in HOST_OR_PASSWORD else text
    assert refusal(URL, text) == f"NAME is {quoted!r}, but must be {allowed}."


@pytest.mark.parametrize("password", ["secret", "s@ecret", "se/cret", "s:e//cr@et", "se\ncret"])
def test_a_password_in_a_url_is_not_shown(password: str) -> None:
    assert refusal(URL, f"http://user:{password}@host").startswith("NAME is 'http://***@host', but must be ")


def test_a_url_may_have_to_pass_another_check() -> None:
    def check(text: str) -> None:
        if not text.endswith("/0"):
            raise ValueError("the path must be /0.")

    checked = settings.url("NAME", "", SCHEMES, "a URL", check)
    assert read(checked, "redis://host/0") == "redis://host/0"
    assert refusal(checked, "redis://u:secret@host/1") == "NAME is 'redis://***@host/1', but the path must be /0."
    assert "must be a URL that starts with redis://" in refusal(checked, "http://host/1")


def test_a_setting_of_another_kind_brings_its_own_parser() -> None:
    hexadecimal = settings.declare(Setting("NAME", 0, lambda text: int(text, 16), "hexadecimal digits", "", ""))
    assert read(hexadecimal, "ff") == 255
    assert refusal(hexadecimal, "xyz") == "NAME is 'xyz', but must be hexadecimal digits."


@dataclass(frozen=True)
class Example:
    """Two settings."""

    first: int = settings.whole_number("FIRST", 3, (1, 9), "the first one")
    second: str = settings.choice("SECOND", ("a", "b"), "the second one")


def test_a_dataclass_is_loaded_from_the_variables_of_its_fields() -> None:
    assert settings.load(Example, {"SECOND": "b", "THIRD": "c"}) == Example(3, "b")
    with pytest.raises(InvalidSetting, match=r"^FIRST is "):
        settings.load(Example, {"FIRST": "0"})


def test_a_declaration_names_the_setting_its_default_and_its_meaning() -> None:
    declared = settings.declared(Example)
    assert list(declared) == ["first", "second"]
    assert (declared["first"].name, declared["first"].default_text, declared["first"].meaning) == (
        "FIRST",
        "3",
        "the first one",
    )


@pytest.mark.parametrize(
    ("declared", "default_text"),
    [
        (lambda: settings.seconds("NAME", None, 0, ""), "none"),
        (lambda: settings.seconds("NAME", 604800.0, 0, ""), "604800"),
        (
            lambda: settings.whole_number("NAME", lambda: 7, (1, 9), "", "one for each processor"),
            "one for each processor",
        ),
        (lambda: settings.directory("NAME", Path("/tmp"), ""), "/tmp"),
    ],
)
def test_a_default_is_written_as_the_documentation_writes_it(declared: Callable[[], object], default_text: str) -> None:
    assert setting(declared()).default_text == default_text


def test_a_misspelt_name_is_noticed_and_no_other() -> None:
    names = ["CACHE_DIR", "SLOTS"]
    assert settings.misspelt(["CACHE_DIRS", "SLOT", "SLOTS"], names) == {"CACHE_DIRS": "CACHE_DIR", "SLOT": "SLOTS"}
    assert settings.misspelt(["JOB_TIMEOUT", "JOB"], ["JOB_TIMEOUT_SECONDS"]) == {"JOB_TIMEOUT": "JOB_TIMEOUT_SECONDS"}
    assert settings.misspelt(["UV_CACHE_DIR", "CCACHE_DIR", "PATH", "LOTS", ""], names) == {}
