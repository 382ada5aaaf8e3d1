"""Write the numbers and the picture of the headline: into README.md, docs/index.md and docs/images.

They come from the comparison that `counterpoint demo` runs, so that no page has a number that the
code does not print. `python docs/headline.py --check` only compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tables import filled

from counterpoint.comparison import Plan, compare
from counterpoint.results import ComparisonResult
from counterpoint.results.comparison import SeedMean

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"\d++\.\d++")
PICTURE = ROOT / "docs" / "images" / "collapse.svg"
PAGES = (ROOT / "README.md", ROOT / "docs" / "index.md")
NAMES = {
    "mappo_pooled": "one mean and deviation for all agents",
    "mappo_per_agent": "a mean and deviation for each agent",
    "grpo": "GRPO: the group of each prompt",
    "counterfactual": "counterfactual baseline",
}
"""Scheme to what it is, in the order of the table."""
QUIET = ("stable_0", "stable_1")
WIDTH, HEIGHT, LEFT, TOP, SIDE, DEPTH = 860, 330, 52, 74, 330, 200
"""Sizes of the picture: of all, where the first panel begins, and of one panel."""


def result() -> ComparisonResult:
    """Returns the comparison of `counterpoint demo`."""
    return compare(Plan("regions", settings={"scale": 10.0}))


def table(result: ComparisonResult) -> str:
    """Returns the table of the README."""
    lines = [
        "| credit scheme | team return [95% interval] | quiet agents: right actions | "
        "quiet agents: signal kept | reward-weighted return |",
        "|---|---|---|---|---|",
    ]
    for name, what in NAMES.items():
        scheme = result.schemes[name]
        quiet = [scheme.agents[agent] for agent in QUIET]
        right = ", ".join(f"{one.accuracy:.0%}" for one in quiet)
        kept = ", ".join(f"{one.signal_kept.iqm:.0%}" for one in quiet)
        whole, weighted = scheme.returns, scheme.weighted_return
        lines.append(
            f"| {what} (`{name}`) | {_estimate(whole)} | {right} | {kept} | {_estimate(weighted)} |"
        )
    return "\n".join(lines)


def _estimate(mean: SeedMean) -> str:
    return f"{mean.iqm:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


def picture(result: ComparisonResult) -> str:
    """Returns the picture of the README: how the four agents learn under two schemes."""
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'font-family="Helvetica, Arial, sans-serif" font-size="14">',
            "<title>Right actions of four agents, under two credit schemes</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            _panel(result, "mappo_pooled", 0, "Normalized together", "two agents fall far behind"),
            _panel(result, "mappo_per_agent", 1, "Normalized for each agent", "all four learn"),
            _key(),
            "</svg>\n",
        ]
    )


def _panel(result: ComparisonResult, scheme: str, place: int, title: str, finding: str) -> str:
    left = LEFT + place * (SIDE + 90)
    curves = result.schemes[scheme].curves
    last = curves.at[-1]
    parts = [
        _text(left, 28, title, weight="bold", size=17),
        _text(left, 50, finding, fill="#444", size=15),
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = TOP + DEPTH * (1 - share)
        parts.append(
            f'<path d="M{left} {y:.1f}h{SIDE}" stroke="{"#999" if share == 0 else "#ddd"}"/>'
        )
        parts.append(_text(left - 8, y + 5, f"{share:.0%}", fill="#444", anchor="end", size=13))
    for agent, series in curves.agents.items():
        points = " ".join(
            f"{left + SIDE * x / last:.1f},{TOP + DEPTH * (1 - y):.1f}"
            for x, y in zip(curves.at, series.accuracy, strict=True)
        )
        colour = "#c75000" if agent in QUIET else "#0068a6"
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
    parts.append(_text(left + SIDE, TOP + DEPTH + 20, f"{last:,} updates", "#444", "end", 13))
    return "".join(parts)


def _key() -> str:
    y = HEIGHT - 16
    return (
        f'<path d="M{LEFT} {y - 5}h26" stroke="#c75000" stroke-width="3"/>'
        + _text(LEFT + 34, y, "two agents with small, quiet rewards")
        + f'<path d="M{LEFT + 340} {y - 5}h26" stroke="#0068a6" stroke-width="3"/>'
        + _text(LEFT + 374, y, "two agents with rewards ten times larger and noisier")
    )


def _text(
    x: float, y: float, text: str, fill: str = "#111", anchor: str = "start", size: int = 14,
    weight: str = "normal",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{fill}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}">{text}</text>'
    )


def same(one: str, other: str) -> bool:
    """Returns whether two texts are equal but for numbers with a point that are less than half a
    pixel apart: another processor rounds learning curves otherwise."""
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) < (0.5 if one.startswith("<svg") else 1e-9)
               for a, b in pairs)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Writes the pages and the picture, or says which are out of date."""
    compared = result()
    numbers = table(compared)
    wanted = {PICTURE: picture(compared)}
    wanted |= {
        page: filled(page.read_text(encoding="utf-8"), "headline", numbers) for page in PAGES
    }
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or not same(path.read_text(encoding="utf-8"), text)
    ]
    if "--check" in arguments:
        for path in stale:
            sys.stdout.write(f"{path.relative_to(ROOT)} is out of date: run make docs\n")
        return bool(stale)
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
