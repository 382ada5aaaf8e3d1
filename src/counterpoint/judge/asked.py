"""One group under a judge's eyes: `ranked` asks, checks, aggregates and rewards. Start there.

Everything here is a generator that yields sheets and is sent opinions, so that many groups can be
asked about side by side, and no judge is known here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from counterpoint.errors import JudgeError
from counterpoint.judge.aggregate import AGGREGATES, order_of
from counterpoint.judge.group import Group
from counterpoint.judge.judges import Opinion
from counterpoint.judge.modes import MODES, Ranking, reliability
from counterpoint.judge.present import CANARIES, TWIN, Presenter, Sheet
from counterpoint.judge.settings import RankSettings
from counterpoint.judge.verdict import (
    Verdict,
    compromised,
    of_runs,
    rank_rewards,
    score_rewards,
)
from counterpoint.judge.wire import parse_ranking, parse_score

Asking = Generator[list[Sheet], list[Opinion], Verdict]


def ranked(group: Group, told: RankSettings, rng: np.random.Generator) -> Asking:
    """Ask, check, aggregate, reward."""
    n = len(group.candidates)
    if n < 2:
        return Verdict(group.id, void="one run alone cannot be ranked")
    asked = _Asked(Presenter(group, rng, told.criteria, told.longest), told)
    if told.mode == "pointwise":
        rankings = yield from asked.scores(n)
    else:
        mode = MODES[told.mode](n, told.orders, told.calls, rng)
        rankings = []
        orders = next(mode)
        while orders:
            found = yield from asked.rank(orders, told.mode == "listwise")
            rankings += [each for each in found if each is not None]
            try:
                orders = mode.send(found)
            except StopIteration:
                break
        if told.mode != "listwise" and told.canaries != "none":
            yield from asked.canary_pairs(n)
    return asked.verdict(rankings)


class _Asked:
    """What is asked about one group, and what it cost."""

    def __init__(self, presenter: Presenter, told: RankSettings) -> None:
        self.presenter, self.told, self.group = presenter, told, presenter.group
        self.calls = self.repaired = self.lost = 0
        self.tokens: int | None = 0
        self.cost: float | None = 0.0
        self.betrayed = self.error = ""
        self.means: Any = None

    def rank(
        self, orders: Sequence[Sequence[int]], canaries: bool
    ) -> Generator[list[Sheet], list[Opinion], list[Ranking | None]]:
        """What comes of each order; None where nothing could be read."""
        put = () if self.told.canaries == "none" or not canaries else (*CANARIES, TWIN)
        sheets = [self.presenter.sheet("ranking", order, put) for order in orders]
        replies = yield from self._read(sheets)
        found: list[Ranking | None] = []
        for sheet, reply in zip(sheets, replies, strict=True):
            if reply is not None and put:
                strict = self.told.canaries == "strict"
                self.betrayed = self.betrayed or compromised(sheet, reply, strict)
            found.append(None if reply is None else of_runs(sheet, reply))
        return found

    def canary_pairs(self, n: int) -> Generator[list[Sheet], list[Opinion], None]:
        """Each canary against a run drawn by chance, twice: it must not win both times."""
        rng = self.presenter.rng
        for canary in CANARIES:
            sheets = [self.presenter.sheet("ranking", [int(rng.integers(n))], [canary])
                      for _ in range(2)]  # fmt: skip
            replies = yield from self._read(sheets)
            each = [(reply is not None and compromised(sheet, reply, strict=False)) or ""
                    for sheet, reply in zip(sheets, replies, strict=True)]  # fmt: skip
            if all(each):
                self.betrayed = self.betrayed or f"{each[0]}, twice"

    def scores(self, n: int) -> Generator[list[Sheet], list[Opinion], list[Ranking]]:
        """Each run by itself, `orders` times; the rankings that the scores of each time make."""
        rows = []
        put = () if self.told.canaries == "none" else tuple(CANARIES)
        for _ in range(self.told.orders):
            sheets = [self.presenter.sheet("score", [i]) for i in range(n)]
            sheets += [self.presenter.sheet("score", [], [canary]) for canary in put]
            replies = yield from self._read(sheets)
            values = [np.nan if r is None else r for r in replies]
            if np.isnan(values[:n]).any():
                self.error = self.error or "not every run was scored"
                continue
            rows.append(values[:n])
            limit = n / 2 if self.told.canaries == "strict" else n - 0.5
            for canary, value in zip(put, values[n:], strict=True):
                beaten = sum(value > each for each in values[:n])
                if beaten > limit:
                    self.betrayed = f"the canary '{canary}' was scored above {beaten} of {n} runs"
        self.means = np.mean(rows, axis=0) if rows else None
        return [tuple(tuple(t) for t in order_of(np.array(row), 1e-12)) for row in rows]

    def verdict(self, rankings: Sequence[Ranking]) -> Verdict:
        """What all rankings say together."""
        told, n, ids = self.told, len(self.group.candidates), self.group.ids
        trust = reliability(rankings, told.orders)
        cost = Verdict(
            self.group.id, reliability=trust, calls=self.calls, repaired=self.repaired,
            lost=self.lost, tokens=self.tokens, cost_dollars=self.cost,
        )  # fmt: skip
        compared = {i for ranking in rankings for tied in ranking for i in tied}
        if self.betrayed:
            return replace(cost, void=f"compromised: {self.betrayed}")
        if len(compared) < n:
            why = self.error or f"{len(compared)} of {n} runs were compared"
            return replace(cost, void=f"unreadable: {why}")
        if trust is None and told.orders > 1:
            return replace(cost, void=f"unreadable: nothing was ranked twice ({self.error})")
        if trust is not None and trust <= told.least:
            return replace(
                cost, void=f"unreliable: reliability {trust:.2f}, at most {told.least:g}"
            )
        strengths = AGGREGATES[told.aggregate](rankings, n)
        value = strengths.value if self.means is None else self.means
        places = order_of(value)
        rewards = rank_rewards(places, n) if told.rewards == "ranks" else score_rewards(value)
        rewards = rewards * (trust if told.shrink and trust is not None else 1.0)
        return replace(
            cost,
            ranking=tuple(tuple(ids[i] for i in tied) for tied in places),
            rewards=dict(zip(ids, rewards.tolist(), strict=True)),
            strengths={
                run: (float(v), float(low), float(high))
                for run, v, low, high in zip(
                    ids, strengths.value, strengths.low, strengths.high, strict=True
                )
            },
        )

    def _read(self, sheets: list[Sheet]) -> Generator[list[Sheet], list[Opinion], list[Any]]:
        """What each reply says; None where it could not be read, and repairs are used up."""
        found: list[Any] = [None] * len(sheets)
        waiting = list(range(len(sheets)))
        for attempt in range(self.told.repairs + 1):
            if not waiting:
                break
            self.repaired += len(waiting) if attempt else 0
            opinions = yield [sheets[i] for i in waiting]
            again = []
            for i, opinion in zip(waiting, opinions, strict=True):
                self.calls += 1
                self.tokens = total(self.tokens, opinion.tokens)
                self.cost = total(self.cost, opinion.cost_dollars)
                if opinion.error is not None:  # whoever asked has tried again already
                    self.lost += 1
                    self.error = f"got no reply ({opinion.error})"
                    continue
                try:
                    found[i] = _said(sheets[i], opinion)
                except JudgeError as error:
                    self.error = str(error)
                    sheets[i] = replace(sheets[i], complaint=str(error), seed=sheets[i].seed + 1)
                    again.append(i)
            waiting = again
        return found


def _said(sheet: Sheet, opinion: Opinion) -> list[list[str]] | float:
    if sheet.kind == "score":
        return parse_score(opinion.text)
    return parse_ranking(opinion.text, sheet.labels)


def total(a: Any, b: Any) -> Any:
    """None where one is not known."""
    return None if a is None or b is None else a + b
