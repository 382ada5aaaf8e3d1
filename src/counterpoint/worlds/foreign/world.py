"""`ForeignWorld`: E copies of an environment of another package, stepped one by one in Python.

The state of a foreign environment cannot be saved. So a captured state has the seed of each running
episode and the actions taken in it, and a restore resets with that seed and plays the actions
again.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Ints, NamedArrays, generator_state
from counterpoint.errors import SettingError, StateError, WorldError
from counterpoint.settings import GivenSettings, from_text
from counterpoint.worlds.foreign.dialects import (
    CopyArrays,
    EnvironmentDriver,
    TeamSpec,
    Tuples,
    actions,
    dialect,
    seen_size,
)
from counterpoint.worlds.foreign.extents import extents
from counterpoint.worlds.foreign.names import construct, foreign_code
from counterpoint.worlds.sequential.foraging import Foraging
from counterpoint.worlds.sequential.particles import SpeakerListener, Spread
from counterpoint.worlds.sequential.world import (
    Captured,
    CapturedFacts,
    References,
    SequentialEntry,
    Singles,
    Step,
    StepSettings,
    StepWorld,
    View,
    paid,
    uniform_actions,
)

SUM = "team sum: sum over all agents and steps of each agent's own reward"

_KNOWN = {
    "mpe2:simple_spread_v3": References(*Spread.measured, Spread.scale),
    "mpe2:simple_speaker_listener_v4": References(*SpeakerListener.measured, SpeakerListener.scale),
    "mpe2:simple_reference_v3": References(  # 4,000 and 1,400 episodes: +- .6 and .4
        -56.68, -15.06, f"{SUM}; reference: a team that says and hears the goals"
    ),
    "mpe2:simple_tag_v3": References(  # 2,000 episodes: +- 1.3
        -3.2, None, f"{SUM}, of the two sides together; no reference is defined"
    ),
    "lbforaging:Foraging-8x8-2p-3f-v3": References(*Foraging.measured, Foraging.scale),
    "rware:rware-tiny-2ag-v2": References(0.05, None, SUM),  # 300 episodes: +- .025
}


def known_references(name: str, arguments: GivenSettings) -> References:
    """Returns the measured references of the foreign world called `name` with default arguments."""
    if arguments or name not in _KNOWN:
        return References(None, None, f"{SUM}; random and reference are not known")
    return _KNOWN[name]


LIMITS = ("max_cycles", "_max_episode_steps", "max_steps", "max_num_steps")
"""The names under which environments have their maximum number of steps of an episode."""


@dataclass(frozen=True, kw_only=True)
class ForeignSettings(StepSettings):
    """Settings of a foreign world."""

    arguments: GivenSettings = field(default_factory=dict)
    """Keyword arguments of the environment's constructor."""


class ForeignWorld(StepWorld):
    """E copies of a PettingZoo environment (parallel or turn-based), or of one of tuples.

    Args:
        make: makes one environment.
        name: its name.
        settings: the reward; `arguments` are for the record, `make` knows them.
        copies: E.
        seed: of the generator that draws a seed for each episode.

    Raises:
        WorldError: not an environment, or with spaces that cannot be taken.
    """

    python: ClassVar[bool] = True
    source = "foreign: settings other than reward and stakes are arguments of its constructor"
    settings: ForeignSettings

    def __init__(
        self,
        make: Callable[[], Any],
        *,
        name: str = "foreign",
        settings: ForeignSettings | None = None,
        copies: int = 1,
        seed: int = 0,
    ) -> None:
        if copies < 1:
            raise SettingError(f"got copies={copies}; wanted at least 1")
        self.name, self.summary = name, f"{name}, stepped one by one in Python"
        self.settings, self.copies = settings or ForeignSettings(), copies
        self.rng = np.random.default_rng(seed)
        envs = [make() for _ in range(copies)]
        speaks = dialect(envs[0], name)
        team = _team(envs[0], name, speaks)
        self.agents, self.seen_sizes, self.actions = team.agents, team.sizes, team.actions
        self.extents = np.zeros((len(self.agents), max(team.sizes)), dtype=np.int8)
        for k, (space, size) in enumerate(zip(team.spaces, team.sizes, strict=True)):
            self.extents[k, :size] = extents(space, size)
        self._order = sorted(range(len(self.agents)), key=self.agents.__getitem__)
        self.roles = tuple(re.sub(r"_?(?<!\d)\d++$", "", agent) or agent for agent in self.agents)
        self.horizon = team.horizon
        takes = inspect.signature(type(getattr(envs[0], "unwrapped", envs[0])).__init__).parameters
        limits = [limit.lstrip("_") for limit in LIMITS]
        self.limit = next((limit for limit in limits if limit in takes), "")
        self.references = known_references(name, self.settings.arguments)
        shape = (copies, len(self.agents))
        self._seen = np.zeros((*shape, max(self.seen_sizes)), dtype=np.float32)
        self._active, self._terminated = np.zeros((2, *shape), dtype=bool)
        self._legal = np.zeros((*shape, max(a.size for a in self.actions)), dtype=bool)
        for k, a in enumerate(self.actions):
            self._legal[:, k, : a.size] = True
        self._players = [
            speaks(env, team, CopyArrays(*rows))
            for env, *rows in zip(
                envs, self._seen, self._active, self._terminated, self._legal, strict=True
            )
        ]
        self._continuous = self.actions[0].continuous
        self._log: list[NDArray[Any]] = []
        self._seeds, self._started = np.zeros((2, copies), dtype=np.int64)
        self._masks = self._stateful = False
        self.reset()
        self._masks = any(player.masks or player.informs for player in self._players)
        self._stateful = self._has_state()
        self.state_size = self.reset(seed).state.shape[1]

    def reset(self, seed: int | None = None) -> View:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self._log.clear()
        with foreign_code(self.name, "reset"):
            self._begin(np.arange(self.copies))
            return self._view()

    def step(self, actions: NDArray[Any]) -> Step:
        given = np.array(actions, dtype=np.float64 if self._continuous else np.int64)
        self._log.append(given)
        rows = given if self._continuous else given.tolist()
        with foreign_code(self.name, "step"):
            rewards = [player.act(row) for player, row in zip(self._players, rows, strict=True)]
            own = np.array(rewards, dtype=np.float64).reshape(self._active.shape)
            ended = np.array([player.over for player in self._players])
            last = view = self._view()
            terminated = self._terminated.copy()
            if ended.any():
                self._begin(np.flatnonzero(ended))
                view = self._view()
        return Step(view, paid(own, self), own, terminated, ended, last)

    def capture(self) -> Captured:
        """Returns seeds and actions, and `seen`, which `restore` compares with its own."""
        first = int(self._started.min())
        width = (max(a.size for a in self.actions),) if self._continuous else ()
        empty = np.zeros((0, *self._active.shape, *width), dtype=np.int64)
        arrays = {
            "seeds": self._seeds.copy(),
            "started": self._started - first,
            "actions": np.stack(self._log[first:]) if self._log[first:] else empty,
            "seen": self._seen.copy(),
        }
        return Captured(arrays, {"generator": generator_state(self.rng), "world": self.name})

    def restore(self, arrays: NamedArrays, facts: CapturedFacts) -> View:
        """Resets with the captured seeds, and plays the captured actions again.

        Raises:
            StateError: the captured state is that of another world.
            WorldError: the environment did something else than before.
        """
        wanted = {"seeds", "started", "actions", "seen"}
        if set(arrays) != wanted or facts.get("world") != self.name:
            raise StateError(
                f"got a captured state of '{facts.get('world')}' with {', '.join(arrays)}; "
                f"wanted one of '{self.name}' with {', '.join(sorted(wanted))}"
            )
        if arrays["seen"].shape != self._seen.shape:
            raise StateError(
                f"got a captured state of shape [E, A, D] = {arrays['seen'].shape}; "
                f"wanted {self._seen.shape}: the same settings and number of copies"
            )
        self.rng.bit_generator.state = facts["generator"]
        self._seeds[:], self._started[:] = arrays["seeds"], arrays["started"]
        self._log[:] = list(arrays["actions"])
        for e, player in enumerate(self._players):
            player.start(int(self._seeds[e]))
            for given in self._log[self._started[e] :]:
                if not player.over:
                    player.act(given[e] if self._continuous else given[e].tolist())
            if player.over or not np.array_equal(self._seen[e], arrays["seen"][e]):
                raise WorldError(
                    f"got another episode from '{self.name}' with seed {self._seeds[e]} and the "
                    "same actions; wanted the same: it does not obey its seed, and cannot be "
                    "resumed (draw all chance from a generator that reset(seed=...) seeds)"
                )
        return self._view()

    def close(self) -> None:
        for player in self._players:
            player.env.close()

    def _begin(self, copies: Ints) -> None:
        """Starts an episode in the copies of these indices, and forgets actions of no use."""
        self._seeds[copies] = self.rng.integers(2**31, size=len(copies))
        self._started[copies] = len(self._log)
        first = int(self._started.min())
        # a list is cut in the time of its length, so that it is not cut at each episode
        if first == len(self._log) or first > 1000:
            del self._log[:first]
            self._started -= first
        for e in copies:
            self._players[e].start(int(self._seeds[e]))

    def _view(self) -> View:
        seen = self._seen.copy()
        legal = self._legal.copy() if self._masks else None
        if self._stateful:
            state = np.stack([np.ravel(player.env.state()) for player in self._players])
            return View(seen, state.astype(np.float32), self._active.copy(), legal)
        return View(seen, self._joined(seen, self._order), self._active.copy(), legal)

    def _joined(self, seen: Singles, order: Sequence[int]) -> Singles:
        """Returns the observations of agents in this order, one behind the other, [E, Z]."""
        parts = [seen[:, k, : self.seen_sizes[k]] for k in order]
        return np.concatenate(parts, axis=1)

    def _has_state(self) -> bool:
        """Returns whether environments have a state that is more than all observations together."""
        rng, view, as_listed = np.random.default_rng(0), self._view(), range(len(self.agents))
        for _ in range(4):
            try:
                state = np.ravel(self._players[0].env.state()).astype(np.float32)
            except Exception:  # whatever foreign code raises: there is none that works
                return False
            if not np.array_equal(state, self._joined(view.seen, as_listed)[0]):
                return True
            view = self.step(uniform_actions(self, view, rng)).view
        return False


def _team(env: Any, name: str, speaks: type[EnvironmentDriver]) -> TeamSpec:
    """Returns the description that all copies of `env` share."""
    if speaks is Tuples:
        spaces, choices = env.observation_space.spaces, env.action_space.spaces
        agents = tuple(f"agent_{k}" for k in range(len(choices)))
    else:
        if not getattr(env, "possible_agents", None):
            raise WorldError(f"got world '{name}' without possible_agents; wanted all their names")
        agents = tuple(map(str, env.possible_agents))
        spaces = tuple(env.observation_space(agent) for agent in env.possible_agents)
        choices = tuple(env.action_space(agent) for agent in env.possible_agents)
    sizes = tuple(seen_size(space, agent) for space, agent in zip(spaces, agents, strict=True))
    can = [actions(space, agent) for space, agent in zip(choices, agents, strict=True)]
    if len({does.continuous for does, _ in can}) > 1:
        raise WorldError(
            f"got world '{name}' where some agents choose and others give numbers; "
            "wanted all discrete, or all continuous: wrap the environment"
        )
    inner = getattr(env, "unwrapped", env)
    limits = [getattr(inner, limit, None) for limit in LIMITS] if speaks.timed else []
    horizon = next((n for n in limits if isinstance(n, int) and n > 0), None)
    whats, converters = zip(*can, strict=True)
    return TeamSpec(agents, tuple(spaces), sizes, whats, converters, horizon)


class ForeignEntry(SequentialEntry):
    """A foreign environment; its package is imported when it is made.

    Args:
        name: such as `mpe2:simple_tag_v3`, or `package.module:Class`.
    """

    takes_arguments = True

    def __init__(self, name: str) -> None:
        summary = f"{name}, stepped one by one in Python"
        super().__init__(name, StepSettings, summary, ForeignWorld.source)

    def construct(self, settings: GivenSettings | None, copies: int, seed: int) -> StepWorld:
        given = {key: from_text(value) for key, value in (settings or {}).items()}
        ours = {key: given.pop(key) for key in ("reward", "stakes") if key in given}
        full = ForeignSettings(**ours, arguments=given)
        make = construct(self.name, given)
        return ForeignWorld(make, name=self.name, settings=full, copies=copies, seed=seed)
