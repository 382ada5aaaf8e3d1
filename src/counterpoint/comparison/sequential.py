"""Comparisons in a sequential environment: networks, a task for each training.

Most arms are credit schemes, under which PPO learns; an arm may be an algorithm instead.

The same seed gives every scheme the same networks, worlds and random numbers at first.

Whether decoupling can matter is settled by arithmetic on the untrained team's first batches: the
scheme and its twin with per-agent statistics get the very same batches, and either an advantage
differs or none does. The input of a scheme is an advantage estimate here, which differs between
agents with critics or observations of their own (C4): no log of rewards shows that.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from counterpoint.arrays import Bools, Floats
from counterpoint.comparison.backend import TrainedComparison
from counterpoint.comparison.decoupling import (
    REFERENCE,
    Pair,
    Probe,
    relative_difference,
    untrained_control,
    untrained_log,
)
from counterpoint.comparison.plan import Plan
from counterpoint.credit import Scheme
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.log import SAME
from counterpoint.errors import SettingError
from counterpoint.records import Decisions
from counterpoint.results.comparison import Control, References
from counterpoint.train.algorithms import VALUE_BASED, algorithms
from counterpoint.train.ppo.competition.guess import FOUND
from counterpoint.train.ppo.learner import (
    HAPPO,
    HAPPO_SETTINGS,
    BatchEstimate,
    Crediting,
    Learner,
    decision_labels,
)
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.rollout import Batch
from counterpoint.train.ppo.settings import POLICY
from counterpoint.train.value.plan import ValuePlan
from counterpoint.train.value.settings import VALUE
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.sequential.sides import NONE, POINTS

DEFAULT_SCHEMES = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "none", "adaptive")
"""Pooled, decoupled, decoupled with memory on rewards, no normalization at all, and adaptive."""
BATCHES = 3
"""Batches of the untrained team that are examined."""
FOR_VALUES = "value."
"""The beginning of a setting that is for arms which learn action values alone."""
COMMON = {"reward": "common", "stakes": ""}
"""The world's settings under which one reward is paid to all: the control."""
Played = tuple[Batch, BatchEstimate]


class SequentialComparison(TrainedComparison):
    """A comparison in a sequential environment.

    Raises:
        UnknownNameError, SettingError, SchemeError, MissingPackageError: as `backend_of`.
    """

    axis, kind = "step", "steps"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.schemes = plan.schemes or DEFAULT_SCHEMES
        self._found: dict[str, Any] = {}
        self.plans = {name: self._plan_of(name) for name in self.schemes}
        some = next((n for n in self.schemes if n not in algorithms()), REFERENCE)
        first = self.plans.get(some) or self._plan_of(some)
        assert isinstance(first, TrainPlan)
        self.first = first
        self.notes = (*first.notes, *self._note_happo())
        world = find_world(plan.world, Kind.SEQUENTIAL).make(first.world_settings)
        world.close()
        self.agents, self.budget = world.agents, first.budget
        self.batch_steps = max(p.batch_steps for p in self.plans.values())
        self.world_name, self.summary = plan.world, world.summary
        competes = any(isinstance(p, TrainPlan) and p.policy.sides != NONE
                       for p in self.plans.values())  # fmt: skip
        if competes and any(isinstance(p, ValuePlan) for p in self.plans.values()):
            raise SettingError(
                "got algorithms that learn action values where sides play against each other; "
                f"wanted schemes or happo alone, or sides={NONE}: their returns are no points"
            )
        self.references = References(**asdict(POINTS if competes else world.references))
        own = asdict(world.settings)
        arguments = own.pop("arguments", {})  # those of a foreign world's constructor
        self.settings = {**own, **arguments, **asdict(first.policy)}
        for arm in self.plans.values():
            if isinstance(arm, ValuePlan):
                self.settings |= {f"{FOR_VALUES}{k}": x for k, x in asdict(arm.value).items()}

    def check(self) -> tuple[str, ...]:
        return find_world(self.plan.world, Kind.SEQUENTIAL).check(self.first.world_settings)

    def _plan_of(self, name: str) -> TrainPlan | ValuePlan:
        """Returns the plan of seed 0 of one arm, with the settings that it knows.

        Where policies and values are compared, a setting that one of both does not have is for the
        other alone, as is one that begins with `value.`; otherwise it is an error. HAPPO has its
        own way of sharing and of updating: these settings are for the other arms, if there are any.
        """
        by_values = name in VALUE_BASED
        mine, others = (VALUE, POLICY) if by_values else (POLICY, VALUE)
        mixed = any((arm in VALUE_BASED) != by_values for arm in self.schemes)
        left_out = set(others) - set(mine) if mixed else set()
        left_out |= self._not_for_happo() if name == HAPPO else set()
        given, theirs = dict[str, Any](), dict[str, Any]()
        for key, x in self.plan.settings.items():
            if key.startswith(FOR_VALUES) and (by_values or mixed):
                theirs[key.removeprefix(FOR_VALUES)] = x
            elif key not in left_out:
                given[key] = x
        given |= theirs if by_values else {}
        if by_values:
            valued = ValuePlan.of(self.plan.world, name, self.plan.budget, given, self.plan.model)
            return replace(valued, seconds=self.plan.seconds)
        given = {**self._found, **given}  # random play says the same for every scheme
        made = TrainPlan.of(self.plan.world, name, self.plan.budget, given, self.plan.model)
        self._found = {key: getattr(made.policy, key) for key in FOUND}
        return replace(made, seconds=self.plan.seconds)

    def _not_for_happo(self) -> set[str]:
        """Returns the given settings of HAPPO's own that go to another arm alone."""
        others = [VALUE if arm in VALUE_BASED else POLICY for arm in self.schemes if arm != HAPPO]
        given = HAPPO_SETTINGS.keys() & self.plan.settings.keys()
        return {name for name in given if any(name in known for known in others)}

    def _note_happo(self) -> tuple[str, ...]:
        """Returns a sentence about settings that HAPPO does not follow, if there are any."""
        given = {name: self.plan.settings[name] for name in sorted(self._not_for_happo())}
        ignored = [f"{k}={x}" for k, x in given.items() if x != HAPPO_SETTINGS[k]]
        if HAPPO not in self.schemes or not ignored:
            return ()
        own = " ".join(f"{name}={value}" for name, value in HAPPO_SETTINGS.items())
        return (f"{HAPPO} always has {own}; only the other arms have {' '.join(ignored)}",)

    def training(self, scheme: str, seed: int) -> TrainPlan | ValuePlan:
        return replace(self.plans[scheme], seed=seed)

    def probe(self, pair: Pair) -> Probe:
        plan = self.first
        coupled, decoupled = (untrained(plan, scheme) for scheme in pair.schemes)
        difference = relative_difference(_advantages(coupled), _advantages(decoupled))
        if difference <= SAME:
            return Probe("no-op", (), difference)
        return Probe("matters", tuple(conditions(plan, pair.reference, coupled)), difference)

    def control(self, pair: Pair) -> Control | None:
        """Returns the control: one common reward, normalized before any value is estimated.

        Decoupling must change no advantage there, by arithmetic, since every agent gets the same
        numbers. None if agents do not all act at every step: arithmetic does not say so then.
        """
        plan = self.first
        policy = replace(plan.policy, level="reward")
        apart = replace(plan, world_settings={**plan.world_settings, **COMMON}, policy=policy)
        coupled, decoupled = (untrained(apart, scheme) for scheme in pair.schemes)
        if not all(batch.active.all() for batch, _ in coupled):
            return None
        staked = "equal stakes, " if plan.world_settings.get("stakes") else ""
        difference = relative_difference(_advantages(coupled), _advantages(decoupled))
        return untrained_control(f"reward=common, {staked}level=reward", difference)


def untrained(plan: TrainPlan, scheme: Scheme) -> list[Played]:
    """Returns the first batches of the untrained team, and their estimates under the scheme."""
    learner = Learner(plan.make_world(0, plan.policy.copies), scheme, plan.policy, plan.seed)
    played = []
    for _ in range(BATCHES):
        batch = learner.collector.play(learner.team)
        played.append((batch, learner.estimate(batch)))
    learner.world.close()
    return played


def _advantages(played: list[Played]) -> Floats:
    return np.concatenate([estimate.advantage.ravel() for _, estimate in played])


def conditions(plan: TrainPlan, scheme: Scheme, played: list[Played]) -> list[str]:
    """Returns the conditions that hold, sorted.

    C3 and C4 are computed from the rewards and the advantage estimates of agents at one step; those
    that ask when and how often agents act are tested on the rewards of whole episodes, where that
    varies.
    """
    holding = set()
    if any(_differ(batch.reward, _acts(batch)) for batch, _ in played):
        holding.add("C3")
    if Crediting.of(scheme, plan.make_world(0, 1), plan.policy).level != "reward":
        for batch, estimate in played:
            # the input of the scheme, one number a decision, laid out as [A, T, E]
            values = np.full(_acts(batch).shape, np.nan)
            values[_acts(batch)] = estimate.credited.given
            if _differ(values, _acts(batch)):
                holding.add("C4")
    if not all(_acts(batch).all() for batch, _ in played):
        log = reward_log(plan, [batch for batch, _ in played])
        if log is not None:
            diagnosis = diagnose(log, scheme, rng=np.random.default_rng(plan.seed))
            holding |= set(diagnosis.decoupling.conditions) & {"C1", "C2", "C5"}
    return sorted(holding)


def reward_log(plan: TrainPlan, batches: list[Batch]) -> Decisions | None:
    """Returns the rewards of the decisions of whole episodes, a step a batch; None if none is."""
    agents, parts = plan.make_world(0, 1).agents, []
    for step, batch in enumerate(batches):
        whole = _whole(batch) & _acts(batch)
        columns = decision_labels(batch, whole, np.arange(len(agents)))
        del columns["role"]  # a log of rewards groups by agent
        parts.append((step, batch.reward[whole], columns))
    if not any(len(rewards) for _, rewards, _ in parts):
        return None
    return untrained_log(parts, agents)


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


def _differ(values: Floats, acts: Bools) -> bool:
    """Returns whether agents that act at one step have different values [A, T, E] at it."""
    # a step at which nobody acts stays infinite, and does not count
    low = np.where(acts, values, np.inf).min(axis=0)
    high = np.where(acts, values, -np.inf).max(axis=0)
    size = np.maximum(abs(low), abs(high))
    return bool((np.isfinite(low) & (high - low > SAME * size)).any())
