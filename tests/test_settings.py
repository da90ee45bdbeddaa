"""`settings.py`: a wrong setting is told in one sentence; everything that is allowed is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobqueue.settings import LONGEST_SECONDS, Environment, InvalidSetting

SCHEMES = ("redis", "rediss", "unix")


def environment(text: str | None) -> Environment:
    return Environment({} if text is None else {"NAME": text})


@pytest.mark.parametrize("text", [None, "", "   "])
def test_an_unset_or_empty_variable_is_its_default(text: str | None) -> None:
    assert environment(text).whole_number("NAME", 3, 1, 9) == 3
    assert environment(text).milliseconds("NAME", 60_000, 0.1) == 60_000
    assert environment(text).seconds("NAME", 2.5, 0.1) == 2.5
    assert environment(text).seconds("NAME", None, 0.1) is None
    assert environment(text).choice("NAME", "one", ("one", "two")) == "one"
    assert environment(text).words("NAME", "[a-z]+", "words") == ()
    assert environment(text).directory("NAME") is None
    assert environment(text).url("NAME", "redis://default", SCHEMES) == "redis://default"


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("9", 9), (" 5 ", 5), ("007", 7)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert environment(text).whole_number("NAME", 3, 1, 9) == number


@pytest.mark.parametrize("text", ["0", "10", "-1", "+1", "1.0", "1e0", "one", "1 2", "٣", "9" * 200, "0x1"])
def test_what_is_no_whole_number_in_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        environment(text).whole_number("NAME", 3, 1, 9)
    assert str(refusal.value) == f"NAME is {text!r}, but must be a whole number from 1 to 9."


def test_a_long_value_is_not_quoted_whole() -> None:
    with pytest.raises(InvalidSetting, match=f"^NAME is '{'9' * 200}…', but must be"):
        environment("9" * 5000).whole_number("NAME", 3, 1, 9)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("60", 60_000), ("0.1", 100), ("2.5", 2_500), ("0.1004", 100), (str(LONGEST_SECONDS), LONGEST_SECONDS * 1000)],
)
def test_seconds_are_read_with_their_fractions(text: str, milliseconds: int) -> None:
    assert environment(text).milliseconds("NAME", 1, 0.1) == milliseconds


@pytest.mark.parametrize("text", ["0", "0.09", "-1", "nan", "inf", "-inf", "1e99", "60s", "1,5", "one"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        environment(text).milliseconds("NAME", 1, 0.1)
    allowed = f"a number of seconds from 0.1 to {LONGEST_SECONDS}"
    assert str(refusal.value) == f"NAME is {text!r}, but must be {allowed}."


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
    assert environment(text).url("NAME", "", SCHEMES) == text


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
        "unix://",
        "REDIS",
    ],
)
def test_what_is_no_url_of_these_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        environment(text).url("NAME", "", SCHEMES)
    allowed = "a URL that starts with redis:// or rediss:// or unix://"
    assert str(refusal.value) == f"NAME is {text!r}, but must be {allowed}."


@pytest.mark.parametrize("password", ["secret", "s@ecret", "se/cret", "s:e//cr@et", "se\ncret"])
def test_a_password_is_not_told(password: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        environment(f"http://user:{password}@host").url("NAME", "", SCHEMES)
    assert str(refusal.value).startswith("NAME is 'http://***@host', but must be ")


def test_a_url_may_be_held_against_more_than_its_scheme() -> None:
    def check(text: str) -> None:
        if not text.endswith("/0"):
            raise ValueError

    assert environment("redis://host/0").url("NAME", "", SCHEMES, check) == "redis://host/0"
    with pytest.raises(InvalidSetting, match="must be a URL that starts with redis://"):
        environment("redis://host/1").url("NAME", "", SCHEMES, check)


def test_any_other_kind_of_setting_says_itself_what_is_allowed() -> None:
    assert environment("ff").read("NAME", 0, lambda text: int(text, 16), "hexadecimal digits") == 255
    with pytest.raises(InvalidSetting, match=r"^NAME is 'xyz', but must be hexadecimal digits\.$"):
        environment("xyz").read("NAME", 0, lambda text: int(text, 16), "hexadecimal digits")


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("10", 10.0), (".25", 0.25), ("1.5", 1.5), ("3.", 3.0)])
def test_seconds_are_read_as_seconds(text: str, seconds: float) -> None:
    assert environment(text).seconds("NAME", None, 0) == seconds


def test_what_is_no_number_of_seconds_is_refused_wherever_it_is_kept() -> None:
    with pytest.raises(InvalidSetting, match=r"^NAME is '0\.05', but must be a number of seconds from 0\.1 to "):
        environment("0.05").seconds("NAME", None, 0.1)


@pytest.mark.parametrize("text", ["stop", "finish", " stop "])
def test_a_choice_is_one_of_the_words_allowed(text: str) -> None:
    assert environment(text).choice("NAME", "stop", ("stop", "finish")) == text.strip()


@pytest.mark.parametrize("text", ["Stop", "stop,finish", "stopped", "0"])
def test_any_other_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        environment(text).choice("NAME", "stop", ("stop", "finish"))
    assert str(refusal.value) == f"NAME is {text!r}, but must be one of stop, finish."


@pytest.mark.parametrize(
    ("text", "words"),
    [("one", ("one",)), ("one,two", ("one", "two")), (" one , two ,", ("one", "two")), (",one", ("one",))],
)
def test_words_have_commas_between(text: str, words: tuple[str, ...]) -> None:
    assert environment(text).words("NAME", "[a-z]+", "words") == words


@pytest.mark.parametrize("text", ["one two", "one;two", "ONE", "one,2", "one\ntwo", ",", " , "])
def test_words_that_the_pattern_does_not_match_whole_are_refused(text: str) -> None:
    """Nothing but commas, too: a list of allowed ones that is empty by accident must not allow everything."""
    with pytest.raises(InvalidSetting) as refusal:
        environment(text).words("NAME", "[a-z]+", "small words")
    assert str(refusal.value) == f"NAME is {text.strip()!r}, but must be small words, with commas between."


@pytest.mark.parametrize("text", ["/", "/var/cache/jobqueue", "/with space/ü", "/trailing/"])
def test_a_directory_is_an_absolute_path(text: str) -> None:
    assert environment(text).directory("NAME") == Path(text)


@pytest.mark.parametrize("text", ["cache", "./cache", "~/cache", "$HOME/cache", "/nul\0byte"])
def test_what_depends_on_where_one_stands_is_no_directory(text: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        environment(text).directory("NAME")
    assert str(refusal.value) == f"NAME is {text!r}, but must be an absolute path."
