"""Lamps: a game whose traits are arguments, so that every trait has a plain twin.

Each player sees whether its lamp is lit, and is paid 1 for choosing the same. A game has five
rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

ROUNDS = 5


def _seen_space(shows: str, choices: int) -> Any:
    lamp = spaces.Box(0, 1, (2,), np.float64)
    mask, deep = spaces.Box(0, 1, (choices,), np.int8), spaces.Dict({"y": lamp})
    return {
        "lamp": lamp,
        "many": spaces.MultiDiscrete([3, 2], start=[-1, 7]),
        "grid": spaces.Box(-4, 4, (2, 2), np.int32),
        "dict": spaces.Dict(
            {"photo": spaces.Box(0, 255, (2, 3, 1), np.uint8), "lit": spaces.Discrete(2, start=5)}
        ),
        "nested": spaces.Tuple((spaces.MultiBinary(2), spaces.Dict({"x": deep}))),
        "masked": spaces.Dict({"obs": lamp, "action_mask": mask, "noise": spaces.Discrete(2)}),
        "wide": lamp,
        "scalar": lamp,
    }[shows]


def _shown(shows: str, lit: int, mask: Any, rng: np.random.Generator) -> Any:
    lamp = np.eye(2)[lit]
    noise = int(rng.integers(2))
    return {
        "lamp": lamp,
        "many": np.array([1, 7 + lit]),
        "grid": np.array([[4 * lit, -4 * lit], [0, 0]]),
        "dict": {"photo": np.full((2, 3, 1), 51, np.uint8), "lit": 5 + lit},
        "nested": (np.array([lit, 1]), {"x": {"y": lamp}}),
        "masked": {"obs": lamp, "action_mask": mask, "noise": noise},
        "wide": lamp.reshape(1, 2) * 3,
        "scalar": np.float64(lit),
    }[shows]


CHOICES = {
    "one": spaces.Discrete(2),
    "late": spaces.Discrete(2, start=3),
    "many": spaces.MultiDiscrete([2, 2], start=[4, -1]),
    "tuple": spaces.Tuple((spaces.Discrete(2, start=1), spaces.MultiBinary(1))),
    "dict": spaces.Dict({"press": spaces.Discrete(2), "wave": spaces.Discrete(2)}),
    "four": spaces.Discrete(4),
    "knob": spaces.Box(0, 3, (1,), np.int64),
}


def _pressed(takes: str, action: Any) -> int:
    """Which of the two an action is; an action outside of its space is an error."""
    assert CHOICES[takes].contains(action), f"{action} is not in {CHOICES[takes]}"
    return {
        "one": lambda: action, "late": lambda: action - 3, "many": lambda: action[0] - 4,
        "tuple": lambda: action[0] - 1, "dict": lambda: action["press"],
        "four": lambda: action, "knob": lambda: action[0],
    }[takes]()  # fmt: skip


class Lamps(ParallelEnv):
    """The game, all at once.

    Args:
        shows: how a lamp is seen.
        takes: how an action is given.
        masks: where legal actions stand, of `takes=four`: 1 - lit and lit + 2 are illegal. `late`
            begins with the second round; `empty` allows nothing in the third.
        crew: who is there: `all`; `dies`: ann after round 2; `returns`: ann is away in the rounds 2
            and 3; `swaps`: ann and cat share a place, and change at once; `vanishes`: ann leaves
            without a flag; `joins`: bob comes with round 3.
        pays: `own`; `widow`: where ann dies in round 1, at will (choice 1), bob is paid 1 in each
            round that follows, and nothing otherwise; `array`: one in an array of one number;
            `nothing`, `no_number`, `list`: what is no reward.
        seeds: whether `reset` obeys its seed; `global` draws from NumPy's generator.
        rounds: of a game; 0 never ends.
        states: what `state` gives: `nothing`, or as many numbers as rounds were played.
    """

    metadata = {"name": "lamps"}  # noqa: RUF012

    def __init__(
        self, shows: str = "lamp", takes: str = "one", masks: str = "", crew: str = "all",
        pays: str = "own", seeds: str = "own", rounds: int = ROUNDS, states: str = "",
    ) -> None:  # fmt: skip
        self.possible_agents = ["ann", "bob"] + ["cat"] * (crew == "swaps")
        self.shows, self.takes, self.masks, self.crew = shows, takes, masks, crew
        self.pays, self.seeds, self.rounds, self.states = pays, seeds, rounds, states
        self.max_cycles = rounds or None
        self.choices = 4 if takes in ("four", "many") else 2
        self._seen, self.rng = _seen_space(shows, self.choices), np.random.default_rng(0)
        if states:
            self.state = lambda: None if states == "nothing" else np.zeros(1 + self.round)

    def observation_space(self, agent: str) -> Any:
        return self._seen

    def action_space(self, agent: str) -> Any:
        return CHOICES[self.takes]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None and self.seeds == "own":
            self.rng = np.random.default_rng(seed)
        self.round, self.dead = 0, False
        self.agents = self._crew()
        self._light()
        return self._look(self.agents), self._infos(self.agents)

    def step(self, actions: Any) -> Any:
        assert set(actions) == set(self.agents), f"{set(actions)} act, {self.agents} are there"
        here = list(self.agents)
        paid = {name: self._paid(name, actions[name]) for name in here}
        if self.pays == "widow" and self.round == 0 and _pressed(self.takes, actions["ann"]) == 1:
            self.dead = True
        self.round += 1
        over = self.round == self.rounds
        self.agents = [] if over else self._crew()
        left = [name for name in here if name not in self.agents and not over]
        silent = self.crew == "vanishes"
        seen_by = list(dict.fromkeys([*here, *self.agents]))
        if silent and left:
            seen_by = list(self.agents)
        self._light()
        return (
            self._look(seen_by), paid,
            {name: name in left and not silent for name in here},
            dict.fromkeys(here, over), self._infos(seen_by),
        )  # fmt: skip

    def _crew(self) -> list[str]:
        if self.crew == "swaps":
            return [["ann", "cat"][self.round % 2], "bob"]
        if self.crew == "joins" and self.round < 2:
            return ["ann"]
        away = {
            "dies": self.round >= 2, "vanishes": self.round >= 2, "returns": self.round in (1, 2),
            "all": self.dead,
        }  # fmt: skip
        return ["bob"] if away.get(self.crew, False) else ["ann", "bob"]

    def _light(self) -> None:
        draw = self.rng.integers if self.seeds == "own" else np.random.randint
        self.lit = {name: int(draw(2)) for name in self.possible_agents}

    def _mask(self, name: str) -> Any:
        legal = np.zeros(self.choices, dtype=np.int8)
        if self.takes == "four" and not (self.masks == "empty" and self.round == 2):
            legal[[self.lit[name], 3 - self.lit[name]]] = 1
        return legal if self.takes == "four" else legal + np.int8(1)

    def _look(self, names: list[str]) -> Any:
        return {
            name: _shown(self.shows, self.lit[name], self._mask(name), self.rng) for name in names
        }

    def _infos(self, names: list[str]) -> Any:
        if self.masks in ("", "seen") or (self.masks == "late" and self.round == 0):
            return {name: {} for name in names}
        return {name: {"action_mask": self._mask(name)} for name in names}

    def _paid(self, name: str, action: Any) -> Any:
        pressed = _pressed(self.takes, action)
        if self.masks and self.masks != "empty" and (self.masks != "late" or self.round > 0):
            assert self._mask(name)[pressed], f"{pressed} is illegal"
        if self.pays == "widow":
            return float(self.dead)
        right = float(pressed == self.lit[name])
        odd = {"nothing": None, "no_number": np.nan, "list": [1.0, 2.0], "huge": 1e200,
               "array": np.array([right])}  # fmt: skip
        return odd.get(self.pays, right)


class LampsInTurns(AECEnv):
    """Two players in turns; `ann` dies after her first turn, and is back for her fourth round."""

    metadata = {"name": "lamps_in_turns"}  # noqa: RUF012

    def __init__(self, returns: bool = True) -> None:
        super().__init__()
        self.possible_agents, self.returns = ["ann", "bob"], returns

    def observation_space(self, agent: str) -> Any:
        return spaces.Box(0, 1, (2,), np.float64)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2)

    def observe(self, agent: str) -> Any:
        return np.eye(2)[self.lit[agent]]

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.agents, self.round = ["ann", "bob"], 0
        self._light()
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {name: {} for name in self.agents}
        self.agent_selection = "ann"

    def step(self, action: Any) -> None:
        name = self.agent_selection
        if self.terminations[name] or self.truncations[name]:
            self._was_dead_step(action)
            if self.agents:
                self.agent_selection = self.agents[0]
            return
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self.rewards[name] = float(action == self.lit[name])
        last = name == "bob"
        if name == "ann" and self.round == 0:
            self.terminations["ann"] = True
        if last:
            self.round += 1
            self._light()
            if self.round == 3 and self.returns:
                self.agents = ["ann", "bob"]
                for flags in (self.terminations, self.truncations):
                    flags["ann"] = False
                self.rewards["ann"], self.infos["ann"] = 0.0, {}
                self._cumulative_rewards["ann"] = 0.0
            if self.round == ROUNDS:
                self.truncations = dict.fromkeys(self.agents, True)
        after = "bob" if name == "ann" else self.agents[0]
        self.agent_selection = name if self.terminations[name] else after

    def _light(self) -> None:
        self.lit = {name: int(self.rng.integers(2)) for name in self.possible_agents}


class PaysForLiving(Lamps):
    """Twenty rounds; bob is paid 1 in each, and ann too as long as she does not choose 1."""

    def __init__(self) -> None:
        super().__init__(rounds=20)

    def _paid(self, name: str, action: Any) -> Any:
        self.dead |= name == "ann" and action == 1
        return 1.0
