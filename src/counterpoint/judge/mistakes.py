"""What a judge says about the mistakes of episodes: start at `plan_mistakes`, `judge_mistakes`.

The first reads the episodes and makes the questions, so that their number and their size are known
before anybody is asked. The second asks, and returns a `Judging`: a value from which an audit is
made without a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from counterpoint.errors import JudgeError
from counterpoint.judge.judges import Opinion
from counterpoint.judge.mistake_sheet import (
    Mistake,
    MistakeQuestions,
    MistakeSheet,
    mistake_sheets,
    parse_mistake,
)
from counterpoint.judge.opinions import Answerer, answered
from counterpoint.records import Episode
from counterpoint.settings import require
from counterpoint.speakers.cache import Replies
from counterpoint.speakers.speaker import sum_known

SUCCEEDS = 0.5
"""An episode with at least this success is not asked about."""
STRIKES = 5
"""After so many questions in a row without a reply, nothing more is asked."""


@dataclass(frozen=True)
class MistakeSettings:
    """Settings of the questions about the mistakes of episodes.

    Raises:
        SettingError: a value is out of range.
    """

    orders: int = 2
    """How often each episode is asked about, every second time with the lists reversed."""
    repairs: int = 2
    """How often a reply that cannot be read is asked for again."""
    longest: int = 60_000
    """The most characters of the events of an episode that a judge reads; about 4 are a token."""
    most: int = 200
    """The most episodes that are asked about: the first ones."""
    reasoning: bool = False
    """Whether the judge reads the reasoning of the members too."""
    seed: int = 0
    """The seed of orders, fences and a judge's own random choices."""

    def __post_init__(self) -> None:
        require("orders", self.orders, 1, 64)
        require("repairs", self.repairs, 0, 100)
        require("longest", self.longest, 200, 100_000_000)
        require("most", self.most, 1, 1_000_000)
        require("seed", self.seed, 0, 2**31 - 1)


@dataclass(frozen=True)
class MistakePlan:
    """The questions about a log."""

    settings: MistakeSettings
    episodes: tuple[MistakeQuestions, ...]
    beyond: int
    """Number of episodes that are not asked about because there are more than `most`."""

    @property
    def questions(self) -> int:
        """Returns how many questions there are, without repairs."""
        return sum(len(each.sheets) for each in self.episodes)

    @property
    def characters(self) -> int:
        """Returns how many characters they have."""
        return sum(len(sheet.prompt) for each in self.episodes for sheet in each.sheets)


@dataclass(frozen=True)
class Judgement:
    """What a judge says about one episode, and what that cost."""

    replies: tuple[Mistake, ...] = ()
    """One for each order; empty if the judgement is void."""
    void: str = ""
    """Why there is none: a question without a reply, or one that stayed unreadable."""
    calls: int = 0
    repaired: int = 0
    """Replies that could not be read and were asked for again."""
    tokens: int | None = 0
    cost_dollars: float | None = 0.0
    events: int = 0
    """Number of events of the episode."""
    cut_characters: int = 0
    left_out_events: int = 0
    unseen_parts: int = 0
    unseen_reasoning: int = 0

    @property
    def mistake(self) -> Mistake:
        """Returns what all replies agree on; None elsewhere."""
        if not self.replies:
            return Mistake()
        first = asdict(self.replies[0])
        others = [asdict(reply) for reply in self.replies[1:]]
        return Mistake(**{
            name: value if all(other[name] == value for other in others) else None
            for name, value in first.items()
        })  # fmt: skip


@dataclass(frozen=True)
class Judging:
    """What a judge says about a log."""

    facts: Mapping[str, str]
    """The facts on which its opinions depend."""
    settings: MistakeSettings
    judgements: Mapping[str, Judgement]
    """Id of an episode to the judgement on it."""
    beyond: int = 0
    """Number of episodes that are not asked about because there are more than `most`."""
    unasked: int = 0
    """Number of episodes that are not asked about because the judge gave no replies."""
    asked_now: int = 0
    """How often it was asked now; the other replies were kept from earlier."""
    lost: int = 0
    """Questions without a reply: they are asked again next time."""
    stopped: str = ""
    """Why not everything was asked."""

    @property
    def calls(self) -> int:
        """Returns how often it was asked, now or earlier."""
        return sum(each.calls for each in self.judgements.values())

    @property
    def tokens(self) -> int | None:
        """Returns the tokens of all replies; None if nobody counted."""
        return sum_known(0, *(each.tokens for each in self.judgements.values()))

    @property
    def cost_dollars(self) -> float | None:
        """Returns the cost of all replies; None if the price is not known."""
        return sum_known(0.0, *(each.cost_dollars for each in self.judgements.values()))


def plan_mistakes(episodes: Iterable[Episode], settings: MistakeSettings) -> MistakePlan:
    """Returns the questions about the episodes that failed, or whose outcome is not known.

    An episode without an event of a member is passed over.

    Args:
        episodes: taken one by one, and not kept.
        settings: how they are asked about.
    """
    planned: list[MistakeQuestions] = []
    beyond = 0
    for episode in episodes:
        succeeded = episode.success is not None and episode.success >= SUCCEEDS
        members = set(episode.agents)
        if succeeded or not any(e.agent in members and e.kind != "reward" for e in episode.events):
            continue
        if len(planned) == settings.most:
            beyond += 1
            continue
        has_failed = episode.success is not None
        questions = mistake_sheets(
            episode,
            settings.orders,
            settings.longest,
            settings.seed,
            has_failed,
            settings.reasoning,
        )
        if questions.sheets[0].authors:  # the middle, which may be left out, may hold all of them
            planned.append(questions)
    return MistakePlan(settings, tuple(planned), beyond)


class _Open:
    """A question until its reply is read."""

    def __init__(self, episode: str, sheet: MistakeSheet) -> None:
        self.episode, self.sheet = episode, sheet
        self.mistake: Mistake | None = None
        self.error = "not asked"
        self.calls = self.repaired = 0
        self.tokens: int | None = 0
        self.cost: float | None = 0.0
        self.is_lost = False

    def take(self, opinion: Opinion) -> bool:
        """Reads an opinion; returns whether the question should be asked again."""
        self.calls += opinion.asked
        self.tokens = sum_known(self.tokens, opinion.tokens)
        self.cost = sum_known(self.cost, opinion.cost_dollars)
        self.is_lost = opinion.asked and opinion.error is not None
        if opinion.error is not None:
            self.error = f"no reply: {opinion.error}"
            return False
        try:
            self.mistake = parse_mistake(opinion.text, self.sheet)
        except JudgeError as error:
            self.error = f"unreadable: {error}"
            seed = self.sheet.seed + 1
            self.sheet = replace(self.sheet, complaint=str(error), seed=seed)
            return True
        return False


def judge_mistakes(
    plan: MistakePlan,
    judge: Answerer[MistakeSheet],
    *,
    store: Replies | None = None,
    on_reply: Callable[[int, int], object] = lambda done, total: None,
) -> Judging:
    """Returns what a judge says about the episodes of a plan.

    A judge that refuses a question, or gives no reply to `STRIKES` questions in a row, is not asked
    anything more.

    Args:
        plan: the questions.
        judge: answers them.
        store: keeps replies; None keeps nothing.
        on_reply: called with the number of questions that were asked, and of all so far.

    Raises:
        CounterpointError: the judge cannot be used at all.
    """
    every = [_Open(each.episode, sheet) for each in plan.episodes for sheet in each.sheets]
    waiting, stopped, done, strikes, asked_now = every, "", 0, 0, 0
    for attempt in range(plan.settings.repairs + 1):
        again: list[_Open] = []
        for part, is_new in answered(judge, [each.sheet for each in waiting], store):
            for i, opinion in part.items():
                waiting[i].repaired += attempt > 0
                if waiting[i].take(opinion):
                    again.append(waiting[i])
                strikes = strikes + 1 if opinion.error is not None else 0
                if opinion.error is not None and (opinion.refused or strikes >= STRIKES):
                    stopped = stopped or opinion.error
            done += len(part)
            asked_now += sum(opinion.asked for opinion in part.values()) if is_new else 0
            on_reply(done, max(done, len(every)))
            if stopped:
                break
        waiting = again
        if stopped or not waiting:
            break
    by_episode: dict[str, list[_Open]] = {}
    for each in every:
        by_episode.setdefault(each.episode, []).append(each)
    judgements = {
        each.episode: _judgement(each, by_episode[each.episode])
        for each in plan.episodes
        if any(question.calls for question in by_episode[each.episode])
    }
    return Judging(
        facts=dict(judge.facts),
        settings=plan.settings,
        judgements=judgements,
        beyond=plan.beyond,
        unasked=len(plan.episodes) - len(judgements),
        asked_now=asked_now,
        lost=sum(each.is_lost for each in every),
        stopped=stopped,
    )


def _judgement(about: MistakeQuestions, questions: list[_Open]) -> Judgement:
    replies = [each.mistake for each in questions if each.mistake is not None]
    is_whole = len(replies) == len(questions)
    sums: dict[str, Any] = {
        "calls": sum(each.calls for each in questions),
        "repaired": sum(each.repaired for each in questions),
        "tokens": sum_known(*(each.tokens for each in questions)),
        "cost_dollars": sum_known(*(each.cost for each in questions)),
    }
    return Judgement(
        replies=tuple(replies) if is_whole else (),
        void="" if is_whole else next(e.error for e in questions if e.mistake is None),
        events=about.events,
        cut_characters=about.cut_characters,
        left_out_events=about.left_out_events,
        unseen_parts=about.unseen_parts,
        unseen_reasoning=about.unseen_reasoning,
        **sums,
    )
