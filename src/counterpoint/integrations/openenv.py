"""OpenEnv: one of our text worlds as an environment with a reward for each agent.

An OpenEnv step is one action and one observation. If several agents act at once, they answer one
after another, and none sees the answers of the others in that round. The reward of an observation
is one number, the team's success; its field `rewards` has the reward of each agent. Source:
openenv 0.10.0, `openenv/core/env_server/interfaces.py` and `types.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.optional import import_optional
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.text.world import Prompt, Statement, TextWorld

INSTALL = "pip install openenv"


class ServerParts(NamedTuple):
    """The arguments of OpenEnv's `create_app` and `create_fastapi_app`, in their order."""

    environment: Callable[[], Any]
    """Returns a new environment."""
    action: type[Any]
    """An action has `agent` (empty for the agent whose turn it is) and `text`."""
    observation: type[Any]
    """An observation has the next agent and its prompt; at the end `rewards` and `success`."""


def text_environment(name: str, settings: Mapping[str, object] | None = None) -> ServerParts:
    """Returns a text environment for OpenEnv: `create_fastapi_app(*text_environment("relay"))`.

    Args:
        name: one of `counterpoint worlds`, or `package.module:Class`.
        settings: field name to value.

    Raises:
        MissingPackageError: openenv is not installed.
        UnknownNameError: no text environment has that name.
        SettingError, WorldError: as `TextEntry.make`.
    """
    environment, action, observation = _classes()
    entry = find_world(name, Kind.TEXT)
    entry.make(settings)  # a wrong setting is refused here, not at the first request
    return ServerParts(lambda: environment(entry.make(settings)), action, observation)


class TextEpisode:
    """One episode of a text environment, one answer at a time.

    Args:
        world: the text environment.
        seed: the seed of the task; None for a new one.
    """

    def __init__(self, world: TextWorld, seed: int | None) -> None:
        self.world, self.rng = world, np.random.default_rng(seed)
        self.task = world.tasks(self.rng, 1)[0]
        self.messages: tuple[Statement, ...] = ()
        self.before: tuple[Statement, ...] = ()
        self.waiting = self._round()
        self.steps = 0

    @property
    def next_request(self) -> Prompt | None:
        """Returns the next request for an answer; None at the end."""
        return self.waiting[0] if self.waiting else None

    def answer(self, agent: str, text: str) -> None:
        """Adds the answer of an agent.

        Raises SettingError if the episode is over, it is another agent's turn, or the answer is
        illegal.
        """
        ask = self.next_request
        if ask is None:
            raise SettingError("got an answer after the end; wanted a reset")
        if agent not in ("", ask.agent):
            raise SettingError(f"got an answer of '{agent}'; wanted one of '{ask.agent}'")
        if ask.words and text not in ask.words:
            raise SettingError(f"got answer {text!r}; wanted one of {', '.join(ask.words)}")
        self.messages = (*self.messages, self.world.statement(self.task, self.before, ask, text))
        self.waiting, self.steps = self.waiting[1:], self.steps + 1
        if not self.waiting:
            self.before, self.waiting = self.messages, self._round()

    def paid(self) -> tuple[float, dict[str, float]]:
        """Returns the team's success and the sum of each agent's rewards at the end of the episode.

        The speaker's reward is scaled, shifted and noisy, as the settings say.
        """
        ending, settings = self.world.ending(self.task, self.messages), self.world.settings
        rewards = dict.fromkeys(self.world.agents, 0.0)
        for message, parts in zip(self.messages, ending.rewards, strict=True):
            paid = float(sum(parts))
            if message.agent == self.world.speaker:
                noise = settings.speaker_noise * self.rng.standard_normal()
                paid = settings.speaker_scale * paid + settings.speaker_offset + noise
            rewards[message.agent] += paid
        return float(ending.success), rewards

    def _round(self) -> tuple[Prompt, ...]:
        asks = self.world.prompts(self.task, self.messages)
        return tuple(sorted(asks, key=lambda ask: ask.agent))


@cache
def _classes() -> tuple[type[Any], type[Any], type[Any]]:
    server = import_optional("openenv.core.env_server", INSTALL)
    types = import_optional("openenv.core.env_server.types", INSTALL)
    action: Any = types.Action
    observation: Any = types.Observation
    environment: Any = server.Environment

    class TextAction(action):  # type: ignore[misc]
        """The answer of an agent."""

        agent: str = ""
        text: str

    class TextObservation(observation):  # type: ignore[misc]
        """The next agent and its prompt, and at the end the rewards."""

        agent: str = ""
        system: str = ""
        earlier: tuple[tuple[str, str], ...] = ()
        user: str = ""
        words: tuple[str, ...] = ()
        most_tokens: int = 0
        rewards: dict[str, float] | None = None
        success: float | None = None

    class TextEnvironment(environment):  # type: ignore[misc]
        """One of our text environments."""

        SUPPORTS_CONCURRENT_SESSIONS = True

        def __init__(self, world: TextWorld) -> None:
            super().__init__()
            self.world = world
            self.episode: str | None = None
            self.play = TextEpisode(world, None)

        def reset(
            self, seed: int | None = None, episode_id: str | None = None, **options: Any
        ) -> TextObservation:
            self.play, self.episode = TextEpisode(self.world, seed), episode_id
            return self._observation()

        def step(
            self, action: TextAction, timeout_s: float | None = None, **options: Any
        ) -> TextObservation:
            self.play.answer(action.agent, action.text)
            return self._observation()

        @property
        def state(self) -> Any:
            return types.State(episode_id=self.episode, step_count=self.play.steps)

        def _observation(self) -> TextObservation:
            ask = self.play.next_request
            if ask is None:
                success, rewards = self.play.paid()
                return TextObservation(done=True, reward=success, rewards=rewards, success=success)
            fields = "agent", "system", "earlier", "user", "words", "most_tokens"
            return TextObservation(**{name: getattr(ask, name) for name in fields})

    return TextEnvironment, TextAction, TextObservation
