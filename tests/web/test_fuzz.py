"""Compares the API with its OpenAPI document for 15 seconds. `make fuzz` takes longer."""

from __future__ import annotations

import pytest

from tests.fuzz import fuzz


@pytest.mark.timeout(180)
def test_requests_generated_from_the_document_find_no_fault() -> None:
    done = fuzz(10, capture=True)
    assert done.returncode == 0, done.stdout + done.stderr
