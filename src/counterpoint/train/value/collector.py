"""`ValueCollector`: plays steps of every copy by the best action, with random ones now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays, generator_state
from counterpoint.train.ppo.rollout import CollectorFacts, below, require_finite
from counterpoint.worlds.sequential.world import Singles, Step, StepWorld, View, uniform_actions

OnStep = Callable[[View, Ints, Step], None]
"""Called with what was seen, the actions [E, A], and the result of a step."""


class Valued(Protocol):
    """Networks that value each agent's actions: see `TeamValues.forward`."""

    def __call__(
        self,
        seen: Tensor,
        memory: Tensor | None = None,
        keep: Tensor | None = None,
        legal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]: ...


@dataclass(frozen=True)
class Played:
    """The episodes that ended while a team played."""

    by_agent: Floats
    """[R, A] the agents' parts of their returns, in the world's own unit."""
    finished: Ints
    """[R] their copies."""


class ValueCollector:
    """Holds the view, memories and the running returns between batches.

    Args:
        world: where the team plays; it is reset.
        seed: of the random actions.
        memory: H, how many numbers an agent remembers; 0 without memory.
    """

    def __init__(self, world: StepWorld, seed: int, memory: int = 0) -> None:
        self.world, self.view = world, world.reset()
        self.rng = np.random.default_rng([seed, 2])
        e, a = world.copies, len(world.agents)
        self.by_agent = np.zeros((e, a))
        self.memory: Singles = np.zeros((a, e, memory), dtype=np.float32)
        self.first: Bools = np.ones(e, dtype=bool)

    def play(
        self, team: Valued, steps: int, epsilon: float, on_step: OnStep | None = None
    ) -> Played:
        """Plays the next steps of every copy.

        Args:
            team: the networks that play.
            steps: how many.
            epsilon: probability that an agent takes any legal action, instead of the best one.
            on_step: called with each step, while `memory` and `first` are those before it.

        Raises:
            WorldError: a reward or an observation is not finite.
        """
        world = self.world
        by_agent, finished = [self.by_agent[:0].copy()], [np.zeros(0, dtype=np.int64)]
        for _ in range(steps):
            view = self.view
            actions, remembered = explore(
                world, team, view, epsilon, self.rng, self.memory, self.first
            )
            step = world.step(actions)
            require_finite(world, "rewards", step.reward.T)
            require_finite(world, "observations", step.last.seen.swapaxes(0, 1))
            if on_step is not None:
                on_step(view, actions, step)
            self.by_agent += step.own
            self.view, self.memory, self.first = step.view, remembered, step.ended
            if step.ended.any():
                by_agent.append(self.by_agent[step.ended])
                finished.append(np.flatnonzero(step.ended))
                self.by_agent[step.ended] = 0.0
        return Played(np.concatenate(by_agent), np.concatenate(finished))

    def capture(self) -> tuple[dict[str, NDArray[Any]], CollectorFacts]:
        """Returns everything that decides what is played next, the world included."""
        arrays, facts = self.world.capture()
        captured = {f"world.{name}": array for name, array in arrays.items()}
        mine: dict[str, NDArray[Any]] = {"by_agent": self.by_agent}
        if self.memory.size:
            mine |= {"memory": self.memory, "first": self.first}
        captured |= {f"player.{name}": array.copy() for name, array in mine.items()}
        return captured, {"world": facts, "actions": generator_state(self.rng)}

    def restore(self, arrays: NamedArrays, facts: CollectorFacts) -> None:
        """Resumes where `capture` was called."""
        for name, array in below("player", arrays).items():
            setattr(self, name, np.array(array))
        self.view = self.world.restore(below("world", arrays), facts["world"])
        self.rng.bit_generator.state = facts["actions"]


def explore(
    world: StepWorld,
    team: Valued,
    view: View,
    epsilon: float,
    rng: np.random.Generator,
    memory: Singles,
    first: Bools,
) -> tuple[Ints, Singles]:
    """Returns actions [E, A], the best legal one or with probability `epsilon` any legal one, and
    what agents then remember, [A, E, H].

    Args:
        world, team: whose agents these are, and the networks that play.
        view: what is seen.
        epsilon: probability of a random action.
        rng: its chance.
        memory: [A, E, H] what agents remember; H is 0 without memory.
        first: [E] whether an episode starts, so that nothing is remembered.
    """
    random = uniform_actions(world, view, rng)
    chance = rng.random(random.shape)
    seen = torch.from_numpy(view.seen.swapaxes(0, 1)[:, :, None])
    legal = None if view.legal is None else torch.from_numpy(view.legal.swapaxes(0, 1)[:, :, None])
    held = keep = None
    if memory.size:
        held = torch.from_numpy(memory)
        keep = torch.from_numpy(~first).float().expand(len(memory), -1)[..., None]
    with torch.inference_mode():
        values, remembered = team(seen, held, keep, legal)
        best = values[:, :, 0].argmax(dim=-1).T.numpy()
    after = memory if remembered is None else remembered[:, :, 0].numpy()
    return np.where(chance < epsilon, random, best), after


def explored_probabilities(
    world: StepWorld,
    team: Valued,
    agent: int,
    seen: Singles,
    legal: Bools | None,
    epsilon: float,
) -> Floats:
    """Returns the probabilities [N, M] of an agent's actions under `explore`, without memory.

    Args:
        world: whose agents these are.
        team, epsilon: as in `explore`.
        agent: its index.
        seen: [N, D] what it sees.
        legal: [N, M] its legal actions; None: all its actions are.
    """
    most = max(can.size for can in world.actions)
    may = np.broadcast_to(np.arange(most) < world.actions[agent].size, (len(seen), most))
    may = may if legal is None else may & legal
    shape = (len(world.agents), *seen.shape)
    with torch.inference_mode():
        every = torch.from_numpy(seen).expand(shape)[:, :, None]
        can = torch.from_numpy(may.copy()).expand(len(world.agents), -1, -1)[:, :, None]
        best = team(every, legal=can)[0][agent, :, 0].argmax(dim=-1).numpy()
    probs: Floats = epsilon * may / np.maximum(may.sum(axis=-1, keepdims=True), 1)
    probs[np.arange(len(seen)), best] += 1 - epsilon
    return probs
