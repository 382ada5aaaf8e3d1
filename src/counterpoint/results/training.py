"""`TrainingResult`: one team under one scheme and one seed, as far as its training has come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from counterpoint.results.competition import Competition
from counterpoint.results.parts import Part, Result, Settings, expect

Series = list[float | None]
"""One number for each update; None where there is none."""


class References(Part, frozen=True, kw_only=True):
    """Two returns that make scores comparable; None where the world cannot be made."""

    random: float | None = None
    """Return of a team that chooses uniformly among legal actions."""
    reference: float | None = None
    """Return of a good team."""
    scale: str | None = None
    """The scale that both returns are on."""
    silent: float | None = None
    """Return of a good team that does not talk."""


SERVED = ("server_gap", "respelled", "reworded")
"""Those of the measures below that there are where a server writes: how far its log-probabilities
are from ours in nats a token, the share of answers whose tokens it did not say, and the share whose
tokens here give another text."""
ANSWERS = ("decisions", "answer_tokens", "cut_off", "bare_kl", *SERVED)
"""The measures of each language model in every update, as curves `MEASURE.AGENT`: its decisions,
and of its answers in free text the mean number of tokens, the share that ended at the limit without
a token that ends them, and the divergence from the bare model in nats a token."""
WIDE_GAP = 0.1
"""Nats a token by which a server's log-probabilities may differ from ours; numbers of 16 bits on
one side alone make a difference of a few hundredths."""
CUT_OFF_UPDATES, MOSTLY = 10, 0.5
"""An agent is mostly cut off if more than this share of its answers are, in so many updates."""


class AgentSeries(Part, frozen=True, kw_only=True):
    """The measurements of one agent: [T] one value for each measured update, or an empty list."""

    step: Series
    """Steps played, or updates made."""
    signal_kept: Series = field(default_factory=list)
    """Share of its signal that the scheme keeps, over the last ten measurements."""
    signal_kept_low: Series = field(default_factory=list)
    signal_kept_high: Series = field(default_factory=list)
    task_noise: Series = field(default_factory=list)
    """Share of its gradient that is noise under the best statistics."""
    snr: Series = field(default_factory=list)
    cosine: Series = field(default_factory=list)
    share: Series = field(default_factory=list)
    entropy: Series = field(default_factory=list)
    inflation: Series = field(default_factory=list)
    signal_share: Series = field(default_factory=list)
    dead_rate: Series = field(default_factory=list)
    participation: Series = field(default_factory=list)
    credit_correlation: Series = field(default_factory=list)
    collapsed: list[bool | None] = field(default_factory=list)
    """Whether the scheme collapses it."""
    cause: list[str | None] = field(default_factory=list)
    """The cause of the collapse."""
    expected: list[str | None] = field(default_factory=list)
    """The cause in the rewards alone that is enough for a collapse."""


class Utterance(Part, frozen=True, kw_only=True):
    """One text of an episode, cut off where it is long."""

    agent: str
    to: str = ""
    """The agent who can read it; empty if there is none."""
    text: str


class EpisodeSample(Part, frozen=True, kw_only=True):
    """One course of episodes of a task."""

    task: str
    count: int
    """Number of episodes of the update with this course."""
    success: float
    events: list[Utterance]
    of: int | None = None
    """Number of episodes of the same task in the same update."""


class Moment(Part, frozen=True, kw_only=True):
    """One update, with its commonest episodes."""

    update: int
    episodes: int = 0
    different: int = 0
    """Number of different courses."""
    shown: list[EpisodeSample]


class WordCounts(Part, frozen=True, kw_only=True):
    """The answers of an agent to one prompt in the last update."""

    agent: str
    shown: str
    """The prompt."""
    said: dict[str, int]
    """Word to how often it was chosen, the commonest first."""


class Talk(Part, frozen=True, kw_only=True):
    """The messages of a training of language models."""

    moments: list[Moment] = field(default_factory=list)
    """The first, a middle and the last update."""
    words: list[WordCounts] = field(default_factory=list)
    words_reason: str | None = None
    """Why there are no words."""


TalkVerdict = Literal["talks", "talks a little", "does not talk yet", "is misled", "cannot tell"]
LITTLE = 0.05
"""A worth below this share of what lies between a random and a good team is little."""


def talk_verdict(low: float | None, high: float | None, scale: float | None) -> TalkVerdict:
    """Returns whether a team talks, by the interval of what its messages are worth.

    Args:
        low, high: ends of the interval; None if it is not known.
        scale: return of a good team minus that of a random one; None if it is not known.
    """
    if low is None or high is None:
        return "cannot tell"
    if low <= 0:
        return "is misled" if high < 0 else "does not talk yet"
    return "talks a little" if scale is not None and high < LITTLE * scale else "talks"


class Said(Part, frozen=True, kw_only=True):
    """How much the words of one agent depend on what it sees."""

    agent: str
    bits: float
    """Mutual information of words and observations."""
    chance: float
    """95th percentile of the same under permutations of whole episodes."""
    most: float
    """Bits that so many words can carry."""


class Heard(Part, frozen=True, kw_only=True):
    """How much the actions of one agent depend on the words of another one."""

    speaker: str
    agent: str
    bits: float | None = None
    """Mutual information of words and actions, all else held fixed; None if that is not known."""
    most: float
    """Bits that so many words and actions can share."""


class Messages(Part, frozen=True, kw_only=True):
    """What the messages of a trained team carry, in fresh episodes."""

    said: list[Said] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    worth: float | None = None
    """Return, minus that of the same episodes with messages exchanged; None if not known."""
    worth_low: float | None = None
    worth_high: float | None = None
    """Ends of the 95% interval over episodes."""
    episodes: int = 0
    """Number of episodes that were compared."""

    scale: float | None = None
    """Return of a good team minus that of a random one; None if it is not known."""

    @property
    def verdict(self) -> TalkVerdict:
        """Whether exchanging messages costs return: see `talk_verdict`."""
        return talk_verdict(self.worth_low, self.worth_high, self.scale)


class EvaluationTasks(Part, frozen=True, kw_only=True):
    """The tasks of the evaluation of a team of language models."""

    held_out: bool = False
    """Whether training never draws them; otherwise they are drawn as in training."""
    tasks: int = 0
    """Number of different tasks."""
    episodes: int = 0

    @property
    def in_words(self) -> str:
        """Returns the set and its size in words."""
        kind = "held-out" if self.held_out else "training"
        return f"{self.tasks:,} {kind} task{'' if self.tasks == 1 else 's'}"


def mostly_cut_off(curve: Mapping[str, Series]) -> dict[str, float]:
    """Returns the agents most of whose latest answers were cut off, with the share of these.

    Args:
        curve: [U] each by name; those called `cut_off.AGENT` are read.
    """
    return _above(curve, "cut_off", MOSTLY)


def _above(curve: Mapping[str, Series], wanted: str, limit: float) -> dict[str, float]:
    """Returns the agents whose mean of a measure in the latest updates is above a limit."""
    means = {}
    for name, values in curve.items():
        measure, _, agent = name.partition(".")
        known = [value for value in values[-CUT_OFF_UPDATES:] if value is not None]
        if measure == wanted and known and (mean := sum(known) / len(known)) > limit:
            means[agent] = mean
    return means


def server_sentence(curve: Mapping[str, Series]) -> str:
    """Returns what to do if a server wrote under other weights than those that learn, or if the
    tokens of its answers are often not known; else an empty text."""
    gaps, lost = _above(curve, "server_gap", WIDE_GAP), _above(curve, "respelled", MOSTLY)
    sentences = []
    if gaps:
        agents = ", ".join(f"{gap:.2g} nats a token for {agent}" for agent, gap in gaps.items())
        sentences.append(
            "The server's log-probabilities differ from those of the model that learns, in the "
            f"last updates by {agents}: it serves other adapters (handover), a coarser type of "
            "numbers or another model, and training is off-policy by as much."
        )
    if lost:
        agents = ", ".join(f"{share:.0%} of {agent}'s answers" for agent, share in lost.items())
        sentences.append(
            f"The server did not say the tokens of {agents}: those that the text has here were "
            "learned from, which need not be those that were drawn."
        )
    return " ".join(sentences)


def cut_off_sentence(curve: Mapping[str, Series]) -> str:
    """Returns what to change if most of an agent's answers were cut off; else an empty text."""
    shares = mostly_cut_off(curve)
    if not shares:
        return ""
    agents = ", ".join(f"{share:.0%} of {agent}'s" for agent, share in shares.items())
    return (
        f"Most answers were cut off at their limit in the last updates: {agents}. What would stand "
        "behind it is neither read nor rewarded: raise most_tokens, of the world or of its "
        "prompts, or ask for shorter answers."
    )


class TrainingResult(Result, frozen=True, kw_only=True, tag="counterpoint.training/1"):
    """A training in a run directory. None stands for what is not known, or not known yet."""

    axis: Literal["step", "update"] = "step"
    """The unit of `step` and `budget`: `update` if language models learn."""
    world: str | None = None
    scheme: str | None = None
    """The credit scheme, or the algorithm in its place."""
    seed: int | None = None
    config: Settings = field(default_factory=dict)
    status: str = ""
    """running, finished, stopped or failed."""
    step: int = 0
    """How much of the budget is spent."""
    budget: int | None = None
    seconds: float | None = None
    """Time spent in training."""
    returned: float | None = field(default=None, name="return")
    """Mean return of fresh episodes of the trained team."""
    normalized: float | None = None
    """The same, with a random team at 0 and a good one at 1."""
    references: References = field(default_factory=References)
    damaged_rows: int = 0
    """Lines of the series that could not be read."""
    curve: dict[str, Series]
    """[U] each by name, one value an update: `step`, `return`, losses or gradient lengths, and
    `greedy_return` at the updates after which greedy actions were evaluated, `said_bits` and
    `heard_bits` every few updates where agents speak, and of language models `ANSWERS`."""
    agents: dict[str, AgentSeries] = field(default_factory=dict)
    talk: Talk | None = None
    """The texts of language models; None if no language models learn."""
    competition: Competition | None = None
    """Where sides play against each other: every return is in points against random actions then,
    and `curve` has the returns of sides. None if the agents are one team."""
    messages: Messages | None = None
    """None before the end, or if no agent of the world speaks."""
    evaluated: EvaluationTasks | None = None
    """The tasks behind `return`; None before the end, or if no language models learn. `curve` has
    the returns of training tasks always."""

    @property
    def of_tasks(self) -> str:
        """Returns ` of 40 held-out tasks`; an empty text before the evaluation, or without one."""
        return "" if self.evaluated is None else f" of {self.evaluated.in_words}"

    def __post_init__(self) -> None:
        expect("step" in self.curve, "curve", "a list `step`")
        updates = len(self.curve["step"])
        for name, values in self.curve.items():
            expect(len(values) == updates, f"curve.{name}", "one value for each of `step`")
        measured = {len(agent.step) for agent in self.agents.values()}
        expect(len(measured) < 2, "agents", "lists of one length")
        for name, agent in self.agents.items():
            for key in agent.__struct_fields__:
                count = len(getattr(agent, key))
                expect(count in {0, *measured}, f"agents.{name}.{key}", "one for each of `step`")
