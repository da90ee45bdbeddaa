"""The table of the outcomes, as text for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.outcome import Outcome

HEADER = ("holds", "measure", "must be", "measured")
VERDICTS = {True: "yes", False: "NO", None: "-"}


def as_text(outcomes: Sequence[Outcome]) -> str:
    """Return the table in columns, the longest last; details are lines of their own."""
    rows = [HEADER, *(tuple(cell.replace("`", "") for cell in _cells(outcome)) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for row, outcome in zip(rows, [None, *outcomes], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if outcome and outcome.detail:
            lines.append(f"       {outcome.detail}")
    return "\n".join(lines)


def as_markdown(outcomes: Iterable[Outcome]) -> str:
    """Return the table as Markdown; details stand behind what was measured."""
    rows = [HEADER, ("---",) * len(HEADER)]
    for outcome in outcomes:
        *others, measured = _cells(outcome)
        rows.append((*others, f"{measured}. {outcome.detail}" if outcome.detail else measured))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _cells(outcome: Outcome) -> tuple[str, str, str, str]:
    return VERDICTS[outcome.holds], outcome.measure, outcome.bound, outcome.measured
