"""What REDIS_URL says: where Redis is, who we are, and how TLS is verified."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import ParseResult, parse_qs, unquote, urlparse

from jobqueue.net.trust import usual_context

T = TypeVar("T")

DEFAULT_PORT = 6379
MAX_CONNECTIONS = 8
"""A script takes well under a millisecond, so few connections serve many requests. Small Redis plans allow only 20."""

VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
TLS_PARAMETERS = (
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
    "ssl_min_version",
    "ssl_ciphers",
)
PARAMETERS = ("db", "username", "password", "client_name", "max_connections")
IGNORED = (
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "legacy_responses",
    "protocol",
    "retry_on_error",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_read_size",
    "socket_timeout",
    "timeout",
)
"""Parameters of redis-py that people have in their URLs. The server has its own values for them, which hold."""

SECONDS = ("health_check_interval", "socket_connect_timeout", "socket_timeout", "timeout")


@dataclass(frozen=True)
class Address:
    """Where Redis is: a host and port, or the path of a Unix socket. `tls` is None for a connection in the clear."""

    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_name: str | None = None
    max_connections: int = MAX_CONNECTIONS
    tls: ssl.SSLContext | None = None


def read(url: str, verify: bool = True) -> Address:
    """Return what a URL says. Without `verify`, TLS takes any certificate, whatever the URL says.

    Raises ValueError with a clause that names the faulty part and quotes no value: it may be a password.
    """
    parts = urlparse(url)
    options = _options(parts)
    # A password in the URL itself goes before one among the parameters, as in redis-py.
    return Address(
        host=parts.hostname or "localhost",
        port=_port(parts),
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        database=_database(parts, options),
        username=unquote(parts.username) if parts.username else options.get("username"),
        password=unquote(parts.password) if parts.password else options.get("password"),
        client_name=options.get("client_name"),
        max_connections=_number(options, "max_connections", MAX_CONNECTIONS, range(1, 1001)),
        tls=_tls(options, verify) if parts.scheme == "rediss" else None,
    )


def check_url(url: str) -> None:
    """Raise ValueError, without connecting, for a URL that cannot be used."""
    read(url)


def _options(parts: ParseResult) -> dict[str, str]:
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("it must start with redis://, rediss:// or unix://")
    if parts.fragment or "@" in parts.query.partition("=")[0]:
        raise ValueError("a special character in the password must be written as %XX (# is %23, ? is %3F, / is %2F)")
    options = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    for name, text in options.items():
        if name in TLS_PARAMETERS and parts.scheme != "rediss":
            raise ValueError(f"the parameter {name} needs TLS, and so a URL that starts with rediss")
        if name not in (*PARAMETERS, *TLS_PARAMETERS, *IGNORED):
            # What follows an unescaped `?` in a password looks like a name. Only what cannot be one is quoted.
            shown = f"the parameter {name}" if re.fullmatch("[a-z_]{2,40}", name) and "@" not in parts.query else "it"
            raise ValueError(f"{shown} is not supported; " + "known are " + ", ".join((*PARAMETERS, *TLS_PARAMETERS)))
        if name in SECONDS and not re.fullmatch(r"[0-9]{0,9}(\.[0-9]{0,9})?", text):
            raise ValueError(f"the parameter {name} must be a number of seconds")
    return {name: text for name, text in options.items() if text}


def _port(parts: ParseResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("the port must be a number from 1 to 65535")
    return port or DEFAULT_PORT


def _database(parts: ParseResult, options: Mapping[str, str]) -> int:
    path = "" if parts.scheme == "unix" else unquote(parts.path).replace("/", "")
    if path and not re.fullmatch("[0-9]{1,9}", path):
        raise ValueError("the path must be the number of a database")
    return _number(options, "db", int(path or 0), range(10**9))


def _number(options: Mapping[str, str], name: str, default: int, allowed: range) -> int:
    text = options.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) not in allowed:
        raise ValueError(f"the parameter {name} must be a whole number from {allowed.start} to {allowed.stop - 1}")
    return int(text)


def _tls(options: Mapping[str, str], verify: bool) -> ssl.SSLContext:
    context = usual_context()
    mode = VERIFY_MODES.get(options.get("ssl_cert_reqs", "required").lower().removeprefix("ssl.").removeprefix("cert_"))
    if mode is None:
        raise ValueError("the parameter ssl_cert_reqs must be none, optional or required")
    _load(options, context)
    check_hostname = options.get("ssl_check_hostname", "yes").lower() not in ("0", "f", "false", "n", "no")
    context.check_hostname = verify and check_hostname and mode != ssl.CERT_NONE
    context.verify_mode = mode if verify else ssl.CERT_NONE
    return context


def _load(options: Mapping[str, str], context: ssl.SSLContext) -> None:
    """Give a context the certificates, the version and the ciphers that the options name."""
    loaders: dict[str, Callable[[str], object]] = {
        "ssl_ca_certs": lambda text: context.load_verify_locations(cafile=text),
        "ssl_ca_path": lambda text: context.load_verify_locations(capath=text),
        "ssl_ca_data": lambda text: context.load_verify_locations(cadata=text),
        # Without a password, OpenSSL would ask for one on the terminal.
        "ssl_certfile": lambda text: context.load_cert_chain(
            text, options.get("ssl_keyfile"), options.get("ssl_password", "")
        ),
        "ssl_min_version": lambda text: setattr(context, "minimum_version", ssl.TLSVersion(int(text))),
        "ssl_ciphers": context.set_ciphers,
    }
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("the parameter ssl_keyfile needs the parameter ssl_certfile")
    for name, load in loaders.items():
        if name not in options:
            continue
        try:
            load(options[name])
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "it is not valid"
            raise ValueError(f"the parameter {name} cannot be used: {reason}") from None
