"""What a judge says about mistakes, as sentences and tables for the page and the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND
from counterpoint.report.toolkit.numerals import ABSENT, counted, fixed, significant
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow, text_columns
from counterpoint.results.judged import JudgeAgreement, JudgedEpisode, JudgeReport, ModeShare

MOST_LISTED = 500
"""The most episodes on the page; the file has all."""
BETTER = {FOUND: "better", NOT_FOUND: "not better", CANNOT_TELL: "cannot tell"}
"""Verdict of an agreement to whether it is better than its best baseline."""
REFERENCES = {"labels": "labels of the log", "ranking": "our ranking without a model",
              "itself": "itself, in another order"}  # fmt: skip
BASELINES = {"random": "random", "first": "always the first", "last": "always the last",
             "busiest": "always the busiest", "ranking": "our ranking",
             "commonest": "always the commonest"}  # fmt: skip


def judged_sentences(report: JudgeReport) -> list[str]:
    """Returns what the judge has named and how far it can be trusted; then what was not asked."""
    named = sum(each.agent is not None for each in report.episodes)
    asked = counted(len(report.episodes), "episode")
    lines = [f"The judge names a member in {named} of {asked}. {_trust(report)}"]
    tokens = "tokens not counted" if report.tokens is None else f"{report.tokens:,} tokens"
    dollars = f", ${significant(report.cost_dollars)}" if report.cost_dollars else ""
    lines.append(
        f"{counted(report.calls, 'question')}, {report.asked_now} of them now; {tokens}{dollars}."
    )
    cut = [e for e in report.episodes if e.cut_characters or e.left_out_events]
    characters = sum(each.cut_characters for each in cut)
    events = sum(each.left_out_events for each in cut)
    marks = sum(each.unseen_parts for each in report.episodes)
    thoughts = sum(each.unseen_reasoning for each in report.episodes)
    unseen = [f"{counted(marks, 'part')} without text (a mark stands for each)"] if marks else []
    unseen += [counted(thoughts, "reasoning text")] if thoughts else []
    parts = {
        "no judgement": report.void and f"{counted(report.void, 'episode')}, for example: "
        f"{next((e.void for e in report.episodes if e.void), '')}",
        "replies that could not be read": report.repaired and f"{report.repaired}, asked again",
        "not read by the judge": cut and f"{characters:,} characters and "
        f"{counted(events, 'whole event')} of {counted(len(cut), 'episode')} (setting longest)",
        "not shown to the judge": " and ".join(unseen),
        "not asked about": report.beyond and f"{counted(report.beyond, 'later episode')} "
        "(setting most)",
        "stopped": report.stopped and f"{counted(report.unasked, 'episode')} not asked about, "
        f"because: {report.stopped}",
    }  # fmt: skip
    return lines + [f"{name.capitalize()}: {text}." for name, text in parts.items() if text]


def _trust(report: JudgeReport) -> str:
    """Returns how often it agrees with the first kind of labels, beside the best baseline."""
    labelled = [row for row in report.agreements if row.reference == "labels"]
    if not labelled:
        return "None of them has labels, so nobody knows how often it is right."
    row = next((row for row in labelled if row.n), None)
    if row is None:
        return "It has no answer about an episode with labels."
    return (
        f"It agrees with the labelled {row.what} in {row.agree} of {row.n} "
        f"({fixed(row.share, 2)} [{fixed(row.low, 2)}, {fixed(row.high, 2)}]; {best_words(row)}): "
        f"{BETTER[row.verdict]}."
    )


def best_words(row: JudgeAgreement) -> str:
    """Returns the best baseline of an agreement, with its share."""
    name, share = max(row.baselines.items(), key=lambda item: item[1], default=("random", 0.0))
    return f"{BASELINES.get(name, name)} {fixed(share, 2)}"


def agreement_table(report: JudgeReport) -> Table | None:
    """Returns a row for each agreement; None if there is none."""
    columns = (
        *text_columns("Agrees with", "On the"),
        Column("Share", ("share", "low", "high", "kappa"), missing="the judge has no answer"),
        Column("n"),
        *text_columns("Guesses", "Better"),
    )
    rows = [
        TableRow((
            Cell(REFERENCES.get(row.reference, row.reference)),
            Cell(row.what),
            Cell(fixed(row.share, 2), (row.share, row.low, row.high, row.kappa),
                 below=_interval_words(row)),
            Cell(str(row.n), (row.n,), below=f"of {row.judged}" if row.n < row.judged else ""),
            Cell(", ".join(f"{name} {fixed(share, 2)}" for name, share in row.baselines.items())),
            Cell(BETTER[row.verdict]),
        ), "best" if row.verdict == FOUND else "")
        for row in report.agreements
    ]  # fmt: skip
    caption = (
        "How often the judge agrees, with 95% intervals over the episodes for which it has an "
        "answer. Guesses need no reading: a random one, always the first, last, busiest or "
        "commonest one, or our ranking. Better: the whole interval is above the best guess, "
        "and chance does not explain it; below 5 episodes nobody can tell. Kappa "
        "is Cohen's; a label with several modes agrees with each of them."
    )
    return Table("judge-agreements", caption, columns, rows) if rows else None


def _interval_words(row: JudgeAgreement) -> str:
    kappa = "" if row.kappa is None else f"; kappa {fixed(row.kappa, 2)}"
    return f"{fixed(row.low, 2)} to {fixed(row.high, 2)}{kappa}" if row.n else ""


def mode_table(report: JudgeReport) -> Table | None:
    """Returns a row for each failure mode, the commonest first; None if none is named."""
    columns = (*text_columns("Mode", "Meaning", "Group"), Column("Episodes"),
               Column("Share", ("share", "low", "high")))  # fmt: skip
    rows = [
        TableRow((
            Cell(row.mode), Cell(row.meaning), Cell(row.group),
            Cell(str(row.episodes), (row.episodes,)),
            Cell(fixed(row.share, 2), (row.share, row.low, row.high),
                 below=f"{fixed(row.low, 2)} to {fixed(row.high, 2)}"),
        ))
        for row in report.modes
    ]  # fmt: skip
    caption = (
        f"Failure modes of MAST that the judge names, with 95% intervals. {mode_trust(report)}"
    )
    return Table("judge-modes", caption, columns, rows) if rows else None


def mode_trust(report: JudgeReport) -> str:
    """Returns whether the judge's modes are more than chance."""
    rows = {row.reference: row for row in report.agreements if row.what == "mode"}
    row = rows.get("labels") or rows.get("itself")
    if row is None or not row.n:
        return "Whether they are more than chance: cannot tell."
    with_whom = REFERENCES[row.reference]
    return (
        f"Agreement with {with_whom} beyond {best_words(row)}: {BETTER[row.verdict]} "
        f"({fixed(row.share, 2)}, n = {row.n})."
    )


def judged_table(
    report: JudgeReport, links: Mapping[tuple[str, int | None], str], most: int = MOST_LISTED
) -> Table | None:
    """Returns a row for each episode that was judged; None if there is none.

    Args:
        report: what a judge says.
        links: where an episode is shown, by its id and None.
        most: the most rows on the page.
    """
    columns = (
        *text_columns("Episode", "Member"),
        Column("Event", numeric=False, missing="the judge names none"),
        *text_columns("Mode", "Quotation"),
        Column("Questions"),
        Column("Tokens", missing="nobody counted them"),
        Column("Dollars", missing="the price is not known"),
    )
    meanings = {row.mode: row for row in report.modes}
    rows = [_judged(each, meanings, links) for each in report.episodes]
    caption = "What the judge says about each episode: its opinion, and no finding."
    if len(rows) > most:
        caption += f" The first {most} are shown; the file has {len(rows)}."
    return Table("judge-episodes", caption, columns, rows[:most], sortable=True) if rows else None


def _judged(
    each: JudgedEpisode,
    meanings: Mapping[str, ModeShare],
    links: Mapping[tuple[str, int | None], str],
) -> TableRow:
    page = links.get((each.episode, None), "")
    mark = links.get((each.episode, each.event), "")
    cells = (
        Cell(each.episode, address=page),
        Cell(each.agent or each.void or "cannot tell"),
        Cell(ABSENT if each.event is None else str(each.event), (each.event,),
             link=mark[1:] if mark.startswith("#") else "",
             address=f"{page}#t{each.event}" if page and each.event is not None else ""),
        Cell(mode_words(each, meanings)),
        Cell(each.quote),
        Cell(str(each.calls), (each.calls,)),
        Cell(ABSENT if each.tokens is None else f"{each.tokens:,}", (each.tokens,)),
        Cell(ABSENT if each.cost_dollars is None else significant(each.cost_dollars),
             (each.cost_dollars,)),
    )  # fmt: skip
    return TableRow(cells, "" if each.agent else "quiet")


def mode_words(each: JudgedEpisode, meanings: Mapping[str, ModeShare]) -> str:
    """Returns the failure mode of an episode with its meaning."""
    if each.mode is None:
        return "" if each.void else "cannot tell"
    row = meanings.get(each.mode)
    return f"{each.mode} {row.meaning}" if row else each.mode
