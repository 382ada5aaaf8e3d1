"""What the page of a comparison says differently in each kind of world: one table, `WORDS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from counterpoint.report.pages.definitions import (
    COMPARISON,
    LANGUAGE_COMPARISON,
    NETWORK_COMPARISON,
    Definition,
)


@dataclass(frozen=True)
class KindWords:
    """The words of one kind of world."""

    axis: str
    """What stands under an x axis."""
    point: str
    """What a point of a learning curve is, for a caption."""
    random: str
    """What a random team chooses."""
    unweighted: str
    """Why there is no reward-weighted return, where there is none."""
    definitions: tuple[Definition, ...]
    """What the numbers of a comparison mean."""


WORDS: Mapping[str, KindWords] = {
    "exact": KindWords(
        axis="update",
        point="Team return before each update.",
        random="random actions",
        unweighted="",
        definitions=COMPARISON,
    ),
    "steps": KindWords(
        axis="steps played, all copies together",
        point="Mean team return of the episodes that ended in each batch, as the team learned.",
        random="random actions",
        unweighted="the return is the reward actually paid",
        definitions=NETWORK_COMPARISON,
    ),
    "text": KindWords(
        axis="update",
        point="The team’s success, mean of the episodes of each batch, as it learned.",
        random="random words",
        unweighted="the return is the team’s success, not what agents are paid",
        definitions=LANGUAGE_COMPARISON,
    ),
}
"""The words of each kind, by its name in a comparison."""
