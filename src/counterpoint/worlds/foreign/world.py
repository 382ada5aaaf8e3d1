"""`ForeignWorld`: E copies of an environment of another package, stepped one by one in Python, here
or over processes.

The state of a foreign environment cannot be saved. So a captured state has the seed of each running
episode and the actions taken in it, and a restore resets with that seed and plays the actions
again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from counterpoint.arrays import Ints, NamedArrays, generator_state
from counterpoint.errors import SettingError, StateError, WorkerError, WorldError
from counterpoint.runs.remote import Here, Remote, remote
from counterpoint.settings import GivenSettings, Range, from_text
from counterpoint.worlds.foreign.check import check_environment
from counterpoint.worlds.foreign.copies import CopiesMaker, Played, PlayedCopies, empty_arrays
from counterpoint.worlds.foreign.dialects import (
    LIMITS,
    dialect,
    particle_speakers,
    state_of,
    team_of,
)
from counterpoint.worlds.foreign.driver import CopyArrays, EnvironmentDriver
from counterpoint.worlds.foreign.names import (
    PLAIN,
    construct,
    constructor_arguments,
    foreign_code,
    parameters_of,
)
from counterpoint.worlds.kind import SettingFacts
from counterpoint.worlds.sequential.actions import most_numbers
from counterpoint.worlds.sequential.foraging import Foraging
from counterpoint.worlds.sequential.particles import SpeakerListener, Spread
from counterpoint.worlds.sequential.sides import without_number
from counterpoint.worlds.sequential.world import (
    Captured,
    CapturedFacts,
    References,
    SequentialEntry,
    SequentialFacts,
    Singles,
    Step,
    StepSettings,
    StepWorld,
    View,
    paid,
    uniform_actions,
)

LEAST_COPIES = 4
"""Fewer are not worth a process."""
SUM = "team sum: sum over all agents and steps of each agent's own reward"

_KNOWN = {
    "mpe2:simple_spread_v3": References(*Spread.measured, Spread.scale),
    "mpe2:simple_speaker_listener_v4": References(
        *SpeakerListener.measured, SpeakerListener.scale, SpeakerListener.measured_silent
    ),
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


@dataclass(frozen=True, kw_only=True)
class SteppedSettings(StepSettings):
    """Settings that every foreign world has.

    Raises:
        SettingError: a value out of its range.
    """

    processes: Annotated[int, Range(1, 1024)] = 1
    """Processes that step the copies, with the same results; at most one for every 4 copies."""
    executor: Literal["processes", "ray"] = "processes"
    """Whether they are processes of this machine, or of a Ray cluster."""


@dataclass(frozen=True, kw_only=True)
class ForeignSettings(SteppedSettings):
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
        processes = min(self.settings.processes, max(copies // LEAST_COPIES, 1))
        parts = [range(part[0], part[-1] + 1) for part in np.array_split(range(copies), processes)]
        envs = [make() for _ in parts[0]]
        speaks = dialect(envs[0], name)
        team = team_of(envs[0], name, speaks)
        self.agents, self.seen_sizes, self.actions = team.agents, team.sizes, team.actions
        self._observations = team.observations
        self.seen_parts = tuple(one.parts for one in team.observations)
        self.extents = np.zeros((len(self.agents), max(team.sizes)), dtype=np.int8)
        for k, seen in enumerate(team.observations):
            self.extents[k, : seen.size] = seen.extents
        self._order = sorted(range(len(self.agents)), key=self.agents.__getitem__)
        self.roles = tuple(map(without_number, self.agents))
        self.horizon = team.horizon
        takes = inspect.signature(type(getattr(envs[0], "unwrapped", envs[0])).__init__).parameters
        limits = [limit.lstrip("_") for limit in LIMITS]
        self.limit = next((limit for limit in limits if limit in takes), "")
        self.speakers = particle_speakers(envs[0], self.agents)
        self.references = known_references(name, self.settings.arguments)
        self._arrays = empty_arrays(team, copies)
        self._seen, self._active, self._terminated, self._legal = self._arrays
        ours = self._part(parts[0])
        self._here = here = PlayedCopies(name, envs, speaks, team, ours)
        self._hosts: list[tuple[range, Remote]] = [(parts[0], Here(here))]
        for part in parts[1:]:
            copies_there = CopiesMaker(name, make, len(part))
            self._hosts.append((part, remote(copies_there, self.settings.executor)))
        self._numbers = most_numbers(self.actions)
        self._log: list[NDArray[Any]] = []
        self._seeds, self._started = np.zeros((2, copies), dtype=np.int64)
        self._nothing_legal = np.zeros(len(self.agents), dtype=np.int64)
        self._masked = here.masked
        self._own, self._over = np.zeros(self._active.shape), np.zeros(copies, dtype=bool)
        self._states: list[Singles | None] = [None] * copies
        self.state_size, self._source = sum(self.seen_sizes), _JOINED
        with foreign_code(name, "its first steps"):
            self._probe_state(here.players[0])
        self.reset(seed)
        self._nothing_legal[:] = 0

    def reset(self, seed: int | None = None) -> View:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self._log.clear()
        self._begin(np.arange(self.copies))
        return self._view()

    def step(self, actions: NDArray[Any]) -> Step:
        given = np.array(actions, dtype=np.float64 if self._numbers else np.int64)
        self._log.append(given)
        self._play("act", {part: (given[part.start : part.stop],) for part, _ in self._hosts})
        own, ended, terminated = self._own.copy(), self._over.copy(), self._terminated.copy()
        last = view = self._view()
        if ended.any():
            self._begin(np.flatnonzero(ended))
            view = self._view()
        return Step(view, paid(own, self), own, terminated, ended, last)

    def capture(self) -> Captured:
        """Returns seeds and actions, and `seen`, which `restore` compares with its own."""
        first = int(self._started.min())
        width = (self._numbers,) if self._numbers else ()
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
            StateError: the captured state is that of another world, or of a version in which
                integers with bounds were not scaled.
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
        calls = {}
        for part, _ in self._hosts:
            logs = [[row[e] for row in self._log[self._started[e] :]] for e in part]
            calls[part] = (self._seeds[part.start : part.stop], logs, self._source == _STATE)
        self._play("replay", calls)
        for e in range(self.copies):
            if self._over[e] or not np.array_equal(self._seen[e], arrays["seen"][e]):
                if self._was_unscaled(e, arrays["seen"][e]):
                    raise StateError(
                        f"got a run in '{self.name}' that began when integers with bounds were not "
                        "scaled to [0, 1] or [-1, 1]; wanted one that began since: its networks "
                        "know other numbers, so train anew"
                    )
                raise WorldError(
                    f"got another episode from '{self.name}' with seed {self._seeds[e]} and the "
                    "same actions; wanted the same: it does not obey its seed, and cannot be "
                    "resumed (draw all chance from a generator that reset(seed=...) seeds)"
                )
        return self._view()

    def _was_unscaled(self, e: int, seen: Singles) -> bool:
        """Returns whether `seen` [A, D] is what copy `e` sees now, before integers are scaled."""
        return all(
            np.array_equal(one.unscaled(now), before[: one.size])
            for one, now, before in zip(self._observations, self._seen[e], seen, strict=True)
        )

    def close(self) -> None:
        for _, host in self._hosts:
            host.close()

    def _begin(self, copies: Ints) -> None:
        """Starts an episode in the copies of these indices, and forgets actions of no use."""
        self._seeds[copies] = self.rng.integers(2**31, size=len(copies))
        self._started[copies] = len(self._log)
        first = int(self._started.min())
        # a list is cut in the time of its length, so that it is not cut at each episode
        if first == len(self._log) or first > 1000:
            del self._log[:first]
            self._started -= first
        calls = {}
        for part, _ in self._hosts:
            seeds = {e - part.start: int(self._seeds[e]) for e in copies.tolist() if e in part}
            if seeds:
                calls[part] = (seeds, self._source == _STATE)
        self._play("start", calls)

    def _play(self, method: str, calls: Mapping[range, tuple[Any, ...]]) -> None:
        """Lets copies do something, side by side, and writes down what came of it.

        Args:
            method: of `PlayedCopies`.
            calls: what it is given, for each part of the copies that takes part.

        Raises:
            WorkerError: a process died.
        """
        hosts = [(part, host) for part, host in self._hosts if part in calls]
        for part, host in hosts:
            host.ask(method, *calls[part])
        for part, host in hosts:
            try:
                played: Played = host.answer()
            except WorkerError as error:
                raise WorkerError(
                    f"got no answer from the process that steps copies {part[0]} to {part[-1]} of "
                    f"'{self.name}': {error}; wanted it alive: give it more memory, or take fewer "
                    "processes; counterpoint resume goes on from the last checkpoint"
                ) from error
            if host is not self._hosts[0][1]:
                for ours, theirs in zip(self._part(part), played.arrays, strict=True):
                    ours[...] = theirs
            rows = slice(part.start, part.stop)
            self._own[rows], self._over[rows] = played.rewards, played.over
            self._states[rows] = played.states or [None] * len(part)
            self._masked = self._masked or played.masked
            self._nothing_legal += played.nothing_legal

    def _part(self, part: range) -> CopyArrays:
        """Returns these copies' rows of the arrays."""
        rows = slice(part.start, part.stop)
        seen, active, terminated, legal = self._arrays
        return CopyArrays(seen[rows], active[rows], terminated[rows], legal[rows])

    def omit_state(self) -> None:
        self.state_size, self._source = 0, _OMITTED

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"a mask of {agent} allowed nothing in {count} of its decisions: all its actions were "
            "taken as legal there"
            for agent, count in zip(self.agents, self._nothing_legal.tolist(), strict=True)
            if count
        )

    def _view(self) -> View:
        seen = self._seen.copy()
        legal = self._legal.copy() if self._masked else None
        return View(seen, self._state_of(seen), self._active.copy(), legal)

    def _state_of(self, seen: Singles) -> Singles:
        """Returns [E, Z]."""
        if self._source == _OMITTED:
            return np.zeros((self.copies, 0), dtype=np.float32)
        if self._source == _JOINED:
            return self._joined(seen, self._order)
        for state in self._states:
            if state is None or state.size != self.state_size:
                what = "None" if state is None else f"{state.size} numbers"
                raise WorldError(
                    f"got a state() of {what} from world '{self.name}', which had "
                    f"{self.state_size} before; wanted as many in every step, or no state() at "
                    "all: critic=central then sees all observations"
                )
        states = np.stack([state for state in self._states if state is not None])
        if not np.isfinite(states).all():
            raise WorldError(
                f"got a state() that is NaN or infinite from world '{self.name}'; wanted finite "
                "numbers, or no state() at all: critic=central then sees all observations"
            )
        return states

    def _joined(self, seen: Singles, order: Sequence[int]) -> Singles:
        """Returns the observations of agents in this order, one behind the other, [E, Z]."""
        parts = [seen[:, k, : self.seen_sizes[k]] for k in order]
        return np.concatenate(parts, axis=1)

    def _probe_state(self, player: EnvironmentDriver) -> None:
        """Finds out in a few steps of one copy whether environments have a state that is more than
        all observations together, and always has the same size."""
        rng, as_listed = np.random.default_rng(0), range(len(self.agents))
        more, sizes = False, set()
        player.start(0)
        for _ in range(5):
            state = state_of(player.env)
            if state is None:
                return
            sizes.add(state.size)
            more |= not np.array_equal(state, self._joined(self._seen, as_listed)[0])
            view = View(self._seen, self._seen[:, 0], self._active, self._legal)
            given = uniform_actions(self, view, rng)[0]
            player.act(given if self._numbers else given.tolist())
            if player.over:
                break
        if more and len(sizes) == 1:
            self.state_size, self._source = sizes.pop(), _STATE


_JOINED, _STATE, _OMITTED = "joined observations", "state()", "omitted"
"""The sources of `View.state`."""


class ForeignEntry(SequentialEntry):
    """A foreign environment; its package is imported when it is made.

    Args:
        name: such as `mpe2:simple_tag_v3`, or `package.module:Class`.
    """

    takes_arguments = True

    def __init__(self, name: str) -> None:
        summary = f"{name}, stepped one by one in Python"
        super().__init__(name, SteppedSettings, summary, ForeignWorld.source)

    def construct(self, settings: GivenSettings | None, copies: int, seed: int) -> StepWorld:
        full = self._full(settings)
        make = construct(self.name, full.arguments)
        return ForeignWorld(make, name=self.name, settings=full, copies=copies, seed=seed)

    def filled(self, settings: GivenSettings | None = None) -> dict[str, Any]:
        """Returns all settings; among the `arguments` are those defaults of the constructor that
        are plain values."""
        full = self._full(settings)
        defaults = {
            one.name: one.default
            for one in parameters_of(construct(self.name, {}).maker)
            if isinstance(one.default, PLAIN)
        }
        return {**asdict(full), "arguments": {**defaults, **full.arguments}}

    def check(self, settings: GivenSettings | None = None) -> tuple[str, ...]:
        make = construct(self.name, self._full(settings).arguments)
        return check_environment(make, self.name)

    def describe(self) -> SequentialFacts:
        """Returns the facts; the arguments of the constructor are among the settings."""
        facts, make = super().describe(), construct(self.name, {})
        env = make()
        arguments = {
            name: SettingFacts(default, "argument of its constructor")
            for name, default in constructor_arguments(make.maker, env).items()
            if name not in facts.settings
        }
        env.close()
        return replace(facts, settings={**facts.settings, **arguments})

    def argument_names(self) -> frozenset[str]:
        return frozenset(one.name for one in parameters_of(construct(self.name, {}).maker))

    def _full(self, settings: GivenSettings | None) -> ForeignSettings:
        given = {key: from_text(value) for key, value in (settings or {}).items()}
        ours = {spec.name for spec in fields(SteppedSettings)}
        common: dict[str, Any] = {key: given.pop(key) for key in ours & given.keys()}
        return ForeignSettings(**common, arguments=given)
