"""What schemathesis does differently here: short waits, and no invisible characters. `tests.fuzz` has it loaded."""

from __future__ import annotations

import re
from typing import Any

import schemathesis

LONGEST_SECONDS = 0.05
LIMIT_SECONDS = 25
TAGS = re.compile("[\U000e0000-\U000e0fff]")


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: dict[str, Any]) -> None:
    """Shorten the valid waits of a request, which may last for 25 seconds. The others are refused at once.

    The patterns of the document work in every language, and some know no characters beyond U+FFFF. So they do not say
    that the invisible ones there, such as tags, are refused.
    """
    case.body = _without_tags(case.body)
    for fields in (case.body, case.query, case.body.get("claim") if isinstance(case.body, dict) else None):
        if isinstance(fields, dict) and _is_long(fields.get("wait_seconds")):
            fields["wait_seconds"] = LONGEST_SECONDS


def _without_tags(value: Any) -> Any:
    if isinstance(value, str):
        return TAGS.sub("w", value)
    if isinstance(value, list):
        return [_without_tags(each) for each in value]
    if isinstance(value, dict):
        return {_without_tags(name): _without_tags(each) for name, each in value.items()}
    return value


def _is_long(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and LONGEST_SECONDS < value <= LIMIT_SECONDS
