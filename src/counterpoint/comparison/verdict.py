"""What follows from a comparison, in words: can decoupling matter, did it help, what to use.

What to use is decided by `stats.decide`, on the numbers of the document and on nothing else, so
that the page, the terminal and `--json` cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from counterpoint.comparison.pairs import Pair
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.diagnose.recommend import MEANING
from counterpoint.report.pages.comparison.decision_words import (
    decision_sentences,
    headline,
    numbers,
    reading,
)
from counterpoint.report.pages.comparison.result import Comparison, read_comparison

EFFECTS = {"better": "helps", "worse": "hurts", "same": "tie", "unclear": "cannot tell"}
"""Standing of the decoupled scheme against its reference, to the effect of decoupling."""


def verdict(
    document: Mapping[str, Any], pair: Pair, decoupling: Mapping[str, Any]
) -> dict[str, Any]:
    """The verdict of a comparison document.

    Args:
        document: with its `schemes`, `differences` and `seeds`; a verdict in it is not read.
        pair: the reference and its decoupled counterpart.
        decoupling: what the probe of rewards said: verdict and conditions.

    Returns:
        `headline` (at most 15 words), `why` (the numbers and the rule), `recommended` (null where
        nothing can be said) and `decision` (the fields of `stats.Decision`); `decoupling` (no-op,
        matters or cannot tell), `conditions`, `decoupled` (the scheme that decouples the
        reference) and `effect` (helps, hurts, tie where both are equal on every seed, or cannot
        tell: the same rule on that scheme; null where they were not both compared).
    """
    facts = {
        "decoupling": decoupling["verdict"],
        "conditions": list(decoupling["conditions"]),
        "decoupled": pair.decoupled_name,
    }
    result = read_comparison({**document, "verdict": facts})
    effect = effect_of(result, pair)
    sentences = [
        *decision_sentences(result),
        _better_baselines(result),
        _decoupling_sentence(decoupling, pair),
        _effect_sentence(result, pair, effect),
        *_collapse_sentences(document["schemes"]),
    ]
    return {
        **facts,
        "effect": effect,
        "recommended": result.decision.recommended,
        "headline": headline(result),
        "why": " ".join(sentence for sentence in sentences if sentence),
        "decision": asdict(result.decision),
    }


def effect_of(result: Comparison, pair: Pair) -> str | None:
    """What decoupling did to the return; None where it was not measured."""
    known = result.decision.standings.get(pair.decoupled_name or "")
    if known is None or result.decision.reference != pair.name:
        return None
    return EFFECTS[known]


def _decoupling_sentence(decoupling: Mapping[str, Any], pair: Pair) -> str:
    if decoupling["verdict"] == "no-op":
        return (
            f"Decoupling by agent is a no-op here: under {pair.name} it changes no advantage, "
            "or no condition under which it could matter was detected."
        )
    if decoupling["verdict"] == "cannot tell":
        return "The untrained team's rewards cannot tell whether decoupling by agent can matter."
    meanings = [f"{name}: {MEANING.get(name, name)}" for name in decoupling["conditions"]]
    because = "; ".join(meanings) or "advantages differ"
    sentence = f"Decoupling by agent can matter here ({because})."
    if decoupling.get("max_difference") is not None and "error_rate" not in decoupling:
        sentence += (
            f" On the untrained team's batches it changes advantages by up to "
            f"{decoupling['max_difference']:.2g} of the largest."
        )
    return sentence


def _effect_sentence(result: Comparison, pair: Pair, effect: str | None) -> str:
    if effect is None:
        return (
            "Its effect was not measured: compare a scheme with and without per-agent statistics."
        )
    name = pair.decoupled_name or ""
    if name == result.decision.arm:
        return ""  # the evidence has the same numbers
    change = result.differences[name].returns
    meaning = reading(change, result.decision)
    return f"{name} minus {pair.name} is {numbers(change)} in return: {meaning}."


def _collapse_sentences(schemes: Mapping[str, Any]) -> list[str]:
    """One sentence a cause: which agents, under which schemes."""
    causes: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for name, scheme in schemes.items():
        for cause in sorted({agent["cause"] or "" for agent in scheme["agents"].values()} - {""}):
            struck = tuple(a for a, facts in scheme["agents"].items() if facts["cause"] == cause)
            causes.setdefault(cause, {}).setdefault(struck, []).append(name)
    return [
        f"{cause} ({CAUSE_WORDS[cause]}): "
        + "; ".join(f"{', '.join(agents)} under {', '.join(names)}" for agents, names in by.items())
        + "."
        for cause, by in causes.items()
    ]


def _better_baselines(result: Comparison) -> str:
    """Baselines above the recommended scheme, which query the world."""
    best = result.schemes.get(result.recommended)
    if best is None or best.returns.value is None:
        return ""
    better = [
        f"{s.name} ({s.returns.shown(3)})"
        for s in result.schemes.values()
        if s.kind == "baseline" and (s.returns.value or -math.inf) > best.returns.value
    ]
    return f"Higher, with queries to the world: {', '.join(better)}." if better else ""
