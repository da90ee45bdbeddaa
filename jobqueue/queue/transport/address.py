"""What REDIS_URL says: where Redis is, who we are, and how TLS is verified."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import ParseResult, parse_qs, unquote, urlparse

from jobqueue.net import trust
from jobqueue.settings import Unescaped

T = TypeVar("T")

ESCAPE = (
    "a special character in the user or the password must be written as %XX (# is %23, ? is %3F, / is %2F, @ is %40), "
    "unless REDIS_USERNAME and REDIS_PASSWORD have them as they are"
)
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


@dataclass(frozen=True)
class Login:
    """What the settings say besides the URL. What is not None takes the place of what the URL says."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """Certificates that are trusted in addition."""


def read(url: str, verify: bool = True, login: Login = Login()) -> Address:
    """Return what a URL says. Without `verify`, TLS takes any certificate, whatever the URL says.

    Raises ValueError with a clause that names the faulty part and quotes no value: it may be a password.
    """
    _refuse_unescaped(url)
    parts = urlparse(url)
    options = _options(parts)
    # A password in the URL itself goes before one among the parameters, as in redis-py.
    return Address(
        host=parts.hostname or "localhost",
        port=_port(parts),
        path=unquote(parts.path) if parts.scheme == "unix" else "",
        database=_database(parts, options),
        username=login.username or _text(parts.username) or options.get("username"),
        password=login.password or _text(parts.password) or options.get("password"),
        client_name=options.get("client_name"),
        max_connections=_number(options, "max_connections", MAX_CONNECTIONS, range(1, 1001)),
        tls=_tls(options, verify, login.ca_file) if parts.scheme == "rediss" else None,
    )


def check_url(url: str) -> None:
    """Raise ValueError, without connecting, for a URL that cannot be used."""
    read(url)


def _refuse_unescaped(url: str) -> None:
    """Raise Unescaped for a URL that is cut in the wrong places because of a character in the user or the password."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    later = rest[len(authority) :].partition("?")[0]
    # The path of a Unix socket may contain an @.
    cut_short = "@" in later and (scheme != "unix" or authority)
    if cut_short or ("@" in rest and (re.search(r"\s", url) or not _is_readable(url))):
        raise Unescaped(ESCAPE)


def _is_readable(url: str) -> bool:
    try:
        urlparse(url)
    except ValueError:  # brackets, or characters that a browser would take for / or @
        return False
    return True


def _text(part: str | None) -> str | None:
    if not part:
        return None
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("the user and the password must be text in UTF-8") from None


def _options(parts: ParseResult) -> dict[str, str]:
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("it must start with redis://, rediss:// or unix://")
    if parts.fragment or "@" in parts.query.partition("=")[0]:
        raise Unescaped(ESCAPE)
    options = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    for name, text in options.items():
        if name in TLS_PARAMETERS and parts.scheme != "rediss":
            raise ValueError(f"the parameter {name} needs TLS, and so a URL that starts with rediss")
        if name not in (*PARAMETERS, *TLS_PARAMETERS, *IGNORED):
            if "@" in parts.query:  # what follows an unescaped `?` in a password looks like a name
                raise Unescaped(ESCAPE)
            shown = f"the parameter {name}" if re.fullmatch("[a-z_]{2,40}", name) else "it"
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


def _tls(options: Mapping[str, str], verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    context = trust.usual_context()
    if ca_file is not None:
        trust.add(context, "REDIS_CA_FILE", ca_file)
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
