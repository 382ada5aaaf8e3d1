"""`TrainedTeam`: a trained team of language models, out of its run directory, to chat with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch

from counterpoint.errors import UnknownNameError, choices
from counterpoint.speakers.local import LocalSpeaker
from counterpoint.speakers.speaker import Message, Request
from counterpoint.train.lora.learner import sample_asks
from counterpoint.train.lora.plan import equal_episodes, trained_team
from counterpoint.train.series import Spoken
from counterpoint.worlds.text.world import Task

TASKS = 64
"""Number of tasks that are drawn for the list of tasks and for a prompt of each agent."""
EPISODES = 4
"""Episodes of each task, by a team that answers at random."""


class PlayedEpisode(msgspec.Struct, frozen=True):
    """An episode that a trained team has played."""

    task: Task
    success: float
    events: tuple[Spoken, ...]


class AgentAnswer(msgspec.Struct, frozen=True):
    """The answer of an agent to a text of the user."""

    agent: str
    text: str
    words: dict[str, float]
    """Each word with its probability, if the agent chooses among words."""


class TrainedTeam:
    """A trained team that plays episodes and answers questions.

    Args:
        path: the run directory.
        seed: of tasks and answers.

    Raises:
        RunError: no run in a text world with a checkpoint.
        CounterpointError: what it needs is not here.
    """

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.plan, self.learner, updates = trained_team(path)
        self.rng = np.random.default_rng(seed)
        learner = self.learner
        self.speaker = LocalSpeaker(
            learner.model, learner.adapters, learner.words.priors, seed, learner.settings.kind
        )
        self.title = (
            f"{self.plan.world}: {', '.join(learner.agents)} on {self.plan.model}, trained by "
            f"{updates} updates under {self.plan.scheme}"
        )
        many = replace(learner.settings, prompts=TASKS, rollouts=EPISODES)
        met, _ = sample_asks(learner.world, many, seed)
        self._asks = {ask.agent: ask for ask in reversed(met)}

    def tasks(self) -> list[Task]:
        """Returns the tasks that come up in this world."""
        return sorted(set(self.learner.world.tasks(np.random.default_rng(0), TASKS)))

    def episode(self) -> PlayedEpisode:
        """Plays an episode."""
        with torch.no_grad():
            self.learner.words.forget()
            played = self.learner.play(self.rng, 1, 1)
        episode = equal_episodes(played)[0]
        return PlayedEpisode(episode.task, episode.success, episode.events)

    def ask(self, agent: str, text: str) -> AgentAnswer:
        """Returns the answer of an agent, in its own role, to a text of yours.

        Raises:
            UnknownNameError: no agent has this name, or it was never prompted.
        """
        known = self.learner.agents
        if agent not in known:
            raise UnknownNameError(f"got agent {agent!r}{choices(agent, known)}")
        if agent not in self._asks:
            raise UnknownNameError(
                f"got agent {agent!r}, which got no prompt in many episodes; wanted one of "
                f"{', '.join(sorted(self._asks))}"
            )
        ask = self._asks[agent]
        request = Request(
            (Message("system", ask.system), Message("user", text)),
            agent,
            ask.words or None,
            max_tokens=ask.most_tokens or 1,
        )
        chances = self.speaker.probabilities(request).tolist() if ask.words else []
        reply = self.speaker.answer([request])[0]
        words = dict(zip(ask.words, chances, strict=True))
        return AgentAnswer(agent, reply.error or reply.text or "", words)
