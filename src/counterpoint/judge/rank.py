"""Groups in, verdicts out: `rank_groups` asks a judge about many groups side by side. Start there.

What was asked once is never asked again: replies and verdicts are kept in one SQLite file, under a
key of everything that decides them, so that a job that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import numpy as np

from counterpoint.errors import JudgeError
from counterpoint.judge.asked import Asking, ranked, total
from counterpoint.judge.group import Candidate, Group
from counterpoint.judge.judges import Judge, Opinion
from counterpoint.judge.present import Sheet
from counterpoint.judge.settings import RankSettings
from counterpoint.judge.verdict import Verdict
from counterpoint.speakers.replies import Replies, StoredReply

_FORMAT = "counterpoint.verdict/1"


def rank_groups(
    groups: Iterable[Group],
    judge: Judge,
    settings: RankSettings | None = None,
    *,
    store: Replies | None = None,
) -> Iterator[Verdict]:
    """A verdict for each group, in their order.

    Args:
        groups: what is judged; they are taken as they are needed.
        judge: who judges.
        settings: what it is asked.
        store: where replies and verdicts are kept; None keeps nothing.

    Raises:
        CounterpointError: the judge cannot be used, or cannot judge such runs. What goes wrong with
            single replies is in the verdict.
    """
    told, source = settings or RankSettings(), iter(groups)
    line: deque[_Case] = deque()
    while True:
        new = list(islice(source, judge.at_once - len(line)))
        keys = [_key(judge, told, group) for group in new]
        known = store.read(set(keys)) if store else {}
        for key, group in zip(keys, new, strict=True):
            kept = known.get(key)
            line.append(_Case(key, _judged(group, told), _verdict(kept.text) if kept else None))
        if not line:
            return
        finished = _ask(judge, [case for case in line if case.verdict is None], store)
        if store and finished:
            store.write(
                {
                    case.key: _kept(case.verdict)
                    for case in finished
                    if case.verdict and not case.verdict.lost
                }
            )
        while line and line[0].verdict is not None:
            yield line.popleft().verdict  # type: ignore[misc]


class _Case:
    """A group under way: `sheets` wait for opinions until there is a `verdict`."""

    def __init__(self, key: str, asking: Asking, known: Verdict | None) -> None:
        self.key, self.asking, self.verdict = key, asking, known
        self.sheets: list[Sheet] = []
        if known is None:
            self.go(None)

    def go(self, opinions: list[Opinion] | None) -> None:
        """Take opinions on the sheets, and find the next ones or the verdict."""
        try:
            self.sheets = next(self.asking) if opinions is None else self.asking.send(opinions)
        except StopIteration as done:
            self.sheets, self.verdict = [], done.value


def _ask(judge: Judge, cases: Sequence[_Case], store: Replies | None) -> list[_Case]:
    """One round: every sheet that waits is answered, from the store where it is there.

    Returns: the cases that have a verdict now.
    """
    sheets = [sheet for case in cases for sheet in case.sheets]
    keys = [_digest([_FORMAT, dict(judge.facts), s.kind, s.prompt, s.seed]) for s in sheets]
    known = store.read(set(keys)) if store else {}
    new = [i for i, key in enumerate(keys) if key not in known]
    found: dict[int, Opinion] = {}
    for first in range(0, len(new), judge.at_once):
        some = new[first : first + judge.at_once]
        said = dict(zip(some, judge.judge([sheets[i] for i in some]), strict=True))
        found |= said
        if store:
            store.write({keys[i]: _reply(each) for i, each in said.items() if each.error is None})
    told = [found[i] if i in found else Opinion(*json.loads(known[key].text))
            for i, key in enumerate(keys)]  # fmt: skip
    for case in cases:
        mine, told = told[: len(case.sheets)], told[len(case.sheets) :]
        if case.sheets:
            case.go(mine)
    return [case for case in cases if case.verdict is not None]


def _judged(group: Group, settings: RankSettings) -> Asking:
    """The verdict on a group: of its runs, of the agents in each, or of both."""
    rng = np.random.default_rng([settings.seed, *_digest_numbers(group.id)])
    found = Verdict(group.id)
    if settings.credit != "agents":
        found = yield from ranked(group, settings, rng)
    if settings.credit != "team" and not found.void:
        agents = {}
        for run in group.candidates:
            inner = yield from ranked(_members(group, run), settings, rng)
            found = replace(
                found,
                calls=found.calls + inner.calls,
                repaired=found.repaired + inner.repaired,
                lost=found.lost + inner.lost,
                tokens=total(found.tokens, inner.tokens),
                cost_dollars=total(found.cost_dollars, inner.cost_dollars),
            )
            if inner.void:
                return replace(found, ranking=(), rewards={}, strengths={},
                               void=f"the agents of run '{run.id}': {inner.void}")  # fmt: skip
            agents[run.id] = inner.rewards
        found = replace(found, agents=agents)
    return found


def _members(group: Group, run: Candidate) -> Group:
    """The agents of a run as candidates: what each said and did."""
    episode = run.episode
    parts = tuple(
        Candidate(
            agent,
            replace(episode, events=tuple(e for e in episode.events if e.agent == agent)),
            _number(episode.meta.get("scores", {}).get(agent)),
        )
        for agent in episode.agents
    )
    if not parts:
        raise JudgeError(f"got run '{run.id}' without agents; wanted some to be ranked")
    return Group(f"{group.id}/{run.id}", f"{group.task}\nWhat each member did for it.", parts)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _key(judge: Judge, settings: RankSettings, group: Group) -> str:
    """Of everything that decides a verdict."""
    runs = [
        [c.id, c.truth, [[e.agent, e.kind, e.text, list(e.to)] for e in c.episode.events]]
        for c in group.candidates
    ]
    return _digest([_FORMAT, dict(judge.facts), asdict(settings), group.id, group.task, runs])


def _digest(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _digest_numbers(name: str) -> list[int]:
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return [int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4)]


def _reply(opinion: Opinion) -> StoredReply:
    told = [opinion.text, opinion.tokens, opinion.cost_dollars]
    return StoredReply(json.dumps(told), None, None)


def _kept(verdict: Verdict) -> StoredReply:
    return StoredReply(json.dumps(asdict(verdict)), None, None)


def _verdict(text: str) -> Verdict:
    """A verdict as it was kept."""
    told = json.loads(text)
    told["ranking"] = tuple(tuple(tied) for tied in told["ranking"])
    told["strengths"] = {run: tuple(each) for run, each in told["strengths"].items()}
    return Verdict(**told)
