"""`play_episodes`: plays many episodes of a text environment side by side, wave by wave.

Torch is not imported here: the responder is an argument. Random numbers are drawn in the order of
the agents' names, so that nothing depends on the order in which a world lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.errors import WorldError
from counterpoint.speakers.speaker import Message, Request, Speaker
from counterpoint.worlds.text.world import Ending, Prompt, Statement, Task, TextWorld

REPEATED = 4
"""Words that a team of chance repeats where it writes freely."""


@dataclass(frozen=True)
class Answer:
    """An agent's answer, and what its trainer needs to learn from it."""

    text: str
    handle: Any = None
    error: str | None = None
    """Why there is no text: the episode ends here, and the others go on."""


class Respond(Protocol):
    """A function that answers a wave of prompts, in their order."""

    def __call__(self, asks: Sequence[Prompt], rng: np.random.Generator) -> list[Answer]: ...


@dataclass(frozen=True)
class PlayedBatch:
    """One batch of episodes. Axis letters: E episodes, N decisions, K components."""

    tasks: list[Task]
    """[E] task of each episode."""
    messages: list[tuple[Statement, ...]]
    """[E] every decision, in order."""
    success: Floats
    """[E] the team's success."""
    rewards: Floats
    """[N, K] reward of each decision."""
    asks: list[Prompt]
    """[N] prompt of each decision."""
    answers: list[Answer]
    """[N] answer of each decision."""
    columns: dict[str, Ints]
    """Labels of the decisions, each [N]: prompt, rollout, agent (in the order of names), role,
    turn (of the agent in its episode), and `batch`, which is 0."""
    episode: Ints
    """[N] the episode of each decision."""
    errors: Sequence[str | None] = ()
    """[E] why an episode could not be played to its end, which then has no decisions, and a
    success that is NaN; None where it was played."""


def random_replies(asks: Sequence[Prompt], rng: np.random.Generator) -> list[Answer]:
    """Returns a random word for each prompt, or some words of the prompt where agents write freely.

    A team that said nothing might never be paid, and then all rewards would look the same.
    """
    return [Answer(str(rng.choice(ask.words)) if ask.words else _some(ask, rng)) for ask in asks]


def _some(ask: Prompt, rng: np.random.Generator) -> str:
    shown = ask.user.split()
    return " ".join(rng.choice(shown, REPEATED)) if shown else ""


def respond_with(speaker: Speaker) -> Respond:
    """Returns a responder that asks a speaker; a prompt that fails ends its episode."""

    def respond(asks: Sequence[Prompt], rng: np.random.Generator) -> list[Answer]:
        requests = [
            Request(
                tuple(Message(role, content) for role, content in ask.messages),
                ask.agent,
                ask.words or None,
                max_tokens=ask.most_tokens or 8,
                seed=int(rng.integers(2**31)),
            )
            for ask in asks
        ]
        return [Answer(reply.text, reply, reply.error) for reply in speaker.answer(requests)]

    return respond


def play_episodes(
    world: TextWorld,
    respond: Respond,
    rng: np.random.Generator,
    prompts: int,
    rollouts: int,
) -> PlayedBatch:
    """Plays `rollouts` episodes of each of `prompts` tasks.

    Args:
        world: what is played.
        respond: who answers.
        rng: of the tasks, the answers, and the noise on what the speaker is paid.
        prompts: P.
        rollouts: G; E = P x G.

    Raises:
        WorldError: an episode does not end within the world's own limit.
    """
    tasks = [task for task in world.tasks(rng, prompts) for _ in range(rollouts)]
    messages: list[tuple[Statement, ...]] = [()] * len(tasks)
    made: list[list[tuple[Prompt, Answer]]] = [[] for _ in tasks]
    errors: list[str | None] = [None] * len(tasks)
    going = list(range(len(tasks)))
    asks_at: dict[tuple[Task, tuple[Statement, ...]], tuple[Prompt, ...]] = {}  # episodes go alike
    while going:
        wave = []
        for e in going:
            met = tasks[e], messages[e]
            if met not in asks_at:
                asks_at[met] = world.prompts(*met)
            wave += [(e, ask) for ask in asks_at[met]]
        # By name, in a stable order: random numbers are drawn in the order of the wave.
        wave.sort(key=lambda one: one[1].agent)
        answers = respond([ask for _, ask in wave], rng) if wave else []
        before = list(messages)
        for (e, ask), answer in zip(wave, answers, strict=True):
            if answer.error is not None:
                errors[e] = errors[e] or f"{ask.agent}: {answer.error}"
                continue
            messages[e] = (*messages[e], world.statement(tasks[e], before[e], ask, answer.text))
            made[e].append((ask, answer))
        going = sorted({e for e, _ in wave if errors[e] is None})
        if any(len(messages[e]) > world.longest for e in going):
            raise WorldError(
                f"got more than {world.longest} decisions in an episode of '{world.name}'; "
                "wanted an end by then"
            )
    for e, error in enumerate(errors):
        if error is not None:
            messages[e], made[e] = (), []
    return _played(world, tasks, messages, made, errors, rng, rollouts)


def _played(
    world: TextWorld,
    tasks: list[Task],
    messages: list[tuple[Statement, ...]],
    made: list[list[tuple[Prompt, Answer]]],
    errors: list[str | None],
    rng: np.random.Generator,
    rollouts: int,
) -> PlayedBatch:
    endings = [
        Ending(np.nan, ()) if error else world.ending(task, one)
        for task, one, error in zip(tasks, messages, errors, strict=True)
    ]
    names = sorted(world.agents)
    roles = dict(zip(world.agents, world.roles, strict=True))
    kinds = sorted(set(world.roles))
    number = {name: i for i, name in enumerate(names)}
    agents = [one.agent for episode in messages for one in episode]
    episode = np.repeat(np.arange(len(tasks)), [len(one) for one in messages])
    rewards = np.array([row for ending in endings for row in ending.rewards], dtype=np.float64)
    rewards = rewards.reshape(len(agents), len(world.components))
    columns = {
        "prompt": episode // rollouts,
        "rollout": episode % rollouts,
        "agent": np.array([number[name] for name in agents], dtype=np.int64),
        "role": np.array([kinds.index(roles[name]) for name in agents], dtype=np.int64),
        "turn": _turns(messages),
        "batch": np.zeros(len(agents), dtype=np.int64),
    }
    return PlayedBatch(
        tasks=tasks,
        messages=messages,
        success=np.array([ending.success for ending in endings], dtype=np.float64),
        rewards=_paid(world, rewards, columns["agent"] == number[world.speaker], rng),
        asks=[ask for one in made for ask, _ in one],
        answers=[answer for one in made for _, answer in one],
        columns=columns,
        episode=episode,
        errors=errors,
    )


def _paid(world: TextWorld, rewards: Floats, speaks: Any, rng: np.random.Generator) -> Floats:
    """Returns the paid rewards: the speaker's are scaled, shifted, and noisy."""
    settings, out = world.settings, rewards.copy()
    out[speaks] *= settings.speaker_scale
    out[speaks, 0] += settings.speaker_offset
    if settings.speaker_noise:
        out[speaks, 0] += settings.speaker_noise * rng.standard_normal(int(speaks.sum()))
    return out


def _turns(messages: list[tuple[Statement, ...]]) -> Ints:
    turns = []
    for one in messages:
        count: dict[str, int] = {}
        for each in one:
            turns.append(count.get(each.agent, 0))
            count[each.agent] = turns[-1] + 1
    return np.array(turns, dtype=np.int64)
