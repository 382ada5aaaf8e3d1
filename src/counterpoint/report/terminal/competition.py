"""A game of sides as rows of a terminal table."""

from __future__ import annotations

from counterpoint.report.pages.competition import MAIN, competition_verdict
from counterpoint.report.toolkit.charts import last
from counterpoint.report.toolkit.numerals import fixed, interval, significant
from counterpoint.results.competition import SIDE_RETURN
from counterpoint.results.training import TrainingResult


def competition_rows(run: TrainingResult) -> list[tuple[str, str]]:
    """Returns the last return of each side, and the games against each main opponent."""
    sides = {
        name: last(values) for name, values in run.curve.items() if name.startswith(SIDE_RETURN)
    }
    rows = [(name.replace(".", " of ", 1), significant(value)) for name, value in sides.items()]
    competition = run.competition
    assert competition is not None
    if not competition.records:
        return rows
    for record in competition.records:
        if record.opponent in MAIN and record.won is not None:
            counts = f"{record.wins} wins, {record.draws} draws, {record.losses} losses"
            ends = interval(record.won.low, record.won.high, 3)
            won = f"{fixed(record.won.value, 3)} {ends}: {counts}"
            rows.append((f"won against {record.opponent}, {record.actions}", won))
    return [*rows, ("verdict", " ".join(competition_verdict(competition)).strip())]
