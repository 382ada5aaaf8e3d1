"""Train a team of neural policies by PPO under any credit scheme. Read `Learner.update` first.

One update: play T steps in every copy, estimate what each decision was worth, let the credit
scheme turn that into advantages, and take a few passes of clipped policy gradient over the batch.
With `critic=own` this is IPPO, with `critic=central` MAPPO; the scheme `counterfactual` has
COMA's advantage.

Source: de Witt et al. 2020 (IPPO); Yu et al. 2022 (MAPPO); Foerster et al. 2018 (COMA).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.credit import RunningState, Scheme, Tally
from counterpoint.errors import SettingError
from counterpoint.train.adam import Adam
from counterpoint.train.machine import settle
from counterpoint.train.ppo.critics import Valuer
from counterpoint.train.ppo.estimates import generalized_advantages, paid_by_decision
from counterpoint.train.ppo.improve import Losses, Part, improve, parts_of
from counterpoint.train.ppo.levels import Credited, Crediting, apply
from counterpoint.train.ppo.networks import TeamNetworks
from counterpoint.train.ppo.rollout import Batch, Player
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds.sequential.world import StepWorld


@dataclass(frozen=True)
class Estimate:
    """What each decision of a batch is worth."""

    advantage: Floats
    """[A, T, E] what the policy gradient is weighted by."""
    target: Floats
    """[A, T, E, K] returns that critics learn to predict, in the reward's unit."""
    credited: Credited
    """What the scheme was given, and what it made of it."""


Look = Callable[[Batch, Estimate, list[Part]], None]


class Learner:
    """A team that learns: networks, optimizer, running statistics, and the copies it plays in.

    Args:
        world: where it plays.
        scheme: a name in `credit.catalogue()`, a `Scheme`, or `counterfactual`.
        settings: how it learns.
        seed: of the networks, the actions and the order of the minibatches.
        budget: steps that it will play, which is where an annealed learning rate ends.

    Raises:
        UnknownNameError: no scheme of that name.
        SchemeError: a scheme that this world or these settings cannot have.
        SettingError: a learning rate to be annealed, and no budget.
    """

    def __init__(
        self,
        world: StepWorld,
        scheme: str | Scheme,
        settings: PolicySettings,
        seed: int,
        budget: int | None = None,
    ) -> None:
        if settings.anneal and budget is None:
            raise SettingError("got anneal without a budget; wanted the steps at whose end it is 0")
        settle()
        settings = settings.filled(python=world.python)
        self.budget = budget
        self.world, self.settings = world, settings
        self.crediting = Crediting.of(scheme, world, settings)
        outputs, options = self.crediting.outputs(world), self.crediting.counterfactual
        self.team = TeamNetworks(world, settings, outputs, seed, options)
        self.adam = Adam(self.team.networks(), settings.max_norm)
        self.player = Player(world, settings, seed, probs=options)
        self.valuer = Valuer(self.team, settings, outputs, self.player.hidden)
        self.shuffles = np.random.default_rng([seed, 3])
        self.roles = np.unique(np.array(world.roles), return_inverse=True)[1]
        self.state: RunningState | None = None
        self.tally = Tally()
        self.updates = 0

    @property
    def batch_steps(self) -> int:
        """Steps of one batch, all copies together."""
        return self.player.steps * self.world.copies

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

    def update(self, look: Look | None = None) -> tuple[Batch, Losses]:
        """Play, give credit, improve.

        Args:
            look: called with the batch, its estimate and its parts, while the team is what
                played it.

        Returns:
            What was played, and the losses.
        """
        batch = self.player.play(self.team)
        estimate = self.estimate(batch)
        parts = parts_of(batch, estimate.advantage, estimate.target, self.valuer)
        if look is not None:
            look(batch, estimate, parts)
        losses = improve(self.valuer, self.adam, parts, self.shuffles, self.lr)
        self.updates += 1
        return batch, losses

    def estimate(self, batch: Batch) -> Estimate:
        """Advantages and returns of a batch under the scheme."""
        level, settings = self.crediting.level, self.settings
        reward = batch.reward[..., None] if batch.components is None else batch.components
        paid, after = paid_by_decision(reward, batch.active, batch.terminated, batch.ended)
        if level == "reward":
            credited = self._credit(paid, batch)
            paid = credited.values[..., None]
        elif level == "advantage":
            paid = paid.sum(axis=-1, keepdims=True)
        value, left = self.valuer.values(batch)
        found = generalized_advantages(
            paid, value, left, after, batch.active, settings.gamma, settings.gae
        )
        target = found + value[:, :-1]
        if self.crediting.counterfactual:  # in the unit that critics learned, before it moves on
            found = self.valuer.counterfactual(batch)
        self.valuer.observe(target, batch.active)
        if level == "reward":
            return Estimate(found[..., 0], target, credited)
        credited = self._credit(found, batch)
        return Estimate(credited.values, target, credited)

    def _credit(self, what: Floats, batch: Batch) -> Credited:
        """`what` [A, T, E, K] under the scheme; its running statistics advance."""
        credited = apply(what, batch, self.roles, self.crediting.scheme, self.state)
        self.state, self.tally = credited.state, self.tally + credited.tally
        return credited
