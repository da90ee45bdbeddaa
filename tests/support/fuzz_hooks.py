"""What schemathesis does differently here: it waits for nothing for long. `tests.fuzz` has it loaded."""

from __future__ import annotations

from typing import Any

import schemathesis

LONGEST_SECONDS = 0.05
LIMIT_SECONDS = 25


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: dict[str, Any]) -> None:
    """Shorten the valid waits of a request, which may last for 25 seconds. The others are refused at once."""
    for fields in (case.body, case.query, case.body.get("claim") if isinstance(case.body, dict) else None):
        if isinstance(fields, dict) and _is_long(fields.get("wait_seconds")):
            fields["wait_seconds"] = LONGEST_SECONDS


def _is_long(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and LONGEST_SECONDS < value <= 25
    )  # the API's limit
