"""`MessageWorld`: a task for a team of any size, whose members know different things and talk.

Who hears whom is none of the world's business: a runtime plays it under any topology. A world says
what there is to know, and what an answer is worth; a `Member` says what somebody tells and answers.
Everything is a batch: B items are played side by side. Axis letters: B items, A members.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from counterpoint.arrays import Floats
from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.settings import CheckedSettings, Range

Items = TypeVar("Items")
Items_contra = TypeVar("Items_contra", contravariant=True)
MessageContent = NDArray[Any]
"""[B, ...] what was said in each item, as the world writes it down."""


@dataclass(frozen=True)
class ReceivedMessage:
    """What somebody said, as another heard it."""

    member: int
    """Who spoke."""
    round: int
    """In which round, from 0."""
    content: MessageContent
    """[B, ...] what it said."""


@dataclass(frozen=True)
class Observation:
    """All that a member has before it when it speaks or answers."""

    member: int
    """Who it is, from 0; a number behind the last member is a judge, who knows nothing of its
    own."""
    round: int
    """In which round, from 0."""
    received: tuple[ReceivedMessage, ...] = ()
    """What it heard, in order."""
    own: tuple[MessageContent, ...] = ()
    """`[turns][B, ...]` what it said before."""
    share: float = 1.0
    """This turn's share of all that the team may spend."""
    dissents: bool = False
    """Whether it sits in the seat of the dissenter, who argues for what others do not favour."""
    nudged: bool = False
    """Whether it is asked again, because it said nothing."""
    hearers: int = 1
    """How many hear what it says now."""


class Member(Protocol[Items_contra]):
    """Somebody who tells and answers."""

    def speak(
        self, items: Items_contra, seen: Observation, rng: np.random.Generator
    ) -> MessageContent:
        """Returns what the member tells those who hear it, [B, ...]."""
        ...

    def answer(
        self, items: Items_contra, seen: Observation, rng: np.random.Generator
    ) -> tuple[NDArray[Any], Floats]:
        """Returns its answers [B], and how sure it is of each [B], in any unit."""
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
    """An item in words, as one member is shown it."""

    task: str
    """What the team is to do, the same for all."""
    known: str
    """What this member knows."""
    options: tuple[str, ...]
    """The answers among which it chooses; empty where it writes freely."""
    tellings: tuple[str, ...] = ()
    """What it may tell, where it is to choose; empty where it writes freely."""


class ScriptedPolicy(NamedTuple):
    """A named way to behave."""

    values: tuple[float, ...]
    """The parameters of a member without a model that behaves so."""
    about: str
    """One line."""


class MessageWorld(ABC, Generic[Items]):
    """A task for a team that talks."""

    name: ClassVar[str]
    """The name in the catalogue."""
    summary: ClassVar[str]
    """One line: what happens here."""
    source: ClassVar[str] = "ours"
    """Where the idea comes from."""
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
            known = ", ".join(self.policies)
            raise UnknownNameError(f"got prompt '{prompt}'; wanted one of {known}")
        return self.policies[prompt].values

    def single(
        self, items: Items, prompt: str, turns: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Returns the answers [B] of one agent with all that the team knows, and all its turns.

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

        Member -1 is shown all that the team has.
        """
        return None

    def _without_members(self) -> SettingError:
        return SettingError(f"{self.name} has no members of its own; wanted somebody who reads")
