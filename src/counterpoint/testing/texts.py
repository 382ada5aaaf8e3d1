"""`check_text_world`: a conformance suite for text environments, yours and ours.

No language model is needed: the teams that play here answer at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from counterpoint.testing.batches import bernstein, demand
from counterpoint.worlds.text.world import (
    Ending,
    Prompt,
    Statement,
    Task,
    TextSettings,
    TextWorld,
)

Make = Callable[[], TextWorld]
"""Returns a new world with the settings of its later use."""

Ahead = Callable[[TextWorld, Task, tuple[Statement, ...]], None]
"""Looks at an episode before each of its waves, and at its end."""

ODDITIES = ("", " \n ", "?!,", "日本 👍", "no\nand yes", "word " * 40)
"""Free texts of the random team, beside words of the prompt."""


def check_text_world(make: Make, *, episodes: int = 4000) -> None:
    """Checks every promise of `TextWorld`.

    Args:
        make: `make()` returns a new world with the settings of its later use.
        episodes: the episodes of a random team, for the comparison with the random reference.

    Raises:
        ConformanceError: The first broken promise.
    """
    check_description(make())
    check_tasks(make)
    check_asks(make(), episodes // 10)
    check_purity(make, episodes // 20)
    check_endings(make(), episodes // 10)
    check_order(make, episodes // 20)
    check_references(make(), episodes)


def check_description(world: TextWorld) -> None:
    """Checks that the description of a world is sound and has one entry for each agent."""
    agents = world.agents
    demand(len(set(agents)) == len(agents) > 0, f"agents {agents}", "different names")
    demand(len(world.roles) == len(agents), f"{len(world.roles)} roles", f"{len(agents)}, one each")
    demand(world.speaker in agents, f"speaker {world.speaker!r}", f"one of {agents}")
    names = world.components
    demand(len(set(names)) == len(names) > 0, f"components {names}", "different names")
    demand(world.longest >= 1, f"longest {world.longest}", "at least 1 decision")
    is_known = isinstance(world.settings, TextSettings)
    demand(is_known, f"settings {world.settings!r}", "some of TextSettings")
    low, high = world.references.random, world.references.reference
    for value in (low, high):
        is_sound = value is None or math.isfinite(value)
        demand(is_sound, f"a reference of {value}", "a finite number, or None")
    ordered = low is None or high is None or low < high
    demand(ordered, f"random {low}, reference {high}", "random below it")
    demand(bool(world.references.scale), "references on no scale", "words that say which")


def check_tasks(make: Make) -> None:
    """Checks that tasks have the requested number and depend on the generator alone."""
    world = make()
    for count in (1, 7, 40):
        tasks = world.tasks(np.random.default_rng(count), count)
        demand(len(tasks) == count, f"{len(tasks)} tasks", f"{count}, as many as asked for")
        for task in tasks:
            texts = isinstance(task, tuple) and all(isinstance(part, str) for part in task)
            demand(texts, f"task {task!r}", "a tuple of texts")
        for _ in _episodes(world, np.random.default_rng(0), 8):
            pass
        for what, other in (("a second time", world), ("by a new world", make())):
            same = other.tasks(np.random.default_rng(count), count) == tasks
            demand(same, f"other tasks of one seed {what}", "the same generator, the same tasks")


def check_asks(world: TextWorld, episodes: int) -> None:
    """Checks that each prompt is for an agent that can answer, and that episodes end in time."""
    for task, statements in _episodes(world, np.random.default_rng(1), episodes, _check_wave):
        few = 1 <= len(statements) <= world.longest
        demand(few, f"{len(statements)} decisions about {task}", f"1 to {world.longest}")


def check_purity(make: Make, episodes: int) -> None:
    """Checks that the same statements give the same prompts and ending, also in a new world."""
    other = make()

    def again(world: TextWorld, task: Task, statements: tuple[Statement, ...]) -> None:
        prompts = world.prompts(task, statements)
        for one in (world, other):
            same = one.prompts(task, statements) == prompts
            demand(same, f"other prompts after {statements}", "the same ones again")
        if prompts:
            return
        end = world.ending(task, statements)
        for one in (world, other):
            same = one.ending(task, statements) == end
            demand(same, f"another ending of {statements}", "the same one again")

    world = make()
    for _ in _episodes(world, np.random.default_rng(2), episodes, again):
        pass


def check_endings(world: TextWorld, episodes: int) -> None:
    """Checks that every decision gets finite rewards."""
    for task, statements in _episodes(world, np.random.default_rng(3), episodes):
        end, k = world.ending(task, statements), len(world.components)
        demand(isinstance(end, Ending), f"{type(end).__name__}", "an Ending")
        demand(math.isfinite(end.success), f"success {end.success}", "a finite number")
        rows, wanted = len(end.rewards), len(statements)
        demand(rows == wanted, f"{rows} rows of rewards", f"{wanted}, one a decision")
        full = all(len(row) == k for row in end.rewards)
        demand(full, f"rewards {end.rewards}", f"{k} numbers a row, one a component")
        finite = all(math.isfinite(value) for row in end.rewards for value in row)
        demand(finite, f"rewards {end.rewards}", "finite numbers")


def check_order(make: Make, episodes: int) -> None:
    """Checks that the order in which agents are listed changes nothing."""
    plain, turned = make(), make()
    turned.agents, turned.roles = plain.agents[::-1], plain.roles[::-1]

    def same(world: TextWorld, task: Task, statements: tuple[Statement, ...]) -> None:
        one, two = (
            sorted(w.prompts(task, statements), key=lambda p: p.place) for w in (world, turned)
        )
        wanted = "the same, whatever the order in which agents are listed"
        demand(one == two, f"other prompts after {statements}", wanted)
        if not one:
            alike = world.ending(task, statements) == turned.ending(task, statements)
            demand(alike, f"another ending of {statements}", wanted)

    for _ in _episodes(plain, np.random.default_rng(4), episodes, same):
        pass


def check_references(world: TextWorld, episodes: int) -> None:
    """Checks the success of a random team, and that no episode exceeds the reference."""
    played = _episodes(world, np.random.default_rng(5), episodes)
    success = np.array([world.ending(*one).success for one in played])
    best, wanted = world.references.reference, world.references.random
    if best is not None:
        top = float(success.max())
        demand(top <= best + 1e-9, f"a success of {top}", f"at most {best}, the reference")
    if wanted is None or world.free:
        return
    mean, allowed = float(success.mean()), bernstein(success)
    got = f"a mean success of {mean:.4f} over {len(success)} episodes of a random team"
    promise = f"{wanted:.4f} +- {allowed:.4f}, the random reference"
    demand(abs(mean - wanted) <= allowed, got, promise)


def _check_wave(world: TextWorld, task: Task, statements: tuple[Statement, ...]) -> None:
    """Checks the prompts after these statements."""
    prompts = world.prompts(task, statements)
    demand(isinstance(prompts, tuple), f"prompts of type {type(prompts).__name__}", "a tuple")
    for prompt in prompts:
        demand(isinstance(prompt, Prompt), f"{prompt!r}", "a Prompt")
        demand(prompt.agent in world.agents, f"agent {prompt.agent!r}", f"one of {world.agents}")
        shown = isinstance(prompt.system, str) and isinstance(prompt.user, str) and prompt.user
        demand(bool(shown), f"a prompt {prompt.messages}", "text")
        for role, content in prompt.earlier:
            sound = bool(content) or role == "assistant"
            demand(sound, f"an earlier message {content!r} of role {role!r}", "text")
        once = len(set(prompt.words)) == len(prompt.words)
        demand(once, f"words {prompt.words}", "each of them once")
        for word in prompt.words:
            sound = bool(word) and word == word.strip() and word.isprintable()
            demand(sound, f"word {word!r}", "one line with no space around it")
        kind = bool(prompt.words) != world.free
        demand(kind, f"words {prompt.words} where free is {world.free}", "words, or else free text")
        room = prompt.most_tokens >= 1 or not world.free
        demand(room, f"most_tokens {prompt.most_tokens}", "room for an answer")


def _episodes(
    world: TextWorld, rng: np.random.Generator, count: int, ahead: Ahead = lambda *_: None
) -> Iterator[tuple[Task, tuple[Statement, ...]]]:
    """Yields the task and the statements of `count` episodes of a random team."""
    for task in world.tasks(rng, count):
        statements: tuple[Statement, ...] = ()
        ahead(world, task, statements)
        while prompts := world.prompts(task, statements):
            wave = [_remembered(world, task, statements, p, _answer(p, rng)) for p in prompts]
            statements = (*statements, *wave)
            few = len(statements) <= world.longest
            demand(few, f"more than {world.longest} decisions about {task}", "an end by then")
            ahead(world, task, statements)
        yield task, statements


def _remembered(
    world: TextWorld, task: Task, statements: tuple[Statement, ...], prompt: Prompt, text: str
) -> Statement:
    """Returns an answer as the world keeps it, and checks that it is unchanged."""
    statement = world.statement(task, statements, prompt, text)
    demand(isinstance(statement, Statement), f"{statement!r}", "a Statement")
    kept = (statement.agent, statement.text) == (prompt.agent, text)
    got = f"{statement} for {text!r} of {prompt.agent!r}"
    demand(kept, got, "the agent and the text as they were")
    there = statement.to == "" or (statement.to in world.agents and statement.to != prompt.agent)
    demand(there, f"{statement.to!r}, who hears {prompt.agent!r}", "another agent, or nobody")
    same = world.statement(task, statements, prompt, text) == statement
    demand(same, "another memory of the same answer", "the same one again")
    return statement


def _answer(prompt: Prompt, rng: np.random.Generator) -> str:
    """Returns one of the words; in free text, some words of the prompt or an odd text."""
    if prompt.words:
        return str(rng.choice(prompt.words))
    shown = prompt.user.split()
    some = " ".join(rng.choice(shown, int(rng.integers(1, 4)))) if shown else ""
    return some if rng.random() < 0.7 else ODDITIES[int(rng.integers(len(ODDITIES)))]
