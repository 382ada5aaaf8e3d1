"""Doubts about a foreign environment: what looks like a mistake, and can be learned from.

Start with `Doubts`. What the played episodes alone show is here; `check.py` looks at the
environment while it is played.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Bools
from counterpoint.worlds.sequential.sides import RandomPlay, guess_sides, without_number

LARGE_MEAN = 50.0
"""How many deviations the mean reward is away from 0 if it hides what is paid for."""
ALIKE = (
    "horizon",
    "episode_length",
    "episode_limit",
    "max_episode_length",
    "max_episode_steps",
    "max_timesteps",
    "time_limit",
)
"""Names under which environments may have their limit of steps, or another number: not read."""
SMALL = 0.01
"""Rewards below this are small beside the first predictions of critics, of about 0.1."""


class Doubts:
    """Sentences about what looks like a mistake, each once, with the number of times."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.steps = 0
        """Steps played so far."""

    def add(self, topic: str, text: str) -> None:
        """Notes a doubt; of one topic the first text is kept."""
        self._texts.setdefault(topic, text)
        self._counts[topic] = self._counts.get(topic, 0) + 1

    def sentences(self) -> tuple[str, ...]:
        """Returns the sentences in the order in which they came."""
        return tuple(
            f"{text} ({count} times in {self.steps} steps)" if (count := self._counts[topic]) > 1
            else text
            for topic, text in self._texts.items()
        )  # fmt: skip


@contextmanager
def chance_kept() -> Iterator[None]:
    """Leaves the global generators as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def disturb_chance() -> None:
    """Moves the global generators on, of which code that can be repeated draws nothing."""
    np.random.random()  # noqa: NPY002
    random.random()


class Moment(NamedTuple):
    """What a step of an episode came to: arrays that are the same with the same seed."""

    observations: NDArray[np.float32]
    rewards: NDArray[np.float64]
    present: Bools
    terminated: Bools
    legal: Bools


def note_sides(courses: Collection[list[Moment]], agents: tuple[str, ...], doubts: Doubts) -> None:
    """Notes agents that play against each other."""
    rewards = [np.array([moment.rewards for moment in course]) for course in courses]
    returns = np.array([one.sum(axis=0) for one in rewards])
    names = tuple(map(without_number, agents))
    guess = guess_sides(RandomPlay(returns, np.concatenate(rewards), None, False), agents, names)
    if guess.sides is not None:
        doubts.add(
            "sides",
            f"{guess.reason}: train and compare take {' and '.join(guess.sides.names)} as sides, "
            "unless sides=... says others; reward=common, vdn and qmix would add up what rivals "
            "are paid",
        )


def note_no_limit(env: Any, cut_at: Collection[int | None], doubts: Doubts) -> None:
    """Notes that an environment states no limit of steps, and what the played episodes say of it.

    Args:
        env: the environment.
        cut_at: the step in which each episode was cut off; None for one that was not.
        doubts: where it is noted.
    """
    text = (
        "no limit of steps was found, so that by default gamma is 0.95 (0.99 in games of sides) "
        "and no greedy actions are evaluated"
    )
    steps = set(cut_at)
    step = steps.pop() if len(steps) == 1 else None
    if step is None:
        doubts.add("limit", f"{text}; if it has one, call it max_cycles")
        return
    inner = getattr(env, "unwrapped", env)
    numbers = ((name, getattr(inner, name, None)) for name in ALIKE)
    name = next((n for n, x in numbers if type(x) is int and x == step), "")
    seen = f"each episode of the check was cut off in step {step}"
    if name:
        doubts.add("limit", f"{text}; {seen}, its {name}: set self.max_cycles = self.{name}")
    else:
        doubts.add("limit", f"{text}; {seen}: if that is its limit, set self.max_cycles = {step}")


def note_rewards(courses: Collection[list[Moment]], doubts: Doubts) -> None:
    """Notes rewards that are small, and those that are nearly constant where an episode is as long
    whatever is done."""
    moments = [moment for course in courses for moment in course[1:]]
    if not moments:
        return
    rewards = np.array([moment.rewards for moment in moments])
    mean, varies, largest = rewards.mean(axis=0), rewards.std(axis=0), abs(rewards).max()
    if 0 < largest < SMALL:
        doubts.add(
            "small",
            f"agents are paid at most {largest:.3g} in {len(moments)} steps, beside which what an "
            "untrained critic predicts (about 0.1) is large: learning begins late; multiply "
            "rewards, so that they are about 1",
        )
    ends = any(moment.terminated.any() for moment in moments)
    if not ends and ((varies > 0) & (abs(mean) > LARGE_MEAN * varies)).all():
        doubts.add(
            "constant",
            f"agents are paid {mean.mean():.6g} on average, which varies by {varies.mean():.3g} "
            "alone: it takes long until values are exact enough to see that; subtract the constant",
        )
