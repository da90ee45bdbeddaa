"""The results as a picture: bars in SVG, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.outcome import Bar, Outcome

WIDTH, NAMES_WIDTH, BAR_WIDTH = 920, 450, 380
ROW, BAR, TITLE = 22, 14, 34
OURS = "jobqueue"
BOUNDS = "Part of its bound that each measure uses: the line is the bound, shorter is better"
LONGEST_SHARE = 2.0
"""Longer bars are cut here; their number is beside them."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.ours { fill: #0969da; } .other { fill: #8c959f; } .over { fill: #cf222e; }
.line { stroke: #24292f; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ours { fill: #58a6ff; } .other { fill: #7d8590; } .over { fill: #ff7b72; }
  .line { stroke: #e6edf3; }
}
"""


def draw(bars: Sequence[Bar], outcomes: Sequence[Outcome]) -> str:
    """Return the picture: a panel for each name of a panel among the bars, and one with the bounds."""
    parts, height = [], 10
    for panel in dict.fromkeys(bar.panel for bar in bars):
        members = [bar for bar in bars if bar.panel == panel]
        longest = max(bar.value for bar in members)
        parts.append(_title(panel, height))
        for place, bar in enumerate(members):
            top = height + TITLE + place * ROW
            length = BAR_WIDTH * bar.value / longest if longest else 0
            parts.extend(_bar(bar.name, f"{bar.value:,g}", length, top, "ours" if bar.name == OURS else "other"))
        height += TITLE + ROW * len(members) + 10
    shares = [(outcome.measure, outcome.share) for outcome in outcomes if outcome.share is not None]
    if shares:
        parts.append(_title(BOUNDS, height))
        parts.extend(_shares(shares, height + TITLE))
        height += TITLE + ROW * len(shares) + 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _shares(shares: Sequence[tuple[str, float]], top: int) -> Iterator[str]:
    unit = BAR_WIDTH / LONGEST_SHARE
    for place, (name, share) in enumerate(shares):
        length = unit * min(share, LONGEST_SHARE)
        yield from _bar(
            name.replace("`", ""), f"{share:.2f}", length, top + place * ROW, "over" if share > 1 else "ours"
        )
    x, bottom = NAMES_WIDTH + unit, top + len(shares) * ROW - (ROW - BAR)
    yield f'<line class="line" x1="{x:.0f}" x2="{x:.0f}" y1="{top - 4}" y2="{bottom + 4}"/>'


def _title(text: str, top: int) -> str:
    return f'<text class="title" x="10" y="{top + 20}">{escape(text)}</text>'


def _bar(name: str, value: str, length: float, top: int, kind: str) -> Iterator[str]:
    yield f'<text x="{NAMES_WIDTH - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>'
    yield f'<rect class="{kind}" x="{NAMES_WIDTH}" y="{top}" width="{max(1.0, length):.1f}" height="{BAR}"/>'
    yield f'<text x="{NAMES_WIDTH + max(1.0, length) + 6:.1f}" y="{top + 12}">{value}</text>'
