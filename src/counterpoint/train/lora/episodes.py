"""`play_episodes`: plays many episodes of a text environment side by side, wave by wave.

`JudgedRewards` is a judge's ranking in place of the world's reward. The episodes of one task are a
group. The judge ranks those that differ, and every decision of an episode gets the reward of its
episode's rank. Success stays what it is, and no agent learns from it.

Torch is not imported here: the responder is an argument. Random numbers are drawn in the order of
the agents' names, so that nothing depends on the order in which a world lists them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from counterpoint.arrays import Floats, Ints
from counterpoint.errors import SettingError
from counterpoint.judge import Candidate, Group, rank_groups
from counterpoint.judge.catalogue import judge_and_settings
from counterpoint.records import Episode, Event
from counterpoint.settings import split_list, split_pairs
from counterpoint.worlds.text.calls import WorldCalls
from counterpoint.worlds.text.world import Ending, Prompt, Statement, Task, TextWorld

REPEATED = 4
"""Number of words that a random team repeats if it writes freely."""


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

    A silent team might never be paid, and then all rewards would look the same.
    """
    answers = []
    for ask in asks:
        shown = " ".join((*(text for _, text in ask.earlier), ask.user)).split()
        if ask.words:
            answers.append(Answer(str(rng.choice(ask.words))))
        else:
            answers.append(Answer(" ".join(rng.choice(shown, REPEATED)) if shown else ""))
    return answers


def play_episodes(
    world: TextWorld,
    respond: Respond,
    rng: np.random.Generator,
    prompts: int,
    rollouts: int,
    *,
    held_out: bool = False,
) -> PlayedBatch:
    """Plays `rollouts` episodes of each of `prompts` tasks.

    Args:
        world: what is played.
        respond: answers the prompts.
        rng: draws the tasks, the answers, and the noise on the speaker's reward.
        prompts: P.
        rollouts: G; E = P x G.
        held_out: whether the tasks are those of the evaluation rather than of training.

    Raises:
        WorldError: the world fails, what it returns cannot be played, or an episode does not end
            within the world's own limit.
    """
    with redirect_stdout(sys.stderr):  # a world of a user may print
        return _play(WorldCalls(world), respond, rng, prompts, rollouts, held_out)


def _play(
    world: WorldCalls,
    respond: Respond,
    rng: np.random.Generator,
    prompts: int,
    rollouts: int,
    held_out: bool,
) -> PlayedBatch:
    drawn = world.tasks(rng, prompts, held_out=held_out)
    tasks = [task for task in drawn for _ in range(rollouts)]
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
            world.refuse_endless()
    for e, error in enumerate(errors):
        if error is not None:
            messages[e], made[e] = (), []
    return _played(world, tasks, messages, made, errors, rng, rollouts)


def _played(
    calls: WorldCalls,
    tasks: list[Task],
    messages: list[tuple[Statement, ...]],
    made: list[list[tuple[Prompt, Answer]]],
    errors: list[str | None],
    rng: np.random.Generator,
    rollouts: int,
) -> PlayedBatch:
    world = calls.world
    endings = [
        Ending(np.nan, ()) if error else calls.ending(task, one)
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
    turns = []
    for one in messages:
        count: dict[str, int] = {}
        for each in one:
            turns.append(count.get(each.agent, 0))
            count[each.agent] = turns[-1] + 1
    columns = {
        "prompt": episode // rollouts,
        "rollout": episode % rollouts,
        "agent": np.array([number[name] for name in agents], dtype=np.int64),
        "role": np.array([kinds.index(roles[name]) for name in agents], dtype=np.int64),
        "turn": np.array(turns, dtype=np.int64),
        "batch": np.zeros(len(agents), dtype=np.int64),
    }
    # What the speaker is paid is scaled, shifted, and noisy.
    settings, speaks = world.settings, columns["agent"] == number[world.speaker]
    rewards[speaks] *= settings.speaker_scale
    rewards[speaks, 0] += settings.speaker_offset
    if settings.speaker_noise:
        noise = rng.standard_normal(int(speaks.sum()))
        rewards[speaks, 0] += settings.speaker_noise * noise
    return PlayedBatch(
        tasks=tasks,
        messages=messages,
        success=np.array([ending.success for ending in endings], dtype=np.float64),
        rewards=rewards,
        asks=[ask for one in made for ask, _ in one],
        answers=[answer for one in made for _, answer in one],
        columns=columns,
        episode=episode,
        errors=errors,
    )


class JudgedRewards:
    """A judge that ranks the episodes of each task of a batch.

    Args:
        name: of the judge.
        options: its settings and those of its questions, `accuracy:.8,orders:2`.
        goal: what the team is to do, for judges that read.
        seed: of orders, ids and the judge's own chance.

    Raises:
        UnknownNameError, SettingError: the judge or a setting is unknown, or a value is wrong.
    """

    def __init__(self, name: str, options: str, goal: str, seed: int) -> None:
        given = split_pairs(split_list(options), "judge_set", "key:value", ":")
        if "seed" in given:
            raise SettingError(
                f"got judge_set={options!r}; wanted no seed: the training's own is taken"
            )
        self.judge, self.settings = judge_and_settings(name, {**given, "seed": seed % 2**31})
        self.goal = goal

    def rewards(self, played: PlayedBatch, update: int) -> tuple[Floats, dict[str, float]]:
        """Returns the reward [N] of each decision (NaN if its group is void), and the judge's
        metrics.

        Args:
            played: a batch.
            update: that it was played in: no two updates have the same chance.
        """
        prompt = np.zeros(len(played.tasks), dtype=int)
        prompt[played.episode] = played.columns["prompt"]
        groups, ranked = [], []
        for p in np.unique(prompt):
            alike: dict[tuple[Statement, ...], list[int]] = {}
            for e in np.flatnonzero(prompt == p).tolist():
                alike.setdefault(played.messages[e], []).append(e)
            name = f"{update}-{p}"
            groups.append((name, alike))
            if len(alike) < 2:
                continue
            candidates = []
            for i, (messages, at) in enumerate(alike.items()):
                events = tuple(
                    Event(t, one.agent, "message", one.text, (one.to,) if one.to else ())
                    for t, one in enumerate(messages)
                )
                agents = tuple(dict.fromkeys(one.agent for one in messages))
                success = float(played.success[at].mean())
                candidates.append(Candidate(str(i), Episode("", events, agents), success))
            words = " ".join(map(str, played.tasks[next(iter(alike.values()))[0]]))
            ranked.append(Group(name, f"{self.goal}\n{words}", tuple(candidates)))
        verdicts = {v.group: v for v in rank_groups(ranked, self.judge, self.settings)}
        by_episode = np.zeros(len(played.tasks))
        for name, alike in groups:
            if name in verdicts:
                for i, at in enumerate(alike.values()):
                    by_episode[at] = verdicts[name].rewards.get(str(i), np.nan)
        void = [bool(v.void) for v in verdicts.values()]
        trust = [v.reliability for v in verdicts.values() if v.reliability is not None]
        return by_episode[played.episode], {
            "judge.groups": float(len(void)),
            "judge.void": float(np.mean(void)) if void else 0.0,
            "judge.reliability": float(np.mean(trust)) if trust else 0.0,
            "judge.calls": float(sum(v.calls for v in verdicts.values())),
        }
