"""Can decoupling matter in a world of many steps? Asked of the untrained team's first batches.

Start with `untrained_probe`. The question is settled by arithmetic: the scheme and its twin with
statistics of each agent's own are given the very same batches, and either an advantage differs or
none does. What a scheme of a step-by-step trainer is given are advantage estimates, which differ
between agents that have critics or observations of their own (C4): no log of rewards shows that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.comparison.control import untrained_control
from counterpoint.comparison.pairs import Pair
from counterpoint.comparison.probe import Probe
from counterpoint.credit import Scheme
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.log import SAME
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control
from counterpoint.train.ppo.learner import Estimate, Learner
from counterpoint.train.ppo.levels import Crediting, labels
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.rollout import Batch

BATCHES = 3
"""How many batches of the untrained team are looked at."""
COMMON = {"reward": "common", "stakes": ""}
"""The world's settings under which one reward is paid to all: the control."""

Played = tuple[Batch, Estimate]


def untrained_probe(plan: TrainPlan, pair: Pair) -> Probe:
    """Returns what the first batches say of decoupling the pair's reference.

    It is a no-op if no advantage differs between the twins beyond rounding.
    """
    coupled, decoupled = (untrained(plan, scheme) for scheme in pair.schemes)
    difference = largest_difference(coupled, decoupled)
    if difference <= SAME:
        return Probe("no-op", (), difference)
    return Probe("matters", tuple(conditions(plan, pair.reference, coupled)), difference)


def sequential_control(plan: TrainPlan, pair: Pair) -> Control | None:
    """Returns the control: one common reward, normalized before any value is estimated.

    Decoupling must change no advantage there, by arithmetic, since every agent is given the same
    numbers. None where agents do not all act at every step: nothing says so then.
    """
    apart = replace(
        plan,
        world_settings={**plan.world_settings, **COMMON},
        policy=replace(plan.policy, level="reward"),
    )
    coupled, decoupled = (untrained(apart, scheme) for scheme in pair.schemes)
    if not all(batch.active.all() for batch, _ in coupled):
        return None
    difference, staked = largest_difference(coupled, decoupled), plan.world_settings.get("stakes")
    setting = f"reward=common, {'equal stakes, ' if staked else ''}level=reward"
    return untrained_control(setting, difference)


def untrained(plan: TrainPlan, scheme: Scheme) -> list[Played]:
    """The first batches of the untrained team, and what they are worth under the scheme."""
    learner = Learner(plan.make_world(0, plan.policy.copies), scheme, plan.policy, plan.seed)
    found = []
    for _ in range(BATCHES):
        batch = learner.player.play(learner.team)
        found.append((batch, learner.estimate(batch)))
    learner.world.close()
    return found


def largest_difference(one: list[Played], two: list[Played]) -> float:
    """Between the advantages of two schemes on the same batches, relative to the largest."""
    values = [np.concatenate([e.advantage.ravel() for _, e in played]) for played in (one, two)]
    largest = max(float(abs(x).max(initial=0.0)) for x in values)
    return float(abs(values[0] - values[1]).max()) / largest if largest > 0 else 0.0


def conditions(plan: TrainPlan, scheme: Scheme, played: list[Played]) -> list[str]:
    """The conditions that hold, sorted.

    C3 and C4 are read off what agents were paid and given at one step; those that ask when and
    how often agents act are tested on the rewards of whole episodes, where that varies.
    """
    found = set()
    if any(_differ(batch.reward, _acts(batch)) for batch, _ in played):
        found.add("C3")
    estimates = [(e.credited, _acts(batch)) for batch, e in played]
    late = Crediting.of(scheme, plan.make_world(0, 1), plan.policy).level != "reward"
    if late and any(_differ(_spread(c.given, acts), acts) for c, acts in estimates):
        found.add("C4")
    if not all(_acts(batch).all() for batch, _ in played):
        log = reward_log(plan, [batch for batch, _ in played])
        if log is not None:
            diagnosis = diagnose(log, scheme, rng=np.random.default_rng(plan.seed))
            found |= set(diagnosis.decoupling.conditions) & {"C1", "C2", "C5"}
    return sorted(found)


def reward_log(plan: TrainPlan, batches: list[Batch]) -> Decisions | None:
    """What each decision of whole episodes was paid, a step a batch; None without any."""
    agents = np.asarray(plan.make_world(0, 1).agents)
    parts = []
    for step, batch in enumerate(batches):
        whole = _whole(batch) & _acts(batch)
        columns = labels(batch, whole, np.arange(len(agents)))
        columns["agent"] = agents[columns["agent"]]
        columns.pop("role")
        parts.append((batch.reward[whole], columns, np.full(int(whole.sum()), step)))
    rewards = np.concatenate([part[0] for part in parts])
    if not len(rewards):
        return None
    named = {name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]}
    steps = np.concatenate([part[2] for part in parts])
    return Decisions(rewards[:, None], ("reward",), named, steps)


def _acts(batch: Batch) -> Bools:
    """[A, T, E] whether the agent decided."""
    acts: Bools = batch.active[:, : len(batch.ended)]
    return acts


def _whole(batch: Batch) -> Bools:
    """[T, E] whether the step belongs to an episode that began and ended in the batch."""
    out = np.zeros(batch.ended.shape, dtype=bool)
    for copy in range(batch.ended.shape[1]):
        first = 0
        for end in np.flatnonzero(batch.ended[:, copy]).tolist():
            out[first : end + 1, copy] = batch.clock[first, copy] == 0
            first = end + 1
    return out


def _spread(given: Floats, acts: Bools) -> Floats:
    """[A, T, E] what each decision was given; NaN where there was none."""
    out = np.full(acts.shape, np.nan)
    out[acts] = given
    return out


def _differ(values: Floats, acts: Bools) -> bool:
    """Whether agents that act at one step have different values [A, T, E] there."""
    low = np.where(acts, values, np.inf).min(axis=0)
    high = np.where(acts, values, -np.inf).max(axis=0)
    size = np.maximum(abs(low), abs(high))
    return bool((np.isfinite(low) & (high - low > SAME * size)).any())
