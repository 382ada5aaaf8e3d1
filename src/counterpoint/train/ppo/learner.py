"""Trains a team of neural policies by PPO under any credit scheme. Read `Learner.update` first.

One update: play T steps in every copy, estimate what each decision was worth, let the credit
scheme turn that into advantages, and take a few passes of clipped policy gradient over the batch.
With `critic=own` this is IPPO, with `critic=central` MAPPO; the scheme `counterfactual` has
COMA's advantage, and with `update=sequential` it is HAPPO.

`Crediting` says where the scheme is applied. At level `reward` it normalizes the reward of each
decision, before any value is estimated. At `advantage` it normalizes the advantage estimate; at
`component` the estimate of each reward component, from a critic with one output for each. A sample
is a decision here: an agent that decides more often counts more often, whatever the scheme's
weighting and rollout_reward are, since each decision has an estimate of its own.

Source: de Witt et al. 2020 (IPPO); Yu et al. 2022 (MAPPO); Foerster et al. 2018 (COMA).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.credit import (
    RunningState,
    Scheme,
    Tally,
    advantages,
    plain_scheme_named,
    scheme_name,
)
from counterpoint.errors import SchemeError, SettingError, StateError
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.train.adam import Adam, configure_threads
from counterpoint.train.estimators import NORMALIZED_BY
from counterpoint.train.ppo.competition.collector import CompetingCollector
from counterpoint.train.ppo.critics import (
    TeamCritics,
    generalized_advantages,
    rewards_by_decision,
    team_values,
)
from counterpoint.train.ppo.improve import Losses, SetBatch, improve, split_by_set
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.rollout import Batch, RolloutCollector, below
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.actions import most_numbers
from counterpoint.worlds.sequential.channels import Channel
from counterpoint.worlds.sequential.sides import sides_from
from counterpoint.worlds.sequential.world import StepWorld, stakes_of

Level = Literal["reward", "component", "advantage"]
COUNTERFACTUAL = "counterfactual"
HAPPO, HAPPO_SCHEME = "happo", "mappo_per_agent"
"""The algorithm, and the scheme that its published code normalizes with."""
HAPPO_SETTINGS = {"update": "sequential", "parameters": "separate"}
"""How it always learns."""


@dataclass(frozen=True)
class Crediting:
    """A scheme, where it is applied, and whether the critic values each action (COMA)."""

    name: str
    """Its name in the catalogue (perhaps with fields that differ), or `counterfactual`."""
    scheme: Scheme
    """The scheme that normalizes, sample by sample."""
    level: Level
    """The quantity that is normalized."""
    counterfactual: bool = False
    """Whether the advantage is Q(s, u) - sum_m pi(m) Q(s, (u without the agent, m))."""

    @classmethod
    def of(cls, scheme: str | Scheme, world: StepWorld, settings: PolicySettings) -> Crediting:
        """Returns the crediting for a name in the catalogue, a `Scheme`, or `counterfactual`.

        Raises:
            UnknownNameError: nothing has that name.
            SchemeError: `counterfactual` with continuous actions or recurrent policies, `happo`
                without sequential updates, a baseline that only worlds with exact answers have, or
                a level that cannot be.
        """
        if isinstance(scheme, str) and scheme in NORMALIZED_BY:
            if scheme != COUNTERFACTUAL:
                raise SchemeError(
                    f"got baseline '{scheme}' for world '{world.name}', which cannot answer it; "
                    f"the baseline of sequential environments is {COUNTERFACTUAL}"
                )
            if most_numbers(world.actions) or settings.memory != "none":
                raise SchemeError(
                    "got counterfactual with continuous actions or recurrent policies; wanted "
                    "discrete actions of every agent and memory=none, where a critic can value "
                    "every action of an agent"
                )
            return cls(scheme, NORMALIZED_BY[scheme], "advantage", counterfactual=True)
        if scheme == HAPPO and settings.update != "sequential":
            raise SchemeError(
                "got happo with update=simultaneous; wanted update=sequential parameters=separate"
            )
        if isinstance(scheme, str):
            known = HAPPO_SCHEME if scheme == HAPPO else scheme
            name, point = scheme, plain_scheme_named(known, also=(COUNTERFACTUAL, HAPPO))
        else:
            name, point = scheme_name(scheme), scheme
        level: Level = settings.level if settings.level != "auto" else _natural(point)
        if level == "component" and len(world.components) == 1:
            level = "advantage"
        stepwise = replace(point, weighting="step", rollout_reward="mean", gamma=1.0)
        return cls(name, stepwise, level)

    def outputs(self, world: StepWorld) -> int:
        """Returns how many values a critic predicts: one for each component, or one."""
        return len(world.components) if self.level == "component" else 1


def _natural(scheme: Scheme) -> Level:
    of_rewards = (
        scheme.scale == "mean" or scheme.group_weight != "none" or scheme.baseline_floor is not None
    )
    running = scheme.keeps_state and scheme.center != "shrunk"  # whose means of advantages are 0
    if running or of_rewards:
        return "reward"
    return "component" if scheme.components == "normalize_first" else "advantage"


@dataclass(frozen=True)
class Credited:
    """The output of a scheme for one batch."""

    values: Floats
    """[A, T, E] rewards or advantages; 0 where the agent did not decide."""
    given: Floats
    """[N] input of the scheme, components summed."""
    out: Floats
    """[N] output of the scheme."""
    columns: dict[str, Ints]
    """Label name to column [N], `batch` (all 0) among them."""
    state: RunningState | None
    """Running statistics after this batch."""
    tally: Tally
    """Counts of the edge cases of normalization."""


def credit_batch(
    what: Floats, batch: Batch, roles: Ints, scheme: Scheme, state: RunningState | None
) -> Credited:
    """Normalizes the reward or the advantage estimate of each decision.

    Args:
        what: [A, T, E, K] rewards or advantage estimates.
        batch: whose decisions these are.
        roles: [A] role of each agent, as a number.
        scheme: how to normalize.
        state: running statistics after the last batch.
    """
    acts = batch.decided
    rows: Floats = what[acts] if not acts.all() else what.reshape(-1, what.shape[-1])
    rows = rows[:, 0] if rows.shape[1] == 1 else rows
    columns = decision_labels(batch, acts, roles)
    credit = advantages(rows, columns, scheme, state=state)
    values = np.zeros(acts.shape)
    values[acts] = credit.values
    given = rows if rows.ndim == 1 else rows.sum(axis=-1)
    # `batch` comes after normalization: it is for measurements, and no scheme groups by it here.
    columns["batch"] = np.zeros(len(given), dtype=np.int64)
    return Credited(values, given, credit.values, columns, credit.state, credit.tally)


def decision_labels(batch: Batch, acts: Bools, roles: Ints) -> dict[str, Ints]:
    """Returns the columns [N] that schemes group by: agent, role, episode (`rollout`), and step of
    it (`turn`).

    There is no `prompt`: no two episodes share a start, so a prompt's group is the whole batch.
    """
    a, _, e = acts.shape
    agent = np.broadcast_to(np.arange(a)[:, None, None], acts.shape)[acts]
    rollout = np.broadcast_to(batch.episode * e + np.arange(e), acts.shape)[acts]
    turn: NDArray[np.int64] = np.broadcast_to(batch.clock, acts.shape)[acts]
    return {"agent": agent, "role": roles[agent], "rollout": rollout, "turn": turn}


@dataclass(frozen=True)
class BatchEstimate:
    """The advantages and returns of a batch."""

    advantage: Floats
    """[A, T, E] weights of the policy gradient."""
    target: Floats
    """[A, T, E, K] returns that critics learn to predict, in the reward's unit."""
    credited: Credited
    """Input and output of the scheme."""


OnBatch = Callable[[Batch, BatchEstimate, list[SetBatch]], None]


class Learner:
    """A team that learns: networks, optimizer, running statistics, and the copies it plays in.

    Args:
        world: where it plays.
        scheme: a name in `credit.catalogue()`, a `Scheme`, or `counterfactual`.
        settings: how it learns.
        seed: of the networks, the actions and the order of the minibatches.
        budget: steps that it will play, along which the learning rate and the entropy bonus are
            annealed.
        channels: who says what to whom: see `find_channels`.

    Raises:
        UnknownNameError: no scheme of that name.
        SchemeError: a scheme that this world or these settings cannot have.
        SettingError: a learning rate or an entropy bonus to be annealed, and no budget.
    """

    def __init__(
        self,
        world: StepWorld,
        scheme: str | Scheme,
        settings: PolicySettings,
        seed: int,
        budget: int | None = None,
        channels: Sequence[Channel] = (),
    ) -> None:
        if settings.anneal and budget is None:
            raise SettingError("got anneal without a budget; wanted the steps at whose end it is 0")
        if settings.entropy_end is not None and budget is None:
            raise SettingError(
                "got entropy_end without a budget; wanted the steps at whose end it holds"
            )
        configure_threads()
        settings = settings.filled(python=world.python)
        self.budget, self.channels = budget, tuple(channels)
        self.world, self.settings = world, settings
        self.crediting = Crediting.of(scheme, world, settings)
        outputs, options = self.crediting.outputs(world), self.crediting.counterfactual
        self.team = TeamNetworks(world, settings, outputs, seed, options, channels)
        self.adam = Adam(self.team.networks(), settings.max_norm)
        self.sides = sides_from(settings.sides, world.agents, world.roles)
        if self.sides is None:
            self.collector = RolloutCollector(world, settings, seed, probs=options)
        else:
            self.collector = CompetingCollector(
                world, settings, seed, self.sides, self.team, probs=options
            )
        self.critics = TeamCritics(self.team, settings, outputs, self.collector.hidden)
        view = self.collector.view  # the first observations are the first statistics
        self.team.scales.update(
            view.seen.swapaxes(0, 1)[:, None], view.state[None], view.active.T[:, None]
        )
        self.collector.after_update(0)
        self.shuffles = np.random.default_rng([seed, 3])
        self.roles = np.unique(np.array(world.roles), return_inverse=True)[1]
        self.state: RunningState | None = None
        self.tally = Tally()
        self.updates = 0

    @property
    def batch_steps(self) -> int:
        """Steps of one batch, all copies together."""
        return self.collector.steps * self.world.copies

    @property
    def steps(self) -> int:
        """Steps played so far, all copies together."""
        return self.updates * self.batch_steps

    @property
    def lr(self) -> float:
        """The learning rate of the next update: with `anneal`, in proportion to the steps left."""
        if not self.settings.anneal or self.budget is None:
            return self.settings.lr
        return self.settings.lr * max(0.0, 1.0 - self.steps / self.budget)

    @property
    def entropy(self) -> float:
        """The weight of the entropy bonus in the next update."""
        first, last = self.settings.entropy, self.settings.entropy_end
        if last is None or self.budget is None:
            return first
        return first + min(1.0, self.steps / self.budget) * (last - first)

    def update(self, look: OnBatch | None = None) -> tuple[Batch, Losses]:
        """Plays a batch, gives credit, and improves the team.

        Args:
            look: called with the batch, its estimate and its parts, while the team is what
                played it.

        Returns:
            What was played, and the losses.
        """
        batch = self.collector.play(self.team)
        estimate = self.estimate(batch)
        batches = split_by_set(batch, estimate.advantage, estimate.target, self.critics)
        if look is not None:
            look(batch, estimate, batches)
        losses = improve(self.critics, self.adam, batches, self.shuffles, self.lr, self.entropy)
        # Only now: what was played and learned from was seen on one scale.
        scales, before = self.team.scales, self.team.scales.clipped
        scales.update(batch.seen[:, :-1], batch.state[:-1], batch.active[:, :-1])
        if scales.clipped is not None and before is not None:
            losses["clipped_inputs"] = float(scales.clipped - before)
        self.updates += 1
        self.collector.after_update(self.updates)
        return batch, losses

    def estimate(self, batch: Batch) -> BatchEstimate:
        """Returns the advantages and returns of a batch under the scheme."""
        level, settings = self.crediting.level, self.settings
        reward = batch.reward[..., None] if batch.components is None else batch.components
        world, common = self.world, self.world.settings.reward == "common"
        paid, after = rewards_by_decision(
            reward, batch.active, batch.terminated, batch.ended, settings.gamma, common=common
        )
        if level == "reward":
            credited = self._credit(paid, batch)
            paid = credited.values[..., None]
        elif level == "advantage":
            paid = paid.sum(axis=-1, keepdims=True)
        value, left = self.critics.values(batch)
        if common:
            stakes = stakes_of(world.settings.stakes, world.agents, world.roles)
            value, left = team_values(value, left, batch, stakes)
        advantage = generalized_advantages(
            paid, value, left, after, batch.active, settings.gamma, settings.gae
        )
        target = advantage + value[:, :-1]
        if self.crediting.counterfactual:  # in the unit that critics learned, before it moves on
            advantage = self.critics.counterfactual(batch)
        self.critics.observe(target, batch.decided)
        if level == "reward":
            return BatchEstimate(advantage[..., 0], target, credited)
        credited = self._credit(advantage, batch)
        return BatchEstimate(credited.values, target, credited)

    def _credit(self, what: Floats, batch: Batch) -> Credited:
        """Returns `what` [A, T, E, K] under the scheme, and advances its running statistics."""
        credited = credit_batch(what, batch, self.roles, self.crediting.scheme, self.state)
        self.state, self.tally = credited.state, self.tally + credited.tally
        return credited

    def capture(self) -> Snapshot:
        """Returns everything that decides what the learner does next."""
        arrays = {f"adam.{name}": x for name, x in self.adam.capture().items()}
        played, facts = self.collector.capture()
        arrays |= played
        arrays |= {f"values.{name}": x for name, x in self.critics.capture().items()}
        arrays |= {f"inputs.{name}": x for name, x in self.team.scales.capture().items()}
        return Snapshot(
            arrays,
            {
                "updates": self.updates,
                "shuffles": self.shuffles.bit_generator.state,
                "player": facts,
                "running": None if self.state is None else self.state.to_dict(),
                "tally": asdict(self.tally),
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Resumes where `capture` was called on a learner of the same plan.

        Raises:
            StateError: the snapshot is that of another plan.
        """
        arrays, facts = snapshot.arrays, snapshot.facts
        require_same_shapes(arrays, self.capture().arrays, ("world.", "pool."))
        self.adam.restore(below("adam", arrays))
        self.collector.restore(arrays, facts["player"])
        self.critics.restore(below("values", arrays))
        self.team.scales.restore(below("inputs", arrays))
        self.updates = facts["updates"]
        self.shuffles.bit_generator.state = facts["shuffles"]
        self.state = None if facts["running"] is None else RunningState.from_dict(facts["running"])
        self.tally = Tally(**facts["tally"])


def require_same_shapes(arrays: NamedArrays, mine: NamedArrays, besides: tuple[str, ...]) -> None:
    """Raises StateError unless a checkpoint has all arrays of a learner, in their shapes.

    Args:
        arrays: those of the checkpoint.
        mine: those of the learner.
        besides: the beginnings of names whose shapes may differ.
    """
    for name, array in mine.items():
        shape = arrays[name].shape if name in arrays else None
        if not name.startswith(besides) and shape != array.shape:
            raise StateError(
                f"got a checkpoint with {name} of shape {shape}; wanted {array.shape}, as "
                "run.json has it: give world and policies in run.json the settings they were "
                "trained with"
            )
