"""The settings about access. A message about a wrong one shows no token and no digest."""

from __future__ import annotations

import re
from pathlib import Path

from jobqueue.access.entries import Entry, InvalidEntry, of_setting
from jobqueue.access.tokens import digest_of
from jobqueue.settings import InvalidSetting, Setting, allow, declare

API_TOKENS, METRICS_TOKEN = "API_TOKENS", "METRICS_TOKEN"
FORM = "name:scope[+scope]:sha256, with commas or white space between"


def tokens() -> tuple[Entry, ...]:
    """Declare API_TOKENS."""

    def parse(text: str) -> tuple[Entry, ...]:
        try:
            entries = tuple(of_setting(text, API_TOKENS))
        except InvalidEntry as error:
            raise InvalidSetting(str(error)) from None
        if not entries:  # nothing but commas: an API that is open by accident would be worse than none
            raise InvalidSetting(f"{API_TOKENS} has no entries.")
        return entries

    return declare(Setting(API_TOKENS, (), parse, FORM, "the tokens that callers may use", "none"))


def tokens_file() -> Path | None:
    """Declare API_TOKENS_FILE."""

    def parse(text: str) -> Path:
        return allow(Path(text), "\0" not in text).absolute()

    meaning = "a file with more of them, read again when it changes"
    return declare(Setting[Path | None]("API_TOKENS_FILE", None, parse, "a path", meaning, "none"))


def attempt_token() -> bool | None:
    """Declare REQUIRE_ATTEMPT_TOKEN, which depends on whether there are tokens unless it is set."""
    meaning = "1: executors must send attempt_token with every request about a job"
    return declare(
        Setting[bool | None](
            "REQUIRE_ATTEMPT_TOKEN", None, _flag, "one of 0, 1", meaning, "1 if tokens are configured, else 0"
        )
    )


def _flag(text: str) -> bool:
    return allow(text, text in ("0", "1")) == "1"


def metrics_token() -> bytes:
    """Declare METRICS_TOKEN. Only its digest is kept."""

    def parse(text: str) -> bytes:
        if not re.fullmatch("[!-~]+", text):
            raise InvalidSetting(f"{METRICS_TOKEN} must be visible ASCII characters, as a header cannot hold others.")
        return digest_of(text.encode())

    meaning = "the token for GET /metrics, which is open without it"
    return declare(Setting(METRICS_TOKEN, b"", parse, "visible ASCII characters", meaning, "none"))
