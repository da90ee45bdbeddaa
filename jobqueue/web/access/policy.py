"""What was configured about access, as the app keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobqueue.access import keyring
from jobqueue.access.keyring import InvalidTokens, Keyring
from jobqueue.settings import InvalidSetting
from jobqueue.web.config import ServerSettings


@dataclass(frozen=True)
class Access:
    """The tokens of callers, the digest of METRICS_TOKEN (empty: metrics are open), and whether executors must send
    the token of the attempt.
    """

    keyring: Keyring = field(default_factory=Keyring)
    metrics_digest: bytes = b""
    requires_attempt_token: bool = False

    @property
    def is_open(self) -> bool:
        """Whether no tokens are configured, so that everybody who reaches the API may do everything."""
        return self.keyring.is_open


def configured(settings: ServerSettings) -> Access:
    """Return what the settings say. The tokens are those that gunicorn's master has read, if there is one.

    Raises InvalidSetting if the tokens cannot be used.
    """
    keys = keyring.inherited() or _read(settings)
    return Access(keys, settings.metrics_token, settings.requires_attempt_token)


def prepare(settings: ServerSettings) -> None:
    """Read the tokens for the processes that this one will start, or read them again. Raises InvalidSetting."""
    try:
        keyring.prepare(settings.api_tokens, settings.api_tokens_file)
    except InvalidTokens as error:
        raise InvalidSetting(_sentence(error)) from None


def _read(settings: ServerSettings) -> Keyring:
    try:
        return Keyring.configured(settings.api_tokens, settings.api_tokens_file)
    except InvalidTokens as error:
        raise InvalidSetting(_sentence(error)) from None


def _sentence(error: InvalidTokens) -> str:
    return f"API_TOKENS or API_TOKENS_FILE cannot be used: {error}"
