"""Rules for URLs, and how they are shown without their secrets."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def without_secrets(url: str) -> str:
    """Return a URL without what may be secret in it: password, query, fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an unreadable URL"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
