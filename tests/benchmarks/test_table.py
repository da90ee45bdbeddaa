"""Outcomes, their table, the file of results, and the chart."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart, results, table
from benchmarks.outcome import Bar, Group, Outcome, at_least, at_most, skipped
from benchmarks.results import BEGIN, END, Measured

HELD = at_most("time of `this`", "3 ms", 3, 6, " ms")
MISSED = at_least("rate", "100 jobs/s", 100, 400, " jobs/s")
SKIPPED = skipped("other", "at most 1", "No compiler.")
BARS = [Bar("Rates & more", "jobqueue", 120), Bar("Rates & more", "other <queue>", 60)]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("outcome", "holds", "share"), [(HELD, True, 0.5), (MISSED, False, 4), (SKIPPED, None, None)])
def test_an_outcome_says_whether_its_bound_holds_and_how_much_is_used(
    outcome: Outcome, holds: bool | None, share: float | None
) -> None:
    assert (outcome.holds, outcome.share) == (holds, share)


def test_a_rate_of_nothing_misses_its_bound() -> None:
    assert at_least("rate", "0", 0, 1).holds is False


def test_the_text_has_a_line_for_each_outcome_and_its_detail() -> None:
    lines = table.as_text([HELD, MISSED, SKIPPED]).splitlines()
    assert [line.split()[0] for line in lines] == ["holds", "yes", "NO", "-", "No"]
    assert "at most 6 ms" in lines[1]


def test_the_markdown_has_a_row_for_each_outcome() -> None:
    rows = table.as_markdown([HELD, SKIPPED]).splitlines()
    assert [row.count("|") for row in rows] == [5, 5, 5, 5]
    assert rows[3].endswith("| not measured. No compiler. |")


def test_a_bar_is_as_long_as_its_value_says() -> None:
    picture = ElementTree.fromstring(chart.draw(BARS, []))
    widths = [float(bar.attrib["width"]) for bar in picture.iter(f"{SVG}rect")]
    assert widths[0] == 2 * widths[1]
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"Rates & more", "other <queue>", "120", "60"} <= {*texts}


def test_a_missed_bound_is_drawn_beyond_the_line_and_within_the_picture() -> None:
    picture = ElementTree.fromstring(chart.draw([], [HELD, MISSED, SKIPPED]))
    (line,) = picture.iter(f"{SVG}line")
    held, missed = picture.iter(f"{SVG}rect")
    ends = [float(bar.attrib["x"]) + float(bar.attrib["width"]) for bar in (held, missed)]
    assert ends[0] < float(line.attrib["x1"]) < ends[1] < chart.WIDTH
    assert (held.attrib["class"], missed.attrib["class"]) == ("ours", "over")


def test_results_replace_those_of_the_same_group_only(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nobsolete\n{END}\nafter\n")
    results.write({"rate": measured(HELD), "submit": measured(MISSED)}, tmp_path)
    results.write({"submit": measured(SKIPPED)}, tmp_path)
    assert results.read(tmp_path) == {"rate": measured(HELD), "submit": measured(SKIPPED)}
    page = (tmp_path / "README.md").read_text()
    assert re.fullmatch(r"before\n.*time of `this`.*No compiler.*\nafter\n", page, re.DOTALL)
    assert "obsolete" not in page
    assert "100 jobs/s" not in page
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120
    assert (tmp_path / "chart.svg").exists()


def test_a_page_without_marks_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="marks"):
        results.between_marks("no marks", "text")


def measured(outcome: Outcome) -> Measured:
    """Return a group with one outcome."""
    return Measured(Group([outcome], [Bar("panel", "jobqueue", 1)], ["A note. " * 30]), "2026-01-02", "2 cores", 0.1)
