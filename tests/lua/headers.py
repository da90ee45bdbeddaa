"""Parses a script: the lines of its header, its code, and the fragments that the code needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobqueue.queue.scripts import LUA

SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua"))
FRAGMENTS = sorted(path.stem for path in (LUA / "lib").glob("*/*.lua"))
LABELS = ("STATUSES", "KEYS", "ARGV", "RETURNS", "ERRORS", "USES")


@dataclass(frozen=True)
class Script:
    """A parsed script. `header` has the lines under each label without comment marks; `code` has no comments."""

    name: str
    sentence: str
    header: Mapping[str, Sequence[str]]
    code: str

    @classmethod
    def read(cls, name: str) -> Script:
        """Parse a script of `lua/`."""
        text = (LUA / f"{name}.lua").read_text()
        header: dict[str, list[str]] = {}
        sentence, label = "", ""
        for line in re.match(r"(--.*\n)*", text)[0].splitlines():  # type: ignore[index]
            labelled = re.fullmatch(r"-- ([A-Z]{4,})\s+(.*)", line)
            if labelled:
                label = labelled[1]
                header.setdefault(label, []).append(labelled[2])
            elif label:
                header[label].append(line.removeprefix("--"))
            else:
                sentence += line.removeprefix("--")
        return cls(name, sentence.strip(), header, without_comments(text))

    def words(self, label: str) -> Sequence[str]:
        """Return the words under a label; no words if the only one is `none`."""
        words = " ".join(self.header[label]).split()
        return [] if words == ["none"] else words

    def numbered_arguments(self) -> Mapping[int, str]:
        """Return the names that the header gives to the arguments before the first list."""
        matches = (re.match(r"\s*(\d+) (\w+)", line) for line in self.header["ARGV"])
        return {int(match[1]): match[2] for match in matches if match}

    def loops_over_arguments(self) -> Sequence[tuple[int, int]]:
        """Return the first index and the step of each loop over the arguments; a step may be a named constant."""
        loops = re.findall(r"for \w+ = (\d+), #ARGV(?:, (\w+))? do", self.code)
        constants = dict(re.findall(r"local (\w+) = (\d+)\n", self.code))
        return [(int(first), int(constants.get(step, step or 1))) for first, step in loops]

    def repeated_arguments(self) -> Sequence[str]:
        """Return the names of the arguments that the header lists under `for each job`."""
        lines = list(self.header["ARGV"])
        start = next((index for index, line in enumerate(lines) if "for each" in line), len(lines))
        return [line.split()[0] for line in lines[start + 1 :]]


def without_comments(text: str) -> str:
    """Return the code alone. No script has two hyphens inside a string."""
    return re.sub(r"--.*", "", text)


def fragment(name: str) -> str:
    """Return the code of a fragment."""
    [path] = (LUA / "lib").glob(f"*/{name}.lua")
    return without_comments(path.read_text())


def named_in(code: str) -> set[str]:
    """Return the fragments that some code calls or, for `keys`, reads."""
    return {name for name in FRAGMENTS if re.search(rf"(?<![\w.:'\"]){name}\s*[(.\[]", code)}


def needed_by(code: str) -> set[str]:
    """Return the fragments that some code needs, directly or through others."""
    needed: set[str] = set()
    more = named_in(code)
    while more - needed:
        needed |= more
        more = {name for used in needed for name in named_in(fragment(used)) - {used}}
    return needed
