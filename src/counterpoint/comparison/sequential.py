"""Comparisons in a sequential environment: networks trained by PPO, a task for each training.

Every scheme x seed is a `TrainPlan` of its own, so that any executor can train it, and a run
directory can resume it. The same seed gives every scheme the same networks, worlds and random
numbers at first.

Whether decoupling can matter is settled by arithmetic on the untrained team's first batches: the
scheme and its twin with per-agent statistics get the very same batches, and either an advantage
differs or none does. The input of a scheme is an advantage estimate here, which differs between
agents with critics or observations of their own (C4): no log of rewards shows that.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.comparison.backend import Backend
from counterpoint.comparison.decoupling import Pair, Probe, relative_difference, untrained_control
from counterpoint.comparison.outcome import SchemeOutcome
from counterpoint.comparison.plan import ExecutionOptions, Plan
from counterpoint.comparison.trainings import train_arms
from counterpoint.credit import Scheme
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.log import SAME
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control, References
from counterpoint.train.ppo.learner import BatchEstimate, Crediting, Learner, decision_labels
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.rollout import Batch
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world

DEFAULT_SCHEMES = ("mappo_pooled", "happo_per_agent", "group_reward_decoupled", "none")
"""Pooled, decoupled, decoupled with memory on rewards, and no normalization at all."""
BATCHES = 3
"""Batches of the untrained team that are examined."""
COMMON = {"reward": "common", "stakes": ""}
"""The world's settings under which one reward is paid to all: the control."""
Played = tuple[Batch, BatchEstimate]


class SequentialComparison(Backend):
    """A comparison in a sequential environment.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `backend_of`.
    """

    default_seeds = 5
    axis, kind = "step", "steps"
    budget: int

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.schemes = plan.schemes or DEFAULT_SCHEMES
        first = TrainPlan.of(plan.world, self.schemes[0], plan.budget, plan.settings, plan.model)
        self.first = replace(first, seconds=plan.seconds)
        self.world = find_world(plan.world, Kind.SEQUENTIAL).make(first.world_settings)
        self.world.close()
        self.agents, self.policy = self.world.agents, first.policy
        self.budget, self.batch_steps = first.budget, first.batch_steps
        for name in self.schemes:
            Crediting.of(name, self.world, self.policy)
        self.world_name, self.summary = plan.world, self.world.summary
        self.references = References(**asdict(self.world.references))
        own = asdict(self.world.settings)
        arguments = own.pop("arguments", {})  # of a foreign world's constructor
        self.settings = {**own, **arguments, **asdict(self.policy)}

    def training(self, scheme: str, seed: int) -> TrainPlan:
        """Returns the plan of one arm and seed."""
        return replace(self.first, scheme=scheme, seed=seed)

    def train(
        self, pair: Pair, options: ExecutionOptions
    ) -> tuple[dict[str, SchemeOutcome], Control | None]:
        plans = {(n, s): self.training(n, s) for s in self.seeds for n in self.schemes}
        outcomes = train_arms(plans, -(-self.budget // self.batch_steps), options)
        control = sequential_control(self.training(self.schemes[0], 0), pair)
        return outcomes, control if self.plan.control else None

    def probe(self, pair: Pair) -> Probe:
        return untrained_probe(self.training(self.schemes[0], 0), pair)


def untrained_probe(plan: TrainPlan, pair: Pair) -> Probe:
    """Returns whether decoupling the pair's reference can matter, by the first batches.

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
    """Returns the first batches of the untrained team, and their estimates under the scheme."""
    learner = Learner(plan.make_world(0, plan.policy.copies), scheme, plan.policy, plan.seed)
    played = []
    for _ in range(BATCHES):
        batch = learner.collector.play(learner.team)
        played.append((batch, learner.estimate(batch)))
    learner.world.close()
    return played


def largest_difference(one: list[Played], two: list[Played]) -> float:
    """Returns the largest difference of the advantages of two schemes on the same batches, relative
    to the largest."""
    values = [np.concatenate([e.advantage.ravel() for _, e in played]) for played in (one, two)]
    return relative_difference(values[0], values[1])


def conditions(plan: TrainPlan, scheme: Scheme, played: list[Played]) -> list[str]:
    """Returns the conditions that hold, sorted.

    C3 and C4 are read off what agents were paid and given at one step; those that ask when and
    how often agents act are tested on the rewards of whole episodes, where that varies.
    """
    holding = set()
    if any(_differ(batch.reward, _acts(batch)) for batch, _ in played):
        holding.add("C3")
    estimates = [(e.credited, _acts(batch)) for batch, e in played]
    late = Crediting.of(scheme, plan.make_world(0, 1), plan.policy).level != "reward"
    if late and any(_differ(_spread(c.given, acts), acts) for c, acts in estimates):
        holding.add("C4")
    if not all(_acts(batch).all() for batch, _ in played):
        log = reward_log(plan, [batch for batch, _ in played])
        if log is not None:
            diagnosis = diagnose(log, scheme, rng=np.random.default_rng(plan.seed))
            holding |= set(diagnosis.decoupling.conditions) & {"C1", "C2", "C5"}
    return sorted(holding)


def reward_log(plan: TrainPlan, batches: list[Batch]) -> Decisions | None:
    """Returns the rewards of the decisions of whole episodes, a step a batch; None without any."""
    agents = np.asarray(plan.make_world(0, 1).agents)
    parts = []
    for step, batch in enumerate(batches):
        whole = _whole(batch) & _acts(batch)
        columns = decision_labels(batch, whole, np.arange(len(agents)))
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
    """Returns [A, T, E], whether the agent decided."""
    acts: Bools = batch.active[:, : len(batch.ended)]
    return acts


def _whole(batch: Batch) -> Bools:
    """Returns [T, E], whether the step belongs to an episode that began and ended in the batch."""
    out = np.zeros(batch.ended.shape, dtype=bool)
    for copy in range(batch.ended.shape[1]):
        first = 0
        for end in np.flatnonzero(batch.ended[:, copy]).tolist():
            out[first : end + 1, copy] = batch.clock[first, copy] == 0
            first = end + 1
    return out


def _spread(given: Floats, acts: Bools) -> Floats:
    """Returns [A, T, E], the input of the scheme for each decision; NaN where there was none."""
    out = np.full(acts.shape, np.nan)
    out[acts] = given
    return out


def _differ(values: Floats, acts: Bools) -> bool:
    """Returns whether agents that act at one step have different values [A, T, E] there."""
    low = np.where(acts, values, np.inf).min(axis=0)
    high = np.where(acts, values, -np.inf).max(axis=0)
    size = np.maximum(abs(low), abs(high))
    return bool((np.isfinite(low) & (high - low > SAME * size)).any())
