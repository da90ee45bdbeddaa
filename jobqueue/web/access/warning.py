"""Says at the start of a server that its API is open, and to whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from jobqueue import logs

OPEN = (
    "No API tokens are configured: everybody who reaches this API can run programs on its workers. "
    "Set API_TOKENS or API_TOKENS_FILE; `python -m jobqueue token NAME SCOPE...` makes a token."
)


def warn(addresses: Iterable[Any]) -> None:
    """Log that the API is open. `addresses` are those on which it listens, as gunicorn has them: pairs of a host and a
    port, and the paths of Unix sockets.
    """
    texts = {_text(address): _is_local(address) for address in addresses}
    reach = "only from this machine" if all(texts.values()) else "from other machines, too"
    logs.logger().warning("api_is_open", message=OPEN, reachable=reach, addresses=" ".join(texts))


def _text(address: Any) -> str:
    if not isinstance(address, tuple):
        return str(address)
    host, port = str(address[0]).strip("[]"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True
    host = str(address[0]).strip("[]").partition("%")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name
        return False
