"""Keys in the kernel's keyrings, by system calls."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobqueue.worker.host.hardening import LIBC, checked

ADD_KEY, REQUEST_KEY, KEYCTL = (248, 249, 250) if platform.machine() == "x86_64" else (217, 218, 219)
USER_KEYRING = -4
SEARCH, READ, UNLINK = 10, 11, 9

TRY_KEYRINGS = f"""
import ctypes, json, os, sys

libc = ctypes.CDLL(None, use_errno=True)
user, kind, name = ctypes.c_long({USER_KEYRING}), b"user", sys.argv[1].encode()

def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *arguments)
    return os.strerror(ctypes.get_errno()) if result < 0 else result

secret = ctypes.create_string_buffer(100)
found = call({KEYCTL}, {SEARCH}, user, kind, name, 0)
print(json.dumps({{
    "search": found,
    "request": call({REQUEST_KEY}, kind, name, None, user),
    "read": call({KEYCTL}, {READ}, int(sys.argv[2]), secret, 100),
    "secret": secret.value.decode(),
    "add": call({ADD_KEY}, kind, name + b"-left", b"word", 4, user),
    "session": call({KEYCTL}, 1, None),
}}))
"""
"""Prints what came of each call about the user's keyring: its result, or an error message."""


@contextmanager
def key_of_the_user(name: str, secret: str) -> Iterator[int]:
    """Put a key into the keyring of the user who runs this; yield its serial number."""
    try:
        serial = checked(LIBC.syscall(ADD_KEY, b"user", name.encode(), secret.encode(), len(secret), USER_KEYRING))
    except OSError as error:
        pytest.skip(f"no key can be kept here: {error}")
    try:
        yield serial
    finally:
        LIBC.syscall(KEYCTL, UNLINK, serial, USER_KEYRING)


def forget_key(name: str) -> bool:
    """Remove a key from the keyring of the user who runs this; return whether it was there."""
    serial = int(LIBC.syscall(KEYCTL, SEARCH, ctypes.c_long(USER_KEYRING), b"user", name.encode(), 0))
    LIBC.syscall(KEYCTL, UNLINK, serial, ctypes.c_long(USER_KEYRING))
    return serial >= 0
