"""Episodes with answers, rewards and times, and tables of outcomes: planted, and clean twins.

`make(failure, strength, seed)` yields episodes and outcomes; strength 0 is the clean twin.
"""

from __future__ import annotations

import numpy as np
from planted_logs import WORDS

from counterpoint.records import Episode, Event, Outcome

LETTERS = "ABCD"


def make(failure, strength, seed, n=40):
    return globals()[failure](np.random.default_rng(seed), strength, n)


def _episode(name, told, **more):
    events = tuple(Event(t, **each) for t, each in enumerate(told))
    agents = tuple(dict.fromkeys(event.agent for event in events))
    return Episode(name, events, agents, **more)


def concession(rng, strength, n):
    """Two differ, talk, and one takes the other's answer: for nothing, or after an argument."""
    found = []
    for i in range(n):
        a, b = rng.choice(list(LETTERS), 2, replace=False)
        argument = " ".join(rng.choice(WORDS, 15))
        said = "I still think so." if rng.random() < strength else argument
        found.append(_episode(f"e{i}", [
            {"agent": "ann", "kind": "answer", "text": f"It is {a}.", "answer": a},
            {"agent": "bob", "kind": "answer", "text": f"It is {b}.", "answer": b},
            {"agent": "ann", "kind": "message", "text": said},
            {"agent": "bob", "kind": "answer", "text": f"It is {a}.", "answer": a},
        ]))  # fmt: skip
    return found, []


def reward_loop(rng, strength, n):
    """Points for ever new things; or for the same thing, over and over."""
    found = []
    for i in range(n):
        loops = rng.random() < strength
        told = []
        for t in range(12):
            text = "hit buoy 3" if loops and t > 2 else f"pass gate {t}"
            told.append({"agent": "ann", "kind": "action", "text": text, "reward": {"proxy": 1.0}})
        found.append(_episode(f"e{i}", told))
    return found, []


def held_out_gap(rng, strength, n):
    """Visible checks pass and held-out ones do not, in a share of episodes."""
    found = []
    for i in range(n):
        passed = float(rng.random() < 0.7)
        held = passed if rng.random() >= strength else 0.0
        if rng.random() < 0.1:  # either may be the one that fails
            passed, held = (1.0, 0.0) if rng.random() < 0.5 else (0.0, 1.0)
        found.append(_episode(f"e{i}", [
            {"agent": "ann", "kind": "end", "reward": {"visible": passed, "held_out": held}},
        ]))  # fmt: skip
    return found, []


def _training(rng, strength, n):
    """Proxy and truth rise together, and from the middle on the truth falls by so much."""
    found = []
    for i in range(n):
        skill = rng.normal()
        late = max(0, i - n // 2) / (n // 2)
        proxy = 2 * i / n + skill
        true = 2 * i / n + skill - strength * 6 * late + 0.3 * rng.normal()
        told = [{"agent": "ann", "kind": "end", "reward": {"proxy": proxy, "true": true}}]
        found.append(_episode(f"e{i}", told))
    return found, []


def proxy_gap(rng, strength, n):
    return _training(rng, strength, 2 * n)


goodhart_point = cusum = proxy_gap


def serial_share(rng, strength, n):
    """One agent, or eight that all wait for one lock for so much of their work."""
    found = []
    for i in range(n):
        size = 8 if i % 2 else 1
        speed = 1 / (strength + (1 - strength) / size)
        told, now = [], 0.0
        for t in range(24):
            now += float(rng.exponential(1 / speed))
            told.append({"agent": f"agent_{t % size}", "kind": "action", "text": f"step {t}",
                         "seconds": now})  # fmt: skip
        found.append(_episode(f"e{i}", told))
    return found, []


def _answers(rng, strength, n, spoil):
    """Members answer alone, then together; `spoil` says what becomes of differing answers."""
    found, outcomes = [], []
    for i in range(n):
        gold = str(rng.choice(list(LETTERS)))
        alone = {who: gold if rng.random() < 0.6 else str(rng.choice(list(LETTERS)))
                 for who in ("ann", "bob", "eve")}  # fmt: skip
        for who, answer in alone.items():
            outcomes.append(Outcome(f"t{i}", "isolated", (who,), float(answer == gold),
                                    answer=answer))  # fmt: skip
        together = spoil(alone, gold) if rng.random() < strength else dict(alone)
        found.append(_episode(f"e{i}", [
            {"agent": who, "kind": "answer", "text": answer, "answer": answer}
            for who, answer in together.items()
        ], task=f"t{i}", meta={"gold": gold}))  # fmt: skip
    return found, outcomes


def flips_to_wrong(rng, strength, n):
    wrong = {letter: LETTERS[(i + 1) % 4] for i, letter in enumerate(LETTERS)}
    return _answers(rng, strength, n, lambda alone, gold: dict.fromkeys(alone, wrong[gold]))


disagreement_collapse = flips_to_wrong


def excess_agreement(rng, strength, n):
    return _answers(rng, strength, n, lambda alone, gold: dict.fromkeys(alone, alone["ann"]))


def necessity(rng, strength, n):
    """A team of three and the same without one, whose absence costs 1 - strength of success."""
    outcomes = []
    for i in range(n):
        for who, lost in ((("a", "b", "c"), 0.0), (("a", "b"), 1 - strength), (("b", "c"), 1.0),
                          (("a", "c"), 1.0)):  # fmt: skip
            score = max(0.0, 0.9 - 0.5 * lost * float(rng.random() < 0.8))
            outcomes.append(Outcome(f"t{i}", "team", who, score))
    return [], outcomes


def _members(rng, n, team):
    outcomes = []
    for i in range(n):
        scores = {"a": float(rng.random() < 0.7), "b": float(rng.random() < 0.5)}
        for who, score in scores.items():
            outcomes.append(Outcome(f"t{i}", "isolated", (who,), score))
        outcomes.append(Outcome(f"t{i}", "team", ("a", "b"), team(scores)))
        outcomes.append(Outcome(f"t{i}", "solo", ("s",), float(rng.random() < 0.7)))
    return [], outcomes


def team_minus_mean(rng, strength, n):
    """A team that follows its better member, but fails in a share of tasks."""
    return _members(rng, n, lambda scores: 0.0 if rng.random() < strength else scores["a"])


team_minus_best = team_minus_solo = selection_efficiency = retention = team_minus_mean


def team_size(rng, strength, n):
    """Two are as good as six, or better by so much."""
    return [], [
        Outcome(f"t{i}", "team", tuple("abcdef"[: 6 if i % 2 else 2]),
                float(rng.random() < (0.9 * (1 - strength) if i % 2 else 0.9)))
        for i in range(2 * n)
    ]  # fmt: skip


PLANTED = {
    "agreement": ("concession", "excess_agreement", "flips_to_wrong", "disagreement_collapse"),
    "hacking": ("reward_loop", "held_out_gap", "proxy_gap", "goodhart_point", "cusum"),
    "coordination": ("serial_share", "retention", "team_size"),
    "idleness": ("necessity",),
    "worth": ("team_minus_mean", "team_minus_best", "team_minus_solo", "selection_efficiency"),
}
"""Audit to its findings that are planted here."""
