"""A program's file is called as in its URL, and no URL makes a name that is dangerous."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.worker.slots.program_name import DEFAULT, MOST_BYTES, program_name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/tools/busybox", "busybox"),
        ("https://host/a/task.mjs?X-Signature=%2Fx/y#z", "task.mjs"),
        ("https://host/train%20model.py", "train_model.py"),
        ("https://host/caf%C3%A9.sh", "café.sh"),
        ("https://host/lib-1.2+b_3~rc@x86.tar", "lib-1.2+b_3~rc@x86.tar"),
        ("https://host/.hidden", ".hidden"),
    ],
)
def test_the_last_segment_of_the_path_is_the_name(url: str, name: str) -> None:
    assert program_name(url) == name


@pytest.mark.parametrize(
    "url",
    [
        "https://host",
        "https://host/",
        "https://host/x/",
        "https://host/.",
        "https://host/..",
        "https://host/%2e%2e",
        "https://host/a%2F..%2F..%2F",
        "https://host/work",
        "https://host/%00",
        "https://host/---",
        "https://host/%20",
        "https://[host/x",
    ],
)
def test_a_url_without_a_good_name_makes_the_default_one(url: str) -> None:
    assert program_name(url) in (DEFAULT, "a_.._.._")


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        ("-rf", "_rf"),
        ("a%2Fb", "a_b"),
        ("..%2Fetc%2Fpasswd", ".._etc_passwd"),
        ("a%0Ab%1B%5B0m", "a_b__0m"),
        ("%E2%80%AEexe.sh", "_exe.sh"),
        ("a%00b.py", "a_b.py"),
        ("%FFx", "_x"),
        ("$(id)`;x", "__id___x"),
    ],
)
def test_doubtful_characters_are_replaced(segment: str, name: str) -> None:
    assert program_name(f"https://host/{segment}") == name


@pytest.mark.parametrize(("stem", "ending"), [("x" * 300, ".py"), ("é" * 300, ".mjs"), ("x" * 300, "." + "y" * 300)])
def test_a_long_name_is_cut_and_keeps_a_short_ending(stem: str, ending: str) -> None:
    name = program_name(f"https://host/{stem}{ending}")
    assert MOST_BYTES - 1 <= len(name.encode()) <= MOST_BYTES
    assert name.startswith(stem[:40])
    assert len(ending) > 16 or name.endswith(ending)


@given(st.text())
def test_no_url_makes_a_name_that_is_dangerous(segment: str) -> None:
    name = program_name(f"https://host/{segment}")
    assert re.fullmatch(r"[\w.+@=,~][\w.+@=,~-]*", name)
    assert name.strip(".")
    assert name != "work"
    assert len(name.encode()) <= MOST_BYTES
