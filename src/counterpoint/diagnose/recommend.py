"""From a diagnosis to a scheme: what to use, and why, in words, with its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from counterpoint.credit import Scheme, catalogue
from counterpoint.diagnose.log import Floats

LOUDER = 3.0
"""Deviations of two agents' rewards that differ by this factor make equal scales a choice."""

MEANING = {
    "C1": "the reward is another one when a certain agent acts",
    "C2": "how often an agent acts goes with the reward",
    "C3": "agents have reward terms of their own",
    "C4": "agents have advantage estimates of their own, from what each of them sees",
    "C5": "the reward goes with the role, turn or context in which an agent acts",
    "C6": "agents are absent from whole updates while the reward drifts",
}
"""What each condition says, in words; C4 is read from a trainer's estimates, never from rewards."""


@dataclass(frozen=True)
class Findings:
    """What a recommendation rests on."""

    scheme: Scheme
    """The scheme under judgement."""
    bearing: tuple[str, ...]
    """The conditions that hold and bear on the scheme; empty means that decoupling is a no-op."""
    difference: float
    """Largest relative difference between advantages with and without own statistics."""
    same: bool
    """Whether that is rounding."""
    causes: Mapping[str, str]
    """Agent to cause, for agents that have one."""
    inflation: float
    """The largest inflation of any agent."""
    deviation: Floats
    """[A] deviation of each agent's reward."""
    components: int
    """How many reward components the log has."""
    blocks: int
    """How many groups of one prompt and step the log has."""


def scheme_name(scheme: Scheme) -> str:
    """The catalogue's name of a scheme, or `custom`."""
    return next((name for name, known in catalogue().items() if known == scheme), "custom")


def recommend(f: Findings) -> tuple[str, str]:
    """The name of the scheme to use, and why: a sentence on decoupling, one on each cause."""
    names, words = [], [_decoupling(f)]
    for cause in sorted(set(f.causes.values())):
        who = ", ".join(agent for agent, named in f.causes.items() if named == cause)
        name, why = _ADVICE[cause](f)
        names.append(name)
        words.append(f"{cause} ({who}): {why}")
    if {"OFFSET", "DROWNED"} & set(f.causes.values()):
        words.append(_price(f))
    elif not f.causes and f.bearing and not f.scheme.groups_by_agent:
        words.append(
            "No agent loses enough to name a cause (inflation over all groups, which single ones "
            f"can exceed by far, at most {f.inflation:.2g}): own statistics are safe, and not "
            "expected to change much."
        )
    if "C2" in f.bearing and f.scheme.weighting == "trajectory":
        words.append(
            "Counting every decision instead of every rollout takes away the net push on agents "
            "that act more often in hard rollouts; that is another fix than decoupling."
        )
    name = next((n for n in names if n != scheme_name(f.scheme)), scheme_name(f.scheme))
    return name, " ".join(word for word in words if word)


def _decoupling(f: Findings) -> str:
    if f.same:
        return (
            "Decoupling is a no-op: statistics of their own give every agent the advantages that "
            "shared ones give."
        )
    if not f.bearing:
        return (
            f"Decoupling is a no-op as far as this log can tell: advantages differ by up to "
            f"{f.difference:.1%}, and none of the conditions under which that matters was detected "
            f"in {f.blocks} groups of one prompt and update."
        )
    reasons = "; ".join(f"{c}: {MEANING[c]}" for c in f.bearing)
    return f"Decoupling matters ({reasons})."


def _own_statistics(f: Findings) -> tuple[str, str]:
    """OFFSET and DROWNED: each agent its own mean and deviation."""
    why = "statistics of their own give agents their learning signal back."
    if f.scheme.keeps_state:
        return "group_reward_decoupled", why
    if "prompt" in f.scheme.center_by:
        return "agent_wise", why + " Its groups are small: watch the dead rate."
    return "happo_per_agent", why


def _more_signal(f: Findings) -> tuple[str, str]:
    """DEAD: no normalization makes signal out of equal rewards."""
    if f.components > 1 and f.scheme.components == "sum_first":
        return "gdpo", "its components still differ where their sum does not: normalize them first."
    if {"agent", "prompt"} <= set(f.scheme.center_by):
        return "grpo", "an agent's own samples of one prompt are too few: share the prompt's."
    return scheme_name(f.scheme), (
        "its groups have equal rewards. Take more rollouts a prompt, give partial credit, or drop "
        "prompts that are always or never solved; no normalization helps."
    )


def _batch_statistics(f: Findings) -> tuple[str, str]:
    """SPIKY: the statistics of the batch itself cannot lag behind it."""
    why = "single advantages are out of all proportion: use the statistics of the batch."
    if not f.scheme.keeps_state:
        return scheme_name(f.scheme), "single rewards are outliers: clip them, or rank them."
    return ("happo_per_agent" if f.scheme.groups_by_agent else "mappo_pooled"), why


_ADVICE = {
    "OFFSET": _own_statistics,
    "DROWNED": _own_statistics,
    "DEAD": _more_signal,
    "SPIKY": _batch_statistics,
}


def _price(f: Findings) -> str:
    spread = f.deviation[np.isfinite(f.deviation) & (f.deviation > 0)]
    if len(spread) < 2 or spread.max() < LOUDER * spread.min():
        return ""
    return (
        f"The price: one agent's reward varies {spread.max() / spread.min():.2g} times as much as "
        "another's, and equal scales take from the loud ones' reward what they give to the quiet."
    )
