"""Rework and pace: lines that are written and taken back, and what more members add.

Source: Amdahl 1967 for the share of the work that more members cannot speed up.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from counterpoint.audits.base import Row, mean_share, unknown
from counterpoint.records import CLEAR, FOUND, Episode, Event, Finding

NAME = "coordination"
SHORTEST = 8
"""Characters of a line that counts: braces come and go."""
FEWEST = 5
"""Episodes of one team size below which nothing is said."""
CHURN = 0.25
"""Share of written lines that a sound team may take back."""
DRAWS = 2000


def churn(episode: Episode) -> float | None:
    """Share of lines written that are taken back later; None where the log shows no lines.

    Lines are those of unified diffs, and of edits with `old_str` and `new_str`.
    """
    standing: Counter[str] = Counter()
    written = reverted = 0
    for event in episode.events:
        if event.kind != "action":
            continue
        gone, new = _lines(event)
        moved = gone & new
        for line, times in (gone - moved).items():
            back = min(times, standing[line])
            reverted += back
            standing[line] -= back
        written += (new - moved).total()
        standing.update(new - moved)
    return reverted / written if written else None


def _lines(event: Event) -> tuple[Counter[str], Counter[str]]:
    """Lines that an action removes, and lines that it adds."""
    text = event.text
    if "old_str" in text or "\\n+" in text:
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            if isinstance(told.get("old_str"), str) or isinstance(told.get("new_str"), str):
                ends = (str(told.get("old_str") or ""), str(told.get("new_str") or ""))
                old, new = (Counter(_long(end.splitlines())) for end in ends)
                return old, new
            text = "\n".join(value for value in told.values() if isinstance(value, str))
    if "\n+" not in text or "@@" not in text:
        return Counter(), Counter()
    lines = text.splitlines()
    return (
        Counter(_long(x[1:] for x in lines if x.startswith("-") and not x.startswith("--- "))),
        Counter(_long(x[1:] for x in lines if x.startswith("+") and not x.startswith("+++ "))),
    )


def _long(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    return (line.strip() for line in lines if len(line.strip()) >= SHORTEST)


def pace(episode: Episode) -> tuple[int, float] | None:
    """How many members act, and their actions a second; None where the log has no times."""
    members = set(episode.agents)
    acts = [e for e in episode.events if e.kind == "action" and e.agent in members]
    told = [e.meta.get("seconds") for e in acts]
    times = [at for at in told if isinstance(at, int | float) and math.isfinite(at)]
    if len(times) < 2 or max(times) <= min(times):
        return None
    return len({e.agent for e in acts}), (len(times) - 1) / (max(times) - min(times))


def rework_findings(rows: Sequence[Row]) -> list[Finding]:
    """Churn, and the serial share by Amdahl's law from the pace of small and large teams."""
    shares = [row["churn"] for row in rows if row["churn"] is not None]
    if shares:
        reason = "share of written lines that are taken back later"
        found = [mean_share(NAME, "churn", shares, reason, CHURN)]
    else:
        found = [unknown(NAME, "churn", "the log shows no lines that are written", len(rows))]
    by_size: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row["pace"] is not None:
            by_size[row["pace"][0]].append(row["pace"][1])
    sizes = sorted(size for size, each in by_size.items() if len(each) >= FEWEST)
    if len(sizes) < 2:
        why = f"times of actions in {FEWEST} episodes of two team sizes each are wanted"
        return [*found, unknown(NAME, "serial_share", why, sum(map(len, by_size.values())))]
    few, many = sizes[0], sizes[-1]
    slow, fast = np.array(by_size[few]), np.array(by_size[many])
    rng = np.random.default_rng(0)
    drawn = [
        serial_share(few, many, float(rng.choice(fast, len(fast)).mean())
                     / float(rng.choice(slow, len(slow)).mean()))
        for _ in range(DRAWS)
    ]  # fmt: skip
    gained = float(fast.mean() / slow.mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    value, fair = serial_share(few, many, gained), many / few
    reason = (
        f"of the work, by Amdahl's law: {many} members act {gained:.2f} times as fast as {few}, "
        f"where {fair:.3g} times would be proportional; found where it is under half of that"
    )
    tolerated = serial_share(few, many, fair / 2)
    verdict = FOUND if low > tolerated else CLEAR
    n = len(slow) + len(fast)
    return [*found, Finding(NAME, "serial_share", value, n, float(low), float(high), tolerated,
                            verdict, reason)]  # fmt: skip


def serial_share(few: int, many: int, gained: float) -> float:
    """The share s of the work, 0 to 1, with (s + (1-s)/few) / (s + (1-s)/many) = gained."""
    above = 1 / few - gained / many
    below = gained * (1 - 1 / many) - (1 - 1 / few)
    if below <= 0:
        return 1.0
    return float(np.clip(above / below, 0, 1))
