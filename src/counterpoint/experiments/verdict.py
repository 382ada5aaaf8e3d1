"""What follows from a comparison, in words: can decoupling matter, did it help, what to use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.credit import catalogue
from counterpoint.diagnose.recommend import MEANING
from counterpoint.experiments.pairs import Pair

LEVEL = 0.05
"""An effect counts where both the 95% bootstrap interval and Student's paired test leave out 0:
with few seeds the interval alone is too narrow."""


def verdict(
    schemes: Mapping[str, Any],
    differences: Mapping[str, Any],
    pair: Pair,
    decoupling: Mapping[str, Any],
) -> dict[str, Any]:
    """The verdict of a comparison document.

    Args:
        schemes: the `schemes` of the document.
        differences: the `differences` of the document.
        pair: the reference and its decoupled counterpart.
        decoupling: what the probe of rewards said: verdict and conditions.

    Returns:
        `decoupling` (no-op or matters), `conditions`, `effect` (helps, hurts or tie: the paired
        difference of the final return between the decoupled scheme and the reference, judged by
        its 95% interval and its paired t-test; null where they were not both compared),
        `decoupled` (the name of that scheme), `recommended` and `why`.
    """
    effect = _effect(differences.get(pair.decoupled_name or ""))
    best = recommended(schemes, differences, pair.name)
    sentences = [
        _decoupling_sentence(decoupling, pair),
        _effect_sentence(differences.get(pair.decoupled_name or ""), pair, effect),
        *_collapse_sentences(schemes),
        _recommendation_sentence(schemes, best),
        _runner_sentence(schemes, differences, best),
        _cost_sentence(differences, best, pair.name),
    ]
    return {
        "decoupling": decoupling["verdict"],
        "conditions": list(decoupling["conditions"]),
        "decoupled": pair.decoupled_name,
        "effect": effect,
        "recommended": best,
        "why": " ".join(sentence for sentence in sentences if sentence),
    }


def recommended(schemes: Mapping[str, Any], differences: Mapping[str, Any], reference: str) -> str:
    """The scheme with the best return; the reference where the best cannot be told from it.

    A change must pay: unless its paired difference from the reference is told from 0, by the
    interval and by the t-test corrected for the number of schemes tried, the reference stays. A
    baseline that needs the world is recommended only where nothing else was compared.
    """
    known = catalogue()
    names = [name for name in schemes if name in known] or list(schemes)
    best = max(names, key=lambda name: float(schemes[name]["return"]["iqm"]))
    if best == reference or reference not in schemes or best not in differences:
        return best
    tried = sum(name in differences for name in names)  # the best of several must pay for them
    return best if _effect(differences[best], LEVEL / max(tried, 1)) == "helps" else reference


def _effect(difference: Mapping[str, Any] | None, level: float = LEVEL) -> str | None:
    if difference is None:
        return None
    if difference["low"] is None or difference["p"] >= level:
        return "tie"
    return "helps" if difference["low"] > 0 else "hurts" if difference["high"] < 0 else "tie"


def _decoupling_sentence(decoupling: Mapping[str, Any], pair: Pair) -> str:
    if decoupling["verdict"] == "no-op":
        return (
            f"Decoupling by agent is a no-op here: under {pair.name} it leaves every advantage as "
            "it is, or no condition under which it could matter was found."
        )
    told = "; ".join(f"{name}: {MEANING[name]}" for name in decoupling["conditions"])
    sentence = f"Decoupling by agent can matter here ({told or 'advantages differ'})."
    if decoupling.get("max_difference") is not None and "error_rate" not in decoupling:
        sentence += (
            f" On the untrained team's batches it changes advantages by up to "
            f"{decoupling['max_difference']:.2g} of the largest."
        )
    return sentence


def _effect_sentence(difference: Mapping[str, Any] | None, pair: Pair, effect: str | None) -> str:
    if difference is None:
        return "Its effect was not measured: compare a scheme with and without own statistics."
    ends = "one seed, no interval"
    if difference["low"] is not None:
        ends = f"95% interval {difference['low']:+.3f} to {difference['high']:+.3f}"
    words = {"helps": "It helps", "hurts": "It hurts", "tie": "It makes no difference to be told"}
    return (
        f"{words[effect or 'tie']}: {pair.decoupled_name} minus {pair.name} is "
        f"{difference['iqm']:+.3f} in return ({ends})."
    )


def _collapse_sentences(schemes: Mapping[str, Any]) -> list[str]:
    """One sentence a cause: which agents, under which schemes."""
    found: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for name, scheme in schemes.items():
        for cause in sorted({agent["cause"] or "" for agent in scheme["agents"].values()} - {""}):
            whose = tuple(a for a, told in scheme["agents"].items() if told["cause"] == cause)
            found.setdefault(cause, {}).setdefault(whose, []).append(name)
    return [
        f"{cause}: "
        + "; ".join(f"{', '.join(whose)} under {', '.join(names)}" for whose, names in by.items())
        + "."
        for cause, by in found.items()
    ]


def _recommendation_sentence(schemes: Mapping[str, Any], best: str) -> str:
    sentence = f"Use {best} (return {schemes[best]['return']['iqm']:.3f})."
    better = [
        f"{name} ({scheme['return']['iqm']:.3f})"
        for name, scheme in schemes.items()
        if scheme["kind"] == "baseline" and scheme["return"]["iqm"] > schemes[best]["return"]["iqm"]
    ]
    if better:
        sentence += f" Better still, where the world can answer it: {', '.join(better)}."
    return sentence


def _runner_sentence(schemes: Mapping[str, Any], differences: Mapping[str, Any], best: str) -> str:
    """Why a scheme with an interval above the reference is not recommended, where there is one."""
    ahead = {
        name: found
        for name, found in differences.items()
        if name != best
        and schemes[name]["kind"] == "scheme"
        and found["low"] is not None
        and found["low"] > 0
        and schemes[name]["return"]["iqm"] > schemes[best]["return"]["iqm"]
    }
    if not ahead:
        return ""
    name = max(ahead, key=lambda n: float(ahead[n]["iqm"]))
    return (
        f"{name} may be better ({ahead[name]['iqm']:+.3f}), but among {len(differences)} compared "
        f"its paired test does not hold (p = {ahead[name]['p']:.2g}): more seeds would tell."
    )


def _cost_sentence(differences: Mapping[str, Any], best: str, reference: str) -> str:
    """What the recommended scheme loses of the reward that is really paid."""
    change = differences.get(best, {}).get("weighted_return")  # None where the return is paid
    if change is None or change["iqm"] >= 0:
        return ""
    same = "" if change["high"] is not None and change["high"] < 0 else ", indistinguishable from 0"
    ends = (
        "" if change["low"] is None else f" ({-change['high']:.3f} to {-change['low']:.3f}{same})"
    )
    return (
        f"The cost: its reward-weighted return is {-change['iqm']:.3f} lower than that of "
        f"{reference}{ends}."
    )
