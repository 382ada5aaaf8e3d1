"""`MessageWorld`: a task for a team of any size, whose members have different information and
exchange messages.

The world does not know who hears whom: a runtime plays it under any topology. A world defines the
information and the score of an answer; a `Member` decides its messages and its answer. Everything
is a batch: B items are played side by side. Axis letters: B items, A members.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError, UnknownNameError, choices
from counterpoint.settings import CheckedSettings, Range

Items = TypeVar("Items")
Items_contra = TypeVar("Items_contra", contravariant=True)
MessageContent = NDArray[Any]
"""[B, ...] the message of each item, in the encoding of the world."""


@dataclass(frozen=True)
class ReceivedMessage:
    """A message of one member, as another member receives it."""

    member: int
    """The number of the member that spoke."""
    round: int
    """The round, from 0."""
    content: MessageContent
    """[B, ...] its content."""


@dataclass(frozen=True)
class Observation:
    """All information of a member when it speaks or answers."""

    member: int
    """The number of the member, from 0; the number after the last member is a judge, which has no
    private information."""
    round: int
    """The round, from 0."""
    received: tuple[ReceivedMessage, ...] = ()
    """The messages that it received, in order."""
    own: tuple[MessageContent, ...] = ()
    """`[turns][B, ...]` its earlier messages."""
    share: float = 1.0
    """The share of this turn in the budget of the team."""
    dissents: bool = False
    """Whether it is the dissenter, which argues for options that the others do not favour."""
    nudged: bool = False
    """Whether the request is repeated, because the member said nothing."""
    hearers: int = 1
    """Number of members that receive its next message."""


class Member(Protocol[Items_contra]):
    """A member of a team, which sends messages and answers."""

    def speak(
        self, items: Items_contra, seen: Observation, rng: np.random.Generator
    ) -> MessageContent:
        """Returns the message of the member to those who hear it, [B, ...]."""
        ...

    def answer(
        self, items: Items_contra, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        """Returns its answers [B], and its certainty of each answer [B], in any unit."""
        ...


@dataclass(frozen=True, kw_only=True)
class MessageSettings(CheckedSettings):
    """Settings of every message world.

    Raises:
        SettingError: a number out of its range.
    """

    members: Annotated[int, Range(1, 32)] = 4
    """Size of the team."""


@dataclass(frozen=True)
class Brief:
    """An item in words, as the prompt of one member contains it."""

    task: str
    """The task of the team, the same for all members."""
    known: str
    """The information of this member."""
    options: tuple[str, ...]
    """The answers among which it chooses; empty if it writes freely."""
    tellings: tuple[str, ...] = ()
    """The messages among which it chooses; empty if it writes freely."""


class ScriptedPolicy(NamedTuple):
    """A named policy of a member without a model."""

    values: tuple[float, ...]
    """The parameters of the policy."""
    about: str
    """One line."""


class MessageWorld(ABC, Generic[Items]):
    """A task for a team that exchanges messages."""

    name: ClassVar[str]
    """The name in the catalogue."""
    summary: ClassVar[str]
    """A summary in one line."""
    source: ClassVar[str] = "ours"
    """The source of the idea."""
    settings_type: ClassVar[type[MessageSettings]] = MessageSettings
    """Its settings: a frozen dataclass, each field with a docstring under it."""
    policies: ClassVar[Mapping[str, ScriptedPolicy]]
    """Name of a prompt to how members behave under it."""
    scale: ClassVar[str]
    """The unit of the score."""
    parameter_range: ClassVar[tuple[Floats, Floats] | None] = None
    """[parameters] least and largest value of each parameter of a member; None if it has none."""

    def __init__(self, settings: MessageSettings | None = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    @property
    def prompts(self) -> dict[str, str]:
        """Returns the name of each prompt, and in one line how members behave under it."""
        return {name: policy.about for name, policy in self.policies.items()}

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int) -> Items:
        """Returns a batch of `count` items."""

    def member(self, prompt: str) -> Member[Items]:
        """Returns a member without a model that behaves as `prompt` says.

        Raises:
            UnknownNameError: no prompt has that name.
            SettingError: the world has no members of its own.
        """
        return self.member_with(self.parameters(prompt))

    def member_with(self, parameters: tuple[float, ...]) -> Member[Items]:
        """Returns a member without a model whose parameters lie in `parameter_range`.

        Raises:
            SettingError: the world has no members of its own.
        """
        raise self._without_members()

    @abstractmethod
    def score(self, items: Items, answers: NDArray[Any]) -> Floats:
        """Returns the worth of each answer, [B], 0 to 1."""

    def parameters(self, prompt: str) -> tuple[float, ...]:
        """Returns the parameters of members that behave as `prompt` says.

        Raises:
            UnknownNameError: no prompt has that name.
            SettingError: the world has no members of its own.
        """
        if self.parameter_range is None:
            raise self._without_members()
        if prompt not in self.policies:
            raise UnknownNameError(f"got prompt '{prompt}'{choices(prompt, self.policies)}")
        return self.policies[prompt].values

    def single(
        self, items: Items, prompt: str, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Returns the answers [B] of one agent with all information and all turns of the team.

        Raises:
            UnknownNameError, SettingError: as `member`.
        """
        raise self._without_members()

    def message_text(self, items: Items, content: MessageContent, index: int) -> str:
        """Returns a message of one item in words; empty if it says nothing."""
        return str(content[index])

    def answer_from(self, items: Items, index: int, text: str) -> Any | None:
        """Returns the answer that a text gives, as `score` takes it; None if it gives none."""
        brief = self.brief(items, index, 0)
        options = brief.options if brief else ()
        return options.index(text) if text in options else None

    def answer_text(self, items: Items, answer: Any) -> str:
        """Returns an answer in words."""
        return str(answer)

    def brief(self, items: Items, index: int, member: int) -> Brief | None:
        """Returns one item in words for one member; None if the world has no words.

        Member -1 gets all information of the team.
        """
        return None

    def _without_members(self) -> SettingError:
        return SettingError(f"{self.name} has no members of its own; wanted a model that reads")
