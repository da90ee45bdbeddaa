"""Bugs in what a signature protects, each with the test that has to find it."""

from __future__ import annotations

from tests.support.seeding import seeded

SEEDED_BUGS = [
    *seeded(
        "jobqueue/worker/attempts/signatures.py",
        "tests/worker/attempts/test_signatures.py",
        (
            "a job without a signature runs although keys are trusted",
            "if self._keys is None:",
            "if self._keys is None or job.signature is None:",
            "test_a_job_without_an_envelope_is_refused",
        ),
        (
            "a signed job runs for ever",
            "if datetime.fromtimestamp(self._now(), UTC) > fields",
            "if datetime.fromtimestamp(0, UTC) > fields",
            "test_a_signature_counts_until_its_time_is_over",
        ),
        (
            "a signature that was made for one job is good for another",
            "payload.difference(fields, vars(job))",
            'payload.difference(fields, {**fields, "binary_sha256": job.binary_sha256})',
            "test_a_job_with_another_field_than_was_signed_is_refused",
        ),
    ),
    *seeded(
        "jobqueue/signing/payload.py",
        "tests/signing/test_payload.py",
        (
            "a name that stands twice in what was signed has two meanings",
            "if len(fields) != len(pairs):",
            "if len(fields) > len(pairs):",
            "test_bytes_that_are_not_json_of_one_meaning_are_refused",
        ),
    ),
    *seeded(
        "jobqueue/signing/keys.py",
        "tests/signing/test_keys.py",
        (
            "a key of zeros lets anybody sign",
            "& ~SIGN in OF_SMALL_ORDER",
            "& ~SIGN == -1",
            "test_the_key_of_zeros_is_one_of_them",
        ),
    ),
]
