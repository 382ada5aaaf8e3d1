"""The same log under several schemes: the signal that each keeps, and whether one is better.

`Evaluator.evaluate` gives the numbers of one scheme; `better` picks a scheme to recommend. Every
scheme has one score on a log, and only a scheme with a higher score is recommended: so following
the advice never leads in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.credit import Scheme, plain_scheme_named
from counterpoint.credit.segments import ratio
from counterpoint.diagnose.agents import dead_rows
from counterpoint.diagnose.bound import SignalFactors, Units, kept_by
from counterpoint.diagnose.log import Log, logged_advantages
from counterpoint.errors import LabelError

GROUPINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pooled": ("mappo_pooled", ()), "by agent": ("mappo_per_agent", ("agent",)),
    "by prompt": ("grpo_rows", ("prompt",)),
    "by prompt and agent": ("agent_wise", ("prompt", "agent")),
}  # fmt: skip
"""The statistics under which every log is judged: their name in the catalogue, and their labels."""

GROUPS = {**dict(GROUPINGS.values()), "grpo": ("prompt",)}
"""The schemes that may be recommended, and the labels that their statistics are grouped by."""

LITTLE = 0.25
"""An agent that keeps less of its signal than this has something to gain from another scheme."""

FEWEST = 64
"""Number of rollouts of an agent below which a small share of signal kept, without a cause, is no
finding."""

MOST_CROWDED = 0.25
"""An agent also has something to gain if louder prompts drown this share of its decisions."""

GAIN = 1.5
"""The least factor by which a recommended scheme keeps more of an agent's signal than the other
scheme."""

ENOUGH = 0.3
"""The least share of its signal that an agent without need of help keeps under a recommended
scheme, unless it keeps at least 1 / `GAIN` of its former share. To leave every agent's share
unchanged would be too strict: in trainings, a recommendation that left 0.3 to a loud agent by this
bound was better for both."""

LESS_DEAD = 0.1
"""The least decrease of the dead rate of a DEAD agent under a recommended scheme."""

NEAR = 0.1
"""Scores that differ by no more count as equal: the scheme nearest to the judged one is named."""

EQUAL = 1e-9
"""Rates that differ by no more are equal."""


@dataclass(frozen=True)
class SchemeScore:
    """One scheme on one log."""

    name: str
    """Its name in the catalogue, or what the caller called it."""
    scheme: Scheme
    kept: Floats
    """[A] upper bound of the share of each agent's signal that it keeps; NaN if there is none to
    keep."""
    dead: Floats
    """[A] share of decisions to which no difference of the agent's own rewards arrives, counted
    over the same decisions under every scheme (`Units.lost`)."""
    crowded: Floats
    """[A] share of decisions in prompts that louder prompts drown."""
    alive: Floats
    """[A] share of the decisions that carry a signal, of those that do so under any grouping."""

    @property
    def score(self) -> float:
        """Returns the mean logarithm of the kept shares: one number for a scheme on this log."""
        kept = self.kept[np.isfinite(self.kept)]
        return float(np.log(np.maximum(kept, 1e-6)).mean()) if kept.size else 0.0


class Evaluator:
    """A log that schemes are judged on; the samples are counted once.

    `weights` [K] are those of the scheme that the log was trained with, and `own_terms` is whether
    agents have rewards of their own (C3).
    """

    def __init__(
        self, log: Log, units: Units, weights: tuple[float, ...] | None, own_terms: bool
    ) -> None:
        self.log, self.units, self.weights, self.own_terms = log, units, weights, own_terms
        self.groupings = {
            name: self._measured(Scheme(center_by=by, weights=weights))
            for name, (_, by) in GROUPINGS.items()
        }
        shares = np.stack([kept.share for kept, _ in self.groupings.values()])
        self.best: Floats = np.fmax.reduce(shares, axis=0)
        alive = np.stack([kept.alive for kept, _ in self.groupings.values()])
        self.most_alive: Floats = np.fmax.reduce(alive, axis=0)

    def evaluate(self, name: str, scheme: Scheme, values: Floats | None = None) -> SchemeScore:
        """Returns the numbers of a scheme; `values` are its advantages [N] where they are known."""
        return self._relative(name, scheme, *self._measured(scheme, values))

    def grouped(self) -> dict[str, SchemeScore]:
        """Returns the numbers of the four groupings."""
        return {
            name: self._relative(known, Scheme(center_by=by, weights=self.weights), *measured)
            for (name, measured), (known, by)
            in zip(self.groupings.items(), GROUPINGS.values(), strict=True)
        }  # fmt: skip

    def _measured(
        self, scheme: Scheme, values: Floats | None = None
    ) -> tuple[SignalFactors, Floats]:
        """Returns the factors of a scheme, and its dead rates [A]."""
        values = logged_advantages(self.log, scheme) if values is None else values
        dead = dead_rows(self.log, scheme, values, self.own_terms)
        n = len(self.log.agents)
        lost = np.bincount(self.log.agent, weights=self.units.lost(dead), minlength=n)
        return kept_by(self.units, values, dead), lost / np.bincount(self.log.agent, minlength=n)

    def _relative(
        self, name: str, scheme: Scheme, kept: SignalFactors, dead: Floats
    ) -> SchemeScore:
        """Returns the numbers of a scheme beside the best of the four groupings."""
        share = np.minimum(ratio(kept.share, self.best), 1.0)
        alive = np.minimum(ratio(kept.alive, self.most_alive), 1.0)
        return SchemeScore(name, scheme, share, dead, kept.crowded, alive)

    def candidates(self, now: SchemeScore, decouple: bool) -> Iterator[SchemeScore]:
        """Yields schemes of the catalogue that may be better, nearest to the judged one first.

        A scheme that would merge rows with different rewards cannot credit the log; it is left out.
        """
        seen = {now.scheme}
        groupings = {score.name: score for score in self.grouped().values()}
        for name in _order(now.scheme, len(self.log.decisions.components), decouple):
            scheme = replace(plain_scheme_named(name), weights=self.weights)
            if scheme in seen:
                continue
            seen.add(scheme)
            same = groupings.get(name)
            with suppress(LabelError):
                is_known = same is not None and same.scheme == scheme
                yield same if same and is_known else self.evaluate(name, scheme)


def _order(scheme: Scheme, components: int, decouple: bool) -> tuple[str, ...]:
    """Returns names of candidates; those with the groups of the evaluated scheme come first."""
    wanted = {*scheme.center_by, *(scheme.scale_by or ())} & {"prompt", "agent"}
    names = ["grpo", "grpo_rows", "mappo_pooled", "mappo_per_agent", "agent_wise"]
    if decouple:
        wanted.add("agent")
        names = ["mappo_per_agent", "agent_wise", "grpo", "grpo_rows", "mappo_pooled"]
    names.sort(key=lambda name: set(GROUPS[name]) != wanted)
    if scheme.keeps_state and decouple:
        names.insert(0, "group_reward_decoupled")
    if components > 1:
        names += ["gdpo", "agent_x_component"]
    return tuple(names)


def sick_agents(evaluator: Evaluator, now: SchemeScore, fixable: Bools) -> Bools:
    """Returns [A] agents that another scheme may help: a cause, or little signal kept."""
    little = np.nan_to_num(now.kept, nan=1.0) <= LITTLE
    known = np.bincount(evaluator.units.agent, minlength=len(now.kept)) >= FEWEST
    loses: Bools = (little | (now.crowded >= MOST_CROWDED)) & known
    return (loses | fixable) & np.isfinite(now.kept)


def better(
    evaluator: Evaluator, now: SchemeScore, sick: Bools, dead: Bools, decouple: bool
) -> SchemeScore | None:
    """Returns the scheme to use instead of `now`, or None where none is better.

    `sick` [A] are the agents that need help, `dead` [A] those whose cause is DEAD. If per-agent
    statistics do not matter for the log (`decouple`), schemes that share statistics come first.
    """
    if not sick.any():
        return None
    good = [c for c in evaluator.candidates(now, decouple) if is_better(c, now, sick, dead)]
    if not good:
        return None
    top = max(c.score for c in good)
    return next(c for c in good if c.score >= top - NEAR)


def is_better(new: SchemeScore, now: SchemeScore, sick: Bools, dead: Bools) -> bool:
    """Returns whether a scheme helps some agent that needs it, and leaves enough to every other.

    The mean of the kept shares rises, no agent's dead rate does, and no agent that needs help keeps
    less.
    """
    kept, before = np.nan_to_num(new.kept), np.nan_to_num(now.kept)
    gains = kept >= GAIN * before
    revives = (new.dead <= now.dead - LESS_DEAD) | (before <= LITTLE)
    helped = sick & gains & (kept > before) & (~dead | revives)
    worse = (new.dead > now.dead + EQUAL) | (kept < np.minimum(before / GAIN, ENOUGH))
    worse |= sick & (kept < before)
    better_on_average = new.score > now.score and kept.mean() > before.mean()
    return bool(helped.any() and not worse.any() and better_on_average)
