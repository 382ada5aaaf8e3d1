"""One copy of a foreign environment: parallel, turn-based, or of tuples; and its spaces.

Start with `EnvironmentDriver`. Each dialect drives one environment and writes what happens into
rows of the arrays of `ForeignWorld`. All lookups are made beforehand, since stepping takes most of
the time. Spaces are distinguished by the names of their classes, so that gymnasium need not be
imported and spaces of its forks and predecessors work as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Set
from itertools import product
from math import prod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from counterpoint.arrays import Bools
from counterpoint.errors import WorldError
from counterpoint.worlds.sequential.world import Actions, Singles


class CopyArrays(NamedTuple):
    """The part of the world's arrays into which one copy writes."""

    seen: Singles
    """[A, D]."""
    active: Bools
    """[A]."""
    terminated: Bools
    """[A]."""
    legal: Bools
    """[A, M]."""


class TeamSpec(NamedTuple):
    """The description that all copies of an environment share."""

    agents: tuple[str, ...]
    """[A] names."""
    spaces: tuple[Any, ...]
    """[A] observation spaces."""
    sizes: tuple[int, ...]
    """[A] the number of values in each agent's observation."""
    actions: tuple[Actions, ...]
    """[A] the actions of each agent."""
    converters: tuple[Callable[[Any], Any] | None, ...]
    """[A] the conversion of our actions to those of the environment; None: they are the same."""
    horizon: int | None
    """Maximum number of steps of an episode, if the environment states it."""


class EnvironmentDriver(ABC):
    """Plays one environment."""

    over: bool
    """Whether the episode ended."""
    time: int
    """Steps of the episode so far."""
    informs = False
    """Whether masks of legal actions come with the infos."""
    timed: ClassVar[bool] = True
    """Whether our steps are the environment's steps, so that its limit is our horizon."""

    def __init__(self, env: Any, team: TeamSpec, rows: CopyArrays) -> None:
        self.env, self.agents, self.rows, self.horizon = env, team.agents, rows, team.horizon
        self.nothing = (0.0,) * len(team.agents)
        self.index = {name: k for k, name in enumerate(team.agents)}
        self.converters = team.converters if any(team.converters) else None
        self.writers: dict[str, Writer] = {}
        for k, (name, space) in enumerate(zip(team.agents, team.spaces, strict=True)):
            legal = rows.legal[k, : team.actions[k].size]
            self.writers[name] = writer(space, rows.seen[k, : team.sizes[k]], legal)
        self.masks = any(masked(space) for space in team.spaces)
        self.sizes = tuple(a.size for a in team.actions)
        self.has_all = rows.legal.copy()

    def start(self, seed: int) -> None:
        """Begins an episode."""
        self.rows.seen[...] = 0.0
        self.rows.terminated[...] = False
        self.rows.active[...] = True
        if self.masks or self.informs:
            self.rows.legal[...] = self.has_all
        self.over, self.time = False, 0
        self.begin(seed)

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Resets the environment, and writes the first observations."""

    @abstractmethod
    def act(self, actions: list[Any]) -> Any:
        """Plays one step with our `actions` [A]; returns the reward of each agent [A]."""

    def converted(self, actions: list[Any]) -> list[Any]:
        """Returns the actions [A] as the environment takes them."""
        if self.converters is None:
            return actions
        return [a if to is None else to(a) for to, a in zip(self.converters, actions, strict=True)]

    def note_masks(self, infos: Any) -> bool:
        """Writes the masks of legal actions in `infos`; returns whether there are any."""
        masked_any = False
        for name, info in infos.items():
            if name in self.index and "action_mask" in info:
                k = self.index[name]
                self.rows.legal[k, : self.sizes[k]] = info["action_mask"]
                masked_any = True
        return masked_any

    def refuse_unpaid(self, names: Set[str]) -> None:
        """Raises WorldError: these agents took part in a step, and have no reward for it."""
        raise WorldError(
            f"got no reward for {', '.join(sorted(names))} in step {self.time} of an episode; "
            "wanted a number for every agent that was there (0 for nothing)"
        )

    def finish(self, terminated: Any, truncated: Any, agents: Any) -> None:
        """Writes which agents have ended: `terminated` and `truncated` by name, `agents` go on."""
        active, done = self.rows.active, self.rows.terminated
        for k, name in enumerate(self.agents):
            done[k] |= bool(terminated.get(name, False))
            out = done[k] or bool(truncated.get(name, False)) or name not in agents
            active[k] = not out
        self.over = not active.any()


class Parallel(EnvironmentDriver):
    """PettingZoo's parallel environments: all agents act at once."""

    def begin(self, seed: int) -> None:
        seen, infos = self.env.reset(seed=seed)
        self.living = len(self.agents)
        for name, what in seen.items():
            self.writers[name](what)
        self.informs = self.note_masks(infos)
        if len(self.env.agents) != self.living:
            self._leave({}, {})

    def act(self, actions: list[Any]) -> Any:
        env, writers = self.env, self.writers
        given = dict(zip(self.agents, self.converted(actions), strict=True))
        if self.living != len(given):
            given = {name: given[name] for name in env.agents}
        self.time += 1
        seen, rewards, terminated, truncated, infos = env.step(given)
        if not given.keys() <= rewards.keys():
            self.refuse_unpaid(given.keys() - rewards.keys())
        for name, what in seen.items():
            writers[name](what)
        if self.informs:
            self.note_masks(infos)
        if any(terminated.values()) or any(truncated.values()) or len(env.agents) != self.living:
            self._leave(terminated, truncated)
        return tuple(map(rewards.get, self.agents, self.nothing))

    def _leave(self, terminated: Any, truncated: Any) -> None:
        self.finish(terminated, truncated, self.env.agents)
        self.living = len(self.env.agents)


class Turns(EnvironmentDriver):
    """PettingZoo's turn-based (AEC) environments: one agent acts a step.

    Rewards are handed on in the step in which the environment gives them, to whomever.
    """

    timed = False

    def begin(self, seed: int) -> None:
        self.env.reset(seed=seed)
        self.informs = self.note_masks(self.env.infos)
        self.rows.active[...] = False
        self.turn = 0
        self._look()

    def act(self, actions: list[Any]) -> Any:
        env = self.env
        self.time += 1
        env.step(self.converted(actions)[self.turn])
        if not env.rewards.keys() >= {self.agents[self.turn], *env.agents}:
            self.refuse_unpaid({self.agents[self.turn], *env.agents} - env.rewards.keys())
        rewards = tuple(map(env.rewards.get, self.agents, self.nothing))
        if any(env.terminations.values()) or any(env.truncations.values()):
            for name in env.agents:
                self.writers[name](env.observe(name))
            self.finish(env.terminations, env.truncations, env.agents)
            while env.agents and self._through(env.agent_selection):
                env.step(None)
            self.rows.active[...] = False
            self.over = not env.agents
        if not self.over:
            self._look()
        return rewards

    def _through(self, name: str) -> bool:
        return bool(self.env.terminations[name] or self.env.truncations[name])

    def _look(self) -> None:
        """Writes the observation of the agent whose turn it is."""
        env = self.env
        name = env.agent_selection
        self.rows.active[self.turn] = False
        self.turn = self.index[name]
        self.rows.active[self.turn] = True
        self.writers[name](env.observe(name))
        if self.informs:
            self.note_masks(env.infos)


class Tuples(EnvironmentDriver):
    """gymnasium environments whose observations, actions and rewards are one for each agent.

    They do not report whether time ran out; an end at the horizon counts as a cut-off.
    """

    def begin(self, seed: int) -> None:
        for player in getattr(self.env.unwrapped, "players", ()):
            player.position = None  # lbforaging keeps clear of where agents stood an episode ago
        seen, _ = self.env.reset(seed=seed)
        for write, what in zip(self.writers.values(), seen, strict=True):
            write(what)

    def act(self, actions: list[Any]) -> Any:
        self.time += 1
        seen, rewards, terminated, truncated, _ = self.env.step(self.converted(actions))
        for write, what in zip(self.writers.values(), seen, strict=True):
            write(what)
        if _all(terminated) or _all(truncated):
            self.over = True
            self.rows.active[...] = False
            self.rows.terminated[...] = _all(terminated) and self.time != self.horizon
        return rewards


def _all(flag: Any) -> bool:
    return all(flag) if isinstance(flag, list | tuple) else bool(flag)


def dialect(env: Any, name: str) -> type[EnvironmentDriver]:
    """Returns the driver for the interface that `env` has.

    Raises:
        WorldError: none of them.
    """
    if all(hasattr(env, part) for part in ("agent_iter", "last", "observe", "step", "reset")):
        return Turns
    if all(hasattr(env, part) for part in ("step", "reset", "action_space")):
        if hasattr(getattr(env, "action_space", None), "spaces"):
            return Tuples
        if callable(env.action_space):
            return Parallel
    raise WorldError(
        f"got world '{name}', which makes a value of type {type(env).__name__}; wanted a "
        "PettingZoo ParallelEnv or AECEnv, or a gymnasium environment with a Tuple of spaces, one "
        "for each agent"
    )


MOST_CHOICES = 256
"""An action of several choices is one of their product, up to this many."""

Writer = Callable[[Any], None]
"""Puts an observation into the row that it belongs to."""


def kind(space: Any) -> str:
    """Returns the name of the class of a space, or of the known one that it derives from."""
    known = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")
    names = [cls.__name__ for cls in type(space).__mro__]
    return next((name for name in names if name in known), names[0])


def masked(space: Any) -> bool:
    """Returns whether observations come as a dict that says which actions are legal."""
    return kind(space) == "Dict" and "action_mask" in space.spaces


def seen_size(space: Any, agent: str) -> int:
    """Returns the number of values of an observation: flattened, choices as one-hot vectors.

    Raises:
        WorldError: a space that is not numbers, nor a dict of `observation` and `action_mask`.
    """
    what = kind(space)
    if what == "Dict" and "observation" in space.spaces:
        return seen_size(space.spaces["observation"], agent)
    if what == "Box":
        return prod(space.shape)
    if what == "Discrete":
        return int(space.n)
    if what == "MultiDiscrete":
        return int(np.sum(space.nvec))
    if what == "MultiBinary":
        return int(np.prod(space.n))
    raise WorldError(
        f"got observations of {agent} in {space}; wanted a Box, choices, or a Dict with "
        "'observation' and 'action_mask': flatten them with a wrapper"
    )


def writer(space: Any, row: Singles, legal: Bools | None) -> Writer:
    """Returns a function that writes observations in `space` into `row` [size], and masks into
    `legal` [M]."""
    what = kind(space)
    if what == "Dict":
        inner = writer(space.spaces["observation"], row, None)
        if legal is None or not masked(space):
            return lambda seen: inner(seen["observation"])

        def both(seen: Any) -> None:
            inner(seen["observation"])
            legal[:] = seen["action_mask"]

        return both
    if what == "Discrete":
        return _one_hot(row, np.array([0]) - int(getattr(space, "start", 0)))
    if what == "MultiDiscrete":
        ends = np.cumsum(np.ravel(space.nvec))
        return _one_hot(row, np.concatenate([[0], ends[:-1]]))
    into = row.reshape(space.shape)

    def numbers(seen: Any) -> None:
        into[...] = seen

    return numbers


def _one_hot(row: Singles, starts: Any) -> Writer:
    def choices(seen: Any) -> None:
        row[:] = 0.0
        row[starts + np.ravel(seen)] = 1.0

    return choices


def actions(space: Any, agent: str) -> tuple[Actions, Callable[[Any], Any] | None]:
    """Returns the actions of an agent, and the conversion of our actions; None: they are the same.

    Raises:
        WorldError: a space of neither choices nor bounded numbers, or of too many choices.
    """
    what = kind(space)
    if what == "Discrete":
        start, size = int(getattr(space, "start", 0)), int(space.n)
        return Actions(size), None if start == 0 else range(start, start + size).__getitem__
    if what in ("MultiDiscrete", "MultiBinary"):
        nvec = space.nvec if what == "MultiDiscrete" else np.full(space.shape, 2)
        size = int(np.prod(nvec))
        if size > MOST_CHOICES:
            raise WorldError(
                f"got actions of {agent} in {space}: {size} combinations; wanted at most "
                f"{MOST_CHOICES}: split the agent, or leave choices out with a wrapper"
            )
        ways = product(*(range(n) for n in np.ravel(nvec).tolist()))
        table = [np.array(way, dtype=space.dtype).reshape(nvec.shape) for way in ways]
        return Actions(size), table.__getitem__
    if what == "Box" and np.isfinite(space.low).all() and np.isfinite(space.high).all():
        low, high = (tuple(bound.ravel().tolist()) for bound in (space.low, space.high))
        size, shape, dtype = prod(space.shape), space.shape, space.dtype
        return Actions(size, low, high), lambda row: row[:size].astype(dtype).reshape(shape)
    raise WorldError(
        f"got actions of {agent} in {space}; wanted choices (Discrete, MultiDiscrete, "
        "MultiBinary) or a Box with finite bounds: wrap the environment"
    )
