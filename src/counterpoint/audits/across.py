"""What goes with what over all episodes: cases with success and with labels; costs; endings.

`Tally` counts in one pass and keeps nothing of an episode, so that a log may be as long as it is.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from counterpoint.audits.base import added, cost_of
from counterpoint.audits.talks import TalkTally
from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND, Case, Cost, Episode, Event
from counterpoint.results.audit import (
    AgentCost,
    Association,
    EndingCount,
    LabelAgreement,
    ScoreMeans,
)
from counterpoint.stats import wilson_interval

LEVEL = 0.05
"""The probability of any association by chance, over all that are tested (Holm 1979)."""
MATTERS = 0.1
"""A smaller difference of two shares does not matter."""
MOST = 50
"""The most agents, endings and labels that are listed; the rest is added up or counted."""
NEAR = 2
"""A case is near a step if it is at most this many events away."""
SUCCEEDS = 0.5
"""An episode with at least this success is a success."""
AGENT, STEP = "mistake_agent", "mistake_step"
"""Labels that name a member, and the place of an event."""
Name = tuple[str, str]
"""The names of an audit and of a finding."""


class Tally:
    """Counts of all episodes."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self.episodes_of: Counter[str] = Counter()
        self.turns_of: Counter[str] = Counter()
        self.errors_of: Counter[str] = Counter()
        self.members: set[str] = set()
        self.talks = TalkTally()
        self.endings: Counter[str] = Counter()
        self.by_success: dict[bool, Counter[Name]] = {True: Counter(), False: Counter()}
        self.of_success: Counter[bool] = Counter()
        self.compared: Counter[tuple[str, Name]] = Counter()
        self.agreed: Counter[tuple[str, Name]] = Counter()
        self.chance: defaultdict[tuple[str, Name], float] = defaultdict(float)
        self.scored: Counter[tuple[str, Name | None]] = Counter()
        self.total: defaultdict[tuple[str, Name | None], float] = defaultdict(float)
        self.labelled: Counter[str] = Counter()
        self.with_case: dict[str, Counter[Name]] = defaultdict(Counter)
        self.of_label: Counter[tuple[str, bool]] = Counter()

    def add(self, episode: Episode, cases: Mapping[Name, Sequence[Case]]) -> None:
        """Counts an episode, and the cases in it by finding."""
        seen = {name for name, some in cases.items() if some}
        by_agent: defaultdict[str, list[Event]] = defaultdict(list)
        for event in episode.events:
            by_agent[event.agent].append(event)
        for agent, mine in by_agent.items():
            if agent in self.costs or len(self.costs) < 20 * MOST:
                cost = cost_of(mine) or Cost(calls=sum(e.kind == "action" for e in mine))
                self.costs[agent] = added(self.costs.get(agent), cost)
                self.episodes_of[agent] += 1
                self.turns_of[agent] += len(mine)
                self.errors_of[agent] += sum(bool(event.error) for event in mine)
                if agent in episode.agents:
                    self.members.add(agent)
        self.talks.add(episode)
        ending = " ".join(episode.ending.split())[:80] or "not known"
        self.endings[ending if ending in self.endings or len(self.endings) < MOST else "other"] += 1
        if episode.success is not None:
            success = episode.success >= SUCCEEDS
            self.of_success[success] += 1
            self.by_success[success].update(seen)
        for score, value in episode.scores.items():
            if math.isfinite(value) and (
                (score, None) in self.scored or len(self.scored) < MOST**2
            ):
                for name in (None, *seen):  # None: all episodes
                    self.scored[score, name] += 1
                    self.total[score, name] += value
        if episode.labels:
            self._label(episode, cases, seen)

    def _label(
        self, episode: Episode, cases: Mapping[Name, Sequence[Case]], seen: set[Name]
    ) -> None:
        who, step = episode.labels.get(AGENT), place(episode.labels.get(STEP))
        for name in seen:
            worst = max(cases[name], key=lambda case: case.weight)
            if isinstance(who, str) and worst.agent is not None:
                self.compared[AGENT, name] += 1
                self.agreed[AGENT, name] += worst.agent == who
                self.chance[AGENT, name] += 1 / max(1, len(episode.agents))
            if step is not None and worst.event is not None:
                last = worst.event
                first = last if worst.first is None else worst.first
                reach = (last - first + 1 + 2 * NEAR) / max(1, len(episode.events))
                self.compared[STEP, name] += 1
                self.agreed[STEP, name] += first - NEAR <= step <= last + NEAR
                self.chance[STEP, name] += min(1.0, reach)
        for label, value in episode.labels.items():
            known = label in self.labelled or len(self.labelled) < MOST
            is_so = truth(value)
            if known and is_so is not None and label not in (AGENT, STEP):
                self.labelled[label] += 1
                self.of_label[label, is_so] += 1
                for name in seen:
                    self.with_case[label][name] += 1
                    self.agreed[label, name] += is_so

    def agent_costs(self) -> list[AgentCost]:
        """Returns what each agent cost, dearest first."""

        def size(item: tuple[str, Cost]) -> tuple[float, float, int, str]:
            name, cost = item
            tokens = (cost.tokens_in or 0) + (cost.tokens_out or 0)
            return -(cost.dollars or 0.0), -tokens, -self.turns_of[name], name

        dearest = sorted(self.costs.items(), key=size)[:MOST]
        return [
            AgentCost(agent=name, episodes=self.episodes_of[name], cost=cost,
                      turns=self.turns_of[name], errors=self.errors_of[name],
                      is_member=name in self.members)
            for name, cost in dearest
        ]  # fmt: skip

    def ending_counts(self) -> list[EndingCount]:
        """Returns how many episodes ended in each way, the commonest first."""
        return [EndingCount(ending=e, episodes=n) for e, n in self.endings.most_common()]

    def associations(self) -> list[Association]:
        """Returns which findings have their cases in episodes that failed, with Fisher's test."""
        failed, well = self.of_success[False], self.of_success[True]
        names = sorted({*self.by_success[True], *self.by_success[False]})
        if not failed or not well or not names:
            return []
        tests = []
        for name in names:
            a, b = self.by_success[False][name], self.by_success[True][name]
            tests.append((fisher(a, failed, b, well), name, a, b))
        tests.sort()
        rows, held = [], True
        for rank, (p, name, a, b) in enumerate(tests):
            held = held and p <= LEVEL / (len(tests) - rank)
            one, other = wilson_interval(a, failed), wilson_interval(b, well)
            above = math.hypot(one.high - one.value, other.value - other.low)
            small = one.value - other.value + above < MATTERS
            verdict = FOUND if held else NOT_FOUND if small else CANNOT_TELL
            rows.append(Association(audit=name[0], name=name[1], failed=failed, failed_with=a,
                                    successful=well, successful_with=b, p=p,
                                    verdict=verdict))  # fmt: skip
        return rows

    def score_means(self) -> list[ScoreMeans]:
        """Returns the means of scores of episodes with a case, and of the others."""
        rows = []
        for (score, name), n in self.scored.items():
            rest = self.scored[score, None] - n
            if name is not None and rest:
                total = self.total[score, name]
                rows.append(ScoreMeans(
                    score=score, audit=name[0], name=name[1], episodes_with=n,
                    mean_with=total / n, episodes_without=rest,
                    mean_without=(self.total[score, None] - total) / rest,
                ))  # fmt: skip
        return sorted(rows, key=lambda row: (row.score, row.audit, row.name))

    def label_agreements(self) -> list[LabelAgreement]:
        """Returns how often cases agree with what people labelled, and how often by chance."""
        return sorted(self._agreements(), key=lambda row: (row.label, row.audit, row.name))

    def _agreements(self) -> Iterator[LabelAgreement]:
        for (label, name), n in self.compared.items():
            yield LabelAgreement(label=label, audit=name[0], name=name[1], episodes=n,
                                 agree=self.agreed[label, name],
                                 chance=self.chance[label, name])  # fmt: skip
        for label, with_case in self.with_case.items():
            share = self.of_label[label, True] / self.labelled[label]
            for name, n in with_case.items():
                yield LabelAgreement(label=label, audit=name[0], name=name[1], episodes=n,
                                     agree=self.agreed[label, name], chance=n * share)  # fmt: skip


def truth(value: object) -> bool | None:
    """Returns whether a label is true, of votes by majority; None if it is no vote."""
    votes = list(value) if isinstance(value, list | tuple) else [value]
    if not votes or not all(isinstance(vote, bool | int) and vote in (0, 1) for vote in votes):
        return None
    return 2 * sum(map(bool, votes)) > len(votes)


def place(value: object) -> int | None:
    """Returns the place of an event in a label, which may be a text; None if it is no number."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def fisher(a: int, n: int, b: int, m: int) -> float:
    """Returns the probability of `a` or more hits in `n`, with all hits dealt at random.

    Fisher's exact test, one-sided: P(X >= a), X hypergeometric with a + b hits among n + m.
    """
    hits, whole = a + b, n + m

    def log_choose(top: int, some: int) -> float:
        return math.lgamma(top + 1) - math.lgamma(some + 1) - math.lgamma(top - some + 1)

    every = log_choose(whole, n)
    terms = (
        math.exp(log_choose(hits, k) + log_choose(whole - hits, n - k) - every)
        for k in range(max(a, n - (whole - hits)), min(n, hits) + 1)
    )
    return min(1.0, math.fsum(terms))
