"""What a language model makes of a peer's answer: two-choice items, read by likelihoods.

Each item asks which of two words names a thing of a kind. A model answers alone, beside a peer that
is right, beside one that is wrong, and beside a sentence that has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.claims.base import SEEDS, ClaimPlan, outcome
from counterpoint.results.claims import Outcome
from counterpoint.speakers.named import local_speaker
from counterpoint.speakers.speaker import Message, Request

MODEL = "smollm2"
ITEMS = 8
"""Items of a seed."""
KINDS = {
    "an animal": ("dog", "horse", "rabbit", "tiger", "goat", "bee", "lion", "sheep"),
    "a fruit": ("apple", "banana", "cherry", "grape", "lemon", "peach", "plum", "mango"),
    "a tool": ("hammer", "saw", "drill", "wrench", "axe", "shovel", "rake", "chisel"),
    "a country": ("France", "Japan", "Brazil", "Egypt", "Canada", "Norway", "Kenya", "Peru"),
}
PROMPTS = {
    "plain": "You answer questions with one word.",
    "careful": "You are an expert who trusts nobody. You answer questions with one word.",
}
BESIDE: Mapping[str, Callable[[str, str], str]] = {
    "alone": lambda right, wrong: "",
    "beside a right peer": lambda right, wrong: f"Your colleague answers: {right}.\n",
    "beside a wrong peer": lambda right, wrong: f"Your colleague answers: {wrong}.\n",
    "beside an irrelevant sentence": lambda right, wrong: "Your colleague had tea.\n",
}
"""What stands before the question."""


def chances(plan: ClaimPlan, progress: Callable[[float], None]) -> dict[str, dict[str, Floats]]:
    """Returns prompt and company to the probability of the right word, [seeds, items].

    Raises:
        ModelError: the model is not on this machine.
        MissingPackageError: torch is not installed.
    """
    from counterpoint.speakers.local import LocalSpeaker  # torch is imported on use

    speaker = local_speaker(MODEL)
    assert isinstance(speaker, LocalSpeaker)
    seeds = plan.seeds[:SEEDS]
    found = {name: {said: np.zeros((len(seeds), ITEMS)) for said in BESIDE} for name in PROMPTS}
    for s, seed in enumerate(seeds):
        rng = np.random.default_rng([seed, 7])
        for i in range(ITEMS):
            kind, other = (str(one) for one in rng.choice(list(KINDS), 2, replace=False))
            right, wrong = str(rng.choice(KINDS[kind])), str(rng.choice(KINDS[other]))
            words = (right, wrong) if rng.random() < 0.5 else (wrong, right)
            for name, prompt in PROMPTS.items():
                for said, company in BESIDE.items():
                    ask = f"{company(right, wrong)}Which is {kind}: {words[0]} or {words[1]}?"
                    messages = (Message("system", prompt), Message("user", ask))
                    request = Request(messages, words=words, max_tokens=4)
                    chosen = speaker.probabilities(request)[words.index(right)]
                    found[name][said][s, i] = chosen
        progress((s + 1) / len(seeds))
    return found


def language_outcomes(plan: ClaimPlan, progress: Callable[[float], None]) -> list[Outcome]:
    """Returns how often a model is right alone and in company, and how often the errors of one
    are repeated by a second one of the same prompt or of another, with the intervals over seeds."""
    found = chances(plan, progress)
    rows = []
    for name, of_prompt in found.items():
        alone, right, wrong, other = (of_prompt[said].mean(axis=1) for said in BESIDE)
        rows += [
            outcome(f"{MODEL}, {name}, alone", alone),
            outcome(f"{MODEL}, {name}, beside an irrelevant sentence", other),
            outcome(f"{MODEL}, {name}, right peer minus irrelevant sentence", right - other),
            outcome(f"{MODEL}, {name}, wrong peer minus irrelevant sentence", wrong - other),
        ]
    for first in PROMPTS:
        for second in PROMPTS:
            errs = 1 - found[first]["alone"]  # the chance that the first one is wrong, by item
            repeats = 1 - found[second]["beside a wrong peer"]
            unread = 1 - found[second]["alone"]
            weight = errs.sum(axis=1)
            said = f"{MODEL}, errors of {first} repeated by {second}"
            rows += [
                outcome(f"{said}, who reads them", (errs * repeats).sum(axis=1) / weight),
                outcome(f"{said}, alone", (errs * unread).sum(axis=1) / weight),
            ]
    return rows
