"""Job ids: what they look like in a path, and the one spelling that the queue knows."""

from __future__ import annotations

import re

from werkzeug.routing import BaseConverter, Map, UUIDConverter

PARAMETER = "<job_id:job_id>"
"""How the routes write the place of an id in their paths."""


class JobIdConverter(BaseConverter):
    """Matches a job id in a path, in upper or lower case, and hands it to the view as a string in lower case."""

    regex = UUIDConverter.regex

    def to_python(self, value: str) -> str:
        """Return the id as the queue knows it."""
        return normalized(value)


def normalized(job_id: str) -> str:
    """Return an id as the queue knows it: in lower case."""
    return job_id.lower()


def is_malformed(routes: Map, path: str) -> bool:
    """Return whether a path that matches no route would match one if the text in the place of the id were an id.

    The converter itself cannot answer 404 for such a text: it would have to match any text, and then `/jobs/claim`
    would be a job, too.
    """
    paths = [re.escape(rule.rule) for rule in routes.iter_rules() if PARAMETER in rule.rule]
    return any(re.fullmatch(pattern.replace(PARAMETER, "[^/]+"), path) for pattern in paths)
