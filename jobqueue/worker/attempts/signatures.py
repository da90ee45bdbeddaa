"""Whether a job is exactly what somebody has signed whom this worker trusts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.settings import InvalidSetting
from jobqueue.signing import envelope, payload
from jobqueue.signing.envelope import BadSignature
from jobqueue.signing.keys import BadKey, PublicKey, TrustedKeys


class Signatures:
    """The rule of TRUSTED_KEYS. Without keys, any job is run. Any thread may use it."""

    def __init__(self, keys: Sequence[PublicKey] = (), now: Callable[[], float] = time.time) -> None:
        """`now` returns the seconds since 1970. Raises InvalidSetting."""
        self._now = now
        try:
            self._keys = TrustedKeys(keys) if keys else None
        except BadKey as error:
            raise InvalidSetting(f"TRUSTED_KEYS cannot be used: {error}.") from None

    def refusal_of(self, job: ClaimedJob) -> str | None:
        """Return why a job must not be run, in words that quote nothing of it; None if it may be."""
        try:
            self._verify(job)
        except BadSignature as error:
            return f"blocked by policy: the job {error}"
        return None

    def _verify(self, job: ClaimedJob) -> None:
        """Raise BadSignature unless every field that decides what runs is as it was signed, by a trusted key, and its
        time is not over.

        The signature comes before all that is read from the signed bytes: nobody else's bytes are worth a reader.
        """
        if self._keys is None:
            return
        if job.signature is None:
            raise BadSignature("is not signed, and TRUSTED_KEYS is set")
        signed = envelope.read(job.signature)
        if not self._keys.have_signed(signed):
            raise BadSignature("is not signed by any of TRUSTED_KEYS, or was changed after that")
        fields = payload.read(signed.payload)
        if name := payload.difference(fields, vars(job)):
            raise BadSignature(f"was changed after it was signed: {name} is not what was signed")
        if datetime.fromtimestamp(self._now(), UTC) > fields[payload.NOT_AFTER]:
            raise BadSignature(f"was signed to be run until {fields[payload.NOT_AFTER]:{payload.TIMESTAMP}}")
