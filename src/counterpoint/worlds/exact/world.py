"""`World`: a team task in NumPy, with many seeds side by side in one set of arrays.

Start with `World`, then read `regions.py`, the headline world. Axis letters: S seeds, P prompts of
one batch, G rollouts of a prompt, L slots, A agents, C contexts, M actions, K reward components.
A slot is one possible decision of a rollout: an agent and a turn. Slots that a rollout does not
use are masked. Chance comes from one generator a seed, and is drawn before any action is known:
seed s plays the same problems under every scheme, in whatever company, in whatever process.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.settings import CheckedSettings, GivenSettings, Range, settings_from
from counterpoint.worlds.kind import Kind, SettingFacts, WorldEntry, WorldFacts, facts_from

TASK, FEATURES, CHANCE = 0, 1, 2
"""Streams of a seed: what the problem is, what a policy sees of it, what happens in the batches."""


@dataclass(frozen=True, kw_only=True)
class Settings(CheckedSettings):
    """Settings of every exact world: how the team is parameterized and trained.

    Raises:
        SettingError: a number out of its range.
    """

    parameters: Literal["shared", "separate"] = "shared"
    """One linear policy on random features of (agent, context) for all, or a table for each."""
    updates: Annotated[int, Range(1, 1_000_000)] = 200
    """Policy updates, each from one batch of prompts x rollouts."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """How a gradient becomes a step."""
    lr: Annotated[float, Range(0.0, 1e6)] = 0.2
    """Learning rate."""
    entropy: Annotated[float, Range(0.0, 1e6)] = 0.01
    """Weight of the entropy bonus, in nats, averaged over decisions."""
    clip: Annotated[float, Range(0.0, np.inf)] = 1.0
    """Largest global norm of the gradient, all agents together."""


@dataclass(frozen=True)
class Play:
    """One batch, as it was played. Entries of inactive slots mean nothing."""

    context: Ints
    """[S, P, G, L] the context of the agent of the slot."""
    action: Ints
    """[S, P, G, L] its action."""
    active: Bools
    """[S, P, G, L] whether the slot was used at all."""
    reward: Floats
    """[S, P, G, L] the team's reward, as the agent of the slot received it."""
    outcome: Floats
    """[S, P, G] the rollout's unbiased sample of the return, in the return's unit."""
    components: Floats | None = None
    """[S, P, G, L, K] parts of the reward, for schemes that normalize first; None: one part."""
    signals: Mapping[str, Floats] = field(default_factory=dict)
    """Baseline name to [S, P, G, L]: `counterfactual` is what to subtract from the reward (its
    expectation over the agent's own action), `difference` and `own_component` replace it."""


@dataclass(frozen=True)
class Evaluation:
    """The exact expected values of a joint policy, without sampling."""

    returns: Floats
    """[S] the team's return, in the world's own unit."""
    weighted_returns: Floats
    """[S] the return with each part weighted by the reward paid for it, as a share of the best."""
    accuracy: Floats
    """[S, A] probability that the agent does the right thing, averaged over its contexts."""
    regret: Floats
    """[S, A] return that the team would gain if this agent alone were perfect."""


class World(ABC):
    """A contextual team task of one or a few steps, batched over seeds.

    `tasks` and `draw` make one seed's problem and one update's chance; `play` and `evaluate` take
    those of all seeds, stacked along a first axis. Neither touches a generator.
    """

    name: ClassVar[str]
    """The name in the catalogue."""
    summary: ClassVar[str]
    """A summary in one line."""
    source: ClassVar[str] = "ours"
    """The source of the idea."""
    settings_type: ClassVar[type[Settings]] = Settings
    """Its settings: a frozen dataclass, each field with a docstring under it."""

    agents: tuple[str, ...]
    """[A] names."""
    roles: tuple[str, ...] | None = None
    """[A] role of each agent, or None where each agent is its own."""
    slots: tuple[tuple[int, int], ...]
    """[L] agent index and turn of each possible decision."""
    contexts: int
    """C, the number of different contexts."""
    actions: int
    """M, the largest number of actions of an agent."""
    prompts: int = 8
    """P, prompts in a batch."""
    rollouts: int = 8
    """G, rollouts of each prompt."""
    components: tuple[str, ...] = ("reward",)
    """[K] names of the reward's parts."""
    baselines: tuple[str, ...] = ()
    """The baselines that `play` answers."""
    control: ClassVar[Mapping[str, str | float] | None] = None
    """Settings under which everybody always acts, so that decoupling by agent is a no-op."""
    random: float
    """Return of a team that chooses uniformly among legal actions."""
    optimal: float
    """The return of the best joint policy."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    @property
    def legal(self) -> Bools:
        """Returns whether an action is legal for an agent in a context, [A, C, M]; by default all
        are."""
        return np.ones((len(self.agents), self.contexts, self.actions), dtype=bool)

    @abstractmethod
    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        """Returns the problem of one seed, which is the same in all updates."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        """Returns the chance of one update of one seed: prompts, noise, uniforms of actions."""

    @abstractmethod
    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        """Returns a batch of all seeds.

        Args:
            tasks: what `tasks` returned, stacked over seeds.
            chance: what `draw` returned, stacked over seeds.
            probs: [S, A, C, M] the joint policy; 0 where an action is not legal.
        """

    @abstractmethod
    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        """Returns the exact worth of a joint policy `probs` [S, A, C, M]."""

    @abstractmethod
    def solution(self, tasks: NamedArrays) -> Floats:
        """Returns a joint policy that reaches `optimal`, [S, A, C, M]."""

    def uniform(self, seeds: int) -> Floats:
        """Returns the policy that chooses uniformly among legal actions, [S, A, C, M]."""
        legal = self.legal
        return np.repeat((legal / legal.sum(axis=-1, keepdims=True))[None], seeds, axis=0)


def stack(parts: Sequence[NamedArrays]) -> dict[str, NDArray[Any]]:
    """Returns the arrays of several seeds under each name, stacked along a new first axis S."""
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def sample(probs: Floats, agent: Ints, context: Ints, uniforms: Floats) -> Ints:
    """Returns actions drawn by the inverse distribution function of each policy.

    Equal uniforms give equal quantiles.

    Args:
        probs: [S, A, C, M].
        agent: agent indices that broadcast against `context`.
        context: [S, ...] contexts.
        uniforms: [S, ...] numbers in [0, 1), one for each decision.

    Returns:
        [S, ...] action indices; an action of probability 0 is never among them.
    """
    total = probs.cumsum(axis=-1)
    at = total[by_seed(context), agent, context]
    # uniforms are scaled by the total, so that rounding never selects an action of probability 0
    action: Ints = (at[..., :-1] <= uniforms[..., None] * at[..., -1:]).sum(axis=-1)
    return action


def by_seed(array: NDArray[Any]) -> Ints:
    """Returns seed indices [S, 1, ...] that broadcast against `array` [S, ...]."""
    return np.arange(len(array)).reshape(-1, *(1,) * (array.ndim - 1))


def chosen(table: NDArray[Any], index: Ints) -> NDArray[Any]:
    """Returns the entries of `table` [..., M] at `index` [...] along the last axis."""
    return np.take_along_axis(table, index[..., None], axis=-1)[..., 0]


def one_hot(index: Ints, size: int) -> Floats:
    """Returns the policy [..., size] that always takes the action `index` [...]."""
    policy: Floats = (index[..., None] == np.arange(size)).astype(np.float64)
    return policy


class ExactFacts(WorldFacts, frozen=True, kw_only=True):
    """The facts about an exact world."""

    agents: list[str]
    components: list[str]
    baselines: list[str]
    random: float
    optimal: float
    control: dict[str, str | float] | None
    settings: dict[str, SettingFacts]


class ExactEntry(WorldEntry[World]):
    """An exact world in the registry."""

    kind = Kind.EXACT

    def __init__(self, world: type[World]) -> None:
        super().__init__(world.name, world.settings_type, world.summary, world.source)
        self.world = world

    def make(self, settings: GivenSettings | None = None) -> World:
        return self.world(settings_from(settings, self.world.settings_type, self.name))

    def describe(self) -> ExactFacts:
        return facts_from(ExactFacts, self.make(), self)


class PermutedWorld(World):
    """`world` with agent `order[k]` in place k, and its slots by turn, then by place.

    Problems and chance are those of `world`, and so is all that happens.

    Raises:
        SettingError: `order` does not name each agent once.
    """

    def __init__(self, world: World, order: Sequence[int]) -> None:
        if sorted(order) != list(range(len(world.agents))):
            raise SettingError(
                f"got order {list(order)}; wanted each of 0 to {len(world.agents) - 1} once"
            )
        super().__init__(world.settings)
        self.world, self.order, self.place = world, list(order), np.argsort(order)
        self.name, self.summary = world.name, world.summary  # type: ignore[misc]  # as inside
        self.source, self.control = world.source, world.control  # type: ignore[misc]
        self.agents = tuple(world.agents[k] for k in order)
        self.roles = None if world.roles is None else tuple(world.roles[k] for k in order)
        slots = [(int(self.place[agent]), turn) for agent, turn in world.slots]
        self.slot = sorted(range(len(slots)), key=lambda i: slots[i][::-1])
        self.slots = tuple(slots[i] for i in self.slot)
        self.contexts, self.actions = world.contexts, world.actions
        self.prompts, self.rollouts = world.prompts, world.rollouts
        self.components, self.baselines = world.components, world.baselines
        self.random, self.optimal = world.random, world.optimal

    @property
    def legal(self) -> Bools:
        return self.world.legal[self.order]

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return self.world.tasks(rng)

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        return _uniforms_in(self.slot, self.world.draw(rng, update))

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        theirs = _uniforms_in(np.argsort(self.slot).tolist(), chance)
        play = self.world.play(tasks, theirs, np.take(probs, self.place, axis=1))
        parts = play.components
        return replace(
            play,
            context=self._by_slot(play.context),
            action=self._by_slot(play.action),
            active=self._by_slot(play.active),
            reward=self._by_slot(play.reward),
            components=None if parts is None else self._by_slot(parts),
            signals={name: self._by_slot(values) for name, values in play.signals.items()},
        )

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        evaluation = self.world.evaluate(tasks, np.take(probs, self.place, axis=1))
        accuracy, regret = evaluation.accuracy[:, self.order], evaluation.regret[:, self.order]
        return replace(evaluation, accuracy=accuracy, regret=regret)

    def solution(self, tasks: NamedArrays) -> Floats:
        return np.take(self.world.solution(tasks), self.order, axis=1)

    def _by_slot(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns `values` [S, P, G, L, ...] of the inner world in the order of these slots."""
        return np.take(values, self.slot, axis=3)


def _uniforms_in(slots: list[int], chance: NamedArrays) -> NamedArrays:
    """Returns `chance` with the uniforms behind the actions, [..., L], in the order of `slots`."""
    return {
        name: np.take(values, slots, axis=-1) if name == "uniforms" else values
        for name, values in chance.items()
    }


def natural_order(agents: Sequence[str]) -> list[int]:
    """Returns the indices of agents sorted by name, the first number by value (a2 before a10)."""

    def key(k: int) -> tuple[str, int, str, str]:
        parts = [*re.split(r"([0-9]+)", agents[k], maxsplit=1), "-1", ""]
        return parts[0], int(parts[1]), parts[2], agents[k]

    return sorted(range(len(agents)), key=key)


def in_natural_order(world: World) -> World:
    """Returns `world` with agents in the natural order of their names, and slots by turn.

    Then no result depends on the order in which a world lists them. A world in that order is
    returned unchanged.
    """
    order = natural_order(world.agents)
    by_turn = sorted(world.slots, key=lambda slot: slot[::-1])
    if order == sorted(order) and list(world.slots) == by_turn:
        return world
    return PermutedWorld(world, order)
