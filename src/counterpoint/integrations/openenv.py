"""OpenEnv: one of our text worlds as an environment with a reward for each agent.

An OpenEnv step is one action and one observation. Where a world asks several agents at once, they
are asked one after another, and none is shown what the others said in that round. The reward of an
observation is one number, the team's success; what each agent was paid stands in its field
`rewards`. Source: openenv-core 0.3.0, `openenv/core/env_server/interfaces.py` and `types.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from counterpoint.errors import SettingError
from counterpoint.integrations.entry import imported
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.text.world import Prompt, Statement, TextWorld

INSTALL = "pip install openenv-core"


class Parts(NamedTuple):
    """What OpenEnv's `create_app` and `create_fastapi_app` take, in their order."""

    environment: Callable[[], Any]
    """A new environment, with a world of its own."""
    action: type[Any]
    """`agent` (empty: whoever is asked) and `text`."""
    observation: type[Any]
    """Who is asked next and what they are shown; at the end `rewards` and `success`."""


def text_environment(name: str, settings: Mapping[str, Any] | None = None) -> Parts:
    """A text world for OpenEnv's server: `create_fastapi_app(*text_environment("relay"))`.

    Args:
        name: one of `counterpoint worlds`, or `package.module:Class`.
        settings: field name to value.

    Raises:
        MissingPackageError: openenv-core is not installed.
        UnknownNameError: no text environment has that name.
        SettingError, WorldError: as `TextEntry.make`.
    """
    environment, action, observation = _classes()
    entry = find_world(name, Kind.TEXT)
    entry.make(settings)  # what is wrong with it is said here, not at the first request
    return Parts(lambda: environment(entry.make(settings)), action, observation)


class Play:
    """One episode of a text world, an answer at a time.

    Args:
        world: what is played.
        seed: of the task; None for a new one.
    """

    def __init__(self, world: TextWorld, seed: int | None) -> None:
        self.world, self.rng = world, np.random.default_rng(seed)
        self.task = world.tasks(self.rng, 1)[0]
        self.said: tuple[Statement, ...] = ()
        self.before: tuple[Statement, ...] = ()
        self.waiting = self._round()
        self.steps = 0

    @property
    def asked(self) -> Prompt | None:
        """Who is to answer now; None at the end."""
        return self.waiting[0] if self.waiting else None

    def answer(self, agent: str, text: str) -> None:
        """Take an answer.

        Raises:
            SettingError: the episode is over, another agent is asked, or the answer is not legal.
        """
        ask = self.asked
        if ask is None:
            raise SettingError("got an answer after the end; wanted a reset")
        if agent not in ("", ask.agent):
            raise SettingError(f"got an answer of '{agent}'; wanted one of '{ask.agent}'")
        if ask.words and text not in ask.words:
            raise SettingError(f"got answer {text!r}; wanted one of {', '.join(ask.words)}")
        self.said = (*self.said, self.world.statement(self.task, self.before, ask, text))
        self.waiting, self.steps = self.waiting[1:], self.steps + 1
        if not self.waiting:
            self.before, self.waiting = self.said, self._round()

    def paid(self) -> tuple[float, dict[str, float]]:
        """At the end: the team's success, and what each agent was paid for all it said.

        The speaker's pay is scaled, shifted and noisy, as the world's settings say.
        """
        ending, told = self.world.ending(self.task, self.said), self.world.settings
        rewards = dict.fromkeys(self.world.agents, 0.0)
        for said, parts in zip(self.said, ending.rewards, strict=True):
            paid = float(sum(parts))
            if said.agent == self.world.speaker:
                noise = told.speaker_noise * self.rng.standard_normal()
                paid = told.speaker_scale * paid + told.speaker_offset + noise
            rewards[said.agent] += paid
        return float(ending.success), rewards

    def _round(self) -> tuple[Prompt, ...]:
        asks = self.world.prompts(self.task, self.said)
        return tuple(sorted(asks, key=lambda ask: ask.agent))


@cache
def _classes() -> tuple[type[Any], type[Any], type[Any]]:
    server = imported("openenv.core.env_server", INSTALL)
    types = imported("openenv.core.env_server.types", INSTALL)
    action: Any = types.Action
    observation: Any = types.Observation
    environment: Any = server.Environment

    class TextAction(action):  # type: ignore[misc]
        """What an agent says."""

        agent: str = ""
        text: str

    class TextObservation(observation):  # type: ignore[misc]
        """Who is asked, and at the end who was paid what."""

        agent: str = ""
        system: str = ""
        user: str = ""
        words: tuple[str, ...] = ()
        most_tokens: int = 0
        rewards: dict[str, float] | None = None
        success: float | None = None

    class TextEnvironment(environment):  # type: ignore[misc]
        """One of our text worlds."""

        SUPPORTS_CONCURRENT_SESSIONS = True

        def __init__(self, world: TextWorld) -> None:
            super().__init__()
            self.world = world
            self.episode: str | None = None
            self.play = Play(world, None)

        def reset(
            self, seed: int | None = None, episode_id: str | None = None, **told: Any
        ) -> TextObservation:
            self.play, self.episode = Play(self.world, seed), episode_id
            return self._seen()

        def step(
            self, action: TextAction, timeout_s: float | None = None, **told: Any
        ) -> TextObservation:
            self.play.answer(action.agent, action.text)
            return self._seen()

        @property
        def state(self) -> Any:
            return types.State(episode_id=self.episode, step_count=self.play.steps)

        def _seen(self) -> TextObservation:
            ask = self.play.asked
            if ask is None:
                success, rewards = self.play.paid()
                return TextObservation(done=True, reward=success, rewards=rewards, success=success)
            shown = {"agent": ask.agent, "system": ask.system, "user": ask.user}
            return TextObservation(**shown, words=ask.words, most_tokens=ask.most_tokens)

    return TextEnvironment, TextAction, TextObservation
