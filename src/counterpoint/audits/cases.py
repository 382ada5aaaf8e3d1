"""`CaseShelf`: the worst cases of every finding, in bounded memory, however long the log is."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from counterpoint.audits.base import MOST_CASES, added
from counterpoint.records import Case, Cost, Finding

SHOWN = 5
"""The number of worst cases of a finding whose episodes have a timeline."""


class CaseShelf:
    """Keeps the worst cases of each finding, and counts all."""

    def __init__(self, most: int = MOST_CASES) -> None:
        self.most = most
        self.total: Counter[tuple[str, str]] = Counter()
        self.cost: dict[tuple[str, str], Cost] = {}
        # a heap whose first item is the first to go: the least weight, and of equals the latest
        self.kept: dict[tuple[str, str], list[tuple[float, int, Case]]] = {}

    def add(self, audit: str, cases: Mapping[str, Sequence[Case]]) -> None:
        """Takes the cases of one episode, by the name of their finding."""
        for name, some in cases.items():
            kept = self.kept.setdefault((audit, name), [])
            for case in some:
                if case.cost is not None:
                    self.cost[audit, name] = added(self.cost.get((audit, name)), case.cost)
                order = self.total[audit, name]
                self.total[audit, name] += 1
                if len(kept) < self.most:
                    heapq.heappush(kept, (case.weight, -order, case))
                elif case.weight > kept[0][0]:
                    heapq.heapreplace(kept, (case.weight, -order, case))

    def worst(self, audit: str, name: str) -> list[Case]:
        """Returns the cases that are kept of a finding, worst first; equals in the log's order."""
        return [case for _, _, case in sorted(self.kept.get((audit, name), ()), reverse=True)]

    def shown(self, names: Iterable[tuple[str, str]]) -> set[str]:
        """Returns the ids of the episodes of the `SHOWN` worst cases of some findings."""
        return {
            case.episode for name in names for _, _, case in heapq.nlargest(SHOWN, self.kept[name])
        }

    def joined(self, finding: Finding) -> Finding:
        """Returns a finding with its cases from the log, after those it has already."""
        worst = self.worst(finding.audit, finding.name)
        cases = (*finding.cases, *worst)[: self.most]
        total = max(finding.cases_total, len(finding.cases))
        name = finding.audit, finding.name
        return replace(finding, cases=cases, cases_total=total + self.total[name],
                       cost=self.cost.get(name))  # fmt: skip
