"""`check_world`: plays a text world of a user for a moment, before a team is trained in it.

Some episodes are played with answers by chance, odd ones among them. Then every prompt is asked for
again: in the same world and in a new one, in the opposite order, and with NumPy's and Python's
global generators disturbed. What cannot be trained is an error. What looks like a mistake, and can
be trained, is a doubt: a sentence with the line to change.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import fields
from typing import NamedTuple, NoReturn

import numpy as np

from counterpoint.errors import WorldError
from counterpoint.worlds.foreign.doubts import Doubts, chance_kept, disturb_chance
from counterpoint.worlds.text.calls import WorldCalls, shown
from counterpoint.worlds.text.world import Ending, Prompt, Statement, Task, TextWorld

SEED, EPISODES = 1, 24
"""The seed of the tasks, and how many are played."""
MOST_SECONDS = 0.5
"""Seconds after which no further episode is played."""
ODDITIES = ("", " \n ", "?!,", "日本 👍", "no\nand yes", "word " * 40)
"""Free texts that any model may write, beside words of the prompt."""
PURE = (
    "that are the same for the same task and history: a world keeps no state and draws no chance "
    "of its own; draw in tasks(self, rng, count) what varies, and put it into the task (--no-check "
    "skips this check)"
)
"""The requirement on prompts."""


class Wave(NamedTuple):
    """A history, and the prompts after it."""

    task: Task
    history: tuple[Statement, ...]
    prompts: tuple[Prompt, ...]
    ending: Ending | None
    """The ending, where there are no prompts."""


def check_world(make: Callable[[], TextWorld]) -> tuple[str, ...]:
    """Returns the doubts about a text world; none if it is as it should be.

    Args:
        make: makes the world anew.

    Raises:
        WorldError: it fails, or no team can be trained in it as it is.
    """
    doubts = Doubts()
    with redirect_stdout(sys.stderr), chance_kept():
        calls, other = WorldCalls(make()), WorldCalls(make())
        tasks = calls.tasks(np.random.default_rng(SEED), EPISODES)
        disturb_chance()
        if other.tasks(np.random.default_rng(SEED), EPISODES) != tasks:
            doubts.add(
                "tasks",
                "tasks differ with the same generator: runs can be neither repeated nor resumed; "
                f"draw all chance from rng ({calls.place('tasks')})",
            )
        waves = _played(calls, tasks)
        for wave in reversed(waves):
            for one in (calls, other):
                disturb_chance()
                _play_again(one, wave, doubts)
        _note_parts(calls, waves, doubts)
    return doubts.sentences()


def _played(calls: WorldCalls, tasks: list[Task]) -> list[Wave]:
    """Returns the waves of an episode of each task, as far as there is time."""
    rng, begun, waves = np.random.default_rng(SEED), time.monotonic(), list[Wave]()
    for task in tasks:
        history: tuple[Statement, ...] = ()
        while prompts := calls.prompts(task, history):
            waves.append(Wave(task, history, prompts, None))
            said = [calls.statement(task, history, p, _answer(p, rng)) for p in prompts]
            history = (*history, *said)
            if len(history) > calls.longest:
                calls.refuse_endless()
        waves.append(Wave(task, history, (), calls.ending(task, history)))
        if time.monotonic() - begun > MOST_SECONDS:
            break
    return waves


def _answer(prompt: Prompt, rng: np.random.Generator) -> str:
    """Returns one of the words; in free text, some words of the prompt or an odd text."""
    if prompt.words:
        return prompt.words[int(rng.integers(len(prompt.words)))]
    seen = prompt.user.split()
    some = " ".join(rng.choice(seen, int(rng.integers(1, 5)))) if seen else ""
    return some if rng.random() < 0.5 else ODDITIES[int(rng.integers(len(ODDITIES)))]


def _play_again(calls: WorldCalls, wave: Wave, doubts: Doubts) -> None:
    """Refuses other prompts after the same history, and notes another ending."""
    task, history, prompts, ending = wave
    try:
        again = calls.prompts(task, history)
    except WorldError as error:
        text = f"{error}. It did not fail the first time; wanted prompts {PURE}"
        raise WorldError(text) from error
    if again != prompts:
        _refuse_other(calls, wave, again)
    if ending is not None and calls.ending(task, history) != ending:
        doubts.add(
            "ending",
            f"the same statements about task {shown(task)} end in other rewards each time: runs "
            "can be neither repeated nor resumed; if the noise is wanted, speaker_noise has it "
            f"({calls.place('ending')})",
        )


def _refuse_other(calls: WorldCalls, wave: Wave, again: tuple[Prompt, ...]) -> NoReturn:
    """Raises a WorldError that shows the first difference between two answers of `prompts`."""
    one: object = f"{len(wave.prompts)} prompts"
    two: object = f"{len(again)} prompts"
    if len(wave.prompts) == len(again):
        pairs = (
            (getattr(old, field.name), getattr(new, field.name))
            for old, new in zip(wave.prompts, again, strict=True)
            for field in fields(Prompt)
        )
        one, two = next((shown(a), shown(b)) for a, b in pairs if a != b)
    texts = [statement.text for statement in wave.history]
    calls.refuse(
        "prompts", f"{one} and then {two} for one task {shown(wave.task)} and one history {texts}",
        f"prompts {PURE}",
    )  # fmt: skip


def _note_parts(calls: WorldCalls, waves: list[Wave], doubts: Doubts) -> None:
    """Notes agents that never speak or have nothing to choose, and a wrong `free`."""
    world, asked = calls.world, [prompt for wave in waves for prompt in wave.prompts]
    episodes = sum(wave.ending is not None for wave in waves)
    place = calls.place("prompts")
    for agent in world.agents:
        own = [prompt for prompt in asked if prompt.agent == agent]
        if not own:
            doubts.add(
                f"never {agent}",
                f"agent {agent!r} got no prompt in {episodes} episodes, so that nothing can be "
                f"learned for it; take it out of agents, or ask it ({place})",
            )
        elif all(len(prompt.words) == 1 for prompt in own):
            doubts.add(
                f"one {agent}",
                f"agent {agent!r} has one word in each of its {len(own)} prompts, so that there is "
                f"nothing to learn for it; give it a choice ({place})",
            )
    writes = [prompt.agent for prompt in asked if not prompt.words]
    if writes and not world.free:
        doubts.add(
            "free",
            f"agent {writes[0]!r} writes freely, and the class does not say so: 32 episodes of "
            "each task are played instead of 8, and checkpoints are rarer; write free = True in "
            f"the class ({place})",
        )
    if asked and not writes and world.free:
        doubts.add(
            "words",
            "the class says free = True, and every prompt has words: 8 episodes of each task are "
            f"played instead of 32; leave it out of the class ({place})",
        )
