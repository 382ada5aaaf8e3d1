"""`JudgeReport`: what a judge says about the mistakes of a log, and how far it can be trusted."""

from __future__ import annotations

from counterpoint.records import CANNOT_TELL
from counterpoint.results.parts import Part, Settings


class JudgedEpisode(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What a judge says about one episode."""

    episode: str
    agent: str | None = None
    """The member that made the decisive mistake; None if the judge cannot tell, or says different
    things in different orders."""
    event: int | None = None
    """Place of the mistake in the episode; None as above."""
    mode: str | None = None
    """Code of the failure mode; None as above."""
    quote: str = ""
    """The start of the text of the event."""
    void: str = ""
    """Why there is no judgement."""
    calls: int
    """How often the judge was asked, repairs included."""
    repaired: int = 0
    """Replies that could not be read and were asked for again."""
    tokens: int | None
    """None if nobody counted."""
    cost_dollars: float | None
    """None if the price is not known."""
    cut_characters: int = 0
    """Number of characters of its events that the judge does not read."""
    left_out_events: int = 0
    """Number of events in its middle that the judge does not read."""
    unseen_parts: int = 0
    """Number of pictures and other parts that are no text, of which the judge reads a mark."""
    unseen_reasoning: int = 0
    """Number of events whose reasoning the judge does not read."""


class ModeShare(Part, frozen=True, kw_only=True):
    """How often the judge names a failure mode, with a 95% interval over episodes."""

    mode: str
    meaning: str
    group: str
    episodes: int
    share: float
    low: float
    high: float


class JudgeAgreement(Part, frozen=True, kw_only=True):
    """How often the judge agrees with somebody, beside what agrees without reading."""

    reference: str
    """`labels` of the log, `ranking` of the audit without a model, or `itself` in another order."""
    what: str
    """`member`, `event`, `mode` or `group`."""
    judged: int
    """Number of episodes for which the reference has an answer and a judgement is there."""
    n: int
    """Number of those for which the judge has an answer."""
    agree: int
    share: float | None
    """None if there is no such episode."""
    low: float | None
    high: float | None
    baselines: dict[str, float]
    """The shares of `random`, `first`, `last`, `busiest`, `ranking` or `commonest` on the same
    episodes."""
    kappa: float | None = None
    """(agreement - chance) / (1 - chance) for modes and groups: Cohen's kappa, in which a label
    with several modes agrees with each of them."""
    verdict: str = CANNOT_TELL
    """`found` if the whole interval is above the best baseline and chance does not explain it,
    `not found` if no part is above it, `cannot tell` otherwise and below 5 episodes."""


class JudgeReport(Part, frozen=True, kw_only=True):
    """What a judge says about a log. It is an opinion, and no finding."""

    judge: dict[str, str]
    """The facts on which its opinions depend."""
    settings: Settings
    """The settings of the questions."""
    episodes: list[JudgedEpisode]
    """In the order of the log."""
    modes: list[ModeShare]
    """The commonest first; those that are never named are there too."""
    agreements: list[JudgeAgreement]
    void: int
    """Number of episodes without a judgement."""
    calls: int
    """How often the judge was asked, now or earlier."""
    asked_now: int
    repaired: int
    lost: int
    """Number of questions without a reply."""
    tokens: int | None
    """None if nobody counted."""
    cost_dollars: float | None
    """None if the price is not known."""
    beyond: int = 0
    """Number of episodes that are not asked about because they are more than `most`."""
    unasked: int = 0
    """Number of episodes that are not asked about because the judge gave no replies."""
    stopped: str = ""
    """Why not everything was asked."""
