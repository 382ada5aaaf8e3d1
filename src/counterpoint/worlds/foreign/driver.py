"""`EnvironmentDriver`: what the drivers of one copy of a foreign environment share.

A driver plays one environment and writes what happens into rows of the arrays of `ForeignWorld`.
Agents are tracked by name: they may leave, join, return and swap places in one step. All lookups
are made beforehand, since stepping takes most of the time. The drivers are in `dialects.py`.
"""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np

from counterpoint.arrays import Bools
from counterpoint.errors import WorldError
from counterpoint.worlds.foreign.spaces import MASK, Converter, Observations, Writer, note_mask
from counterpoint.worlds.sequential.actions import Actions, most_choices, most_numbers
from counterpoint.worlds.sequential.world import Singles

RESET = "def reset(self, seed=None, options=None), which returns (observations, infos)"
PARTS = ("observations", "rewards", "terminations", "truncations", "infos")
"""What `step` returns, each a dict with the names of agents as keys."""
LARGEST = float(np.finfo(np.float32).max)
"""The largest number of an observation."""
LARGEST_REWARD = 1e15
"""Sums of the squares of larger ones overflow in networks of single precision."""


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
    keys: tuple[Hashable, ...]
    """[A] the environment's own names, which need not be text."""
    observations: tuple[Observations, ...]
    """[A] how observations become numbers."""
    actions: tuple[Actions, ...]
    """[A] the actions of each agent."""
    converters: tuple[Converter | None, ...]
    """[A] the conversion of our actions to those of the environment; None: they are the same."""
    horizon: int | None
    """Maximum number of steps of an episode, if the environment states it."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """[A] the number of values in each agent's observation."""
        return tuple(one.size for one in self.observations)

    def all_legal(self) -> Bools:
        """Returns [A, M], the actions that each agent has; where none chooses, M is U."""
        sizes = np.array([can.size for can in self.actions])
        most = most_choices(self.actions) or most_numbers(self.actions)
        legal: Bools = np.arange(most) < sizes[:, None]
        return legal


class EnvironmentDriver(ABC):
    """Plays one environment."""

    over: bool
    """Whether the episode ended."""
    time: int
    """Steps of the episode so far."""
    informs = False
    """Whether masks of legal actions have come with the infos."""
    timed: ClassVar[bool] = True
    """Whether our steps are the environment's steps, so that its limit is our horizon."""

    def __init__(self, env: Any, team: TeamSpec, rows: CopyArrays) -> None:
        self.env, self.team, self.rows = env, team, rows
        self.nothing = (0.0,) * len(team.keys)
        self.index = {key: k for k, key in enumerate(team.keys)}
        self.converters = team.converters if any(team.converters) else None
        self.legal = [
            np.ones(can.size, dtype=bool) if can.continuous else rows.legal[k, : can.size]
            for k, can in enumerate(team.actions)
        ]
        """[A][M] where each agent's mask is written; one of numbers is read nowhere."""
        self.writers: dict[Hashable, Writer] = {
            key: one.writer(rows.seen[k, : one.size], legal)
            for k, (key, one, legal) in enumerate(
                zip(team.keys, team.observations, self.legal, strict=True)
            )
        }
        self.masks = any(one.mask is not None for one in team.observations)
        self.has_all = team.all_legal()
        self.cut = np.zeros(len(team.keys), dtype=bool)
        """[A] whether the agent was cut off before it was back, if it is."""

    def start(self, seed: int) -> None:
        """Begins an episode."""
        self.rows.seen[...] = 0.0
        self.rows.terminated[...] = False
        self.rows.active[...] = True
        self.rows.legal[...] = self.has_all
        self.cut[...] = False
        self.over, self.time = False, 0
        self.begin(seed)

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Resets the environment, and writes the first observations."""

    @abstractmethod
    def act(self, actions: list[Any]) -> Any:
        """Plays one step with our `actions` [A]; returns the reward of each agent [A]."""

    def reset(self, seed: int) -> Any:
        """Returns what the environment's `reset` returns.

        Raises:
            WorldError: it takes no seed.
        """
        try:
            return self.env.reset(seed=seed)
        except TypeError as error:
            if "'seed'" not in str(error):
                raise
            raise WorldError(f"got a reset that takes no seed; wanted {RESET}") from error

    def converted(self, actions: list[Any]) -> list[Any]:
        """Returns the actions [A] as the environment takes them."""
        if self.converters is None:
            return actions
        return [a if to is None else to(a) for to, a in zip(self.converters, actions, strict=True)]

    def note_masks(self, infos: Any) -> None:
        """Writes the masks of legal actions in `infos`; without one, all actions are legal."""
        for key, info in (infos or {}).items():
            if info and key in self.index and info.get(MASK) is not None:
                k, self.informs = self.index[key], True
                note_mask(self.legal[k], info[MASK], self.team.agents[k])
            elif self.informs and key in self.index:
                self.rows.legal[self.index[key]] = self.has_all[self.index[key]]

    def write(self, seen: Any, present: Collection[Hashable]) -> None:
        """Writes the observations of agents by name.

        Raises:
            WorldError: an agent that is present has none, or one is of an unknown agent.
        """
        for key in present:
            if key not in seen:
                self.refuse("no observation", {key}, "one of every agent in agents")
        for key, what in seen.items():
            if key not in self.writers:
                wanted = "names out of possible_agents, which has to hold all that ever take part "
                self.refuse("an observation", {key}, wanted + "when the environment is made")
            self.writers[key](what)

    def refuse(self, what: str, keys: Collection[Hashable], wanted: str) -> NoReturn:
        """Raises WorldError: `what` the environment gave for these agents, and what is wanted."""
        names = ", ".join(sorted(map(str, keys)))
        raise WorldError(
            f"got {what} for {names} in step {self.time} of an episode; wanted {wanted}"
        )

    def refuse_unpaid(self, keys: Collection[Hashable]) -> NoReturn:
        """Raises WorldError: these agents took part in a step, and have no reward for it."""
        wanted = "a number for every agent that was there (0 for nothing)"
        if not set(keys) & set(self.env.agents):
            wanted += ", and in its last step terminations or truncations that are True for it"
        self.refuse("no reward", keys, wanted)

    def refuse_not_finite(self) -> None:
        """Raises WorldError where an observation has numbers that are not finite, in float32."""
        for k in np.flatnonzero(~np.isfinite(self.rows.seen).all(axis=-1)):
            self.refuse(
                "an observation that is NaN or infinite", {self.team.agents[k]},
                f"numbers between {-LARGEST:.1e} and {LARGEST:.1e}, as float32 has them",
            )  # fmt: skip

    def numbers(self, rewards: Any) -> list[float]:
        """Returns rewards [A] as numbers.

        Raises:
            WorldError: one is not a number up to `LARGEST_REWARD`, or some are missing.
        """
        agents, row = self.team.agents, []
        if np.ndim(rewards) == 0 or len(rewards) != len(agents):
            raise WorldError(
                f"got rewards {_short(rewards)} in step {self.time} of an episode; wanted "
                f"{len(agents)}, one for each agent"
            )
        for agent, reward in zip(agents, rewards, strict=True):
            try:
                number = float(np.asarray(reward, dtype=np.float64).reshape(()))
            except (TypeError, ValueError):
                number = np.nan
            if not abs(number) <= LARGEST_REWARD:
                cure = "look at what step returns for it"
                if np.isfinite(number):
                    cure = "pay in a larger unit"
                if np.size(reward) > 1:
                    cure = "add its parts up, with a weight each"
                raise WorldError(
                    f"got reward {_short(reward)} of {agent} in step {self.time} of an episode; "
                    f"wanted one number up to {LARGEST_REWARD:g}: {cure}"
                )
            row.append(number)
        return row

    def mark(
        self, terminated: Mapping[Any, Any], truncated: Mapping[Any, Any], present: Any
    ) -> None:
        """Writes which agents are active and terminated.

        Args:
            terminated, truncated: the flags of this step, by name.
            present: the environment's `agents` after it.
        """
        active, done, cut = self.rows.active, self.rows.terminated, self.cut
        for k, key in enumerate(self.team.keys):
            here = key in present
            if terminated.get(key, False):
                done[k] = True
            elif here:
                done[k] = False  # also if it was terminated before: it has returned
            if truncated.get(key, False):
                cut[k] = True
            elif here:
                cut[k] = False
            active[k] = here and not done[k] and not cut[k]

    def mark_missing(self, there: Bools) -> None:
        """Terminates the agents that were not there [A] when the episode ended, if nobody cut them
        off: nothing more is expected of them."""
        self.rows.terminated[...] |= ~there & ~self.cut


def require_dicts(what: str, names: Sequence[str], parts: Sequence[Any]) -> None:
    """Raises WorldError unless each part, called by its name, is a dict; infos may be None."""
    for name, part in zip(names, parts, strict=True):
        if not hasattr(part, "items") and not (part is None and name == PARTS[-1]):
            raise WorldError(
                f"got {what} {name} of type {type(part).__name__}; wanted a dict with the names of "
                "agents as keys"
            )


def _short(value: Any) -> str:
    return textwrap.shorten(repr(value), 60, placeholder="...")
