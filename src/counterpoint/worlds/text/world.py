"""`TextWorld`: a team task whose agents speak, one small file each. Start with `TextWorld.asks`.

A world is a pure function of what has been said: `asks` names who speaks next and what they are
shown, `ending` says what an episode was worth. It keeps no state, so episodes can be played side
by side, repeated and recorded. Agents go by their names; their order means nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from counterpoint.settings import require
from counterpoint.worlds.sequential.world import References

Task = tuple[str, ...]
"""What one prompt is about, in the world's own words."""


@dataclass(frozen=True)
class Ask:
    """One decision asked of an agent: a choice among words, or free text."""

    agent: str
    """Who is asked."""
    system: str
    """What the agent is told of its part."""
    user: str
    """What it is shown now."""
    words: tuple[str, ...] = ()
    """The legal answers, each one word; empty where the agent writes freely."""
    most_tokens: int = 0
    """Tokens after which free text is cut off."""

    @property
    def messages(self) -> tuple[tuple[Literal["system", "user"], str], ...]:
        """The prompt as a conversation: role and content of each message."""
        return (("system", self.system), ("user", self.user))


@dataclass(frozen=True)
class Said:
    """One decision, as it was made."""

    agent: str
    """Who spoke."""
    text: str
    """What it said: one of the ask's words, or free text."""
    to: str = ""
    """Who could hear it; empty where nobody did."""


@dataclass(frozen=True)
class Ending:
    """What an episode was worth."""

    success: float
    """The team's success, in the unit of the world's return."""
    rewards: tuple[tuple[float, ...], ...]
    """[decisions][K] what each decision was paid, component by component."""


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """What every text world can be told.

    Raises:
        SettingError: a number out of its range.
    """

    speaker_scale: float = 1.0
    """Factor on what the speaker is paid: the agent who speaks first."""
    speaker_offset: float = 0.0
    """Added to it, in the reward's unit."""
    speaker_noise: float = 0.0
    """Standard deviation of the noise on it, in the reward's unit."""

    def __post_init__(self) -> None:
        require("speaker_scale", self.speaker_scale, -1e6, 1e6)
        require("speaker_offset", self.speaker_offset, -1e9, 1e9)
        require("speaker_noise", self.speaker_noise, 0.0, 1e6)


PLAIN = {"speaker_scale": 1.0, "speaker_offset": 0.0, "speaker_noise": 0.0}
"""The settings under which all are paid the same: the control."""


class TextWorld(ABC):
    """A team task in words."""

    name: ClassVar[str]
    """The name in the catalogue."""
    summary: ClassVar[str]
    """One line: what happens here, and to whom."""
    source: ClassVar[str] = "ours"
    """Where the idea comes from."""

    agents: tuple[str, ...]
    """[A] names."""
    roles: tuple[str, ...]
    """[A] role of each agent."""
    speaker: str
    """The agent whose pay `TextSettings` can change."""
    references: References
    """Success of a team that chooses uniformly among words, and of one that has solved it."""
    components: tuple[str, ...] = ("reward",)
    """[K] names of the reward's parts."""
    longest: int = 8
    """Most decisions of an episode."""
    free: ClassVar[bool] = False
    """Whether agents write freely, rather than choose among words."""
    settings_type: ClassVar[type[TextSettings]] = TextSettings
    """What it can be told: a frozen dataclass, each field with a docstring under it."""

    def __init__(self, settings: TextSettings | None = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    @abstractmethod
    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        """The tasks of one batch; the same one may come more than once."""

    @abstractmethod
    def asks(self, task: Task, said: tuple[Said, ...]) -> tuple[Ask, ...]:
        """Who speaks next, all at once where there are several; nobody where it is over."""

    @abstractmethod
    def ending(self, task: Task, said: tuple[Said, ...]) -> Ending:
        """What the whole episode was worth."""

    def heard(self, task: Task, said: tuple[Said, ...], ask: Ask, text: str) -> Said:
        """An answer as it is remembered; worlds say who hears it."""
        return Said(ask.agent, text)


def shared(value: float, said: tuple[Said, ...]) -> tuple[tuple[float, ...], ...]:
    """The same reward for every decision."""
    return ((value,),) * len(said)


def cycled(rng: np.random.Generator, pool: Sequence[Task], count: int) -> list[Task]:
    """`count` tasks, each of the pool as often as can be, in random order."""
    order = [i for _ in range(-(-count // len(pool))) for i in rng.permutation(len(pool))]
    return [pool[i] for i in order[:count]]
