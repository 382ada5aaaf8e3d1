"""The verdict of a comparison in words: can decoupling matter, did it help, which scheme to use.

`stats.decide` recommends the scheme from the numbers of the result alone, so that the page, the
terminal and `--json` cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from counterpoint.comparison.decoupling import Pair, Probe
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.diagnose.recommend import MEANING
from counterpoint.report.pages.comparison.decision_words import (
    comparison_headline,
    decision_sentences,
    listed,
    numbers,
    reading,
)
from counterpoint.report.toolkit.numerals import MINUS, estimate_of
from counterpoint.results.comparison import ComparisonResult, ComparisonVerdict, SchemeResult

EFFECTS = {"better": "helps", "worse": "hurts", "same": "tie", "unclear": "cannot tell"}
"""Standing of the decoupled scheme against its reference, to the effect of decoupling."""


def verdict(result: ComparisonResult, pair: Pair, probe: Probe) -> ComparisonVerdict:
    """Returns the conclusions of a comparison; a verdict that the result holds is not read."""
    decision, effect = result.decision, effect_of(result, pair)
    sentences = [
        *decision_sentences(result),
        *_doubts(result),
        _better_baselines(result),
        _decoupling_sentence(probe, pair),
        _effect_sentence(result, pair, effect),
        *_collapse_sentences(result.schemes),
        *_talk_sentences(result),
    ]
    return ComparisonVerdict(
        decoupling=probe.verdict,
        conditions=list(probe.conditions),
        decoupled=pair.decoupled_name,
        effect=effect,
        recommended=decision.recommended,
        headline=comparison_headline(result),
        why=" ".join(sentence for sentence in sentences if sentence),
        decision=decision,
    )


def effect_of(result: ComparisonResult, pair: Pair) -> str | None:
    """Returns the effect of decoupling on the return; None if it was not measured."""
    standing = result.decision.standings.get(pair.decoupled_name or "")
    if standing is None or result.versus != pair.name:
        return None
    return EFFECTS[standing]


def _decoupling_sentence(probe: Probe, pair: Pair) -> str:
    if probe.verdict == "no-op":
        return (
            f"Decoupling by agent is a no-op here: under {pair.name} it changes no advantage, "
            "or no condition under which it could matter was detected."
        )
    if probe.verdict == "cannot tell":
        return "The untrained team's rewards cannot tell whether decoupling by agent can matter."
    meanings = [f"{name}: {MEANING.get(name, name)}" for name in probe.conditions]
    because = "; ".join(meanings) or "advantages differ"
    sentence = f"Decoupling by agent can matter here ({because})."
    if probe.max_difference is not None:
        sentence += (
            f" On the untrained team's batches it changes advantages by up to "
            f"{probe.max_difference:.2g} of the largest."
        )
    return sentence


def _effect_sentence(result: ComparisonResult, pair: Pair, effect: str | None) -> str:
    if effect is None:
        return (
            "Its effect was not measured: compare a scheme with and without per-agent statistics."
        )
    name = pair.decoupled_name or ""
    if name == result.decision.arm:
        return ""  # the evidence has the same numbers
    change = result.differences[name].contrast
    meaning = reading(change, result.decision)
    return f"{name} minus {pair.name} is {numbers(change)} in return: {meaning}."


def _collapse_sentences(schemes: Mapping[str, SchemeResult]) -> list[str]:
    """Returns one sentence for each cause: which agents it struck, under which schemes."""
    causes: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for name, scheme in schemes.items():
        for cause in sorted({agent.cause or "" for agent in scheme.agents.values()} - {""}):
            struck = tuple(a for a, agent in scheme.agents.items() if agent.cause == cause)
            causes.setdefault(cause, {}).setdefault(struck, []).append(name)
    return [
        f"{cause} ({CAUSE_WORDS[cause]}): "
        + "; ".join(f"{', '.join(agents)} under {', '.join(names)}" for agents, names in by.items())
        + "."
        for cause, by in causes.items()
    ]


def _doubts(result: ComparisonResult) -> list[str]:
    """Returns what is wrong with trainings, and under which arms."""
    arms: dict[str, list[str]] = {}
    for name, scheme in result.schemes.items():
        for doubt in scheme.doubts:
            arms.setdefault(doubt, []).append(name)
    return [f"Under {listed(names)}, {doubt}." for doubt, names in arms.items()]


def _talk_sentences(result: ComparisonResult) -> list[str]:
    """Returns which teams talk, and what a team gets that does not, where agents can speak."""
    by_verdict: dict[str, list[str]] = {}
    for name, scheme in result.schemes.items():
        if scheme.messages is not None:
            worth = estimate_of(scheme.messages.worth).shown(2, signed=True)
            by_verdict.setdefault(scheme.messages.verdict, []).append(f"{name} ({worth})")
    meaning = {
        "talks": "Teams talk",
        "talks a little": "Teams talk a little",
        "does not talk yet": "Teams do not talk yet",
        "is misled": "Messages mislead teams",
        "cannot tell": "Whether teams talk cannot be told",
    }
    sentences = [
        f"{meaning[verdict]} under {', '.join(names)}: the worth of messages in return."
        for verdict, names in by_verdict.items()
    ]
    silent = result.references.silent
    if sentences and silent is not None:
        sentences.append(f"A good team that does not talk gets {silent:.2f}.".replace("-", MINUS))
    return sentences


def _better_baselines(result: ComparisonResult) -> str:
    """Returns the baselines above the recommended scheme, which query the world."""
    best = result.schemes.get(result.decision.recommended or "")
    if best is None or best.returns.iqm is None:
        return ""
    better = [
        f"{name} ({estimate_of(scheme.returns).shown(3)})"
        for name, scheme in result.schemes.items()
        if scheme.kind == "baseline" and (scheme.returns.iqm or -math.inf) > best.returns.iqm
    ]
    return f"Higher, with queries to the world: {', '.join(better)}." if better else ""
