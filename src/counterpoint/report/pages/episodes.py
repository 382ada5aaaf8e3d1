"""The parts of an audit's page about episodes and members, and what words say of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from counterpoint.records import FOUND, Cost
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.toolkit.safe_text import cut
from counterpoint.report.toolkit.tables import Cell, Column, Table, TableRow, text_columns
from counterpoint.results.audit import AgentCost, AuditResult
from counterpoint.results.transcript import EpisodeRow

FOLDER = "episodes"
"""Name of the folder with the pages of episodes, beside the page of their audit."""
UNKNOWN = "the log does not say it"


def address_of(row: EpisodeRow) -> str:
    """Returns the address of the page of an episode, from the page of its audit on; or nothing."""
    return f"{FOLDER}/{row.number}.html" if row.has_page else ""


def without_pages(audit: AuditResult) -> AuditResult:
    """Returns an audit none of whose episodes has a page: there is none beside this one."""
    rows = [replace(row, has_page=False) for row in audit.episode_rows]
    return replace(audit, episode_rows=rows)


def episode_table(audit: AuditResult) -> Table | None:
    """Returns a row for each episode, worst first; None in results of earlier versions."""
    rows = audit.episode_rows
    if not rows:
        return None
    columns = (
        *text_columns("Episode", "Findings"),
        Column("Outcome", ("success", "ending"), numeric=False, missing=UNKNOWN),
        Column("Cases"),
        Column("Members"),
        Column("Turns"),
        Column("Events"),
        Column("Tokens", missing=UNKNOWN),
        Column("Dollars", missing=UNKNOWN),
        Column("Seconds", missing=UNKNOWN),
    )
    caption = f"{counted(len(rows), 'episode')}, at first the longest cases, failures first."
    if len(rows) < audit.episodes:
        rest = counted(audit.episodes - len(rows), "later episode")
        caption += f" {rest} without a listed case are counted, and not listed."
    return known_columns("episodes", caption, columns, [_row(row) for row in rows])


def known_columns(
    key: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[TableRow],
) -> Table:
    """Returns a table that can be sorted, without the columns of which the log says nothing; the
    caption names those."""
    known = [
        not column.missing or any(v is not None for row in rows for v in row.cells[i].values)
        for i, column in enumerate(columns)
    ]
    silent = [
        column.title.lower() for column, is_in in zip(columns, known, strict=True) if not is_in
    ]
    if silent:
        caption += f" The log does not say: {', '.join(silent)}."
    kept = [
        TableRow(
            tuple(cell for cell, is_in in zip(row.cells, known, strict=True) if is_in), row.tone
        )
        for row in rows
    ]
    shown = [column for column, is_in in zip(columns, known, strict=True) if is_in]
    return Table(key, caption, shown, kept, sortable=True)


def _row(row: EpisodeRow) -> TableRow:
    findings = [name.partition(".")[2].replace("_", " ") for name in row.findings]
    more = f"; {len(findings) - 3} more" if len(findings) > 3 else ""
    cells = (
        Cell(row.episode, address=address_of(row)),
        Cell("; ".join(findings[:3]) + more, (" ".join(row.findings),)),
        Cell(outcome_words(row.success) or ("–" if not row.ending else ""),
             (row.success, row.ending or None), below=row.ending),
        Cell(str(row.cases), (row.cases,)),
        Cell(str(row.agents), (row.agents,)),
        Cell(str(row.turns), (row.turns,)),
        Cell(str(row.events), (row.events,)),
        number_cell(row.tokens),
        number_cell(row.dollars, ".2g"),
        number_cell(row.seconds, ".3g"),
    )  # fmt: skip
    return TableRow(cells)


def outcome_words(success: float | None) -> str:
    """Returns a success in words: `success`, `failure`, or the share between."""
    if success is None:
        return ""
    return "success" if success >= 1 else "failure" if success <= 0 else f"{success:.2g}"


def number_cell(value: float | None, form: str = "") -> Cell:
    """Returns a number that may be unknown."""
    if value is None:
        return Cell("–", (None,))
    shown = f"{value:{form}}" if form and value < 1000 else f"{value:.0f}"
    return Cell(shown, (value,))


def member_table(audit: AuditResult) -> Table | None:
    """Returns a row for each member, tool and person, dearest first; None if there is none."""
    # results of earlier versions have no turns, and list only what has a cost
    rows = [each for each in audit.costs if each.turns] or list(audit.costs)
    if not rows:
        return None
    columns = (
        *text_columns("Who", "Is"),
        Column("Episodes"),
        Column("Turns"),
        Column("Calls", missing=UNKNOWN),
        Column("Errors", missing=UNKNOWN),
        Column("Tokens in", missing=UNKNOWN),
        Column("Tokens out", missing=UNKNOWN),
        Column("Dollars", missing=UNKNOWN),
        Column("Seconds", missing=UNKNOWN),
    )
    rows.sort(key=lambda each: not each.is_member)  # members first, each group dearest first
    caption = f"What each did and cost in {counted(audit.episodes, 'episode')}."
    listed = sum(each.is_member for each in rows)
    if listed < audit.agents:
        caption += f" The {counted(listed, 'member')} with the highest cost, or the most turns, of "
        caption += f"{audit.agents} are listed."
    # a log without any call or error may be one that records none
    calls, errors = any(e.cost.calls for e in rows), any(e.errors for e in rows)
    shown_rows = [_member(each, calls, errors) for each in rows]
    return known_columns("members", caption, columns, shown_rows)


def _member(each: AgentCost, calls: bool, errors: bool) -> TableRow:
    cost = each.cost
    cells = (
        Cell(each.agent),
        Cell("member" if each.is_member else "tool or person"),
        Cell(str(each.episodes), (each.episodes,)),
        Cell(str(each.turns), (each.turns,)),
        number_cell(cost.calls if calls else None),
        number_cell(each.errors if errors else None),
        number_cell(cost.tokens_in),
        number_cell(cost.tokens_out),
        number_cell(cost.dollars, ".2g"),
        number_cell(cost.seconds, ".3g"),
    )
    return TableRow(cells, "" if each.is_member else "quiet")


def cost_words(cost: Cost | None) -> str:
    """Returns what is known of a cost, such as `3 calls, 1200 tokens, 0.04 dollars, 8 s`."""
    if cost is None:
        return ""
    words = [counted(cost.calls, "call")] if cost.calls else []
    if cost.tokens_in is not None or cost.tokens_out is not None:
        words.append(counted((cost.tokens_in or 0) + (cost.tokens_out or 0), "token"))
    if cost.dollars is not None:
        words.append(f"{cost.dollars:.2g} dollars")
    if cost.seconds is not None:
        words.append(f"{cost.seconds:.3g} s")
    return ", ".join(words)


def is_known(cost: Cost) -> bool:
    """Returns whether a log says more of a cost than the number of calls."""
    return not (cost.tokens_in is cost.tokens_out is cost.dollars is cost.seconds is None)


def across_lines(audit: AuditResult) -> list[str]:
    """Returns what holds over all episodes: endings, what failed ones have, labels and scores."""
    lines = []
    endings = [each for each in audit.endings if each.ending != "not known"]
    if endings:
        shown = "; ".join(f"{cut(each.ending, 60)} ({each.episodes})" for each in endings[:5])
        lines.append(f"Endings: {shown}")
    more = [each for each in audit.associations if each.verdict == FOUND]
    lines += [f"{each.audit}.{each.name} is in {each.failed_with} of {each.failed} failed "
              f"episodes and {each.successful_with} of {each.successful} successful ones "
              f"(p {each.p:.2g})" for each in more]  # fmt: skip
    if audit.associations and not more:
        rows = audit.associations
        lines.append(
            f"No finding is more frequent in the {rows[0].failed} failed episodes than in the "
            f"{rows[0].successful} successful ones beyond chance"
        )
    labels = dict.fromkeys(each.label for each in audit.agreements)
    lines += [_label(audit, each) for each in labels]
    lines += [
        f"Score {each.score}: mean {each.mean_with:.3g} in {each.episodes_with} with a case of "
        f"{each.audit}.{each.name}, {each.mean_without:.3g} in {each.episodes_without} without"
        for each in audit.score_means
    ]
    return lines


def _label(audit: AuditResult, label: str) -> str:
    rows = [each for each in audit.agreements if each.label == label]
    shown = "; ".join(
        f"{each.name.replace('_', ' ')} {each.agree} of {each.episodes} (chance {each.chance:.1f})"
        for each in rows
    )
    return f"Agreement with the label {label}: {shown}"
