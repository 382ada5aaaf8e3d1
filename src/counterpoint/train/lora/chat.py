"""`TrainedTeam`: a trained team of language models, out of its run directory, to chat with."""

from __future__ import annotations

from collections.abc import Sequence
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
from counterpoint.train.lora.seats import agents_by_model
from counterpoint.train.series import Spoken
from counterpoint.worlds.text.world import Message as Turn
from counterpoint.worlds.text.world import Prompt, Task

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
    failed: bool = False
    """Whether the model could not answer; the text says why."""


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
        self.speakers: dict[str, LocalSpeaker] = {}
        """The speaker of each agent: agents of one model share it."""
        groups, teams = agents_by_model(learner.models), list[str]()
        for i, (model, agents) in enumerate(groups.items()):
            adapters = {name: learner.adapters[name] for name in agents}
            priors, kind = learner.words.priors, learner.settings.kind
            speaker = LocalSpeaker(model, adapters, priors, seed + i, kind)
            self.speakers |= dict.fromkeys(agents, speaker)
            teams.append(f"{', '.join(agents)} on {model.name}")
        self.title = (
            f"{self.plan.world}: {'; '.join(teams)}, trained by {updates} updates under "
            f"{self.plan.scheme}"
        )
        if learner.world.holds_out:
            self.title += "; episodes are of held-out tasks"
        many = replace(learner.settings, prompts=TASKS, rollouts=EPISODES)
        met, _ = sample_asks(learner.world, many, seed)
        self._asks = {ask.agent: ask for ask in reversed(met)}
        turns: dict[str, list[tuple[Turn, ...]]] = {}
        for ask in met:
            turns.setdefault(ask.agent, []).append(ask.earlier)
        self._shared_turns = {agent: common_turns(some) for agent, some in turns.items()}
        """The turns before every question of an agent, for instance an example."""
        self._converses = {
            ask.agent
            for ask in met
            if "assistant" in dict(ask.earlier[len(self._shared_turns[ask.agent]) :])
        }
        """Agents whose questions come with earlier answers of their own."""
        self._said: dict[str, tuple[Turn, ...]] = {}
        """What the user and such an agent have said, by agent."""

    def tasks(self) -> list[Task]:
        """Returns tasks of the evaluation: held-out ones, if the world has any."""
        return sorted(set(self.learner.world.held_out_tasks(np.random.default_rng(0), TASKS)))

    def episode(self) -> PlayedEpisode:
        """Plays an episode of a held-out task, if the world has any; conversations end."""
        self._said.clear()
        with torch.no_grad():
            self.learner.words.forget()
            played = self.learner.play(self.rng, 1, 1, held_out=self.learner.world.holds_out)
        episode = equal_episodes(played)[0]
        return PlayedEpisode(episode.task, episode.success, episode.events)

    def prompt_of(self, agent: str) -> Prompt:
        """Returns a prompt that an agent got in its training.

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
        return self._asks[agent]

    def ask(self, agent: str, text: str) -> AgentAnswer:
        """Returns the answer of an agent, in its own role, to a text of yours.

        An agent that was trained with its earlier answers as turns of its own has those of this
        conversation before it. If they no longer fit the model, the conversation begins anew, and
        the answer says so.

        Raises:
            UnknownNameError: no agent has this name, or it was never prompted.
        """
        ask, speaker = self.prompt_of(agent), self.speakers[agent]
        said, remarks = self._said.get(agent, ()), ""
        reply = speaker.answer([self._request(ask, said, text)])[0]
        if reply.error and said:
            said, remarks = (), "\n(the conversation was too long and began anew)"
            reply = speaker.answer([self._request(ask, said, text)])[0]
        words = dict[str, float]()
        if ask.words and not reply.error:
            chances = speaker.probabilities(self._request(ask, said, text))
            words = dict(zip(ask.words, chances.tolist(), strict=True))
        if agent in self._converses and not reply.error:
            self._said[agent] = (*said, ("user", text), ("assistant", reply.text or ""))
        text = (reply.error or reply.text or "") + remarks
        return AgentAnswer(agent, text, words, failed=bool(reply.error))

    def _request(self, ask: Prompt, said: tuple[Turn, ...], text: str) -> Request:
        messages = (("system", ask.system), *self._shared_turns[ask.agent], *said, ("user", text))
        return Request(
            tuple(Message(role, content) for role, content in messages),
            ask.agent,
            ask.words or None,
            max_tokens=ask.most_tokens or 1,
        )


def common_turns(some: Sequence[tuple[Turn, ...]]) -> tuple[Turn, ...]:
    """Returns the turns with which all of these conversations begin."""
    shortest = min(some, key=len)
    same = 0
    while same < len(shortest) and all(one[same] == shortest[same] for one in some):
        same += 1
    return shortest[:same]
