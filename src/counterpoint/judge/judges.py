"""Who judges: the one seam, and judges that are a rule. Models and people have files of their
own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from counterpoint.judge.present import Sheet


@dataclass(frozen=True)
class Opinion:
    """What a judge replied to a sheet, unread."""

    text: str
    """In the wire format, if the judge keeps to it; empty where `error` is set."""
    tokens: int | None = 0
    """Read and written; None where nobody counted."""
    cost_dollars: float | None = 0.0
    """None where the price is not known."""
    error: str | None = None
    """Why there is no text."""


class Judge(Protocol):
    """Somebody who ranks or scores what stands on a sheet."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What decides its opinions besides the sheet: two judges of the same facts are one."""

    @property
    def at_once(self) -> int:
        """How many groups it is asked about side by side, and how many sheets it takes at a time:
        so many opinions are lost where the process dies."""

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """One opinion for each sheet, in their order.

        Raises:
            CounterpointError: the judge cannot be used at all, or cannot judge such candidates.
        """


def written(sheet: Sheet, scores: Sequence[float], width: float = 0.0) -> str:
    """What a judge writes who thinks so of what is shown.

    Args:
        sheet: the question.
        scores: [n] of what is shown; higher is better.
        width: scores that are no farther apart, one to the next, are tied.
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
