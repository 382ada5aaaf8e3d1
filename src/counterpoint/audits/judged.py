"""What a judge says about mistakes, beside labels, our own ranking, and the judge itself.

`JudgedTally` takes the judgements of `counterpoint.judge.mistakes` and the episodes that they are
about, one by one, and makes a `JudgeReport`. A judge is worth listening to only if it agrees with
people more often than what needs no reading: a random member, the first, the last, the busiest.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from counterpoint.audits.across import AGENT, STEP, place, truth
from counterpoint.audits.attribution import candidates
from counterpoint.audits.base import FEWEST, MANY, quote
from counterpoint.judge.mistake_sheet import GROUPS, MODES
from counterpoint.judge.mistakes import Judgement, Judging
from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND, Case, Episode, Json
from counterpoint.results.judged import JudgeAgreement, JudgedEpisode, JudgeReport, ModeShare
from counterpoint.stats import wilson_interval

LABELS, RANKING, ITSELF = "labels", "ranking", "itself"
"""With whom a judge is compared: people's labels, `attribution.candidates`, another order."""
LEVEL = 0.025
"""The probability by which chance alone may be above a guess: half of that outside an interval."""
MEMBER, EVENT, MODE, GROUP = "member", "event", "mode", "group"


@dataclass(frozen=True)
class _Pair:
    """An answer of the judge about one episode, and the answers that agree with it."""

    answer: str | int | None
    right: frozenset[str | int]
    baselines: Mapping[str, float]
    """Name to how often a guess without reading agrees, from 0 to 1."""


class JudgedTally:
    """Compares the judgements with the episodes.

    Args:
        judging: what a judge says about the log.
    """

    def __init__(self, judging: Judging) -> None:
        self.judging = judging
        self.episodes: list[JudgedEpisode] = []
        self.modes: Counter[str] = Counter()
        self.pairs: defaultdict[tuple[str, str], list[_Pair]] = defaultdict(list)

    def add(self, episode: Episode) -> Case | None:
        """Takes an episode; returns the case that a judge sees in it, if it names an event."""
        judgement = self.judging.judgements.get(episode.id)
        if judgement is None:
            return None
        if len(episode.events) != judgement.events:  # another program has written to the log
            judgement = replace(judgement, replies=(), void="the episode has changed since")
        mistake = judgement.mistake
        event = None if mistake.event is None else episode.events[mistake.event]
        self.episodes.append(JudgedEpisode(
            episode=episode.id, **asdict(mistake), quote=quote(event.text) if event else "",
            void=judgement.void, calls=judgement.calls, repaired=judgement.repaired,
            tokens=judgement.tokens, cost_dollars=judgement.cost_dollars,
            cut_characters=judgement.cut_characters, left_out_events=judgement.left_out_events,
            unseen_parts=judgement.unseen_parts, unseen_reasoning=judgement.unseen_reasoning,
        ))  # fmt: skip
        if not judgement.void:
            self._compare(episode, judgement)
        if event is None:
            return None
        what = "a judge says: the decisive mistake"
        what += f", {mistake.mode} {MODES[mistake.mode]}" if mistake.mode else ""
        return Case(episode.id, event.t, event.agent, quote(event.text), 1.0, what)

    def _compare(self, episode: Episode, judgement: Judgement) -> None:
        mistake, members = judgement.mistake, set(episode.agents)
        steps = [event for event in episode.events if event.agent in members]
        ranked = candidates(episode)
        acts = Counter(event.agent for event in steps)
        likely = max(ranked, key=lambda one: (one.agent_probability, one.probability))
        agents = {"first": steps[0].agent, "last": steps[-1].agent,
                  "busiest": acts.most_common(1)[0][0], "ranking": likely.agent}  # fmt: skip
        places = {"first": steps[0].t, "last": steps[-1].t, "ranking": ranked[0].event}
        options = [event.t for event in steps]
        other = judgement.replies[1] if len(judgement.replies) > 1 else None
        one = judgement.replies[0]

        def pair(
            reference: str, what: str, answer: str | int | None, right: Json | None,
            guesses: Mapping[str, str | int], options: Collection[str | int],
        ) -> None:  # fmt: skip
            if isinstance(right, str | int):
                baselines = {"random": (right in options) / len(options)} | {
                    name: float(guess == right)
                    for name, guess in guesses.items()
                    if name != reference
                }
                self.pairs[reference, what].append(_Pair(answer, frozenset([right]), baselines))

        if len(acts) > 1:
            label = episode.labels.get(AGENT)
            label = label if isinstance(label, str) else None
            pair(LABELS, MEMBER, mistake.agent, label, agents, acts)
            pair(RANKING, MEMBER, mistake.agent, likely.agent, agents, acts)
            if other:
                pair(ITSELF, MEMBER, one.agent, other.agent, {}, acts)
        step = place(episode.labels.get(STEP))
        pair(LABELS, EVENT, mistake.event, step, places, options)
        pair(RANKING, EVENT, mistake.event, ranked[0].event, places, options)
        if other:
            pair(ITSELF, EVENT, one.event, other.event, {}, options)
        if mistake.mode:
            self.modes[mistake.mode] += 1
        self._modes(LABELS, mistake.mode, labelled_modes(episode.labels))
        if other:
            self._modes(ITSELF, one.mode, frozenset([other.mode] if other.mode else []))

    def _modes(self, reference: str, answer: str | None, right: frozenset[str]) -> None:
        """Compares modes, and their groups, with those that are right; nothing if none is."""
        if right:
            groups = frozenset(map(group_of, right))
            group = group_of(answer) if answer else None
            self.pairs[reference, MODE].append(
                _Pair(answer, right, {"random": len(right) / len(MODES)})
            )
            self.pairs[reference, GROUP].append(
                _Pair(group, groups, {"random": len(groups) / len(GROUPS)})
            )

    def report(self) -> JudgeReport:
        """Returns the judgements, their modes, and with whom they agree how often."""
        judging, n = self.judging, self.modes.total()
        modes = [
            ModeShare(mode=mode, meaning=meaning, group=group_of(mode), episodes=self.modes[mode],
                      share=share.value, low=share.low, high=share.high)
            for mode, meaning in MODES.items() if n
            for share in [wilson_interval(self.modes[mode], n)]
        ]  # fmt: skip
        return JudgeReport(
            judge=dict(judging.facts),
            settings=asdict(judging.settings),
            episodes=self.episodes,
            modes=sorted(modes, key=lambda row: (-row.episodes, row.mode)),
            agreements=[
                _agreement(reference, what, self.pairs[reference, what])
                for reference in (LABELS, RANKING, ITSELF)
                for what in (MEMBER, EVENT, MODE, GROUP)
                if (reference, what) in self.pairs
            ],
            void=sum(bool(each.void) for each in self.episodes),
            calls=judging.calls,
            asked_now=judging.asked_now,
            repaired=sum(each.repaired for each in self.episodes),
            lost=judging.lost,
            tokens=judging.tokens,
            cost_dollars=judging.cost_dollars,
            beyond=judging.beyond,
            unasked=judging.unasked,
            stopped=judging.stopped,
        )


def group_of(mode: str) -> str:
    """Returns the group of a failure mode."""
    return GROUPS[mode[len("FM-")]]


def labelled_modes(labels: Mapping[str, Json]) -> frozenset[str]:
    """Returns the failure modes that labels of MAST, such as `1.3 Step repetition`, hold true."""
    named = ((f"FM-{name.split(' ')[0]}", value) for name, value in labels.items())
    return frozenset(mode for mode, value in named if mode in MODES and truth(value))


def _agreement(reference: str, what: str, pairs: list[_Pair]) -> JudgeAgreement:
    known = [pair for pair in pairs if pair.answer is not None]
    agree = sum(pair.answer in pair.right for pair in known)
    if not known:
        return JudgeAgreement(reference=reference, what=what, judged=len(pairs), n=0, agree=0,
                              share=None, low=None, high=None, baselines={})  # fmt: skip
    n, share = len(known), wilson_interval(agree, len(known))
    baselines = {
        name: float(np.mean([pair.baselines[name] for pair in known]))
        for name in known[0].baselines
    }
    kappa = None
    if what in (MODE, GROUP):
        right = Counter(each for pair in known for each in pair.right)
        answers = Counter(pair.answer for pair in known)
        baselines["commonest"] = max(right.values()) / n
        chance = sum(answers[each] * times for each, times in right.items()) / n**2
        kappa = (share.value - chance) / (1 - chance) if chance < 1 else None
    best = max(baselines.values())
    is_better = share.low > best and (n > MANY or _at_least(agree, n, best) <= LEVEL)
    verdict = FOUND if is_better else NOT_FOUND if share.high <= best else CANNOT_TELL
    verdict = CANNOT_TELL if n < FEWEST else verdict
    return JudgeAgreement(reference=reference, what=what, judged=len(pairs), n=n, agree=agree,
                          share=share.value, low=share.low, high=share.high, baselines=baselines,
                          kappa=kappa, verdict=verdict)  # fmt: skip


def _at_least(hits: int, n: int, p: float) -> float:
    """Returns the binomial probability of so many hits or more: Wilson's interval is too narrow for
    few episodes."""
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(hits, n + 1))
