"""The drivers of a copy of a foreign environment: parallel, turn-based, or of tuples.

Start with `dialect`, which tells them apart; what they share is in `driver.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np

from counterpoint.arrays import Bools
from counterpoint.errors import WorldError
from counterpoint.worlds.foreign.driver import (
    PARTS,
    RESET,
    EnvironmentDriver,
    TeamSpec,
    require_dicts,
)
from counterpoint.worlds.foreign.spaces import Converter, Observations, choices_or_numbers
from counterpoint.worlds.sequential.world import Singles

STEP = "step(actions), which returns (observations, rewards, terminations, truncations, infos)"
LIMITS = ("max_cycles", "_max_episode_steps", "max_steps", "max_num_steps")
"""The names under which environments have their maximum number of steps of an episode."""


class Parallel(EnvironmentDriver):
    """PettingZoo's parallel environments: all agents act at once."""

    def begin(self, seed: int) -> None:
        answer = self.reset(seed)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise WorldError(f"got a reset that returns {_shown(answer)}; wanted {RESET}")
        require_dicts("a reset that returns", (PARTS[0], PARTS[-1]), answer)
        seen, infos = answer
        self.present: list[Hashable] = list(self.env.agents)
        self.write(seen, self.present)
        self.note_masks(infos)
        if self.present != list(self.team.keys):
            self.mark({}, {}, self.present)
        self.all_present = len(self.present) == len(self.team.keys)

    def act(self, actions: list[Any]) -> Any:
        env = self.env
        given = dict(zip(self.team.keys, self.converted(actions), strict=True))
        if not self.all_present:
            given = {key: given[key] for key in self.present}
        self.time += 1
        answer = env.step(given)
        if not isinstance(answer, tuple) or len(answer) != 5:
            raise WorldError(f"got a step that returns {_shown(answer)}; wanted {STEP}")
        require_dicts("a step that returns", PARTS, answer)
        seen, rewards, terminated, truncated, infos = answer
        if not given.keys() <= rewards.keys():
            self.refuse_unpaid(given.keys() - rewards.keys())
        self.write(seen, env.agents)
        self.note_masks(infos)
        if any(terminated.values()) or any(truncated.values()) or env.agents != self.present:
            there = self.rows.active.copy()
            self.present = list(env.agents)
            self.mark(terminated, truncated, self.present)
            self.all_present = len(self.present) == len(self.team.keys)
            self.over = not self.rows.active.any()
            if self.over:
                self.mark_missing(there)
        return tuple(map(rewards.get, self.team.keys, self.nothing))


class Turns(EnvironmentDriver):
    """PettingZoo's turn-based (AEC) environments: one agent acts a step.

    Rewards are handed on in the step in which the environment gives them, to whomever.
    """

    timed = False

    def begin(self, seed: int) -> None:
        self.reset(seed)
        self.facts = facts_of(self.env)
        require_dicts("an attribute", PARTS[1:], [getattr(self.facts, x) for x in PARTS[1:]])
        self.note_masks(self.facts.infos)
        self.rows.active[...] = False
        self.turn, self.present = 0, list(self.facts.agents)
        self._look()

    def act(self, actions: list[Any]) -> Any:
        env, facts, keys = self.env, self.facts, self.team.keys
        self.time += 1
        env.step(self.converted(actions)[self.turn])
        if self.time == 1:  # a wrapper may have something of its own only from now on
            self.facts = facts = facts_of(env)
        paid, agents = facts.rewards, facts.agents
        if not paid.keys() >= {keys[self.turn], *agents}:
            self.refuse_unpaid({keys[self.turn], *agents} - paid.keys())
        rewards = tuple(map(paid.get, keys, self.nothing))
        ending = any(facts.terminations.values()) or any(facts.truncations.values())
        if ending or agents != self.present:
            self._update()
        if not self.over:
            self._look()
        return rewards

    def _update(self) -> None:
        """Writes which agents are left, and takes those that ended through their last turns."""
        env, facts = self.env, self.facts
        there = np.array([key in self.present for key in self.team.keys])
        self.write({key: env.observe(key) for key in facts.agents}, ())
        self.mark(facts.terminations, facts.truncations, facts.agents)
        turns = 0
        while facts.agents and self._ended(facts.agent_selection):
            if turns > 2 * len(self.team.keys):
                wanted = "it to leave agents: call self._was_dead_step(action) in step"
                self.refuse("step(None) without effect", {facts.agent_selection}, wanted)
            env.step(None)
            turns += 1
        self.rows.active[...] = False
        self.over, self.present = not facts.agents, list(facts.agents)
        if self.over:
            self.mark_missing(there)

    def _ended(self, key: Hashable) -> bool:
        return bool(self.facts.terminations[key] or self.facts.truncations[key])

    def _look(self) -> None:
        """Writes the observation of the agent whose turn it is."""
        key = self.facts.agent_selection
        if key not in self.index:
            self.refuse("a turn", {key}, "agent_selection to be out of possible_agents")
        self.rows.active[self.turn] = False
        self.turn = self.index[key]
        self.rows.active[self.turn] = True
        self.writers[key](self.env.observe(key))
        self.note_masks(self.facts.infos)


FACTS = frozenset(("agents", "rewards", "terminations", "truncations", "infos", "agent_selection"))
"""The names under which a turn-based environment says what happened."""


def facts_of(env: Any) -> Any:
    """Returns the part of a turn-based environment in which all of `FACTS` are found.

    Wrappers of PettingZoo look a name up in what they wrap, one after the other. Several names are
    read at each step, so that the search would take a seventh of the time. A wrapper that has some
    of the names itself is asked itself.
    """
    while True:
        passes_on = getattr(getattr(type(env), "__getattr__", None), "__module__", "")
        own = FACTS & vars(env).keys() or any(hasattr(type(env), name) for name in FACTS)
        if own or not passes_on.startswith("pettingzoo.") or "env" not in vars(env):
            return env
        env = env.env


class Tuples(EnvironmentDriver):
    """gymnasium environments whose observations, actions and rewards are one for each agent.

    They do not report whether time ran out; an end at the horizon counts as a cut-off.
    """

    def begin(self, seed: int) -> None:
        for player in getattr(self.env.unwrapped, "players", ()):
            player.position = None  # lbforaging keeps clear of where agents stood an episode ago
        seen, _ = self.reset(seed)
        for write, what in zip(self.writers.values(), seen, strict=True):
            write(what)

    def act(self, actions: list[Any]) -> Any:
        self.time += 1
        seen, rewards, terminated, truncated, _ = self.env.step(self.converted(actions))
        for write, what in zip(self.writers.values(), seen, strict=True):
            write(what)
        count = len(self.team.keys)
        over, cut = _each(terminated, count), _each(truncated, count)
        timed_out = all(over) and self.time == self.team.horizon
        if any(over) or any(cut) or not self.rows.active.all():
            self.rows.active[...] = ~over & ~cut
            self.rows.terminated[...] = over & (not timed_out)
            self.over = not self.rows.active.any()
        return rewards


def state_of(env: Any) -> Singles | None:
    """Returns the state of an environment, flattened; None if it has none that works."""
    try:
        state = env.state()
        return None if state is None else np.ravel(state).astype(np.float32)
    except Exception:  # whatever foreign code raises: there is none that works
        return None


def particle_speakers(env: Any, agents: Collection[str]) -> tuple[str, ...]:
    """Returns the agents of a particle world of mpe2 that are not silent; empty for any other."""
    bodies = getattr(getattr(getattr(env, "unwrapped", env), "world", None), "agents", None)
    return tuple(
        body.name
        for body in (bodies if isinstance(bodies, list) else ())
        if getattr(body, "silent", True) is False and getattr(body, "name", None) in agents
    )


def _each(flag: Any, count: int) -> Bools:
    """Returns [A], the flag of each agent; one flag is that of all."""
    return np.broadcast_to(np.asarray(flag, dtype=bool), (count,))


def _shown(answer: Any) -> str:
    if isinstance(answer, tuple):
        return f"{len(answer)} values"
    return f"a value of type {type(answer).__name__}"


def dialect(env: Any, name: str) -> type[EnvironmentDriver]:
    """Returns the driver for the interface that `env` has.

    Raises:
        WorldError: none of them.
    """
    if all(hasattr(env, part) for part in ("agent_iter", "last", "observe", "step", "reset")):
        return Turns
    missing = [part for part in _PARALLEL if not hasattr(env, part)]
    if not missing and callable(env.action_space):
        return Parallel
    spaces = [_of_tuple(getattr(env, part, None)) for part in _PARALLEL[:2]]
    if not missing and all(spaces) and len(spaces[0]) == len(spaces[1]):
        return Tuples
    lack = f" without {' and '.join(missing)}" if len(missing) < len(_PARALLEL) else ""
    if not missing:
        lack = f" with {' and '.join(f'{part} {getattr(env, part)}' for part in _PARALLEL[:2])}"
    raise WorldError(
        f"got world '{name}', which makes a value of type {type(env).__name__}{lack}; wanted a "
        "PettingZoo ParallelEnv or AECEnv, or a gymnasium environment whose observation_space and "
        "action_space are a Tuple of spaces each, one for each agent"
    )


_PARALLEL = ("observation_space", "action_space", "reset", "step")


def _of_tuple(space: Any) -> Sequence[Any]:
    """Returns the spaces of a Tuple; none of anything else."""
    inner = getattr(space, "spaces", ())
    return inner if isinstance(inner, (tuple, list)) else ()


def _first_number(to: Converter | None) -> Converter:
    """Returns the conversion of the action [U] of an agent that chooses while others give numbers:
    its first number is the choice, which `to` converts."""
    return lambda row: int(row[0]) if to is None else to(int(row[0]))


def team_of(env: Any, name: str, speaks: type[EnvironmentDriver]) -> TeamSpec:
    """Returns the description that all copies of `env` share.

    Raises:
        WorldError: an environment without names, or with spaces that cannot be taken.
    """
    if speaks is Tuples:
        spaces, choices = env.observation_space.spaces, env.action_space.spaces
        keys: tuple[Hashable, ...] = tuple(f"agent_{k}" for k in range(len(choices)))
    else:
        keys = tuple(getattr(env, "possible_agents", None) or ())
        if not keys:
            raise WorldError(f"got world '{name}' without possible_agents; wanted all their names")
        spaces = tuple(env.observation_space(key) for key in keys)
        choices = tuple(env.action_space(key) for key in keys)
    agents = tuple(map(str, keys))
    if len(set(agents)) < len(agents):
        raise WorldError(f"got possible_agents {list(keys)}; wanted different names")
    observations = tuple(Observations(*pair) for pair in zip(spaces, agents, strict=True))
    can = [choices_or_numbers(*pair) for pair in zip(choices, agents, strict=True)]
    if any(does.continuous for does, _ in can):
        can = [(does, to if does.continuous else _first_number(to)) for does, to in can]
    inner = getattr(env, "unwrapped", env)
    limits = [getattr(inner, limit, None) for limit in LIMITS] if speaks.timed else []
    horizon = next((n for n in limits if isinstance(n, int) and n > 0), None)
    does, converters = zip(*can, strict=True)
    return TeamSpec(agents, keys, observations, does, converters, horizon)
