"""`check_judge`: a conformance suite for judges, yours and ours.

It needs two texts, and the judge must prefer the better one. It makes about 20 requests.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from counterpoint.errors import JudgeError
from counterpoint.judge import (
    Candidate,
    Group,
    Judge,
    Opinion,
    Sheet,
    parse_ranking,
    parse_score,
    rank_groups,
)
from counterpoint.judge.present import COMMAND, EMPTY, Presenter
from counterpoint.records import Episode, Event
from counterpoint.testing.batches import attempt, demand

Make = Callable[[], Judge]
"""Makes a new judge with the settings of its later use."""

BETTER, WORSE = "better", "worse"


def check_judge(
    make: Make, better: str, worse: str, *, task: str = "Do it.", seeded: bool = True
) -> None:
    """Checks every promise of `counterpoint.judge.Judge`.

    Args:
        make: `make()` returns a new judge; all of them are equal.
        better, worse: the texts of two runs; the judge must prefer the first.
        task: the task of the runs.
        seeded: whether the same sheet gets the same opinion; not every server can promise that.

    Raises:
        ConformanceError: The first broken promise.
    """
    group = Group("conformance", task, (_run(BETTER, better, 1.0), _run(WORSE, worse, 0.0)))
    check_description(make)
    check_replies(make(), group)
    if seeded:
        check_sameness(make, group)
    check_preference(make(), group)


def check_description(make: Make) -> None:
    """Checks that facts are text and identify the judge, and that it takes one sheet or more."""
    judge = make()
    facts = judge.facts
    is_text = (
        isinstance(facts, Mapping)
        and facts
        and all(isinstance(text, str) for fact in facts.items() for text in fact)
    )
    demand(bool(is_text), f"facts {facts!r}", "a mapping of text to text")
    again = make().facts
    demand(dict(again) == dict(facts), f"facts {facts}, then {again}", "the same of one judge")
    count = judge.at_once
    is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 1
    demand(is_count, f"at_once {count!r}", "a whole number from 1")


def check_replies(judge: Judge, group: Group) -> None:
    """Checks that each sheet gets one opinion in the wire format, in order, and is unchanged."""
    demand(judge.judge([]) == [], "opinions on no sheet", "an empty list")
    pairs = _pairs(group, 6)
    for sheet, opinion in zip(pairs, _opinions(judge, pairs), strict=True):
        with attempt("reading an opinion", "the wire format, with the ids of its own sheet"):
            parse_ranking(opinion.text, sheet.labels)
    scores = [_presenter(group, 9).sheet("score", [i]) for i in range(2)]
    try:
        opinions = _opinions(judge, scores, (JudgeError,))
    except JudgeError:  # it ranks, and gives no scores
        return
    for opinion in opinions:
        with attempt("reading a score", 'the wire format, {"score": number from 0 to 1}'):
            parse_score(opinion.text)


def check_sameness(make: Make, group: Group) -> None:
    """Checks that the same sheet gets the same opinion: again, of a new judge, beside others."""
    pairs, judge = _pairs(group, 4), make()
    first = [opinion.text for opinion in _opinions(judge, pairs)]
    for what, opinions in (
        ("a second time", _opinions(judge, pairs)),
        ("of a new judge", _opinions(make(), pairs)),
        ("in another order", _opinions(make(), pairs[::-1])[::-1]),
        ("one by one", [_opinions(judge, [sheet])[0] for sheet in pairs]),
    ):
        texts = [opinion.text for opinion in opinions]
        demand(texts == first, f"{texts} {what}", f"{first}, as before")


def check_preference(judge: Judge, group: Group) -> None:
    """Checks that the better run is first in any order, and no canary makes the group void."""
    for sheet in _pairs(group, 4):
        (opinion,) = _opinions(judge, [sheet])
        (best, *_) = parse_ranking(opinion.text, sheet.labels)
        ids = [each.candidate.id for each in sheet.shown if each.label in best and each.candidate]
        order = [each.candidate.id for each in sheet.shown if each.candidate]
        demand(ids == [BETTER], f"{ids} first of {order}", f"{BETTER} first, in any order")
    for canary in (EMPTY, COMMAND):
        (sheet,) = _pairs(group, 1, (canary,))
        (opinion,) = _opinions(judge, [sheet])
        (best, *_) = parse_ranking(opinion.text, sheet.labels)
        fooled = any(each.canary and each.label in best for each in sheet.shown)
        demand(not fooled, f"a canary ({canary}) ranked first", "a run, never text without worth")
    (verdict,) = rank_groups([group], judge)
    got = f"ranking {verdict.ranking}, void: {verdict.void!r}"
    demand(verdict.ranking == ((BETTER,), (WORSE,)), got, f"{BETTER} above {WORSE}, not void")


def _run(name: str, text: str, truth: float) -> Candidate:
    episode = Episode(name, (Event(0, "member", "message", text),), ("member",))
    return Candidate(name, episode, truth)


def _presenter(group: Group, seed: int) -> Presenter:
    """Returns what makes sheets about the group, in an order that the seed decides."""
    return Presenter(group, np.random.default_rng(seed), "Whoever does the task is better.")


def _pairs(group: Group, count: int, canaries: Sequence[str] = ()) -> list[Sheet]:
    """Returns sheets with both runs, every second one in the other order."""
    return [
        _presenter(group, seed).sheet("ranking", [seed % 2, 1 - seed % 2], canaries)
        for seed in range(count)
    ]


def _opinions(
    judge: Judge, sheets: Sequence[Sheet], allowed: tuple[type[Exception], ...] = ()
) -> list[Opinion]:
    """Returns the opinions, and checks each of them."""
    given = list(sheets)
    before = copy.deepcopy(given)
    with attempt("judge(sheets)", "an opinion on each sheet", allowed):
        opinions = judge.judge(given)
    demand(given == before, "sheets that were changed", "the same afterwards")
    demand(isinstance(opinions, list), f"{type(opinions).__name__}", "a list of opinions")
    demand(len(opinions) == len(before), f"{len(opinions)} opinions", f"{len(before)}, one each")
    for opinion in opinions:
        demand(isinstance(opinion, Opinion), f"{type(opinion).__name__}", "an Opinion")
        got = f"the error {opinion.error!r}"
        demand(opinion.error is None, got, "an opinion: it is a sound sheet")
        for name in ("tokens", "cost_dollars"):
            amount = getattr(opinion, name)
            is_amount = isinstance(amount, int | float) and 0 <= amount < float("inf")
            demand(
                amount is None or is_amount, f"{name} {amount!r}", "None or a finite number from 0"
            )
    return opinions
