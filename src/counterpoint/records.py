"""The shared data types: rewards of a trainer, episodes of a log, and findings.

`Decisions` are the columns of a trainer; an `Episode` consists of `Event`s, an `Outcome` is a row
of a table of results, and a `Finding` is the result of an audit. All are plain frozen values;
`counterpoint.readers.read_logs` reads episodes from a log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import LabelError, LogError, RewardError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"
"""A value of JSON: the part of a foreign log beyond the fields that all logs share."""
LABELS = ("prompt", "rollout", "agent", "role", "turn", "context")
"""The label columns that a credit scheme may group by."""
TRAINERS = (
    "TRL", "TRL's asynchronous trainer", "verl", "ms-swift", "AReaL", "ART", "ART's pipeline",
    "rLLM", "verifiers", "Agent Lightning", "BenchMARL", "CoMLRL", "NeMo Gym", "NeMo-RL",
    "OpenRLHF", "prime-rl", "SkyRL", "slime", "miles", "tinker-cookbook", "TorchRL",
)  # fmt: skip
"""The trainers whose logs are known: the log of an adapter names one in the column `trainer`."""


@dataclass(frozen=True)
class Decisions:
    """One row for each decision: its agent, its rollout, its prompt and its rewards.

    Raises:
        LabelError: a column is as long as something else than the rewards.
        RewardError: the rewards are not of shape [N, K], or the names are not K.
    """

    rewards: NDArray[np.float64]
    """[N, K] value of each reward component; NaN where it is missing."""
    components: tuple[str, ...]
    """[K] names of the components; `("reward",)` for a single one."""
    labels: Mapping[str, NDArray[Any]]
    """Label name to its column [N]; the names are those of `LABELS`."""
    step: NDArray[np.int64] | None = None
    """[N] training update of each row, or None where the log is one batch."""
    action: NDArray[Any] | None = None
    """[N] the action that was taken, if the log has it (`action` or `answer`)."""
    notices: tuple[str, ...] = ()
    """How a log was interpreted, if that is not obvious: the meaning of columns with other names,
    what is absent, and which columns were not read."""
    writer: str = ""
    """One of `TRAINERS`, which the log names or whose columns it has; empty if it is not known."""

    def __post_init__(self) -> None:
        if self.rewards.ndim != 2 or self.rewards.shape[1] != len(self.components):
            raise RewardError(
                f"got rewards of shape {self.rewards.shape} and {len(self.components)} component "
                "names; wanted [N, K] and K names"
            )
        columns = {**self.labels, "step": self.step, "action": self.action}
        for name, column in columns.items():
            if column is not None and len(column) != len(self.rewards):
                raise LabelError(
                    f"got {len(column)} values of '{name}' for {len(self.rewards)} rows of "
                    "rewards; wanted as many values as rows"
                )

    def __len__(self) -> int:
        return len(self.rewards)


KINDS = ("message", "action", "answer", "reward", "handoff", "end")
"""The kinds of events: a message, an action (a tool call, a changed file), an answer to the task, a
reward, a handoff (the turn passes from `agent` to `to`), and the end of the episode."""


@dataclass(frozen=True)
class Location:
    """Where something stands in a log."""

    file: str
    """Path of the file, from the folder that holds the log on."""
    line: int | None = None
    """Number of the line, from 1; None if the file is no file of lines."""


@dataclass(frozen=True)
class Event:
    """A message or an action of an agent. A tool's result is a `message` whose agent is the tool.

    Raises:
        LogError: the kind is none of `KINDS`.
    """

    t: int
    """Its place in the episode, from 0."""
    agent: str
    """The author: a member of the team, or one of the episode's `tools`."""
    kind: str
    """One of `KINDS`."""
    text: str = ""
    """The text of the message or action, as in the log."""
    to: tuple[str, ...] = ()
    """The receivers; empty for all members."""
    answer: str | None = None
    """The answer to the task in the text, if the log has it."""
    reward: Mapping[str, float] = field(default_factory=dict)
    """Name to reward: `proxy`, `true`, or the names of components."""
    work: float | None = None
    """The amount of work, if the log has it; 0 is none."""
    tokens: int | None = None
    """Number of tokens that the agent produced, if the log has it."""
    meta: Mapping[str, Json] = field(default_factory=dict)
    """Other fields of the log."""
    tool: str = ""
    """The tool that an action calls, or whose result a message is."""
    call: str = ""
    """The id that an action and the result of its tool share."""
    seconds: float | None = None
    """The time at which the event began: since 1970, or since another start that all events of the
    episode share."""
    duration: float | None = None
    """Number of seconds that it took."""
    tokens_in: int | None = None
    """Number of tokens that the model read for it, cached ones included."""
    cost: float | None = None
    """What it cost, in US dollars."""
    error: str = ""
    """The error that it ended with, in the words of the log."""
    finish: str = ""
    """Why the model stopped, in the words of the log, such as `stop` or `length`."""
    location: Location | None = field(default=None, compare=False)
    """The line that holds it, if its reader knows that."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LogError(f"got an event of kind '{self.kind}'; wanted one of {', '.join(KINDS)}")


@dataclass(frozen=True)
class Episode:
    """One team at one task, from its first event to its last."""

    id: str
    """Unique within its source."""
    events: tuple[Event, ...]
    """In order; `events[t].t == t`."""
    agents: tuple[str, ...]
    """The members of the team, without tools and users: in order of their first event, then those
    whom the log names as members and who did nothing."""
    tools: tuple[str, ...] = ()
    """Authors of events that are not counted as team members: tools, terminals, the user."""
    run: str = ""
    """The run, or the branch of one, that it belongs to."""
    task: str = ""
    """The task of the team: episodes of one task can be compared."""
    success: float | None = None
    """The success from 0 to 1, if the log has it."""
    meta: Mapping[str, Json] = field(default_factory=dict)
    """Other fields of the log: its `format`, the right answer as `gold`."""
    ending: str = ""
    """How it ended, in the words of the log: a stop reason, a limit, an error."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Name of a score to its value, beside `success`."""
    labels: Mapping[str, Json] = field(default_factory=dict)
    """What people or models have labelled, such as the member and the step of a mistake."""
    doubts: tuple[str, ...] = ()
    """What is uncertain about who is a member, one sentence each, with the line of a mapping that
    settles it."""
    location: Location | None = field(default=None, compare=False)
    """The file that holds it, and the line if one line holds all of it."""


@dataclass(frozen=True)
class Outcome:
    """The score of one task in one setting: alone, as a team, or isolated members.

    Raises:
        LogError: the setting is none of solo, team, isolated, or the score is not from 0 to 1.
    """

    task: str
    """The task's id."""
    setting: str
    """`solo`, `team` or `isolated`."""
    members: tuple[str, ...]
    """The members that took part."""
    score: float
    """From 0 to 1."""
    cost: float | None = None
    """What it cost, in a unit that is the same for all outcomes (tokens, calls, seconds)."""
    answer: str | None = None
    """The answer, if the table has it."""

    def __post_init__(self) -> None:
        if self.setting not in ("solo", "team", "isolated"):
            raise LogError(
                f"got an outcome of setting '{self.setting}'; wanted solo, team or isolated"
            )
        if not 0 <= self.score <= 1:
            raise LogError(f"got a score of {self.score:g}; wanted a number from 0 to 1")


FOUND, NOT_FOUND, CANNOT_TELL = "found", "not found", "cannot tell"
NOT_COMPUTABLE = "not_computable"
VERDICTS = (FOUND, CANNOT_TELL, NOT_FOUND, NOT_COMPUTABLE)
"""The verdicts of a `Finding` about a team."""


@dataclass(frozen=True)
class Cost:
    """What some events have cost; None where the log does not say."""

    calls: int = 0
    """Number of actions."""
    tokens_in: int | None = None
    """Number of tokens that models read."""
    tokens_out: int | None = None
    """Number of tokens that agents produced."""
    dollars: float | None = None
    """Price in US dollars."""
    seconds: float | None = None
    """Sum of their durations."""


@dataclass(frozen=True)
class Case:
    """One place where an audit sees its failure, whatever the verdict about the team is."""

    episode: str
    """Id of the episode."""
    event: int | None
    """The event that shows it: its place in the episode; None where the whole episode is meant."""
    agent: str | None
    """The agent of the event."""
    quote: str | None
    """The start of the text of the event."""
    weight: float
    """How bad it is beside other cases of the same finding: the more the worse."""
    what: str = ""
    """What is seen, in a few words."""
    first: int | None = None
    """The event with which it begins, if that is another one."""
    times: int | None = None
    """Number of times that the same has happened."""
    before: str | None = None
    """The answer that the agent gave before, or the member that made the same call first."""
    now: str | None = None
    """The answer that the agent gives now."""
    cost: Cost | None = None
    """What its events have cost, if the log says something about it."""
    location: Location | None = None
    """Where its event, or its episode, stands in the log, if that is known."""


@dataclass(frozen=True)
class Finding:
    """The result of an audit for one metric. It is never 0 if the value is not known.

    The verdict is about the team: `found` or `not found` if the numbers reach that far, else
    `cannot tell`. A measurement without a null has the verdict `cannot tell`. Single cases stand
    beside it, whatever it is.
    """

    audit: str
    """The name of the audit, such as `idleness`."""
    name: str
    """The name of the metric."""
    value: float | None
    """The estimate, or None where it is not computable."""
    n: int
    """Number of independent samples of the value."""
    low: float | None = None
    """Lower end of the 95% interval."""
    high: float | None = None
    """Upper end of the 95% interval."""
    null: float | None = None
    """The value that is expected without the fault; None for a measurement."""
    verdict: str = CANNOT_TELL
    """One of `VERDICTS`."""
    reason: str = ""
    """Why, in words: what was found, or `not computable because ...`."""
    p: float | None = None
    """The p-value, if there is a test."""
    cases: tuple[Case, ...] = ()
    """The worst cases, worst first."""
    cost: Cost | None = None
    """What the events of all cases have cost, if the log says something about it."""
    cases_total: int = 0
    """Number of all cases; it is larger than the number of `cases` if those are cut."""
