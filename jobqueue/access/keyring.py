"""The tokens that are valid now: those of the setting and those of the file, which is read again when it changes."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jobqueue import logs
from jobqueue.access.entries import Entry
from jobqueue.access.token_file import TokenFile, UnreadableFile
from jobqueue.access.tokens import digest_of

LOOK_SECONDS = 1.0
"""How often the file is looked at, at most."""

KEY_BYTES = 32


class InvalidTokens(Exception):
    """The tokens that are configured cannot be used. The message is a sentence for the operator."""


class Keyring:
    """The valid tokens of this process. Without a setting and a file there are none, and the API is open to everybody.

    A keyring that was configured is never open, not even when the last entry of its file is removed.
    """

    def __init__(
        self, entries: Sequence[Entry] = (), file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._given = entries
        self._file = TokenFile(file) if file else None
        self._clock = clock
        self._key = secrets.token_bytes(KEY_BYTES)
        self._entries: Mapping[bytes, Entry] = {}
        self._valid: Mapping[bytes, Entry] = {}
        self._look_at = 0.0
        self._problem = ""
        self.is_open = not entries and file is None
        self.on_change: Callable[[], object] = lambda: None
        """Is called after tokens have been added or removed."""

    @classmethod
    def configured(cls, entries: Sequence[Entry], file: Path | None) -> Keyring:
        """Return a keyring whose file has been read. Raises InvalidTokens if it cannot be read or nothing is in it."""
        keyring = cls(entries, file)
        try:
            keyring._use(keyring._file.read() if keyring._file else ())
        except UnreadableFile as error:
            raise InvalidTokens(str(error)) from None
        if file is not None and not keyring._entries:
            raise InvalidTokens(f"{file} has no entries: nobody could use the API.")
        return keyring

    @property
    def may_change(self) -> bool:
        """Whether there is a file that may change."""
        return self._file is not None

    def find(self, token: bytes) -> Entry | None:
        """Return the entry of a token, None if the token is not valid (any more)."""
        self.look()
        return self._entries.get(self._blinded(digest_of(token)))

    def still_has(self, entry: Entry) -> bool:
        """Return whether an entry that `find` returned is still there, unchanged."""
        self.look()
        return self._valid.get(entry.digest) == entry

    def look(self) -> None:
        """Read the file again if it has changed, unless it was looked at a moment ago."""
        if self._file is None or self._clock() < self._look_at:
            return
        self._look_at = self._clock() + LOOK_SECONDS
        self._update(self._file.read_if_changed)

    def read_again(self) -> None:
        """Read the file again, changed or not."""
        if self._file is not None:
            self._update(self._file.read)

    def _update(self, read: Callable[[], Sequence[Entry] | None]) -> None:
        """Take what the file has now. If it cannot be used, all remains as it was: an editor or a deployment that goes
        wrong must not lock everybody out.
        """
        try:
            entries = read()
            if entries is None:
                return
            changed = self._use(entries)
        except (UnreadableFile, InvalidTokens) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                logs.logger().error("tokens_unreadable", message=self._problem, tokens=len(self._entries))
            return
        if changed or self._problem:
            self._problem = ""
            logs.logger().info("tokens_read", tokens=len(self._entries))
        if changed:
            self.on_change()

    def _use(self, entries: Sequence[Entry]) -> bool:
        """Let these entries and those of the setting be the valid ones; return whether that is a change."""
        found: dict[bytes, Entry] = {}
        for entry in (*self._given, *entries):
            if found.setdefault(self._blinded(entry.digest), entry) != entry:
                first = found[self._blinded(entry.digest)]
                raise InvalidTokens(f"{first.name} and {entry.name} have the same token, or one has it twice.")
        changed, self._entries = found != self._entries, found
        self._valid = {entry.digest: entry for entry in found.values()}
        return changed

    def _blinded(self, digest: bytes) -> bytes:
        """Return what a digest is looked up by.

        A look-up takes a time that depends on the bytes that are compared, so it must not compare anything that a
        client can choose or compute. Nobody outside of this process can compute a keyed hash of a digest, and no two
        are alike: from how long a look-up takes, nothing follows about a digest, still less about a token. This takes
        as long for a thousand tokens as for one, which `hmac.compare_digest` with each of them would not.
        """
        return hmac.digest(self._key, digest, "sha256")


class _Inherited:
    """What a process can only find in this module, because gunicorn starts the app without arguments."""

    keyring: Keyring | None = None


def prepare(entries: Sequence[Entry], file: Path | None) -> None:
    """Read the tokens for this process's children. gunicorn's master calls this when it starts and on SIGHUP.

    A process that starts later inherits what was last read, so it can also start while the file is broken. Raises
    InvalidTokens at the start.
    """
    if _Inherited.keyring is None:
        _Inherited.keyring = Keyring.configured(entries, file)
    else:
        _Inherited.keyring.read_again()


def look() -> None:
    """Look at the file before a process is started that inherits what is in it."""
    if _Inherited.keyring is not None:
        _Inherited.keyring.look()


def inherited() -> Keyring | None:
    """Return what this process inherited, None without a master."""
    return _Inherited.keyring
