"""Groups in, verdicts out: `rank_groups` asks a judge about many groups side by side. Start there.

`rank_all` does so for a whole file and counts what it cost. The questions about one group are a
generator that yields sheets and is sent opinions, so that many groups can be asked about at once.
Replies and verdicts are kept in one SQLite file, under a key of everything that decides them: a job
that was killed resumes where it stopped, and nothing is asked twice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import TypeVar

import msgspec
import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Floats
from counterpoint.errors import JudgeError
from counterpoint.judge.aggregate import AGGREGATES, tied_sets
from counterpoint.judge.judges import CountedJudge, Judge, Opinion, parse_ranking, parse_score
from counterpoint.judge.modes import MODES, Ranking, reliability
from counterpoint.judge.opinions import FORMAT, answered, as_stored, digest
from counterpoint.judge.present import (
    CANARIES,
    TWIN,
    Candidate,
    Group,
    Presenter,
    Sheet,
    rng_for,
)
from counterpoint.judge.reading import combined, thinking_of, unseen_total
from counterpoint.judge.verdict import (
    RankSettings,
    Verdict,
    broken_canary,
    rank_rewards,
    score_rewards,
    without_canaries,
)
from counterpoint.results.ranking import RankedGroup, RankingResult, Strength, Unseen
from counterpoint.speakers.cache import Replies
from counterpoint.speakers.speaker import sum_known

Judging = Generator[list[Sheet], list[Opinion], Verdict]
T = TypeVar("T")


def rank_groups(
    groups: Iterable[Group],
    judge: Judge,
    settings: RankSettings | None = None,
    *,
    store: Replies | None = None,
) -> Iterator[Verdict]:
    """Yields a verdict for each group, in their order.

    Args:
        groups: taken one by one, as they are needed.
        judge: ranks or scores the candidates.
        settings: what the judge is asked.
        store: keeps replies and verdicts; None keeps nothing.

    A judge that refuses a question for a reason that holds for all (a wrong key, a server that is
    not there) is not asked any more: the groups that it was not asked about are void.

    Raises:
        CounterpointError: the judge cannot be used, or cannot judge such runs. A reply that fails
            makes a verdict without rewards instead.
    """
    settings, source = settings or RankSettings(), iter(groups)
    judge = judge if isinstance(judge, CountedJudge) else CountedJudge(judge)
    line: deque[_PendingGroup] = deque()
    while True:
        new = list(islice(source, judge.at_once - len(line)))
        keys = [_verdict_key(judge, settings, group) for group in new]
        stored = store.read_values(set(keys), Verdict) if store else {}
        for key, group in zip(keys, new, strict=True):
            line.append(_PendingGroup(key, _judging(group, settings), stored.get(key)))
        if not line:
            return
        finished = _answer_round(judge, [each for each in line if each.verdict is None], store)
        if store:
            # A question without any reply may fail for a passing reason: such a verdict is not
            # kept, so that the next job asks again.
            store.write(
                {
                    each.key: as_stored(msgspec.to_builtins(each.verdict))
                    for each in finished
                    if each.verdict and not each.verdict.lost
                }
            )
        while line and (verdict := line[0].verdict) is not None:
            line.popleft()
            yield verdict


class _PendingGroup:
    """A group whose `sheets` wait for opinions until there is a `verdict`."""

    def __init__(self, key: str, judging: Judging, verdict: Verdict | None) -> None:
        self.key, self.judging, self.verdict = key, judging, verdict
        self.sheets: list[Sheet] = []
        if verdict is None:
            self.advance(None)

    def advance(self, opinions: list[Opinion] | None) -> None:
        """Takes opinions on the sheets, and sets the next sheets or the verdict."""
        try:
            self.sheets = next(self.judging) if opinions is None else self.judging.send(opinions)
        except StopIteration as done:
            self.sheets, self.verdict = [], done.value


def _answer_round(
    judge: Judge, pending: Sequence[_PendingGroup], store: Replies | None
) -> list[_PendingGroup]:
    """Gets an opinion on every sheet that waits, from the store if it is there.

    Returns: the groups that have a verdict now.
    """
    sheets = [sheet for group in pending for sheet in group.sheets]
    opinions: dict[int, Opinion] = {}
    for part, _ in answered(judge, sheets, store):
        opinions |= part
    answers = iter(opinions[i] for i in range(len(sheets)))
    for group in pending:
        if group.sheets:
            group.advance(list(islice(answers, len(group.sheets))))
    return [group for group in pending if group.verdict is not None]


def _judging(group: Group, settings: RankSettings) -> Judging:
    """Returns the verdict on a group: on its runs, on the agents in each run, or on both."""
    rng = rng_for(settings.seed, group.id)
    verdict = Verdict(group.id)
    if settings.credit != "agents":
        verdict = yield from _rank_candidates(group, settings, rng)
    if settings.credit != "team" and not verdict.void:
        agents, unseen = {}, dict(verdict.unseen)
        for run in group.candidates:
            inner = yield from _rank_candidates(_agents_of(group, run), settings, rng)
            verdict = replace(
                verdict,
                calls=verdict.calls + inner.calls,
                repaired=verdict.repaired + inner.repaired,
                lost=verdict.lost + inner.lost,
                tokens=sum_known(verdict.tokens, inner.tokens),
                cost_dollars=sum_known(verdict.cost_dollars, inner.cost_dollars),
            )
            if inner.void:
                return replace(verdict, ranking=(), rewards={}, strengths={},
                               void=f"the agents of run '{run.id}': {inner.void}")  # fmt: skip
            agents[run.id] = inner.rewards
            if settings.credit == "agents" and inner.unseen:
                unseen[run.id] = combined(list(inner.unseen.values()))
        verdict = replace(verdict, agents=agents, unseen=unseen)
    return verdict


def _agents_of(group: Group, run: Candidate) -> Group:
    """Returns the agents of a run as candidates, each with its own events."""
    episode = run.episode
    agents = []
    for agent in episode.agents:
        events = tuple(event for event in episode.events if event.agent == agent)
        truth = episode.scores.get(agent)
        own = replace(episode, events=events)
        agents.append(Candidate(agent, own, truth, definitions=run.definitions))
    if not agents:
        raise JudgeError(f"got run '{run.id}' without agents; wanted some to be ranked")
    return Group(f"{group.id}/{run.id}", f"{group.task}\nWhat each member did for it.",
                 tuple(agents))  # fmt: skip


def _rank_candidates(group: Group, settings: RankSettings, rng: np.random.Generator) -> Judging:
    """Asks about the candidates of a group, and returns the verdict."""
    n = len(group.candidates)
    if n < 2:
        return Verdict(group.id, void="one run alone cannot be ranked")
    presenter = Presenter(group, rng, settings.criteria, settings.longest, settings.reasoning)
    unseen = {run: each for run, each in zip(group.ids, presenter.reading.unseen, strict=True)
              if each != Unseen(characters=each.characters)}  # fmt: skip
    if presenter.reading.void:
        return Verdict(group.id, void=presenter.reading.void, unseen=unseen)
    questions = _Questions(presenter, settings)
    if settings.mode == "pointwise":
        rankings = yield from questions.scores(n)
    else:
        mode = MODES[settings.mode](n, settings.orders, settings.calls, rng)
        rankings = []
        orders = next(mode)
        while orders:
            new = yield from questions.rankings(orders, settings.mode == "listwise")
            rankings += [each for each in new if each is not None]
            try:
                orders = mode.send(new)
            except StopIteration:
                break
        if settings.mode != "listwise" and settings.canaries != "none":
            yield from questions.canary_pairs(n)
    return replace(questions.verdict(rankings), unseen=unseen)


class _Questions:
    """The questions about one group, and what they cost."""

    def __init__(self, presenter: Presenter, settings: RankSettings) -> None:
        self.presenter, self.settings, self.group = presenter, settings, presenter.group
        self.calls = self.repaired = self.lost = 0
        self.tokens: int | None = 0
        self.cost: float | None = 0.0
        self.betrayed = self.error = ""
        self.means: Floats | None = None

    def rankings(
        self, orders: Sequence[Sequence[int]], canaries: bool
    ) -> Generator[list[Sheet], list[Opinion], list[Ranking | None]]:
        """Returns the ranking of each order; None if its reply could not be read."""
        added = () if self.settings.canaries == "none" or not canaries else (*CANARIES, TWIN)
        sheets = [self.presenter.sheet("ranking", order, added) for order in orders]
        replies = yield from self._read(sheets, _read_ranking)
        rankings: list[Ranking | None] = []
        for sheet, reply in zip(sheets, replies, strict=True):
            if reply is not None and added:
                strict = self.settings.canaries == "strict"
                self.betrayed = self.betrayed or broken_canary(sheet, reply, strict)
            rankings.append(None if reply is None else without_canaries(sheet, reply))
        return rankings

    def canary_pairs(self, n: int) -> Generator[list[Sheet], list[Opinion], None]:
        """Asks twice about each canary and a random run: the canary must not win both times."""
        rng = self.presenter.rng
        for canary in CANARIES:
            sheets = [self.presenter.sheet("ranking", [int(rng.integers(n))], [canary])
                      for _ in range(2)]  # fmt: skip
            replies = yield from self._read(sheets, _read_ranking)
            wins = ["" if reply is None else broken_canary(sheet, reply, strict=False)
                    for sheet, reply in zip(sheets, replies, strict=True)]  # fmt: skip
            if all(wins):
                self.betrayed = self.betrayed or f"{wins[0]}, twice"

    def scores(self, n: int) -> Generator[list[Sheet], list[Opinion], list[Ranking]]:
        """Asks about each run alone, `orders` times; returns the rankings by score."""
        rows = []
        added = () if self.settings.canaries == "none" else tuple(CANARIES)
        for _ in range(self.settings.orders):
            sheets = [self.presenter.sheet("score", [i]) for i in range(n)]
            sheets += [self.presenter.sheet("score", [], [canary]) for canary in added]
            replies = yield from self._read(sheets, lambda sheet, text: parse_score(text))
            values = [np.nan if reply is None else reply for reply in replies]
            if np.isnan(values[:n]).any():
                self.error = self.error or "not every run was scored"
                continue
            rows.append(values[:n])
            limit = n / 2 if self.settings.canaries == "strict" else n - 0.5
            for canary, value in zip(added, values[n:], strict=True):
                beaten = sum(value > each for each in values[:n])
                if beaten > limit:
                    self.betrayed = f"the canary '{canary}' was scored above {beaten} of {n} runs"
        self.means = np.mean(rows, axis=0) if rows else None
        return [tuple(tuple(t) for t in tied_sets(np.array(row), 1e-12)) for row in rows]

    def verdict(self, rankings: Sequence[Ranking]) -> Verdict:
        """Returns the verdict of all rankings together."""
        settings, n, ids = self.settings, len(self.group.candidates), self.group.ids
        trust = reliability(rankings, settings.orders)
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
        if trust is None and settings.orders > 1:
            return replace(cost, void=f"unreadable: nothing was ranked twice ({self.error})")
        if trust is not None and trust <= settings.least:
            return replace(
                cost, void=f"unreliable: reliability {trust:.2f}, at most {settings.least:g}"
            )
        strengths = AGGREGATES[settings.aggregate](rankings, n)
        value = strengths.value if self.means is None else self.means
        places = tied_sets(value)
        rewards = rank_rewards(places, n) if settings.rewards == "ranks" else score_rewards(value)
        rewards = rewards * (trust if settings.shrink and trust is not None else 1.0)
        ends = zip(strengths.value, strengths.low, strengths.high, strict=True)
        return replace(
            cost,
            ranking=tuple(tuple(ids[i] for i in tied) for tied in places),
            rewards=dict(zip(ids, rewards.tolist(), strict=True)),
            strengths={
                run: (float(v), float(low), float(high))
                for run, (v, low, high) in zip(ids, ends, strict=True)
            },
        )

    def _read(
        self, sheets: list[Sheet], parse: Callable[[Sheet, str], T]
    ) -> Generator[list[Sheet], list[Opinion], list[T | None]]:
        """Returns each reply as `parse` reads it; None if no repair made it readable."""
        replies: list[T | None] = [None] * len(sheets)
        waiting = list(range(len(sheets)))
        for attempt in range(self.settings.repairs + 1):
            if not waiting:
                break
            self.repaired += len(waiting) if attempt else 0
            opinions = yield [sheets[i] for i in waiting]
            again = []
            for i, opinion in zip(waiting, opinions, strict=True):
                self.calls += opinion.asked
                self.tokens = sum_known(self.tokens, opinion.tokens)
                self.cost = sum_known(self.cost, opinion.cost_dollars)
                if opinion.error is not None:  # the judge itself has tried again already
                    self.lost += 1
                    self.error = f"got no reply ({opinion.error})"
                    continue
                try:
                    replies[i] = parse(sheets[i], opinion.text)
                except JudgeError as error:
                    self.error = str(error)
                    sheets[i] = replace(sheets[i], complaint=str(error), seed=sheets[i].seed + 1)
                    again.append(i)
            waiting = again
        return replies


def _read_ranking(sheet: Sheet, text: str) -> list[list[str]]:
    return parse_ranking(text, sheet.labels)


def _verdict_key(judge: Judge, settings: RankSettings, group: Group) -> str:
    """Returns a digest of everything that decides a verdict."""
    runs = [
        [c.id, c.truth, list(c.definitions),
         [[e.agent, e.kind, e.text, list(e.to), e.tool, thinking_of(e.meta)]
          for e in c.episode.events]]
        for c in group.candidates
    ]  # fmt: skip
    return digest([FORMAT, dict(judge.facts), asdict(settings), group.id, group.task, runs])


def rank_all(
    groups: Iterable[Group],
    judge: Judge,
    settings: RankSettings,
    *,
    store: Replies | None = None,
    on_group: Callable[[int], object] = lambda count: None,
) -> RankingResult:
    """Returns the verdicts on all groups of a file, in their order, and what they cost.

    Args:
        groups, judge, settings, store: as `rank_groups` takes them.
        on_group: called with the number of groups that have a verdict.

    Raises:
        CounterpointError: the judge cannot be used, or cannot judge such runs.
    """
    counted = CountedJudge(judge)
    ranked: list[RankedGroup] = []
    sizes = 0

    def counting() -> Iterator[Group]:
        nonlocal sizes
        for group in groups:
            sizes += len(group.candidates)
            yield group

    for verdict in rank_groups(counting(), counted, settings, store=store):
        ranked.append(ranked_group(verdict))
        on_group(len(ranked))
    return RankingResult(
        version=__version__,
        judge=dict(judge.facts),
        settings=asdict(settings),
        groups=ranked,
        void=sum(bool(group.void) for group in ranked),
        calls=sum(group.calls for group in ranked),
        asked_now=counted.calls,
        lost=sum(group.lost for group in ranked),
        why_lost=counted.error,
        tokens=sum_known(0, *(group.tokens for group in ranked)),
        cost_dollars=sum_known(0.0, *(group.cost_dollars for group in ranked)),
        unseen=unseen_total(sizes, [each for group in ranked for each in group.unseen.values()]),
    )


def ranked_group(verdict: Verdict) -> RankedGroup:
    """Returns a verdict as a part of a result, in which every number is finite or None."""
    strengths = {}
    for run, ends in verdict.strengths.items():
        value, low, high = (end if math.isfinite(end) else None for end in ends)
        strengths[run] = Strength(value=value, low=low, high=high)
    return RankedGroup(
        group=verdict.group,
        void=verdict.void,
        ranking=[] if verdict.void else [list(tied) for tied in verdict.ranking],
        reliability=verdict.reliability,
        rewards=dict(verdict.rewards),
        strengths=strengths,
        agents={run: dict(rewards) for run, rewards in verdict.agents.items()},
        calls=verdict.calls,
        repaired=verdict.repaired,
        lost=verdict.lost,
        tokens=verdict.tokens,
        cost_dollars=verdict.cost_dollars,
        unseen=dict(verdict.unseen),
    )
