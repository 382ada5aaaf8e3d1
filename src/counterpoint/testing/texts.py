"""`check_text_world`: a conformance suite for worlds in words, yours and ours.

Each `check_*` tests one promise of `counterpoint.worlds.text.world.TextWorld` and raises
`ConformanceError` with what was got and what was promised. No language model is needed: the teams
that play here answer at random. Everything is deterministic: the same world passes or fails always.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.testing.batches import demand
from counterpoint.worlds.text.world import Ending, Prompt, Statement, Task, TextSettings, TextWorld

Make = Callable[[], TextWorld]
"""A new world, with the settings that it is to be used with."""

Ahead = Callable[[TextWorld, Task, tuple[Statement, ...]], None]
"""Looks at an episode before each of its waves, and at its end."""

SURPRISE = 12.0
"""A mean may differ from its expectation by what chance does once in e^12 = 160,000 checks."""
ODDITIES = ("", " \n ", "?!,", "日本 👍", "no\nand yes", "word " * 40)
"""What somebody may write who may write anything, beside words that were shown."""


def check_text_world(make: Make, *, episodes: int = 4000) -> None:
    """Hold a world in words to every promise of `TextWorld`.

    Args:
        make: `make()` is a new world, with the settings that it is to be used with.
        episodes: played by a random team, and behind the comparison with the random reference.

    Raises:
        ConformanceError: the first promise that is broken.
    """
    check_description(make())
    check_tasks(make)
    check_asks(make(), episodes // 10)
    check_purity(make, episodes // 20)
    check_endings(make(), episodes // 10)
    check_order(make, episodes // 20)
    check_references(make(), episodes)


def check_description(world: TextWorld) -> None:
    """What a world says of itself makes sense and has one entry for each agent."""
    agents = world.agents
    demand(len(set(agents)) == len(agents) > 0, f"agents {agents}", "different names")
    demand(len(world.roles) == len(agents), f"{len(world.roles)} roles", f"{len(agents)}, one each")
    demand(world.speaker in agents, f"speaker {world.speaker!r}", f"one of {agents}")
    names = world.components
    demand(len(set(names)) == len(names) > 0, f"components {names}", "different names")
    demand(world.longest >= 1, f"longest {world.longest}", "at least 1 decision")
    told = isinstance(world.settings, TextSettings)
    demand(told, f"settings {world.settings!r}", "some of TextSettings")
    low, high = world.references.random, world.references.reference
    for value in (low, high):
        sound = value is None or math.isfinite(value)
        demand(sound, f"a reference of {value}", "a finite number, or None")
    ordered = low is None or high is None or low < high
    demand(ordered, f"random {low}, reference {high}", "random below it")
    demand(bool(world.references.scale), "references on no scale", "words that say which")


def check_tasks(make: Make) -> None:
    """Tasks are as many as are asked for, and come from the generator alone."""
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
            again = other.tasks(np.random.default_rng(count), count)
            same = again == tasks
            demand(same, f"other tasks of one seed {what}", "the same generator, the same tasks")


def check_asks(world: TextWorld, episodes: int) -> None:
    """Whoever is asked exists and can answer, and an episode ends when it is to."""
    for task, said in _episodes(world, np.random.default_rng(1), episodes, _check_wave):
        few = 1 <= len(said) <= world.longest
        demand(few, f"{len(said)} decisions about {task}", f"1 to {world.longest}")


def check_purity(make: Make, episodes: int) -> None:
    """The same things said, the same prompts and the same ending: again, and by a new world."""
    other = make()

    def again(world: TextWorld, task: Task, said: tuple[Statement, ...]) -> None:
        asks = world.prompts(task, said)
        for one in (world, other):
            demand(
                one.prompts(task, said) == asks,
                f"other prompts after {said}",
                "the same ones again",
            )
        if asks:
            return
        end = world.ending(task, said)
        for one in (world, other):
            same = one.ending(task, said) == end
            demand(same, f"another ending of {said}", "the same one again")

    world = make()
    for _ in _episodes(world, np.random.default_rng(2), episodes, again):
        pass


def check_endings(world: TextWorld, episodes: int) -> None:
    """Every decision is paid, by finite numbers."""
    for task, said in _episodes(world, np.random.default_rng(3), episodes):
        end, k = world.ending(task, said), len(world.components)
        demand(isinstance(end, Ending), f"{type(end).__name__}", "an Ending")
        demand(math.isfinite(end.success), f"success {end.success}", "a finite number")
        rows = len(end.rewards)
        demand(rows == len(said), f"{rows} rows of rewards", f"{len(said)}, one a decision")
        full = all(len(row) == k for row in end.rewards)
        demand(full, f"rewards {end.rewards}", f"{k} numbers a row, one a component")
        finite = all(math.isfinite(value) for row in end.rewards for value in row)
        demand(finite, f"rewards {end.rewards}", "finite numbers")


def check_order(make: Make, episodes: int) -> None:
    """With its agents listed in another order, the same happens to the same agents."""
    plain, turned = make(), make()
    turned.agents, turned.roles = plain.agents[::-1], plain.roles[::-1]

    def same(world: TextWorld, task: Task, said: tuple[Statement, ...]) -> None:
        one, two = (sorted(w.prompts(task, said), key=_by_text) for w in (world, turned))
        wanted = "the same, whatever the order in which agents are listed"
        demand(one == two, f"other prompts after {said}", wanted)
        if not one:
            alike = world.ending(task, said) == turned.ending(task, said)
            demand(alike, f"another ending of {said}", wanted)

    for _ in _episodes(plain, np.random.default_rng(4), episodes, same):
        pass


def check_references(world: TextWorld, episodes: int) -> None:
    """A team that takes every word alike gets what the world says, and nobody gets more than
    one that has solved it."""
    found = [
        world.ending(*one).success for one in _episodes(world, np.random.default_rng(5), episodes)
    ]
    success, best, wanted = np.array(found), world.references.reference, world.references.random
    if best is not None:
        top = float(success.max())
        demand(top <= best + 1e-9, f"a success of {top}", f"at most {best}, the reference")
    if wanted is None or world.free:
        return
    gap, allowed = abs(float(success.mean()) - wanted), _bernstein(success)
    demand(
        gap <= allowed,
        f"a mean success of {success.mean():.4f} over {len(success)} episodes of a random team",
        f"{wanted:.4f} +- {allowed:.4f}, the random reference",
    )


def _check_wave(world: TextWorld, task: Task, said: tuple[Statement, ...]) -> None:
    asks = world.prompts(task, said)
    demand(isinstance(asks, tuple), f"prompts of type {type(asks).__name__}", "a tuple")
    for ask in asks:
        demand(isinstance(ask, Prompt), f"{ask!r}", "a Prompt")
        demand(ask.agent in world.agents, f"agent {ask.agent!r}", f"one of {world.agents}")
        shown = isinstance(ask.system, str) and isinstance(ask.user, str) and ask.user
        demand(bool(shown), f"a prompt {ask.messages}", "text")
        demand(len(set(ask.words)) == len(ask.words), f"words {ask.words}", "each of them once")
        for word in ask.words:
            sound = bool(word) and word == word.strip() and word.isprintable()
            demand(sound, f"word {word!r}", "one line with no space around it")
        kind = bool(ask.words) != world.free
        demand(kind, f"words {ask.words} where free is {world.free}", "words, or else free text")
        if world.free:
            demand(ask.most_tokens >= 1, f"most_tokens {ask.most_tokens}", "room for an answer")


def _episodes(
    world: TextWorld, rng: np.random.Generator, count: int, ahead: Ahead = lambda *_: None
) -> Iterator[tuple[Task, tuple[Statement, ...]]]:
    """`count` episodes of a team that answers at random, each as its task and what was said."""
    for task in world.tasks(rng, count):
        said: tuple[Statement, ...] = ()
        ahead(world, task, said)
        while asks := world.prompts(task, said):
            wave = [_remembered(world, task, said, ask, _answer(ask, rng)) for ask in asks]
            said = (*said, *wave)
            few = len(said) <= world.longest
            demand(few, f"more than {world.longest} decisions about {task}", "an end by then")
            ahead(world, task, said)
        yield task, said


def _remembered(
    world: TextWorld, task: Task, said: tuple[Statement, ...], ask: Prompt, text: str
) -> Statement:
    """An answer as the world remembers it, which must be what it was."""
    found = world.statement(task, said, ask, text)
    demand(isinstance(found, Statement), f"{found!r}", "a Statement")
    kept = (found.agent, found.text) == (ask.agent, text)
    demand(kept, f"{found} for {text!r} of {ask.agent!r}", "the agent and the text as they were")
    there = found.to == "" or (found.to in world.agents and found.to != ask.agent)
    demand(there, f"{found.to!r}, who hears {ask.agent!r}", "another agent, or nobody")
    same = world.statement(task, said, ask, text) == found
    demand(same, "another memory of the same answer", "the same one again")
    return found


def _answer(ask: Prompt, rng: np.random.Generator) -> str:
    """One of the words; in free text some words that were shown, or something odd."""
    if ask.words:
        return str(rng.choice(ask.words))
    shown = ask.user.split()
    some = " ".join(rng.choice(shown, int(rng.integers(1, 4)))) if shown else ""
    return some if rng.random() < 0.7 else ODDITIES[int(rng.integers(len(ODDITIES)))]


def _by_text(ask: Prompt) -> tuple[str, str, str]:
    return ask.agent, ask.system, ask.user


def _bernstein(samples: Floats) -> float:
    """How far a mean may be from its expectation: the empirical Bernstein bound."""
    n, width = len(samples), max(1.0, float(np.ptp(samples)))
    return float(np.sqrt(2 * samples.var() * SURPRISE / n) + 3 * width * SURPRISE / n)
