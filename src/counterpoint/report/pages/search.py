"""The page of a search for the best topology: its winner, the other candidates, and the rounds."""

from __future__ import annotations

from markupsafe import Markup
from msgspec.structs import asdict

from counterpoint.errors import LogError, SettingError
from counterpoint.report.pages.topology import topology_picture
from counterpoint.report.toolkit.charts import Dot, interval_panel
from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import counted, fixed, interval
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.topology import SearchCell, TopologySearchResult
from counterpoint.topology import Topology

DRAWN = 12
"""Maximum number of topologies in the picture."""


def search_page(search: TopologySearchResult) -> Page:
    """Returns the page of a search.

    Raises:
        LogError: edges, turns and decision of the winner do not fit together.
    """
    return Page(
        template="search.html",
        title=f"{search.world}: the best topology",
        kind="Topology search",
        subject=search.world,
        details=[counted(search.budget, "item")],
        verdict=search_verdict(search),
        definitions=DEFINITIONS,
        settings=setting_rows({**search.config, "budget": search.budget,
                               "version": search.version}),
        picture="figure",
        contents={
            "figure": _figure(search) if search.cells else None,
            "drawing": _winner(search),
            "cells": cell_table(search) if search.cells else None,
            "rounds": round_table(search),
        },
    )  # fmt: skip


def search_verdict(search: TopologySearchResult) -> Headline:
    """Returns the winner, its score on fresh items, and what was played to find it."""
    winner, fresh = search.winner, search.fresh
    first = search.rounds[0].candidates if search.rounds else 1
    sentence = (
        f"The search chose {winner.topology} with prompt {winner.prompt}: {fixed(fresh.value, 2)} "
        "on fresh items."
    )
    facts = (
        Fact("Score on fresh items", fixed(fresh.value, 3),
             f"95% interval {interval(fresh.low, fresh.high, 3)}", f"{fresh.n:,} items."),
        Fact("Score while it was chosen", fixed(search.searched, 3),
             "biased upwards: the best of several was taken"),
        Fact("Candidates", f"{first:,}", f"{search.spent:,} of {search.budget:,} items played",
             f"In {counted(len(search.rounds), 'round')}, each with the better half."),
    )  # fmt: skip
    why = (
        "In each round all candidates play the same items, and the better half plays on with more. "
        "The score of the winner is measured again on items that it was not chosen on. A candidate "
        "that left early may be as good as one that stayed: see the intervals."
    )
    return Headline(sentence, why, facts)


def farthest(search: TopologySearchResult) -> list[SearchCell]:
    """Returns the prompt of each topology that came farthest, the winner first."""
    cells: dict[str, SearchCell] = {}
    for cell in search.cells:
        cells.setdefault(cell.topology, cell)
    return list(cells.values())


def _figure(search: TopologySearchResult) -> Figure:
    winner, fresh = search.winner, search.fresh
    shown = [cell for cell in farthest(search) if cell.topology != winner.topology]
    dots = [Dot(f"{winner.topology}, {winner.prompt} (fresh items)", fresh.value, fresh.low,
                fresh.high, "s2", fixed(fresh.value, 3), strong=True)]  # fmt: skip
    dots += [
        Dot(f"{cell.topology}, {cell.prompt}", cell.score.value, cell.score.low, cell.score.high,
            "s1", fixed(cell.score.value, 3))
        for cell in shown[: DRAWN - 1]
    ]  # fmt: skip
    more = len(shown) - len(dots) + 1
    others = f" The table has {counted(more, 'more topology')}."
    return Figure(
        key="candidates",
        caption="The winner on fresh items, and each other topology with its best prompt in the "
        "last round that it played, with 95% intervals. Those that left first played the fewest "
        f"items.{others if more > 0 else ''}",
        header=("topology", "prompt", "rounds", "score", "low", "high", "items"),
        rows=[(c.topology, c.prompt, c.rounds, c.score.value, c.score.low, c.score.high, c.score.n)
              for c in search.cells],
        panels=(
            interval_panel("search-panel", "Score by topology", search.scale or "score", dots),
        ),
    )  # fmt: skip


def _winner(search: TopologySearchResult) -> Markup | None:
    """Returns the drawing of the winner; None if an earlier version did not save it."""
    if search.winner.shape is None:
        return None
    try:
        return topology_picture(Topology(**asdict(search.winner.shape)), "winner")
    except SettingError as error:
        raise LogError(f"got a result with a topology that cannot be: {error}") from None


def cell_table(search: TopologySearchResult) -> Table:
    """Returns a row for each topology and prompt, in the order in which they left the search."""
    columns = (
        *text_columns("Topology", "Prompt"),
        Column("Last score", ("score", "low", "high")),
        Column("Items"),
        Column("Rounds"),
    )
    rows = []
    for i, cell in enumerate(search.cells):
        score = cell.score
        cells = (
            Cell(cell.topology),
            Cell(cell.prompt),
            Cell(fixed(score.value, 3), (score.value, score.low, score.high),
                 interval(score.low, score.high, 3)),
            Cell(f"{score.n:,}", (score.n,)),
            Cell(str(cell.rounds), (cell.rounds,)),
        )  # fmt: skip
        rows.append(TableRow(cells, "" if i else "best"))
    caption = (
        "Each topology and prompt in the order that came farthest. The score is that of its last "
        "round, in which it may have been lucky or unlucky."
    )
    return Table("cells", caption, columns, rows)


def round_table(search: TopologySearchResult) -> Table:
    """Returns a row for each round."""
    columns = (Column("Round"), Column("Candidates"), Column("Items each"), Column("Best score"))
    rows = [
        TableRow((
            Cell(str(i), (i,)),
            Cell(f"{each.candidates:,}", (each.candidates,)),
            Cell(f"{each.items:,}", (each.items,)),
            Cell(fixed(each.best, 3), (each.best,)),
        ))
        for i, each in enumerate(search.rounds, 1)
    ]  # fmt: skip
    return Table("rounds", "Each round, by all candidates that were left.", columns, rows)


DEFINITIONS = (
    Definition("halving", "Successive halving",
        "All candidates play a few items, the better half plays twice as many, and so on until "
        "one is left. Karnin, Koren and Somekh (2013)."),
    Definition("fresh", "Fresh items",
        "Items on which no candidate was chosen, so that the score is not biased by the choice."),
    Definition("candidate", "Candidate",
        "A topology in one order of its members, with one prompt: a way in which members behave."),
)  # fmt: skip
