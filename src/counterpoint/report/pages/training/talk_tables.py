"""Who said what to whom over time, and which word stands for what at the end: two tables."""

from __future__ import annotations

from counterpoint.report.pages.training.talk_result import Sample, Shown, Talk
from counterpoint.report.toolkit.numerals import fixed, percent, significant
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table


def said_table(talk: Talk, prefix: str) -> Table | None:
    """The commonest episodes of the first, a middle and the last update; None without any."""
    columns = (
        Column("Update", ("update",), numeric=False),
        Column("Task", ("task",), numeric=False),
        Column("Who said what to whom", ("said",), numeric=False),
        Column("Episodes", ("episodes", "of")),
        Column("Success", ("success",)),
    )
    rows, before = [], None
    for sample in talk.samples:
        rows.append(_sample_row(sample, first=sample.update != before))
        before = sample.update
    caption = (
        "The commonest ways in which episodes of a few tasks went, in the first, a middle and the "
        "last update. Episodes: how many of those with the same task in the same update went so."
    )
    return Table("said", caption, columns, tuple(rows), f"{prefix}-said.csv") if rows else None


def _sample_row(sample: Sample, *, first: bool) -> Row:
    update = fixed(sample.update, 0)
    of = f" of {fixed(sample.of, 0)}" if sample.of is not None else ""
    cells = (
        Cell(update if first else "", (sample.update,)),
        Cell(sample.task, (sample.task,)),
        Cell("", (" | ".join(sample.lines),), lines=sample.lines or ("nothing",)),
        Cell(f"{fixed(sample.count, 0)}{of}", (sample.count, sample.of)),
        Cell(significant(sample.success), (sample.success,)),
    )
    return Row(cells)


def words_table(talk: Talk, prefix: str) -> Table | None:
    """One row an agent and what it was shown: its word, and how surely; None without any."""
    columns = (
        Column("Agent", ("agent",), numeric=False),
        Column("What it was shown", ("shown",), numeric=False),
        Column("Says", ("word",), numeric=False),
        Column("Share", ("share",)),
        Column("Times", ("times",)),
        Column("Otherwise", ("others",), numeric=False),
    )
    rows = tuple(_words_row(shown) for shown in talk.words if shown.said)
    caption = "What agents said in the last update, answers sampled, to each thing they were shown."
    return Table("words", caption, columns, rows, f"{prefix}-words.csv") if rows else None


def _words_row(shown: Shown) -> Row:
    (word, count), *rest = shown.said
    share = count / shown.times if shown.times else None
    others = ", ".join(f"{other} {fixed(times, 0)}" for other, times in rest)
    cells = (
        Cell(shown.agent, (shown.agent,)),
        Cell(shown.prompt, (shown.prompt,)),
        Cell(word, (word,)),
        Cell(percent(share), (share,)),
        Cell(fixed(shown.times, 0), (shown.times,)),
        Cell(others, (others,)),
    )
    return Row(cells)
