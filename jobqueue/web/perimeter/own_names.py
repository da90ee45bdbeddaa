"""The names that this machine and its platform give it."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from jobqueue.web.perimeter.authority import is_name

HOSTS_FILE = Path("/etc/hosts")

VARIABLES = {
    "HEROKU_APP_DEFAULT_DOMAIN_NAME": "{}",
    "HEROKU_APP_NAME": "{}.herokuapp.com",
    "RENDER_EXTERNAL_HOSTNAME": "{}",
    "RAILWAY_PUBLIC_DOMAIN": "{}",
    "RAILWAY_PRIVATE_DOMAIN": "{}",
    "RAILWAY_TCP_PROXY_DOMAIN": "{}",
    "RAILWAY_ENVIRONMENT_ID": "healthcheck.railway.app",  # the Host of Railway's health checks
    "FLY_APP_NAME": "{}.fly.dev {}.flycast",
}
"""What platforms set, and the names that follow from it."""


def own_names(variables: Mapping[str, str]) -> frozenset[str]:
    """Return this machine's names and those that the platform gives in these variables, in lower case."""
    listed = ""
    with suppress(OSError):
        listed = HOSTS_FILE.read_text("latin-1")
    return frozenset({*of_platform(variables), *of_machine(socket.gethostname(), listed)})


def of_platform(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that the platform gives in the environment."""
    for variable, names in VARIABLES.items():
        if value := variables.get(variable, "").strip():
            yield from _names(names.format(*[value] * names.count("{}")).split())


def of_machine(hostname: str, hosts_file: str) -> Iterator[str]:
    """Yield a machine's host name and the names that its file /etc/hosts has beside it.

    No name server is asked for the complete name: in a foreign network, the answer would be a stranger's.
    """
    yield from _names([hostname])
    for line in hosts_file.splitlines():
        names = line.partition("#")[0].lower().split()[1:]
        if hostname.lower() in names:
            yield from _names(names)


def _names(texts: Iterable[str]) -> Iterator[str]:
    return (text.lower().removesuffix(".") for text in texts if is_name(text))
