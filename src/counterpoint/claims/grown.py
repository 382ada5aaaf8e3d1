"""Teams that learned to idle or to game a proxy, as logs that audits read."""

from __future__ import annotations

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.audits import audit
from counterpoint.records import FOUND, Episode, Event
from counterpoint.results.claims import Detection
from counterpoint.worlds.exact.grown import (
    RACE,
    SAY,
    WORK,
    BoatRace,
    BoatRaceSettings,
    Gathering,
    GatheringSettings,
)
from counterpoint.worlds.exact.world import Play

COUNT = 16
"""Episodes of a team that are audited."""
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


class WatchedGathering(Gathering):
    """Remembers its first batches and its last one, and the last policy."""

    def __init__(self, settings: GatheringSettings) -> None:
        super().__init__(settings)
        self.plays: list[Play] = []
        self.probs: Floats | None = None

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        played = super().play(tasks, chance, probs)
        self.plays = [*self.plays[:1], played] if self.plays else [played]
        self.probs = probs
        return played


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


def verdicts(episodes: list[Episode], only: str) -> set[str]:
    """Returns the names of what an audit finds."""
    return {f.name for f in audit(episodes, (), (only,)).findings if f.verdict == FOUND}


def detection(
    audit_name: str, failed: list[list[Episode]], healthy: list[list[Episode]]
) -> Detection:
    """Returns how often an audit finds anything in the logs of teams that failed, and of others."""
    found, blamed = (
        sum(bool(verdicts(log, audit_name)) for log in logs) for logs in (failed, healthy)
    )
    return Detection(audit=f"counterpoint audit --only {audit_name}", found=found,
                     failed=len(failed), blamed=blamed, healthy=len(healthy))  # fmt: skip
