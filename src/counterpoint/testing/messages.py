"""`check_message_world`: a conformance suite for message environments, yours and ours.

Each `check_*` tests one promise of `counterpoint.worlds.message.world.MessageWorld` and raises
`ConformanceError` with the result and the promise. Everything is deterministic: the same world
always passes or always fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.testing.batches import attempt, demand
from counterpoint.worlds.message.world import (
    Brief,
    Member,
    MessageContent,
    MessageWorld,
    Observation,
    ReceivedMessage,
)

Make = Callable[[], MessageWorld[Any]]
"""Returns a new world with the settings of its later use."""
SEED = 7
"""The seed of every batch that is drawn here."""


def check_message_world(make: Make, *, items: int = 32) -> None:
    """Checks every promise of `MessageWorld`.

    Args:
        make: `make()` returns a new world with the settings of its later use.
        items: the size of the batches that are played.

    Raises:
        ConformanceError: The first broken promise.
    """
    world = make()
    demand(bool(world.scale), "no scale", "words that say what the score counts")
    demand(bool(world.prompts), "no prompts", "at least one, with a line on how members behave")
    demand(world.settings.members >= 1, f"{world.settings.members} members", "at least 1")
    check_unknown_prompt(world)
    check_briefs(world, items)
    for prompt in world.prompts:
        try:
            world.member(prompt)
        except SettingError:
            return  # only somebody who reads can play in this world: the briefs are all it has
        check_parameters(world, prompt)
        check_members(make, prompt, items)
        check_single(make, prompt, items)


def check_unknown_prompt(world: MessageWorld[Any]) -> None:
    """Checks that a prompt that the world does not have is refused."""
    with attempt("a prompt of no name", "an UnknownNameError", (UnknownNameError, SettingError)):
        try:
            world.member("no prompt of this name")
        except (UnknownNameError, SettingError):
            return
    demand(False, "a member for a prompt that there is not", "an UnknownNameError")


def check_briefs(world: MessageWorld[Any], items: int) -> None:
    """Checks that items in words have a task for each member, and options that can be scored."""
    batch = world.draw(np.random.default_rng(SEED), items)
    for index in range(min(items, 8)):
        for member in range(-1, world.settings.members):
            brief = world.brief(batch, index, member)
            if brief is None:
                return
            demand(isinstance(brief, Brief), f"{brief!r}", "a Brief, or None")
            demand(bool(brief.task.strip()), f"an item without a task: {brief!r}", "words")
            for option in brief.options:
                answer = world.answer_from(batch, index, option)
                demand(answer is not None, f"no answer for option {option!r}", "the answer it is")
                demand(bool(world.answer_text(batch, answer)), "an answer without words", "words")


def check_parameters(world: MessageWorld[Any], prompt: str) -> None:
    """Checks that a prompt's parameters lie in the range in which they are searched."""
    if world.parameter_range is None:
        return
    low, high = world.parameter_range
    values = np.array(world.parameters(prompt))
    demand(values.shape == low.shape, f"{values.size} parameters of {prompt!r}", f"{low.size}")
    inside = bool(np.all((low <= values) & (values <= high)))
    demand(inside, f"parameters {values} of {prompt!r}", f"all in {low} to {high}")


def check_members(make: Make, prompt: str, items: int) -> None:
    """Checks what members say, answer and earn, and that chance comes from the generator alone."""
    first, second = (_played(make(), prompt, items) for _ in range(2))
    answers, sure, scores = first[1:]
    for name, values in zip(PARTS[1:], first[1:], strict=True):
        demand(len(values) == items, f"{len(values)} {name} of {items} items", "one an item")
    finite = bool(np.all(np.isfinite(np.asarray(sure, dtype=float))))
    demand(finite, f"a member that is {sure} sure of {answers}", "finite numbers")
    for i, (one, two) in enumerate(zip(first, second, strict=True)):
        same = np.array_equal(np.asarray(one), np.asarray(two))
        demand(same, f"another {PARTS[i]} for the same generator", f"the same {PARTS[i]} again")
    check_scores(np.asarray(scores, dtype=float))


PARTS = ("messages", "answers", "degrees of certainty", "scores")
"""What `_played` returns, in words."""


def check_scores(scores: np.ndarray[Any, Any]) -> None:
    """Checks that scores are worths from 0 to 1."""
    inside = bool(np.all((scores >= 0) & (scores <= 1)))
    demand(inside, f"scores from {scores.min()} to {scores.max()}", "0 to 1")


def check_single(make: Make, prompt: str, items: int) -> None:
    """Checks the answers of one agent that has all that the team knows, and all its turns."""
    world = make()
    rng = np.random.default_rng(SEED)
    batch = world.draw(rng, items)
    with attempt(f"a single agent under {prompt!r}", "its answers"):
        answers = world.single(batch, prompt, world.settings.members, rng)
    demand(len(answers) == items, f"{len(answers)} answers of a single agent", f"{items}")
    check_scores(np.asarray(world.score(batch, answers), dtype=float))


def _played(
    world: MessageWorld[Any], prompt: str, items: int
) -> tuple[MessageContent, Any, Any, Any]:
    """Returns what two members say one after the other, the second's answers, and their worth."""
    rng = np.random.default_rng(SEED)
    batch = world.draw(rng, items)
    member: Member[Any] = world.member(prompt)
    with attempt(f"members under {prompt!r}", "messages, answers and a worth"):
        begin = Observation(member=0, round=0, share=0.5)
        message = member.speak(batch, begin, rng)
        demand(len(message) == items, f"{len(message)} messages of {items} items", "one an item")
        texts = [world.message_text(batch, message, i) for i in range(min(items, 8))]
        written = all(isinstance(text, str) for text in texts)
        demand(written, f"messages {texts}", "texts, empty where nothing is said")
        later = Observation(
            member=min(1, world.settings.members - 1),
            round=1,
            received=(ReceivedMessage(0, 0, message),),
            share=0.5,
        )
        answers, sure = member.answer(batch, later, rng)
        return message, answers, sure, world.score(batch, answers)
