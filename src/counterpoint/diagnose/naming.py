"""The causes of a log's agents, and the numbers behind each as a sentence.

Start at `causes_of`; the thresholds are those of `counterpoint.diagnose.causes`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from counterpoint.credit import Scheme
from counterpoint.diagnose.agents import AgentNumbers
from counterpoint.diagnose.causes import CAUSES, SUFFICES, drowning, name_causes
from counterpoint.diagnose.choices import Choices
from counterpoint.diagnose.judge import Judged

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
    now: Judged | None,
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Causes of each agent [A], and at each step [T, A]."""
    dead, finished = n.surely_stuck, n.best_rate >= AT_BEST
    if now is not None:  # the scheme takes away what the agent's own rewards do have
        dead = np.where((now.alive <= KILLED) & ~finished, SUFFICES.dead_rate, dead)
    overall = {"dead_rate": dead, "spike_rate": n.spike_rate}
    overall |= {"entropy": np.where(finished, np.nan, choices.entropy)}
    overall |= {"influence": choices.small_influence}
    over_time = {"dead_rate": n.timeline["stuck_rate"]}
    if shared_matters:
        lost = np.full(len(n.decisions), True) if now is None else ~(now.kept > LOST_HALF)
        averaged = own_terms and averages_agents(scheme)
        inflation = n.sharing.inflation if not averaged else np.ones(len(lost))
        overall |= {"inflation": np.where(lost, inflation, np.nan)}
        overall |= {"signal_share": n.sharing.signal_share, "participation": n.decisions}
        over_time |= {"signal_share": n.timeline["signal_share"], "participation": n.decisions}
        if not averaged:
            over_time |= {"inflation": n.timeline["inflation"]}
        causes = name_causes(overall)
        kept_enough = ~lost & (causes == CAUSES.index("DROWNED"))
        without = {k: v for k, v in overall.items() if k != "signal_share"}
        return np.where(kept_enough, name_causes(without), causes), name_causes(over_time)
    return name_causes(overall), name_causes(over_time)


def averages_agents(scheme: Scheme) -> bool:
    """Whether a scheme averages a rollout over its agents before it normalizes."""
    by = {*scheme.center_by, *(scheme.scale_by or ())}
    return scheme.weighting == "trajectory" and not by & {"agent", "role"}


def evidence_of(cause: str, n: AgentNumbers, choices: Choices, k: int) -> str:
    """The numbers behind a cause, as a sentence; the healthy ones where there is no cause."""
    inflation, dead = n.sharing.inflation[k], n.stuck_rate[k]
    quiet = drowning(n.sharing.signal_share, n.decisions)[k]
    spikes = n.spike_rate[k]
    return {
        "DEAD": f"{dead:.0%} of the decisions that could still gain carry no difference of its own "
        "reward",
        "OFFSET": f"offsets between agents cost a factor {inflation:.3g} of signal-to-noise; "
        f"its mean advantage is {n.net_mass[k]:+.2f}",
        "DROWNED": f"the agents' rewards vary {quiet:.3g} times as much as its own (variance), and "
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
    return "undefined" if math.isnan(value) else f"{value:.3g}"
