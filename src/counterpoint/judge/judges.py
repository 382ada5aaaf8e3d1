"""The protocol of a judge: sheets in, opinions out. `written` makes the reply of a judge that is a
rule."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from counterpoint.judge.present import Sheet

N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Opinion:
    """The reply of a judge to a sheet, not yet parsed."""

    text: str
    """The reply, in the wire format if the judge keeps to it; empty if `error` is set."""
    tokens: int | None = 0
    """Tokens read and written; None if nobody counted."""
    cost_dollars: float | None = 0.0
    """The cost; None if the price is not known."""
    error: str | None = None
    """Why there is no text."""


class Judge(Protocol):
    """Ranks or scores the candidates on a sheet."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Returns what decides its opinions besides the sheet: two judges of the same facts are
        one."""

    @property
    def at_once(self) -> int:
        """Returns how many groups it is asked about side by side, and how many sheets it takes at a
        time: so many opinions are lost if the process dies."""

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """Returns one opinion for each sheet, in their order.

        Raises:
            CounterpointError: the judge cannot be used at all, or cannot judge such candidates.
        """


def written(sheet: Sheet, scores: Sequence[float], width: float = 0.0) -> str:
    """Returns the reply of a judge that gives these scores.

    Args:
        sheet: the question.
        scores: [n] scores of the texts on the sheet; higher is better.
        width: scores that are no farther apart, one from the next, are tied.
    """
    if sheet.kind == "score":
        return json.dumps({"score": min(max(float(scores[0]), 0.0), 1.0)})
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    ranking = [[sheet.labels[order[0]]]]
    for better, worse in itertools.pairwise(order):
        if scores[better] - scores[worse] <= width:
            ranking[-1].append(sheet.labels[worse])
        else:
            ranking.append([sheet.labels[worse]])
    return json.dumps({"ranking": ranking})


def sum_known(a: N | None, b: N | None) -> N | None:
    """Returns the sum, or None if one of the numbers is not known."""
    return None if a is None or b is None else a + b
