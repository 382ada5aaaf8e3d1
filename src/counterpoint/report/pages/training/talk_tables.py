"""The texts of agents over time, and which word stands for what at the end: two tables."""

from __future__ import annotations

from counterpoint.report.toolkit.numerals import fixed, percent, significant
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table
from counterpoint.results.training import EpisodeSample, Moment, Talk, Utterance, WordCounts


def said_table(talk: Talk, prefix: str) -> Table | None:
    """The commonest episodes of the first, a middle and the last update; None without any."""
    columns = (
        Column("Update", ("update",), numeric=False),
        Column("Task", ("task",), numeric=False),
        Column("Who said what to whom", ("said",), numeric=False),
        Column("Episodes", ("episodes", "of")),
        Column("Success", ("success",)),
    )
    rows = tuple(
        _sample_row(moment, sample, first=i == 0)
        for moment in talk.moments
        for i, sample in enumerate(moment.shown)
    )
    caption = (
        "The commonest ways in which episodes of a few tasks went, in the first, a middle and the "
        "last update. Episodes: how many of those with the same task in the same update went so."
    )
    return Table("said", caption, columns, rows, f"{prefix}-said.csv") if rows else None


def _sample_row(moment: Moment, sample: EpisodeSample, *, first: bool) -> Row:
    of = "" if sample.of is None else f" of {fixed(sample.of, 0)}"
    lines = tuple(map(_line, sample.events))
    cells = (
        Cell(fixed(moment.update, 0) if first else "", (moment.update,)),
        Cell(sample.task, (sample.task,)),
        Cell("", (" | ".join(lines),), lines=lines or ("nothing",)),
        Cell(f"{fixed(sample.count, 0)}{of}", (sample.count, sample.of)),
        Cell(significant(sample.success), (sample.success,)),
    )
    return Row(cells)


def _line(event: Utterance) -> str:
    """Returns a text with its speaker: `speaker to listener: red`."""
    return f"{event.agent}{f' to {event.to}' if event.to else ''}: {event.text}"


def words_table(talk: Talk, prefix: str) -> Table | None:
    """One row an agent and prompt: its word, and how surely; None without any."""
    columns = (
        Column("Agent", ("agent",), numeric=False),
        Column("What it was shown", ("shown",), numeric=False),
        Column("Says", ("word",), numeric=False),
        Column("Share", ("share",)),
        Column("Times", ("times",)),
        Column("Otherwise", ("others",), numeric=False),
    )
    rows = tuple(_words_row(counts) for counts in talk.words if counts.said)
    caption = "What agents said in the last update, answers sampled, to each thing they were shown."
    return Table("words", caption, columns, rows, f"{prefix}-words.csv") if rows else None


def _words_row(counts: WordCounts) -> Row:
    (word, count), *rest = sorted(counts.said.items(), key=lambda pair: -pair[1])
    times = sum(counts.said.values())
    share = count / times if times else None
    others = ", ".join(f"{other} {fixed(number, 0)}" for other, number in rest)
    cells = (
        Cell(counts.agent, (counts.agent,)),
        Cell(counts.shown, (counts.shown,)),
        Cell(word, (word,)),
        Cell(percent(share), (share,)),
        Cell(fixed(times, 0), (times,)),
        Cell(others, (others,)),
    )
    return Row(cells)
