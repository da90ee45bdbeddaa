"""The file of the latest results, and what is written from it: a part of README.md, and the chart."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import chart, table
from benchmarks.outcome import Bar, Group, Outcome
from benchmarks.rows import NAMES

FOLDER = Path(__file__).parent
FILE, README, CHART = "results.json", "README.md", "chart.svg"
BEGIN, END = "<!-- written by `make bench`: begin -->", "<!-- written by `make bench`: end -->"
LINE = 110


@dataclass(frozen=True)
class Measured:
    """A group with the circumstances: the day, the machine, and how many cores other processes used meanwhile."""

    group: Group
    day: str
    machine: str
    neighbours: float


def read(folder: Path = FOLDER) -> dict[str, Measured]:
    """Return the latest results by the names of the groups."""
    path = folder / FILE
    stored = json.loads(path.read_text()) if path.exists() else {}
    return {name: _measured(stored[name]) for name in NAMES if name in stored}


def write(results: Mapping[str, Measured], folder: Path = FOLDER) -> None:
    """Replace these groups in the file; write README.md and the chart anew from all."""
    merged = {**read(folder), **results}
    everything = {name: merged[name] for name in NAMES if name in merged}
    (folder / FILE).write_text(json.dumps({name: asdict(each) for name, each in everything.items()}, indent=1) + "\n")
    outcomes = [outcome for each in everything.values() for outcome in each.group.outcomes]
    bars = [bar for each in everything.values() for bar in each.group.bars]
    (folder / CHART).write_text(chart.draw(bars, outcomes))
    readme = folder / README
    readme.write_text(between_marks(readme.read_text(), as_markdown(everything)))


def between_marks(page: str, text: str) -> str:
    """Return a page with that text between its marks. Raises ValueError for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{README} has lost its marks")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def as_markdown(results: Mapping[str, Measured]) -> str:
    """Return the table of all results, with the circumstances and the notes."""
    outcomes = [outcome for each in results.values() for outcome in each.group.outcomes]
    notes = [note for each in results.values() for note in each.group.notes]
    bullets = [textwrap.fill(note, LINE, initial_indent="- ", subsequent_indent="  ") for note in notes]
    return "\n".join([*circumstances(results), "", table.as_markdown(outcomes), "", *bullets])


def circumstances(results: Mapping[str, Measured]) -> Iterator[str]:
    """Yield a paragraph for each machine and day, which are one mostly."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, each in results.items():
        groups.setdefault((each.day, each.machine), []).append(f"{name} {each.neighbours:.2f}")
    for (day, machine), shares in groups.items():
        text = f"Measured on {day}: {machine}. Cores that other processes used meanwhile: {', '.join(shares)}."
        yield textwrap.fill(text, LINE, break_long_words=False)


def _measured(stored: dict[str, Any]) -> Measured:
    group = stored.pop("group")
    outcomes = [Outcome(**each) for each in group["outcomes"]]
    return Measured(Group(outcomes, [Bar(**each) for each in group["bars"]], group["notes"]), **stored)
