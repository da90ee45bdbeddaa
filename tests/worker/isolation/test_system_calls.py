"""What the filter of system calls does with each call, for each machine; the kernel tries it in tests/security."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from jobqueue.worker.isolation import system_calls
from jobqueue.worker.isolation.system_calls import ABIS, ALLOW, FAIL, IN_A_NAMESPACE, IO_URING_SETUP

X86_64, I386, AARCH64, ARM, RISCV64 = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3
READ_CALLS = {X86_64: 0, I386: 3, AARCH64: 63, ARM: 3, RISCV64: 63}


@pytest.fixture(params=ABIS)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=request.param))
    return str(request.param)


def verdict(families: Sequence[int] | None, architecture: int, number: int, first: int = 0, second: int = 0) -> int:
    """Carry out the filter as the kernel would; return the error number, 0 when the call is allowed."""
    data = {0: number, 4: architecture, 16: first & 0xFFFFFFFF, 24: second & 0xFFFFFFFF}
    instructions = system_calls.program(families)
    loaded = place = 0
    while True:
        operation, matched, other, operand = instructions[place]
        place += 1
        if operation == system_calls.RETURN:
            return 0 if operand == ALLOW else operand ^ FAIL
        if operation == system_calls.EQUALS:
            place += matched if loaded == operand else other
        else:
            loaded = data[operand] if operation == system_calls.LOAD else loaded & operand


def test_keyrings_are_denied_and_everything_else_is_not(machine: str) -> None:
    for abi in ABIS[machine]:
        assert {verdict(None, abi.architecture, number) for number in abi.keyrings} == {errno.ENOSYS}
        for number in (READ_CALLS[abi.architecture], IO_URING_SETUP, *abi.sockets):
            assert verdict(None, abi.architecture, number, socket.AF_INET) == 0


def test_only_sockets_of_the_families_that_are_named_are_allowed(machine: str) -> None:
    for abi in ABIS[machine]:
        for call in abi.sockets:
            for family in (*IN_A_NAMESPACE, socket.AF_INET | 1 << 32):
                assert verdict(IN_A_NAMESPACE, abi.architecture, call, family, socket.SOCK_DGRAM) == 0
            for family in (socket.AF_VSOCK, socket.AF_PACKET, 0, -1):
                assert verdict(IN_A_NAMESPACE, abi.architecture, call, family) == errno.EAFNOSUPPORT
        assert verdict(IN_A_NAMESPACE, abi.architecture, IO_URING_SETUP) == errno.EPERM
        assert verdict(IN_A_NAMESPACE, abi.architecture, READ_CALLS[abi.architecture]) == 0


def test_without_any_family_connected_pairs_are_all_that_is_left(machine: str) -> None:
    for abi in ABIS[machine]:
        made, paired = abi.sockets
        assert verdict((), abi.architecture, made, socket.AF_UNIX, socket.SOCK_STREAM) == errno.EAFNOSUPPORT
        results = [
            verdict((), abi.architecture, paired, socket.AF_UNIX, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM, socket.SOCK_RAW)
        ]
        assert results == [0, 0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT]
        assert verdict((), abi.architecture, paired, 30, socket.SOCK_STREAM) == errno.EAFNOSUPPORT


def test_calls_of_an_unknown_architecture_are_denied(machine: str) -> None:
    known = {abi.architecture for abi in ABIS[machine]}
    for architecture in {*READ_CALLS, 0x800000B7} - known:
        assert verdict(None, architecture, 0) == errno.EPERM


@pytest.mark.parametrize("call", [0, 41, 53, 250])
def test_x32_programs_are_filtered_as_those_of_64_bits(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    assert verdict((), X86_64, call | 1 << 30) == verdict((), X86_64, call)


@pytest.mark.parametrize(("call", "denied"), [(1, True), (2, False), (3, False), (8, True), (17, False)])
def test_socketcall_makes_no_socket_of_any_family(call: int, denied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    assert verdict(IN_A_NAMESPACE, I386, 102, call) == (errno.EAFNOSUPPORT if denied else 0)


def test_a_machine_whose_numbers_are_not_known_has_no_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="s390x"))
    assert not system_calls.available()
