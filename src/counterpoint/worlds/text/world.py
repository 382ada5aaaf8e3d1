"""`TextWorld`: a team task whose agents speak, one small file each. Start with `TextWorld.prompts`.

A world is a pure function of the statements so far: `prompts` returns the prompts of the agents
that speak next, and `ending` returns the success and the rewards of an episode. It keeps no state,
so episodes can be played side by side, repeated and recorded. Agents are identified by their names;
their order means nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np

from counterpoint.errors import WorldError
from counterpoint.settings import CheckedSettings, Range
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.split import Split

Task = tuple[str, ...]
"""The task of an episode, in the form of the world."""
Role = Literal["system", "user", "assistant", "tool"]
Message = tuple[Role, str]
"""The role and the content of a message."""
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Prompt:
    """The prompt for one decision of an agent: a choice among words, or free text.

    Raises:
        WorldError: an earlier message is no pair of a role and a text.
    """

    agent: str
    """The agent that answers."""
    system: str
    """The system message: the part of the agent."""
    user: str
    """The user message: the present question."""
    words: tuple[str, ...] = ()
    """The legal answers, each one word; empty if the agent writes freely."""
    most_tokens: int = 0
    """Number of tokens after which free text is cut off."""
    earlier: tuple[Message, ...] = ()
    """The messages between the system message and the present question: `conversation` makes
    them."""

    def __post_init__(self) -> None:
        if self.earlier:
            whole = tuple(_message(one, self.agent) for one in self.earlier)
            object.__setattr__(self, "earlier", whole)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Returns the prompt as a conversation: role and content of each message."""
        return (("system", self.system), *self.earlier, ("user", self.user))

    @property
    def shown(self) -> str:
        """Returns what the agent reads below the system message, each earlier message on a line of
        its own."""
        return "\n".join((*(f"{role}: {content}" for role, content in self.earlier), self.user))

    @property
    def place(self) -> tuple[object, ...]:
        """Returns the key by which prompts are sorted, so that no order depends on hashes."""
        return (self.agent, self.user, self.system, self.words, self.earlier, self.most_tokens)


def _message(given: Any, agent: str) -> Message:
    """Returns an earlier message of a prompt, which a world may write as a list."""
    if isinstance(given, tuple | list) and len(given) == 2:
        role, content = given
        if role in ROLES and isinstance(content, str):
            return ROLES[ROLES.index(role)], str(content)  # NumPy's text is of another type
    raise WorldError(
        f"got earlier message {given!r} in a prompt of {agent!r}; wanted (role, text), the role "
        f"one of {', '.join(ROLES)}"
    )


@dataclass(frozen=True)
class Statement:
    """One decision of an agent in an episode."""

    agent: str
    """The agent that spoke."""
    text: str
    """Its text: one of the prompt's words, or free text."""
    to: str = ""
    """The agent that could hear it; empty if no agent could."""


@dataclass(frozen=True)
class Ending:
    """The success and the rewards of an episode."""

    success: float
    """The team's success, in the unit of the world's return."""
    rewards: tuple[tuple[float, ...], ...]
    """`[decisions][K]` the reward of each decision, component by component."""


@dataclass(frozen=True, kw_only=True)
class TextSettings(CheckedSettings):
    """Settings of every text world.

    Raises:
        SettingError: a number out of its range.
    """

    speaker_scale: Annotated[float, Range(-1e6, 1e6)] = 1.0
    """Factor on the reward of the speaker, the agent that speaks first."""
    speaker_offset: Annotated[float, Range(-1e9, 1e9)] = 0.0
    """Offset of the speaker's reward, in the reward's unit."""
    speaker_noise: Annotated[float, Range(0.0, 1e6)] = 0.0
    """Standard deviation of the noise on the speaker's reward, in the reward's unit."""


PLAIN = {"speaker_scale": 1.0, "speaker_offset": 0.0, "speaker_noise": 0.0}
"""The settings under which all agents get the same reward: the control."""


class TextWorld(ABC):
    """A team task in words."""

    name: ClassVar[str]
    """The name in the catalogue."""
    summary: ClassVar[str]
    """A summary in one line."""
    source: ClassVar[str] = "ours"
    """The source of the idea."""

    agents: tuple[str, ...]
    """[A] names."""
    roles: tuple[str, ...]
    """[A] role of each agent."""
    speaker: str
    """The agent whose reward `TextSettings` can change."""
    listener: ClassVar[str] = ""
    """The agent that hears the first message; empty if no agent does."""
    references: References
    """Success of a team that chooses uniformly among words, and of one that has solved it."""
    components: tuple[str, ...] = ("reward",)
    """[K] names of the reward's parts."""
    longest: int = 8
    """Maximum number of decisions of an episode."""
    free: ClassVar[bool] = False
    """Whether agents write freely, rather than choose among words."""
    settings_type: ClassVar[type[TextSettings]] = TextSettings
    """Its settings: a frozen dataclass, each field with a docstring under it."""
    split: Split | None = None
    """Its tasks, if some are held out of training; None if evaluation plays the training tasks."""

    def __init__(self, settings: TextSettings | None = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    @abstractmethod
    def tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        """Returns the tasks of one batch; a task may come more than once."""

    def held_out_tasks(self, rng: np.random.Generator, count: int) -> list[Task]:
        """Returns the tasks of a batch of the evaluation: those held out by `split`, each about
        equally often; without a split, those of training."""
        if self.split is None:
            return self.tasks(rng, count)
        return cycled(rng, self.split.held_out, count)

    @property
    def holds_out(self) -> bool:
        """Returns whether the evaluation plays other tasks than training."""
        return self.split is not None or type(self).held_out_tasks is not TextWorld.held_out_tasks

    @abstractmethod
    def prompts(self, task: Task, history: tuple[Statement, ...]) -> tuple[Prompt, ...]:
        """Returns the prompts of the agents who speak next, side by side; none at the end."""

    @abstractmethod
    def ending(self, task: Task, history: tuple[Statement, ...]) -> Ending:
        """Returns the success and the rewards of the whole episode."""

    def statement(
        self, task: Task, history: tuple[Statement, ...], prompt: Prompt, text: str
    ) -> Statement:
        """Returns an answer as the history keeps it; `listener` hears the first message."""
        return Statement(prompt.agent, text, to="" if history else self.listener)


def shared(value: float, history: tuple[Statement, ...]) -> tuple[tuple[float, ...], ...]:
    """Returns the same reward for every decision."""
    return ((value,),) * len(history)


KEEPS = "a TextWorld that keeps its interface"
"""The requirement on a class of the user."""
