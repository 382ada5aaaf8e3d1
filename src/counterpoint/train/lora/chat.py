"""`TrainedTeam`: a trained team of language models, out of its run directory, to chat with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from counterpoint.errors import UnknownNameError
from counterpoint.settings import did_you_mean
from counterpoint.speakers.local import LocalSpeaker
from counterpoint.speakers.speaker import Message, Request
from counterpoint.train.lora.learner import sample_asks
from counterpoint.train.lora.plan import episode_documents, trained_team
from counterpoint.worlds.text.world import Task

TASKS = 64
"""How many tasks are drawn to list them, and to see what each agent is asked."""
EPISODES = 4
"""Of each of them, by a team that answers at random."""


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
            learner.model, learner.adapters, learner.words.priors, seed=seed
        )
        self.title = (
            f"{self.plan.world}: {', '.join(learner.agents)} on {self.plan.model}, trained by "
            f"{updates} updates under {self.plan.scheme}"
        )
        many = replace(learner.settings, prompts=TASKS, rollouts=EPISODES)
        met = sample_asks(learner.world, many, seed)
        self._asks = {ask.agent: ask for ask in reversed(met)}

    def tasks(self) -> list[Task]:
        """Returns the tasks that come up in this world."""
        return sorted(set(self.learner.world.tasks(np.random.default_rng(0), TASKS)))

    def episode(self) -> dict[str, Any]:
        """Plays an episode; returns task, success and events in order, ready for JSON."""
        with torch.no_grad():
            self.learner.words.forget()
            played = self.learner.play(self.rng, 1, 1)
        document = episode_documents(played)[0]
        return {name: document[name] for name in ("task", "success", "events")}

    def ask(self, agent: str, text: str) -> dict[str, Any]:
        """Returns the answer of an agent, in its own role, to a text of yours.

        Returns:
            `agent`, `text`, and `words`: each word with its probability, where it chooses.

        Raises:
            UnknownNameError: no agent is called so, or nobody has asked it anything.
        """
        known = self.learner.agents
        if agent not in known:
            raise UnknownNameError(
                f"got agent {agent!r}; wanted one of {', '.join(known)}{did_you_mean(agent, known)}"
            )
        if agent not in self._asks:
            raise UnknownNameError(
                f"got agent {agent!r}, whom nobody asked anything in many episodes; wanted one of "
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
        return {
            "agent": agent,
            "text": reply.error or reply.text,
            "words": dict(zip(ask.words, chances, strict=True)),
        }
