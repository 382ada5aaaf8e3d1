"""`check_environment`: plays a foreign environment for a moment, before a team is trained in it.

Two episodes are played twice, in two environments that are made anew, with the same seeds and
actions; the second time in the other order, and with NumPy's and Python's global generators
disturbed. What cannot be learned from is an error. What looks like a mistake, and can be learned
from, is a doubt: a sentence with the line to change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools
from counterpoint.errors import WorldError
from counterpoint.worlds.foreign.dialects import (
    Parallel,
    Tuples,
    Turns,
    dialect,
    state_of,
    team_of,
)
from counterpoint.worlds.foreign.doubts import (
    Doubts,
    Moment,
    chance_kept,
    disturb_chance,
    note_no_limit,
    note_rewards,
    note_sides,
)
from counterpoint.worlds.foreign.driver import CopyArrays, EnvironmentDriver, TeamSpec
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.foreign.spaces import MASK, Leaf, kind
from counterpoint.worlds.sequential.actions import most_numbers

SEEDS = (1, 2)
"""The seeds of the two episodes."""
MOST_STEPS = 1000
"""The most steps of an episode here."""
MOST_SECONDS = 0.25
"""The time of the processor after which an episode is not played on, the first time."""
MANY_VALUES = 1000
"""More values of one choice are a doubt: each is a number of its own."""
LONG = 100
"""Steps from which on an episode that did not end is a doubt."""
MASK_LIKE = ("avail_actions", "available_actions", "legal_actions", "valid_actions", "legal_moves")
"""Keys of masks in other libraries."""
MASK_OF_NUMBERS = (
    "the action_mask of {} is not read: its actions are numbers within bounds, not choices"
)


def check_environment(make: Callable[[], Any], name: str) -> tuple[str, ...]:
    """Returns the doubts about an environment; none if it is as it should be.

    Args:
        make: makes the environment anew.
        name: the name of the world, for messages.

    Raises:
        WorldError: nothing can be learned in it as it is.
    """
    doubts = Doubts()
    what = "the check before the start (--no-check skips it)"
    with _explained(doubts), foreign_code(name, what), chance_kept():
        first = _Player(make(), name, doubts)
        try:
            courses = {seed: first.episode(seed) for seed in SEEDS}
        finally:
            first.look_at_spaces()
        first.conclude()
        note_sides(courses.values(), first.team.agents, doubts)
        note_rewards(courses.values(), doubts)
        first.env.close()
        again = _Player(make(), name, Doubts())
        for seed in reversed(SEEDS):
            disturb_chance()  # an environment with its own generator does not mind
            course = again.episode(seed, len(courses[seed]) - 1)
            text = _difference(courses[seed], course, first.team)
            if text:
                doubts.add("seed", text)
                break
        again.env.close()
    return doubts.sentences()


@contextmanager
def _explained(doubts: Doubts) -> Iterator[None]:
    """Adds the doubts to an error: what an environment was taken for often explains it."""
    try:
        yield
    except WorldError as error:
        if not (sentences := doubts.sentences()):
            raise
        raise WorldError(f"{error}. Noticed before: {'; '.join(sentences)}") from error


class _Player:
    """Plays one environment, and looks at what it gives."""

    def __init__(self, env: Any, name: str, doubts: Doubts) -> None:
        self.env, self.doubts = env, doubts
        speaks = dialect(env, name)
        self.team = team = team_of(env, name, speaks)
        legal = team.all_legal()
        a = len(team.agents)
        seen = np.zeros((a, max(team.sizes)), dtype=np.float32)
        self.rows = CopyArrays(seen, np.zeros(a, bool), np.zeros(a, bool), legal)
        self.driver = speaks(_Witness(env, speaks, team, doubts), team, self.rows)
        self.choices = self._action_spaces()
        self.acted, self.ended, self.longest = np.zeros(a, bool), 0, 0
        self.sizes: list[int | None] = []
        self.cut_at: list[int | None] = []
        """The step in which each episode was cut off; None for one that was not."""

    def episode(self, seed: int, steps: int | None = None) -> list[Moment]:
        """Returns the course of an episode, as far as it is played.

        Args:
            seed: of the episode and of the actions.
            steps: how many to play; None plays until time is up.
        """
        # an environment may draw its own chance from a generator of just this seed
        rng, driver, begun = np.random.default_rng((seed, 1)), self.driver, time.process_time()
        driver.start(seed)
        course = [self._moment(np.zeros(len(self.team.agents)))]
        while not driver.over and driver.time < (MOST_STEPS if steps is None else steps):
            if steps is None and time.process_time() - begun > MOST_SECONDS:
                break
            self.sizes.append(None if (state := state_of(self.env)) is None else state.size)
            active = self.rows.active.copy()
            self.acted |= active
            rewards = np.array(driver.numbers(driver.act(self._actions(rng))))
            self.doubts.steps += 1
            course.append(self._moment(rewards))
            self._look_at_flags(active)
        self.ended += driver.over
        cut = driver.over and not self.rows.terminated.any()
        self.cut_at.append(driver.time if cut else None)
        self.longest = max(self.longest, driver.time)
        return course

    def conclude(self) -> None:
        """Notes the doubts that all episodes together give."""
        doubts, team = self.doubts, self.team
        long = self.longest >= LONG and (team.horizon is None or team.horizon < self.longest)
        if long and not self.ended:
            limit = f" (it has {team.horizon} as its limit)" if team.horizon else ""
            doubts.add(
                "endless",
                f"no episode ended within {self.longest} steps{limit}: if none ends in training, "
                "it has no return and no result; let step return truncations that are True for "
                "every agent after a number of steps, and call that number max_cycles",
            )
        elif team.horizon is None and self.driver.timed:
            note_no_limit(self.env, self.cut_at, doubts)
        never = [agent for agent, did in zip(team.agents, self.acted, strict=True) if not did]
        if never:
            doubts.add(
                "never",
                f"{', '.join(never)} never decided in {doubts.steps} steps, so that nothing can be "
                "learned for them; is agents right after reset?",
            )
        known = {size for size in self.sizes if size is not None}
        if len(known) > 1 or (known and None in self.sizes):
            doubts.add(
                "state",
                f"state() gives {' or '.join(map(str, sorted(known)))} numbers"
                f"{', or none,' if None in self.sizes else ''} in one episode: critic=central sees "
                "all observations instead; let it return as many in every step",
            )

    def look_at_spaces(self) -> None:
        """Notes spaces that have changed, and what looks like a mask in them."""
        self._look_at_mask_keys()
        if isinstance(self.driver, Tuples):
            return
        sights = [(one.agent, one.space) for one in self.team.observations]
        for key, (agent, sight), choice, choice_now in zip(
            self.team.keys, sights, self.choices, self._action_spaces(), strict=True
        ):
            for what, before, now in (
                ("observation_space", sight, self.env.observation_space(key)),
                ("action_space", choice, choice_now),
            ):
                if before != now:
                    self.doubts.add(
                        f"{what} {agent}",
                        f"{what}({agent!r}) is another than before the first episode: the first is "
                        "used; make the spaces in __init__",
                    )

    def _action_spaces(self) -> list[Any]:
        """Returns the action space of each agent, [A], as it is now; none of tuples."""
        tuples = isinstance(self.driver, Tuples)
        return [] if tuples else [self.env.action_space(key) for key in self.team.keys]

    def _look_at_mask_keys(self) -> None:
        """Notes keys that look like masks, and masks of several choices."""
        for one in self.team.observations:
            for leaf in one.leaves:
                if kind(leaf.space) == "Discrete" and leaf.size > MANY_VALUES:
                    self.doubts.add(
                        f"many {leaf.name}",
                        f"{leaf.space} in the observation of {one.agent} is {leaf.size:,} numbers, "
                        "of which one is 1; if it is a count or a place, give it as a Box",
                    )
        given = self.driver.masks or self.driver.informs
        for k, (one, can) in enumerate(zip(self.team.observations, self.team.actions, strict=True)):
            if can.continuous:
                if one.mask is not None:
                    self.doubts.add(f"numbers {one.agent}", MASK_OF_NUMBERS.format(one.agent))
                continue
            for leaf in one.leaves:
                if leaf.keys and leaf.keys[-1] in MASK_LIKE and leaf.size == can.size:
                    self.doubts.add(
                        f"like {leaf.name}",
                        f"'{leaf.name}' looks like a mask of legal actions, and is read as "
                        f"numbers; call it '{MASK}' if it is one",
                    )
            if given and not isinstance(self.driver, Tuples):
                space = self.choices[k]
                if kind(space) != "Discrete":
                    self.doubts.add(
                        "combinations",
                        f"a mask of actions in {space} is read as one entry for each of "
                        f"{can.size} combinations, of which the last choice changes first, unless "
                        "it is a tuple with a mask for each choice",
                    )

    def _actions(self, rng: np.random.Generator) -> Any:
        """Returns random legal actions, as a driver takes them."""
        legal, size, actions = self.rows.legal, most_numbers(self.team.actions), list[Any]()
        for k, can in enumerate(self.team.actions):
            if can.continuous:
                actions.append(np.resize(rng.uniform(can.low, can.high), size))
                continue
            able = legal[k] if legal[k].any() else self.driver.has_all[k]
            choice = int(rng.choice(np.flatnonzero(able)))
            actions.append(np.full(size, choice) if size else choice)
        return np.array(actions, dtype=np.float64) if size else actions

    def _moment(self, rewards: NDArray[np.float64]) -> Moment:
        seen, active, terminated, legal = self.rows
        agents, empty = self.team.agents, active & ~legal.any(axis=-1)
        for k in np.flatnonzero(empty):
            self.doubts.add(
                f"empty {agents[k]}",
                f"the mask of {agents[k]} allows nothing in step {self.driver.time}, where it is "
                "to act: all its actions are taken as legal there; allow at least one",
            )
        self.driver.refuse_not_finite()
        return Moment(seen.copy(), rewards, active.copy(), terminated.copy(), legal.copy())

    def _look_at_flags(self, active: Bools) -> None:
        """Notes agents that left a parallel environment without a flag."""
        if not isinstance(self.driver, Parallel):
            return
        left = active & ~self.rows.active & ~self.rows.terminated & ~self.driver.cut
        if self.driver.over:
            then = "its episode counts as cut off"
        else:
            then = "it counts as one that waits until it is back"
        for k in np.flatnonzero(left):
            agent = self.team.agents[k]
            self.doubts.add(
                f"left {agent}",
                f"{agent} left agents in step {self.driver.time} with neither terminations nor "
                f"truncations: {then}; if it has died, set terminations[{agent!r}] = True in its "
                "last step",
            )


class _Witness:
    """An environment, with a look at the raw observations and actions that pass."""

    def __init__(
        self, env: Any, speaks: type[EnvironmentDriver], team: TeamSpec, doubts: Doubts
    ) -> None:
        self._env, self._team, self._doubts = env, team, doubts
        self._speaks, self._informed = speaks, set[Any]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, seed: int) -> Any:
        self._informed.clear()
        answer = self._env.reset(seed=seed)
        if self._speaks is not Turns and isinstance(answer, tuple):
            self._look(answer[0], answer[-1])
        return answer

    def step(self, actions: Any) -> Any:
        answer = self._env.step(actions)
        if self._speaks is not Turns and isinstance(answer, tuple):
            self._look(answer[0], answer[-1])
        return answer

    def observe(self, key: Any) -> Any:
        seen = self._env.observe(key)
        self._look({key: seen}, {})
        return seen

    def _look(self, seen: Any, infos: Any) -> None:
        if self._speaks is Tuples:
            seen = dict(zip(self._team.keys, seen, strict=False))
            if isinstance(infos, Mapping) and MASK in infos:
                self._doubts.add(
                    "tuples", f"infos have an {MASK}, which is not read in environments of tuples"
                )
        if not isinstance(seen, Mapping):
            return
        for key, one in zip(self._team.keys, self._team.observations, strict=True):
            if key not in seen:
                continue
            self._look_at_keys(one.space, seen[key], one.agent)
            for leaf in one.leaves:
                self._look_at_part(leaf, seen[key], one.agent)
        if self._speaks is not Tuples and isinstance(infos, Mapping):
            self._look_at_masks(infos)

    def _look_at_keys(self, space: Any, seen: Any, agent: str) -> None:
        """Notes parts of an observation that its space does not have."""
        if kind(space) != "Dict" or not isinstance(seen, Mapping):
            return
        for extra in seen.keys() - space.spaces.keys():
            self._doubts.add(
                f"extra {extra} of {agent}",
                f"{agent}'s observation has {extra!r}, which its space has not: it is not read; "
                "add it to observation_space",
            )
        for key, inner in space.spaces.items():
            self._look_at_keys(inner, seen.get(key), agent)

    def _look_at_part(self, leaf: Leaf, seen: Any, agent: str) -> None:
        """Notes numbers of another shape or kind than the space says, or outside of it."""
        try:
            given = np.asarray(leaf.of(seen))
        except (KeyError, IndexError, TypeError):
            return  # the driver refuses it
        where = f"{agent}'s observation" + (f" '{leaf.name}'" if leaf.keys else "")
        if kind(leaf.space) != "Box" or given.size != leaf.size or given.dtype.kind not in "biuf":
            return
        space, topic = leaf.space, f"{leaf.name} of {agent}"
        if given.shape != tuple(space.shape):
            self._doubts.add(
                f"shape {topic}",
                f"{where} has shape {given.shape}, its space {tuple(space.shape)}: it is read row "
                "by row; give both the same shape",
            )
            given = given.reshape(space.shape)
        if given.dtype.kind == "f" and np.dtype(space.dtype).kind in "iu":
            self._doubts.add(
                f"dtype {topic}",
                f"{where} is {given.dtype}, its space {space.dtype}: integers are scaled by their "
                "bounds, and so are these; give both the same dtype",
            )
        outside = (given < space.low) | (given > space.high)
        if outside.any():
            at = np.unravel_index(int(outside.argmax()), given.shape)
            number, low, high = (float(x[at]) for x in (given, space.low, space.high))
            self._doubts.add(
                f"bounds {topic}",
                f"{where} leaves its space: {number:.6g} is not within {low:.6g} and "
                f"{high:.6g}; nothing is clipped: widen the bounds in observation_space",
            )

    def _look_at_masks(self, infos: Mapping[Any, Any]) -> None:
        """Notes agents whose infos had a mask before, and have none now."""
        numbers = {
            key
            for key, can in zip(self._team.keys, self._team.actions, strict=True)
            if can.continuous
        }
        for key, info in infos.items():
            for like in MASK_LIKE if info and MASK not in info else ():
                if like in info:
                    self._doubts.add(
                        f"like {like}",
                        f"{like!r} in infos looks like a mask of legal actions, and is not read; "
                        f"call it '{MASK}', with one entry for each action, if it is one",
                    )
            if info and info.get(MASK) is None:
                info = {}
            if info and MASK in info and key in numbers:
                self._doubts.add(f"numbers {key}", MASK_OF_NUMBERS.format(key))
            elif info and MASK in info:
                self._informed.add(key)
            elif key in self._informed and key in self._env.agents:
                self._doubts.add(
                    f"mask {key}",
                    f"the infos of {key} have no {MASK}, which they had before: all its actions "
                    "are taken as legal; give one in every step",
                )


def _difference(one: list[Moment], two: list[Moment], team: TeamSpec) -> str:
    """Returns a sentence about the first difference of two courses, empty if there is none."""
    cure = (
        "runs can be neither repeated nor resumed; in reset(self, seed=None, options=None) set "
        "self.rng = np.random.default_rng(seed), and draw all chance from it, never from "
        "np.random.* or random.*"
    )
    for step, (a, b) in enumerate(zip(one, two, strict=False)):
        for field in Moment._fields:
            x, y = getattr(a, field), getattr(b, field)
            if not np.array_equal(x, y):
                k = int(np.argwhere(x != y)[0][0])
                what = {"present": "taking part", "legal": "legal actions"}.get(field, field)
                when = f"in step {step}" if step else "after reset"
                return (
                    f"with the same seed and the same actions, {what} of {team.agents[k]} differed "
                    f"{when}: {cure}"
                )
    if len(one) != len(two):
        lengths = f"{len(one) - 1} and {len(two) - 1}"
        return f"with the same seed and actions, episodes had {lengths} steps: {cure}"
    return ""
