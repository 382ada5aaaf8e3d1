"""Groups to be judged."""

from __future__ import annotations

import numpy as np

from counterpoint.judge import Candidate, Group
from counterpoint.records import Episode, Event


def run(name, text, truth, agents=("a",)):
    events = tuple(Event(t, agent, "message", text) for t, agent in enumerate(agents))
    return Candidate(name, Episode(name, events, tuple(agents)), truth)


def group(texts, truths=None, name="g"):
    truths = range(len(texts)) if truths is None else truths
    runs = (run(f"r{i}", text, t) for i, (text, t) in enumerate(zip(texts, truths, strict=True)))
    return Group(name, "say something", tuple(runs))


def drawn(count, n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        group([f"answer {i}" for i in range(n)], rng.random(n).tolist(), f"g{k}")
        for k in range(count)
    ]
