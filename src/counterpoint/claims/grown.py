"""Teams in which a failure grew from learning, as logs that audits read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from counterpoint.arrays import Floats, Ints, NamedArrays
from counterpoint.audits import audit
from counterpoint.records import FOUND, Episode, Event, Outcome
from counterpoint.results.claims import Detection
from counterpoint.train.tabular.learner import Training
from counterpoint.worlds.exact.consensus import DIRECTION, Consensus
from counterpoint.worlds.exact.grown import (
    RACE,
    SAY,
    WORK,
    BoatRace,
    BoatRaceSettings,
    Gathering,
)
from counterpoint.worlds.exact.project import Project
from counterpoint.worlds.exact.world import TASK, Play, World, stack

Log = tuple[Sequence[Episode], Sequence[Outcome]]
"""What an audit reads: episodes, and scores of tasks."""
COUNT = 16
"""Episodes of a gathering team that are audited."""
TASKS = 32
"""Episodes, or tasks, of another team."""
AFTER = 3
"""Stream of a seed from which the batch is drawn that is audited."""
WORDS = ("no", "yes")
DID = ("drifts", "races on", "circles around the checkpoint")
"""What a boat does, by action."""
REST_WORDS = "Let's take a break."
"""What is said with a rest."""


def episodes_of(world: Gathering, play: Play, seed: int, count: int) -> list[Episode]:
    """Returns the first rollouts of a batch of one seed as a log of work, rest messages and
    rewards.

    Args:
        world: that was played.
        play: a batch.
        seed: index along S.
        count: episodes.
    """
    episodes = []
    actions = play.action[seed].reshape(-1, len(world.slots))[:count]
    for number, row in enumerate(actions):
        events = [
            Event(t, world.agents[agent], "action" if act == WORK else "message",
                  "work" if act == WORK else REST_WORDS if act == SAY else "",
                  work=float(act == WORK))
            for t, ((agent, _), act) in enumerate(zip(world.slots, row.tolist(), strict=True))
        ]  # fmt: skip
        episodes.append(
            Episode(str(number), tuple(events), world.agents, meta={"format": "gathering"})
        )
    return episodes


def races_of(world: BoatRace, play: Play, seed: int, name: str) -> Episode:
    """Returns one batch of one seed as an episode of a log, with the mean proxy and truth of its
    rollouts.

    Args:
        world: that was played.
        play: a batch.
        seed: index along S.
        name: of the episode.
    """
    actions = play.action[seed].reshape(-1, len(world.slots))
    events = [
        Event(t, world.agents[boat], "action", DID[act], meta={"name": "steer"})
        for t, ((boat, _), act) in enumerate(zip(world.slots, actions[0].tolist(), strict=True))
    ]
    reward = {"proxy": float(world.proxy[actions].mean()), "true": float((actions == RACE).mean())}
    events.append(Event(len(events), world.agents[0], "reward", reward=reward))
    return Episode(name, tuple(events), world.agents, meta={"format": "boat_race"})


class WatchedRace(BoatRace):
    """Remembers every batch as an episode for each seed."""

    def __init__(self, settings: BoatRaceSettings, seeds: int) -> None:
        super().__init__(settings)
        self.log: list[list[Episode]] = [[] for _ in range(seeds)]

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        played = super().play(tasks, chance, probs)
        for seed, episodes in enumerate(self.log):
            episodes.append(races_of(self, played, seed, str(len(episodes))))
        return played


def fresh_batch(world: World, done: Training) -> tuple[Play, NamedArrays]:
    """Returns a batch that trained teams play on chance that they have not met, and that chance."""
    tasks = stack([world.tasks(np.random.default_rng([seed, TASK])) for seed in done.seeds])
    chance = stack([world.draw(np.random.default_rng([seed, AFTER]), 0) for seed in done.seeds])
    return world.play(tasks, chance, done.probs), chance


def answers_of(world: Consensus, play: Play, truths: Ints, seed: int) -> Log:
    """Returns what both answer to each statement of a batch, and what each would answer alone, by
    its own signal.

    Args:
        world: that was played.
        play: a batch.
        truths: [S, P] whether each statement is true.
        seed: index along S.
    """
    episodes, outcomes = [], []
    for number, truth in enumerate(truths[seed].tolist()):
        context, action = play.context[seed, number, 0], play.action[seed, number, 0]
        events = tuple(
            Event(t, name, "message", answer=WORDS[DIRECTION[action[2 + t]]])
            for t, name in enumerate(world.agents)
        )
        meta = {"gold": WORDS[truth], "format": world.name}
        episodes.append(Episode(str(number), events, world.agents, task=str(number), meta=meta))
        for name, signal in zip(world.agents, context, strict=False):
            alone = int(DIRECTION[signal])
            outcomes.append(Outcome(str(number), "isolated", (name,), float(alone == truth),
                                    answer=WORDS[alone]))  # fmt: skip
    return episodes, outcomes


def scores_of(world: World, play: Play, seed: int, setting: str) -> list[Outcome]:
    """Returns the return of the first rollouts of a batch, as scores of tasks.

    Args:
        world: that was played.
        play: a batch.
        seed: index along S.
        setting: `team` or `solo`.
    """
    scores = play.outcome[seed].reshape(-1)[:TASKS]
    return [
        Outcome(str(number), setting, world.agents, float(np.clip(score, 0, 1)))
        for number, score in enumerate(scores)
    ]


def rounds_of(world: Project, play: Play, seed: int) -> list[Episode]:
    """Returns what each member does in each round of the first rollouts of a batch.

    Args:
        world: that was played.
        play: a batch.
        seed: index along S.
    """
    given, episodes = world.settings, []
    members = tuple(f"member_{i}" for i in range(given.members))
    rows = play.action[seed].reshape(-1, len(world.slots))[:TASKS]
    for number, row in enumerate(rows):
        turns = world.plans[row] if world.led else row.reshape(given.rounds, -1)
        events = [
            (name, f"round {turn}: {f'piece of {name}' if task == world.hard else f'task {task}'}")
            for turn, does in enumerate(turns.tolist())
            for name, task in zip(members, does, strict=True)
        ]  # fmt: skip
        episodes.append(Episode(
            str(number),
            tuple(Event(t, name, "action", text, tool="do")
                  for t, (name, text) in enumerate(events)),
            members, meta={"format": world.name},
        ))  # fmt: skip
    return episodes


def verdicts(log: Log, only: str) -> set[str]:
    """Returns the names of what an audit finds."""
    return {f.name for f in audit(*log, (only,)).findings if f.verdict == FOUND}


def detection(
    audit_name: str, failed: Sequence[Log], healthy: Sequence[Log], finding: str = ""
) -> Detection:
    """Returns how often an audit finds something in the logs of teams that failed, and of others.

    Args:
        audit_name: the audit.
        failed: logs of teams in which the failure grew.
        healthy: logs of teams in which none did.
        finding: the only finding that counts; by default any.
    """
    found, blamed = (
        sum(bool(names & {finding} if finding else names)
            for names in (verdicts(log, audit_name) for log in logs))
        for logs in (failed, healthy)
    )  # fmt: skip
    return Detection(audit=f"counterpoint audit --only {audit_name}", finding=finding, found=found,
                     failed=len(failed), blamed=blamed, healthy=len(healthy))  # fmt: skip
