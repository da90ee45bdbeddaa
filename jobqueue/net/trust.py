"""Which certificate authorities are trusted: the system's, certifi's, and those that the settings name."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import certifi

from jobqueue.net.sockets import GovernedTlsSocket
from jobqueue.settings import InvalidSetting

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Variables that name further certificates. OpenSSL reads the first one by itself, but says nothing about errors."""

DIRECTORIES = "SSL_CERT_DIR"


def load(ca_file: Path | None, variables: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context for TLS connections. Raises InvalidSetting for a file without certificates.

    Making one takes some 30 ms. Any number of threads may share it.
    """
    named = {"CA_FILE": str(ca_file or ""), **{name: variables.get(name, "").strip() for name in FILES}}
    for name, path in named.items():
        _refuse_endless(name, Path(path))  # OpenSSL reads some of them as soon as there is a context
    context = usual_context()
    context.sslsocket_class = GovernedTlsSocket
    for name, path in named.items():
        if path:
            add(context, name, Path(path))
    for path in variables.get(DIRECTORIES, "").split(":"):
        if path and Path(path).is_dir():  # OpenSSL's default is often one that does not exist
            context.load_verify_locations(capath=path)
    return context


def usual_context() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and certifi's. In slim images the system has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    # Python 3.13 and later refuse certificates that break rules of RFC 5280, and those of many private CAs do. They are
    # taken here with any Python. So is an authority that is not itself the root of its chain.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _refuse_endless(name: str, path: Path) -> None:
    """Raise InvalidSetting for a device or a named pipe: reading it may never end, also where OpenSSL does that."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InvalidSetting(f"{name} is {str(path)!r}, which is not a regular file.")


def add(context: ssl.SSLContext, name: str, path: Path) -> None:
    """Trust the certificates in a file, in PEM or DER, or in a directory that `openssl rehash` has prepared, unless the
    setting `name` stands for one file. Raises InvalidSetting for one without certificates.
    """
    _refuse_endless(name, path)
    try:
        if path.is_dir() and not name.endswith("CA_FILE"):
            context.load_verify_locations(capath=path)
            return
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSetting(f"{name} is {str(path)!r}, which cannot be read: {error.strerror}.") from None
    try:
        if b"-----BEGIN" in content:
            context.load_verify_locations(path)
        else:
            context.load_verify_locations(cadata=content)
    except (ssl.SSLError, ValueError):
        raise InvalidSetting(f"{name} is {str(path)!r}, which holds no certificate that can be read.") from None
