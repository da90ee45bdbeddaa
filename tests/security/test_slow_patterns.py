"""Text that was made to take long: every pattern, and every function that reads text of others, takes linear time."""

from __future__ import annotations

import pkgutil
import re
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

import pytest
from marshmallow import ValidationError

import jobqueue
from jobqueue import redaction
from jobqueue.access import tokens
from jobqueue.net.destinations import addresses, hosts
from jobqueue.web.perimeter import authority, browsers, proxies
from jobqueue.web.schemas import fields

LENGTH = 100_000
MOST_SECONDS = 0.5
"""Of processor time. Those that take longest take a tenth of it; one that goes back and forth would take minutes."""

PIECES = [
    "a", "0", "A1", ".", "-", ":", "a:", "a.", "a.a-", "://", "http://a", "http://a:b@", "@", "a@", "%40", "[::", "\\",
    '\\"', '"', "'", " ", "\t", "a ", "?a", "=", "a=", "password=", "with args beginning with:", "(a", "a,", "\u200b",
    "é", "/a", "/../",
]  # fmt: skip
TEXTS = [(piece * LENGTH)[:LENGTH] + end for piece in PIECES for end in ("!", "\0")]


def check_url(text: str) -> None:
    """Check a URL as that of a program, after its length."""
    for check in fields.http_url(2 * LENGTH):
        with suppress(ValidationError):
            check(text)


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "a URL is shown without secrets": redaction.redacted,
    "a message is shown without secrets": redaction.redacted_text,
    "a text is logged": redaction.escaped,
    "a host is read": authority.parse,
    "an origin is read": lambda text: browsers.is_origin_of(text, "x"),
    "an address of a proxy is read": proxies.plain_address,
    "a token is checked": tokens.is_mistyped,
    "a name of a host is read": hosts.normal,
    "an address is read": addresses.literal,
    "the URL of a program is read": check_url,
}


def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """Return every pattern that a module of the product keeps, by its place."""
    names = [each.name for each in pkgutil.walk_packages(jobqueue.__path__, "jobqueue.")]
    modules = [import_module(name) for name in names if not name.endswith((".__main__", ".app"))]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


def assert_takes_no_time(call: Callable[[str], object]) -> None:
    """Check that a call takes no more than the time allowed, whatever the text is."""
    for text in TEXTS:
        started = time.process_time()
        with suppress(ValueError):
            call(text)
        assert time.process_time() - started < MOST_SECONDS, text[:20]


@pytest.mark.parametrize("pattern", patterns().values(), ids=patterns())
def test_a_pattern_takes_no_time_for_a_hostile_text(pattern: re.Pattern[str] | re.Pattern[bytes]) -> None:
    match: Callable[..., object] = pattern.fullmatch
    assert_takes_no_time((lambda text: match(text.encode())) if isinstance(pattern.pattern, bytes) else match)


@pytest.mark.parametrize("call", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_that_reads_text_of_others_takes_no_time_for_a_hostile_one(call: Callable[[str], object]) -> None:
    assert_takes_no_time(call)
