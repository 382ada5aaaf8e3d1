"""The causes of a log's agents, and a diagnosis in sentences: the scheme to use, and its cost.

Start at `causes_of` and `reason_sentences`; the thresholds are in `counterpoint.diagnose.causes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import Scheme, scheme_name
from counterpoint.diagnose.agents import AgentNumbers, Choices
from counterpoint.diagnose.candidates import NEAR, SchemeScore
from counterpoint.diagnose.causes import CAUSES, SUFFICES, drowning, name_causes
from counterpoint.diagnose.log import SAME, Log
from counterpoint.results.diagnosis import LogFault

LOUDER = 3.0
"""Deviations of two agents' rewards that differ by this factor make equal scales a choice."""

MOST_NAMES = 4
"""Maximum number of agents that a sentence names; otherwise it gives their number."""

MEANING = {
    "C1": "the reward differs when a certain agent acts",
    "C2": "how often an agent acts correlates with the reward",
    "C3": "agents have reward terms of their own",
    "C4": "agents have advantage estimates of their own, from what each of them sees",
    "C5": "the reward depends on the role, turn or context in which an agent acts",
    "C6": "agents are absent from whole updates while the reward drifts",
}
"""What each condition says, in words; C4 is read from a trainer's estimates, never from rewards."""


@dataclass(frozen=True)
class Findings:
    """The numbers and findings from which the sentences are made."""

    log: Log
    faults: tuple[LogFault, ...]
    """The faults of the log."""
    numbers: AgentNumbers
    scheme: Scheme
    """The scheme under judgement."""
    bearing: tuple[str, ...]
    """The conditions that hold and bear on the scheme; empty means that decoupling is a no-op."""
    difference: float
    """Largest relative difference between advantages with and without per-agent statistics."""
    causes: Mapping[str, str]
    """Agent to cause, for agents that have one."""
    now: SchemeScore | None
    """The scheme's numbers; None where the log is at fault."""
    advice: SchemeScore | None
    """The scheme to use instead; None where none is better."""
    own_terms: bool
    """Whether agents have rewards of their own (C3)."""
    fixed: tuple[SchemeScore, ...]
    """The numbers of the schemes with one choice of statistics, pooled first."""


def reason_sentences(f: Findings) -> str:
    """Returns the reasons in sentences: the log, then decoupling, causes and advice."""
    words = [fault.sentence for fault in f.faults]
    if any(fault.fatal for fault in f.faults):
        return " ".join(words)
    words.append(_decoupling(f))
    for cause in sorted(set(f.causes.values())):
        who = [agent for agent, named in f.causes.items() if named == cause]
        words.append(f"{cause} ({_named(who)}) means {_MEANS[cause]}.")
    if f.own_terms and averages_agents(f.scheme):
        words.append(
            f"Agents have rewards of their own, and {scheme_name(f.scheme)} averages a rollout "
            "over its agents first; TRL, verl and slime normalize the rows instead, which is "
            "grpo_rows."
        )
    words.append(_advice(f))
    if f.advice is not None and {"OFFSET", "DROWNED"} & set(f.causes.values()):
        deviation = f.numbers.deviation
        spread = deviation[np.isfinite(deviation) & (deviation > 0)]
        if len(spread) > 1 and spread.max() >= LOUDER * spread.min():
            ratio = (spread.max() / spread.min()) ** 2
            words.append(
                f"The cost: the variance of one agent's reward is {ratio:,.0f} times that of "
                "another's, and equal scales give quiet agents a part of the loud agents' step."
            )
    if "C2" in f.bearing and f.scheme.weighting == "trajectory":
        words.append(
            "Counting every decision instead of every rollout removes the net push on agents "
            "that act more often in hard rollouts. That fix is independent of decoupling."
        )
    return " ".join(word for word in words if word)


def _decoupling(f: Findings) -> str:
    """Returns the sentence whether decoupling matters; beside advice, which splits change
    something."""
    if len(f.log.agents) == 1:
        return "There is one agent, so there is nothing to decouple."
    if f.bearing:
        conditions = "; ".join(f"{c}: {MEANING[c]}" for c in f.bearing)
        # a condition alone costs nothing: the headline names a loss first, where there is one
        verb = "matters" if f.causes or f.advice is not None else "can matter"
        return f"Decoupling {verb} ({conditions})."
    undetected = (
        f"Advantages differ by up to {f.difference:.1%}, and none of the conditions under which "
        f"that matters was detected in {f.log.n_blocks} groups of one prompt and update."
    )
    same = f.difference <= SAME
    if f.advice is None:
        if same:
            return (
                "Decoupling is a no-op: per-agent and shared statistics give every agent the same "
                "advantages."
            )
        return f"Decoupling is a no-op as far as this log shows. {undetected}"
    change = changed(f.scheme, f.advice.scheme)
    if same:
        return (
            f"Splitting statistics by agent alone changes nothing here; {change} does. Per-agent "
            "and shared statistics give every agent the same advantages."
        )
    return (
        f"No reason to split statistics by agent was detected here, but {change} keeps more "
        f"signal. {undetected}"
    )


def changed(now: Scheme, new: Scheme) -> str:
    """Returns the difference of another scheme, as the subject of a sentence in the singular.

    It says `by agent` only where the other scheme adds that split.
    """
    old_by, new_by = ({*s.center_by, *(s.scale_by or ())} for s in (now, new))
    added = [label for label in ("prompt", "agent") if label in new_by - old_by]
    by = f" by {' and '.join(added)}" if added else ""
    if now.center == now.scale == "none":
        return f"normalizing{by}"
    if now.keeps_state and not new.keeps_state:
        return "normalizing each batch" + (" by agent" if "agent" in added else "")
    if "prompt" in old_by - new_by:
        return f"pooling prompts{by}"
    if added:
        return f"splitting{by}"
    if "agent" in old_by - new_by:
        return "pooling agents"
    if new.components != now.components:
        return "normalizing components"
    if new.weighting != now.weighting:
        return f"weighting by {new.weighting}"
    return "another normalization"


_MEANS = {
    "DEAD": "dead groups: most decisions that could still gain carry no difference of the agent's "
    "own reward",
    "DROWNED": "a variance mismatch: louder rewards share the agent's scale",
    "OFFSET": "a baseline offset: the mean that is subtracted is far from the agent's mean reward",
    "SPIKY": "advantage spikes: running statistics lag behind the rewards",
    "DILUTED": "credit noise: the agent's own choices explain little of its reward, and no "
    "normalization changes this",
    "LAZY": "no exploration: the agent always does the same, and no normalization changes this",
}
"""Each cause in the words of the field, and its explanation."""


def _advice(f: Findings) -> str:
    """Returns the sentence with a better scheme and the numbers of both, or that none is better."""
    now, new, agents = f.now, f.advice, f.log.agents
    if now is None:
        return ""
    if new is not None:
        gains = np.nan_to_num(new.kept) - np.nan_to_num(now.kept)
        k = int(gains.argmax())
        dead = f", with a dead rate of {new.dead[k]:.2f} instead of {now.dead[k]:.2f}"
        shown = dead if round(float(new.dead[k]), 2) != round(float(now.dead[k]), 2) else ""
        return (
            f"Use {new.name}: it keeps {new.kept[k]:.2f} of the learning signal of {agents[k]}, "
            f"where {now.name} keeps {now.kept[k]:.2f}{shown} (bounds from rewards alone)."
            f"{_loss(agents, now, new)}"
        )
    if f.scheme.center == "shrunk" and not f.causes:
        return _simpler(now, f.fixed)
    lost = [agent for agent, cause in f.causes.items() if cause == "DEAD"]
    others = " without a loss to others" if len(f.causes) < len(agents) else ""
    if lost:
        return (
            f"No scheme of the catalogue revives {_named(lost)} on this log{others}: take more "
            "rollouts a prompt, give partial credit, or drop prompts that are always or never "
            "solved."
        )
    if f.causes:
        return f"No scheme of the catalogue is better for these agents on this log{others}."
    if f.bearing and not f.scheme.groups_by_agent:
        return (
            f"No agent loses enough signal to name a cause, so keep {now.name}. Per-agent "
            "statistics are safe, but are not expected to change much."
        )
    return ""


def _simpler(now: SchemeScore, fixed: tuple[SchemeScore, ...]) -> str:
    """Returns which scheme with one choice of statistics is as good as one that chooses."""
    for one in fixed:
        if (np.nan_to_num(one.kept) >= np.exp(-NEAR) * np.nan_to_num(now.kept)).all():
            least, own = np.nanmin(one.kept), np.nanmin(now.kept)
            return (
                f"{one.name} is simpler and at least as good here: it keeps at least "
                f"{least:.2f} of every agent's signal, {now.name} {own:.2f} (bounds from rewards "
                "alone)."
            )
    return f"No scheme with one choice of statistics keeps as much of every agent as {now.name}."


def _loss(agents: tuple[str, ...], now: SchemeScore, new: SchemeScore) -> str:
    """Returns which agent loses most signal under the recommended scheme, and how much."""
    kept, before = np.nan_to_num(new.kept), np.nan_to_num(now.kept)
    losing = kept < np.exp(-NEAR) * before
    if not losing.any():
        return ""
    k = int(np.where(losing, kept - before, 0.0).argmin())
    others = f"{losing.sum()} agents falls, that of " if losing.sum() > 1 else ""
    return f" The signal of {others}{agents[k]} falls from {before[k]:.2f} to {kept[k]:.2f}."


def _named(agents: list[str]) -> str:
    """Returns the names of agents, or the number of many."""
    return ", ".join(agents) if len(agents) <= MOST_NAMES else f"{len(agents)} agents"


LOST_HALF = 0.5
"""OFFSET and DROWNED are named only where the scheme keeps less than this of the signal."""

KILLED = 0.3
"""DEAD is named too where no more than this share of an agent's decisions carries a signal that
its rewards have under other statistics."""

AT_BEST = 0.9
"""An agent with its best reward in this share of decisions has finished learning: it need not
explore, so it is not LAZY, and the few signals that a scheme takes away do not make it DEAD."""


def causes_of(
    n: AgentNumbers,
    scheme: Scheme,
    shared_matters: bool,
    own_terms: bool,
    choices: Choices,
    now: SchemeScore | None,
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Returns causes of each agent [A], and at each step [T, A]."""
    dead, finished = n.surely_stuck, n.best_rate >= AT_BEST
    if now is not None:  # the scheme takes away what the agent's own rewards do have
        dead = np.where((now.alive <= KILLED) & ~finished, SUFFICES.dead_rate, dead)
    overall = {
        "dead_rate": dead,
        "spike_rate": n.spike_rate,
        "entropy": np.where(finished, np.nan, choices.entropy),
        "influence": choices.small_influence,
    }
    over_time = {"dead_rate": n.timeline["stuck_rate"]}
    if not shared_matters:
        return name_causes(overall), name_causes(over_time)
    lost = np.full(len(n.decisions), True) if now is None else ~(now.kept > LOST_HALF)
    averaged = own_terms and averages_agents(scheme)
    inflation = n.sharing.inflation if not averaged else np.ones(len(lost))
    overall |= {"inflation": np.where(lost, inflation, np.nan)}
    over_time |= {} if averaged else {"inflation": n.timeline["inflation"]}
    without = name_causes(overall)
    overall |= {"signal_share": n.sharing.signal_share, "participation": n.decisions}
    over_time |= {"signal_share": n.timeline["signal_share"], "participation": n.decisions}
    causes = name_causes(overall)
    kept_enough = ~lost & (causes == CAUSES.index("DROWNED"))
    return np.where(kept_enough, without, causes), name_causes(over_time)


def averages_agents(scheme: Scheme) -> bool:
    """Returns whether a scheme averages a rollout over its agents before it normalizes."""
    by = {*scheme.center_by, *(scheme.scale_by or ())}
    return scheme.weighting == "trajectory" and not by & {"agent", "role"}


def cause_evidence(cause: str, n: AgentNumbers, choices: Choices, k: int) -> str:
    """Returns the numbers behind a cause as a sentence; the healthy ones without a cause."""
    inflation, dead = n.sharing.inflation[k], n.stuck_rate[k]
    quiet = drowning(n.sharing.signal_share, n.decisions)[k]
    spikes = n.spike_rate[k]
    return {
        "DEAD": f"{dead:.0%} of the decisions that could still gain carry no difference of its own "
        "reward",
        "OFFSET": f"offsets between agents cost a factor {inflation:.3g} of signal-to-noise; "
        f"its mean advantage is {n.net_mass[k]:+.2f}",
        "DROWNED": f"the variance of the agents' rewards is {quiet:,.0f} times its own, and they "
        "share its scale",
        "SPIKY": f"{spikes:.2%} of its advantages are out of proportion to its rewards",
        "DILUTED": f"its own choices explain {choices.influence[k]:.1%} of the variance of its "
        "reward",
        "LAZY": f"its choices have an entropy of {choices.entropy[k]:.3f} nats",
    }.get(
        cause,
        f"inflation {_short(inflation)}, dead decisions {_short(n.dead_rate[k])}: no cause is "
        "named",
    )


def _short(value: float) -> str:
    """Returns three digits, or `undefined`."""
    return "undefined" if math.isnan(value) else f"{value:.3g}"
