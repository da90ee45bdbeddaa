"""The warning at the start of an open server says who can reach it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
import structlog

from jobqueue.web.access.warning import warn


def warning(*addresses: Any) -> MutableMapping[str, Any]:
    """Return the warning of a server on these addresses."""
    with structlog.testing.capture_logs() as logged:
        warn(addresses)
    [event] = logged
    assert event["log_level"] == "warning"
    return event


def reach(*addresses: Any) -> str:
    """Return who can reach a server on these addresses, according to the warning."""
    return str(warning(*addresses)["reachable"])


def test_addresses_are_written_as_in_a_url() -> None:
    addresses = ("127.0.0.1", 80), ("::", 8080, 0, 0), ("[::1]", 8080), "/run/jobqueue.sock"
    assert warning(*addresses)["addresses"] == "127.0.0.1:80 [::]:8080 [::1]:8080 /run/jobqueue.sock"


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 8080), ("127.9.9.9", 8080), ("::1", 8080), ("localhost", 8080), "/run/jobqueue.sock"]
)
def test_only_this_machine_reaches_loopback(address: Any) -> None:
    assert reach(address) == "only from this machine"


@pytest.mark.parametrize("address", [("0.0.0.0", 8080), ("::", 8080), ("192.168.1.1", 8080), ("api.example", 8080)])
def test_others_reach_any_other_address(address: Any) -> None:
    assert reach(address) == reach(("127.0.0.1", 8080), address) == "from other machines, too"
