"""`StepWorld`: a sequential environment, with E copies of it side by side.

Start with `StepWorld`; `particles.py` is the one to read next. Axis letters: E copies, A agents, D
numbers that an agent sees, M discrete actions, U dimensions of a continuous action, K reward
components. Copies start anew by themselves when their episode ends. A world holds its own state
and its own generator, and `capture` writes both down: what a restored world does next is what the
captured one would have done, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools, Floats, GeneratorState, Ints, NamedArrays
from counterpoint.errors import SettingError, StatisticsError
from counterpoint.settings import (
    CheckedSettings,
    GivenSettings,
    number_from,
    split_list,
    split_pairs,
)
from counterpoint.worlds.kind import Kind, SettingFacts, WorldEntry, WorldFacts, facts_from
from counterpoint.worlds.sequential.actions import Actions, most_choices, most_numbers

Singles = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class StepSettings(CheckedSettings):
    """Settings of every sequential environment.

    Raises:
        SettingError: a number out of its range.
    """

    reward: Literal["own", "common"] = "own"
    """The reward of an agent: the world's own reward for it, or the sum of all agents' rewards."""
    stakes: str = ""
    """Factors on the rewards of some agents: names of agents or roles with factors, such as
    `agent_0:100,speaker:0.1`. Returns stay in the world's own unit."""
    speakers: str = ""
    """Agents or roles whose actions are messages; empty takes those that the world declares."""


class SeenPart(NamedTuple):
    """A part of an agent's observation: an array, flattened."""

    name: str
    """Its name, such as `camera.depth`; empty if the observation has one part without a name."""
    shape: tuple[int, ...]
    """The shape that it had."""
    start: int
    """The place of its first number in the observation."""
    image: bool = False
    """Whether it is a picture, [height, width, channels] or [channels, height, width]."""

    @property
    def described(self) -> str:
        """Returns name and shape in words, such as `camera.depth 64x64x1`."""
        return f"{self.name or 'numbers'} {'x'.join(map(str, self.shape))}".strip()


class Extent(IntEnum):
    """How large a number that an agent sees can be."""

    CHOICE = 0
    """0 or 1: a part of a one-hot vector or of a mask."""
    NARROW = 1
    """Within [-10, 10]."""
    WIDE = 2
    """Without bounds, or with wider ones."""


@dataclass(frozen=True)
class View:
    """The observations of the teams before they act. Arrays are the reader's to keep: no step
    changes them."""

    seen: Singles
    """[E, A, D] each agent's observation, zeros behind its own `seen_sizes[a]` numbers."""
    state: Singles
    """[E, Z] the observation of a centralized critic: the whole state."""
    active: Bools
    """[E, A] whether the agent decides in this step; actions of the others are ignored. An agent
    may leave, join and return while the others play on."""
    legal: Bools | None = None
    """[E, A, M] whether an action is legal now; None as long as all always were. An active agent
    has at least one. Rows of agents that give numbers are not read."""


@dataclass(frozen=True)
class Step:
    """The result of one step. Rows of copies that were reset show the new episode in `view`."""

    view: View
    """The next observations."""
    reward: Floats
    """[E, A] the reward of each agent, as `settings.reward` says."""
    own: Floats
    """[E, A] the world's own reward for each agent, in the world's own unit."""
    terminated: Bools
    """[E, A] whether the agent's stretch ended, here or before, for good: no decision of its could
    follow. The flag holds until the episode ends or the agent returns: with the step whose `view`
    has it active again it is false, and a new stretch begins. What an agent is paid while it is
    terminated belongs to its last decision. An agent that is cut off while others go on keeps its
    last observation in `view`, and is inactive and not terminated until the episode ends."""
    ended: Bools
    """[E] whether the episode ended with this step, for good or because its time is over."""
    last: View
    """The last observations of the ended copies, before their reset; as `view` in the others. The
    value of an agent that was cut off (ended, not terminated) is that of this view."""
    components: Floats | None = None
    """[E, A, K] parts that add up to `reward`; None where there is one."""


@dataclass(frozen=True)
class References:
    """Two returns that make scores comparable: (return - random) / (reference - random)."""

    random: float | None
    """Return of a team that chooses uniformly among legal actions."""
    reference: float | None
    """Return of a good team."""
    scale: str
    """The published scale of the returns, and the source of `reference`."""
    silent: float | None = None
    """Return of a good team that does not talk; None if that is not known."""

    def normalized(self, returns: Floats) -> Floats | None:
        """Returns scores [...] of returns: 0 is random, 1 the reference; None if not known."""
        if self.random is None or self.reference is None:
            return None
        return (returns - self.random) / (self.reference - self.random)


class CapturedFacts(TypedDict, total=False):
    """The part of a captured world that arrays cannot hold, as `facts.json` of a checkpoint has
    it."""

    generator: GeneratorState
    """The state of its generator; a world that has none leaves it out."""
    world: str
    """The name of a foreign environment."""


class Captured(NamedTuple):
    """The whole state of a world: it determines all later steps."""

    arrays: NamedArrays
    facts: CapturedFacts


class StepWorld(ABC):
    """A sequential team task, E copies side by side.

    The return of an episode is the sum of `Step.own` over its agents and steps, whatever
    `settings.reward` says.
    """

    name: str
    """The name on the command line."""
    summary: str
    """A summary in one line."""
    source: str
    """The source of the world."""
    settings: StepSettings
    """Its settings."""

    copies: int
    """E."""
    agents: tuple[str, ...]
    """[A] names."""
    roles: tuple[str, ...]
    """[A] role of each agent: agents of one role have the same kind of observations and actions."""
    seen_sizes: tuple[int, ...]
    """[A] the number of values that each agent sees; D is the largest."""
    seen_parts: tuple[tuple[SeenPart, ...], ...] = ()
    """[A] the parts of each agent's observation, in order; empty where they are not known."""
    extents: NDArray[np.int8] | None = None
    """[A, D] the `Extent` of each number that agents see; None: all are narrow."""
    actions: tuple[Actions, ...]
    """[A] the actions of each agent: choices or numbers."""
    state_size: int
    """Z."""
    horizon: int | None
    """Maximum number of steps of an episode; None if there is no limit."""
    limit: str = ""
    """The setting of that maximum; empty if there is none."""
    components: tuple[str, ...] = ("reward",)
    """[K] names of the reward's parts."""
    speakers: tuple[str, ...] = ()
    """Names of the agents whose actions are messages: see `channels.py`."""
    references: References
    """Returns of a random and of a good team."""
    python: ClassVar[bool] = False
    """Whether copies are stepped one by one in Python, so that stepping takes most of the time."""

    @abstractmethod
    def reset(self, seed: int | None = None) -> View:
        """Starts a new episode in every copy; with a seed, as a new world of that seed does."""

    @abstractmethod
    def step(self, actions: NDArray[Any]) -> Step:
        """Plays one step in every copy.

        Args:
            actions: [E, A] integers where all agents choose. Else [E, A, U] floats: the numbers
                of an agent that gives numbers, within its bounds, or first the choice of one that
                chooses. U is the largest number of dimensions; surplus numbers are ignored.
        """

    @abstractmethod
    def capture(self) -> Captured:
        """Returns the whole state that determines all later steps, the generator included."""

    @abstractmethod
    def restore(self, arrays: NamedArrays, facts: CapturedFacts) -> View:
        """Continues where `capture` was called, and returns the view there."""

    def omit_state(self) -> None:  # noqa: B027  (most worlds have it at hand)
        """Leaves `View.state` empty from now on, with Z = 0, if that saves work; it is for callers
        that do not read it, and called before the first reset."""

    def notes(self) -> tuple[str, ...]:
        """Returns sentences about what the world gave that was not as it should be, with counts."""
        return ()

    def close(self) -> None:  # noqa: B027  (most worlds hold nothing)
        """Closes windows, files and processes, if there are any."""


def endless(world: StepWorld) -> str:
    """Returns an advice about a world whose episodes do not end."""
    if world.limit:
        return f"set {world.limit}, the maximum number of steps of an episode (now {world.horizon})"
    return "let the environment truncate its episodes after a number of steps"


def paid(own: Floats, world: StepWorld) -> Floats:
    """Returns the rewards of agents, [E, A], for the world's own rewards `own` [E, A]."""
    settings = world.settings
    with np.errstate(over="ignore"):  # a training refuses rewards that are not finite
        if settings.reward == "common":
            own = np.repeat(own.sum(axis=-1, keepdims=True), own.shape[-1], axis=-1)
        if settings.stakes:
            own = own * stakes_of(settings.stakes, world.agents, world.roles)
    return own


@lru_cache
def stakes_of(stakes: str, agents: tuple[str, ...], roles: tuple[str, ...]) -> Floats:
    """Returns the factor of each agent's reward, [A]; its own entry goes before its role's.

    Raises:
        SettingError: no `name:factor` pairs, a name that no agent or role has, or a factor that is
            not a positive number.
    """
    form = f"name:factor, such as {agents[0]}:10"
    pairs = split_pairs(split_list(stakes), "stakes", form, ":")
    factors = {name: number_from(f"stakes of {name}", x, float) for name, x in pairs.items()}
    for name, factor in factors.items():
        if not 0 < factor < np.inf:
            raise SettingError(f"got stakes of {name}={factor}; wanted a positive number")
    unknown = sorted(set(factors) - set(agents) - set(roles))
    if unknown:
        known = ", ".join(dict.fromkeys((*agents, *roles)))
        raise SettingError(f"got stakes for {', '.join(unknown)}; wanted names out of {known}")
    return np.array(
        [factors.get(a, factors.get(role, 1.0)) for a, role in zip(agents, roles, strict=True)]
    )


def uniform_actions(world: StepWorld, view: View, rng: np.random.Generator) -> NDArray[Any]:
    """Returns actions of a team that chooses uniformly among legal ones, or within bounds.

    They are [E, A] or [E, A, U], as `StepWorld.step` takes them.
    """
    shape = (world.copies, len(world.agents))
    most, size = most_choices(world.actions), most_numbers(world.actions)
    if size:
        low, high = np.zeros((2, len(world.agents), size))
        for k, a in enumerate(world.actions):
            if a.continuous:
                low[k, : a.size], high[k, : a.size] = a.low, a.high
        numbers: Floats = low + (high - low) * rng.random((*shape, size))
        if not most:
            return numbers
    legal = np.arange(most) < np.array([a.size for a in world.actions])[:, None]
    allowed = np.broadcast_to(legal, (*shape, most)) if view.legal is None else view.legal & legal
    count = np.maximum(allowed.sum(axis=-1), 1)
    # the n-th legal action is where the count of legal ones first exceeds n
    nth = (rng.random(shape) * count).astype(np.int64)
    actions: Ints = (allowed.cumsum(axis=-1) > nth[..., None]).argmax(axis=-1)
    if not size:
        return actions
    chooses = [k for k, a in enumerate(world.actions) if not a.continuous]
    numbers[:, chooses, 0] = actions[:, chooses]
    return numbers


Team = Callable[[StepWorld, View, np.random.Generator], NDArray[Any]]
"""Maps a world, a view and a generator to actions; `uniform_actions` is one."""


def returns(
    world: StepWorld, team: Team, episodes: int, seed: int = 0, most_steps: int = 1_000_000
) -> Floats:
    """Returns [episodes] of whole episodes: sums of the world's own rewards of all agents.

    Every copy plays the same number of episodes, so that short episodes do not displace long ones;
    surplus episodes are left out. The world is reset first.

    Raises:
        StatisticsError: the copies did not get through within `most_steps` steps, all together.
    """
    rng, view = np.random.default_rng(seed), world.reset()
    each = -(-episodes // world.copies)
    totals = np.zeros((each, world.copies))
    played = np.zeros(world.copies, dtype=np.int64)
    running = np.zeros(world.copies)
    for _ in range(most_steps // world.copies):
        step = world.step(team(world, view, rng))
        view = step.view
        running += step.own.sum(axis=1)
        done = np.flatnonzero(step.ended & (played < each))
        totals[played[done], done] = running[done]
        played[step.ended] += 1
        running[step.ended] = 0.0
        if played.min() >= each:
            return totals.ravel()[:episodes]
    raise StatisticsError(
        f"got {played.sum()} episodes in {most_steps} steps; wanted {each * world.copies}: "
        "give more steps, or a world whose episodes end"
    )


def random_return(world: StepWorld, episodes: int = 200, seed: int = 0) -> tuple[float, float]:
    """Returns the mean return of a uniformly random team, and its standard error.

    It is for worlds without known references. The world is reset first.

    Raises:
        StatisticsError: its episodes do not end.
    """
    samples = returns(world, uniform_actions, episodes, seed)
    return float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples)))


class SequentialFacts(WorldFacts, frozen=True, kw_only=True):
    """The facts about a sequential environment."""

    agents: list[str]
    roles: list[str]
    horizon: int | None
    observations: list[int]
    """[A] sizes."""
    actions: list[int]
    """[A] numbers of actions, or of dimensions."""
    continuous: list[bool]
    """[A] whether actions are numbers rather than choices."""
    features: dict[str, list[str]]
    """Role to the names and shapes of the parts of its observations, where they are known."""
    components: list[str]
    random: float | None
    reference: float | None
    scale: str
    settings: dict[str, SettingFacts]


class SequentialEntry(WorldEntry[StepWorld]):
    """A sequential environment in the registry, ours or foreign."""

    kind = Kind.SEQUENTIAL
    takes_arguments: ClassVar[bool] = False
    """Whether settings that are no fields of `settings_type` are arguments of a constructor."""

    def argument_names(self) -> frozenset[str]:
        """Returns the names of the arguments of a foreign environment's constructor."""
        return frozenset()

    def make(
        self, settings: GivenSettings | None = None, copies: int = 1, seed: int = 0
    ) -> StepWorld:
        """Returns E copies of the environment.

        Args:
            settings: as for every entry.
            copies: E.
            seed: seed of the environment's generator.

        Raises:
            UnknownNameError, SettingError: as for every entry.
            MissingPackageError: the package of a foreign environment is not installed.
            WorldError: a foreign environment cannot be played here.
        """
        world = self.construct(settings, copies, seed)
        stakes_of(world.settings.stakes, world.agents, world.roles)  # refused now, not at a step
        return world

    @abstractmethod
    def construct(self, settings: GivenSettings | None, copies: int, seed: int) -> StepWorld:
        """Returns the environment, with stakes that are not checked yet."""

    def describe(self) -> SequentialFacts:
        world = self.make()
        facts = facts_from(
            SequentialFacts, world, self,
            summary=self.summary, source=self.source,
            observations=world.seen_sizes,
            actions=[a.size for a in world.actions],
            continuous=[a.continuous for a in world.actions],
            features={
                role: [part.described for part in parts]
                for role, parts in zip(world.roles, world.seen_parts or (), strict=False)
            },
            random=world.references.random,
            reference=world.references.reference,
            scale=world.references.scale,
        )  # fmt: skip
        world.close()
        return facts
