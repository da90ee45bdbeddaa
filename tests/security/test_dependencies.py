"""What the project depends on: every package has one version, known hashes and a permissive licence."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

PINNED = re.compile(r"([a-z0-9-]+)==([\w.+!]+)( ; [\w'\". <>=!()-]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
FILES = ["requirements.txt", "requirements-dev.txt", "requirements-local.txt"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT: dict[str, list[str]] = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-dev.txt": PROJECT["dependency-groups"]["dev"],
    "requirements-local.txt": PROJECT["project"]["optional-dependencies"]["local"],
}

PERMISSIVE = {
    "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "ZPL-2.1", "ISC", "0BSD", "Unlicense",
}  # fmt: skip
OLD_NAMES = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
}
"""What packages without an SPDX expression say, in a classifier."""

EXCEPTIONS = {
    "certifi": "MPL-2.0: a list of certificates, which is used as it is and not changed",
}


def pins(file: str) -> dict[str, str]:
    """Return the version of each package of a file that this Python needs. Fails unless every line is a package, with
    its version, or a hash of it: none may come from a URL, a path or another index.
    """
    text = COMMENT.sub("", (ROOT / file).read_text())
    assert PINNED.sub("", text) == ""
    found = [Requirement(f"{each[1]}=={each[2]}{each[3] or ''}") for each in PINNED.finditer(text)]
    return {each.name: str(each.specifier)[2:] for each in found if each.marker is None or each.marker.evaluate()}


def needed(name: str, extras: set[str], seen: set[str]) -> None:
    """Add the names of an installed package and of all that it needs here."""
    key = canonicalize_name(name)
    if key in seen and not extras:
        return
    seen.add(key)
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": each}) for each in ["", *extras]):
            needed(requirement.name, requirement.extras, seen)


def licences(name: str) -> set[str]:
    """Return the licences under which a package may be used: all of them must be acceptable."""
    about = metadata.metadata(name)
    classifiers = [
        text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or [] if text.startswith("License")
    ]
    expression = next((text for name in ("License-Expression", "License") for text in about.get_all(name) or []), "")
    if not expression or "\n" in expression:
        expression = " OR ".join(OLD_NAMES.get(each, each) for each in classifiers)
    # In none of them does AND stand within parentheses: `A AND B OR C` would be the choice between the first two and C.
    choices = [set(re.split(r"\s+AND\s+", choice)) for choice in re.split(r"\s+OR\s+", expression)]
    return next((choice for choice in choices if choice <= PERMISSIVE), choices[0])


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_has_one_version_and_hashes(file: str) -> None:
    assert pins(file)


@pytest.mark.parametrize("file", FILES)
def test_the_requirements_are_those_of_the_project(file: str) -> None:
    direct = [Requirement(line) for line in DIRECT[file]]
    assert [each.name for each in direct if each.url] == []
    pinned = pins(file)
    missing = [str(each) for each in direct if pinned.get(canonicalize_name(each.name), "0") not in each.specifier]
    assert missing == []


def test_nothing_else_is_installed_than_what_the_project_needs() -> None:
    seen: set[str] = set()
    for line in DIRECT["requirements.txt"]:
        requirement = Requirement(line)
        needed(requirement.name, requirement.extras, seen)
    assert pins("requirements.txt").keys() == seen


def test_all_files_pin_the_same_versions() -> None:
    runtime, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name for name in runtime.keys() & development.keys() if runtime[name] != development[name]} == set()


def test_the_tests_run_with_the_pinned_versions() -> None:
    assert (
        pins("requirements.txt").items() <= {name: metadata.version(name) for name in pins("requirements.txt")}.items()
    )


def test_every_licence_is_permissive() -> None:
    found = {name: licences(name) for name in pins("requirements.txt")}
    assert {name: each for name, each in found.items() if not each <= PERMISSIVE}.keys() == EXCEPTIONS.keys()


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_packages_are_installed_by_their_hashes_alone(file: str) -> None:
    lines = [
        line for line in (ROOT / file).read_text().splitlines() if re.search(r"(PIP\)|pip\b.*install\b).* -r ", line)
    ]
    assert lines
    assert [line for line in lines if "--require-hashes" not in line] == []
