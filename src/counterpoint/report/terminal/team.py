"""What came of a team at work, for a terminal: start at `team_parts`."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.pages.team import headline
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.numerals import counted, significant
from counterpoint.results.team import TeamResult


def team_parts(team: TeamResult) -> list[RenderableType]:
    """Returns the finding in a sentence, the numbers behind it, and why the rest is not done."""
    large, speed = team.large, team.throughput
    rows = {
        "team": f"{team.name}: {team.topology}, {counted(team.workers, 'worker')}",
        "reason": team.verdict.partition(": ")[2],
        "large tasks": f"{large.done} of {large.tasks} are done" if large.tasks else "",
        "attempts": f"{team.attempts} in all; "
                    f"{misses(team.failed, team.conflicts, team.lost) or 'none failed'}",
        "tries": f"{team.tries:,}",
        "seconds": f"{team.seconds:.1f}",
        "throughput": f"{significant(speed.per_1000_tries)} tasks for 1,000 tries, "
                      f"{significant(speed.per_minute)} a minute",
        "wasted": _share(team.wasted, "of the tries, by conflicts and lost attempts"),
        "tokens": _used(team, f"{team.tokens or 0:,d}", team.unknown.tokens),
        "dollars": _used(team, f"{team.dollars or 0:.2f}", team.unknown.dollars),
        "waiting for locks": _share(team.lock_wait, "of the workers' time"),
        "churn": _share(team.churn, "of added lines are gone in the end"),
    }  # fmt: skip
    table = text_table(("", ""), [row for row in rows.items() if row[1]])
    left = [Text(f"not done: {one.task} ({counted(one.attempts, 'attempt')}): {one.reason}")
            for one in team.unfinished]  # fmt: skip
    return [Text(headline(team)), table, *left]


def misses(failed: int, conflicts: int, lost: int) -> str:
    """Returns how many attempts failed, in words; counts of 0 are left out."""
    counts = {"failed attempt": failed, "conflict": conflicts, "lost attempt": lost}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count)


def _used(team: TeamResult, known: str, unknown: int) -> str:
    """Returns what was used, and how many attempts did not report it."""
    if unknown and unknown == team.attempts:
        return "not reported"
    if not unknown:
        return known
    return f"{known}; {unknown} of {counted(team.attempts, 'attempt')} did not report"


def _share(value: float | None, of: str) -> str:
    return "not known" if value is None else f"{value:.0%} {of}"
