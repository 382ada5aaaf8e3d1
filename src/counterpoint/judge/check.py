"""`measure_judge`: how good a judge is, on groups whose truth is known.

Each group is ranked three times, without canaries: in an order, in the same order again (with other
ids), and backwards. These rankings give the accuracy, a preference for the position, for length or
for the judge's own runs, the agreement of the judge with itself, and the number of orders that
would reach a wanted reliability.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from counterpoint import __version__
from counterpoint.arrays import Bools, Floats
from counterpoint.errors import JudgeError, ServerError
from counterpoint.judge.aggregate import kendall_tau_b, tied_sets
from counterpoint.judge.judges import CountedJudge, Judge, Opinion, parse_ranking, parse_score
from counterpoint.judge.modes import Ranking
from counterpoint.judge.present import Group, Presenter
from counterpoint.judge.reading import unseen_total
from counterpoint.judge.verdict import RankSettings, without_canaries
from counterpoint.results.judge_check import FEWEST_GROUPS, JudgeCheckResult, Measure
from counterpoint.results.ranking import Unseen
from counterpoint.stats import Estimate, bootstrap_interval, means, paired_t_test
from counterpoint.stats.decision import LEVEL, ROUNDING

ORDERS = ("first", "again", "backwards")


def measure_judge(
    groups: Iterable[Group],
    judge: Judge,
    *,
    wanted: float = 0.8,
    own: str = "",
    settings: RankSettings | None = None,
) -> JudgeCheckResult:
    """Returns how good a judge is.

    Args:
        groups: groups with the `truth` of every candidate.
        judge: the judge to measure.
        wanted: reliability to be reached, between 0 and 1.
        own: the author whose runs are the judge's own.
        settings: of the questions: the criteria, what is shown of a run, and the seed of orders,
            ids and a judge's own chance.

    Raises:
        JudgeError: a run has no truth, or no group has two runs.
        ServerError: the judge gave no reply at all, or none that can be read.
        CounterpointError: the judge cannot be used.
    """
    settings = settings or RankSettings()
    rng, counted = np.random.default_rng(settings.seed), CountedJudge(judge)
    rows: list[dict[str, float]] = []
    unseen: list[Unseen] = []
    unreadable = void = 0
    for group in groups:
        if counted.refusal:
            break
        if len(group.candidates) < 2:
            continue
        if any(each.truth is None for each in group.candidates):
            raise JudgeError(
                f"got group '{group.id}' with runs whose score is not known; wanted all"
            )
        presenter = Presenter(group, rng, settings.criteria, settings.longest, settings.reasoning)
        unseen += presenter.reading.unseen
        if presenter.reading.void:
            void += 1
            continue
        row, lost = _measured(presenter, counted, rng, own)
        rows.append(row)
        unreadable += lost
    if counted.lost and not counted.replies:
        raise ServerError(f"got no reply from the judge: {counted.error}")
    if not rows:
        raise JudgeError(
            "got no group of two runs or more"
            + (f" that differ in what a judge is shown ({void} do not)" if void else "")
            + "; wanted some to check a judge on"
        )
    if unreadable and all(np.isnan(value) for row in rows for value in row.values()):
        raise ServerError(
            f"got no reply from the judge that can be read: {unreadable} of {unreadable} cannot"
        )
    measures = [_measure(rows, *each) for each in MEASURES]
    return JudgeCheckResult(
        version=__version__,
        judge=dict(judge.facts),
        measures=measures,
        orders=orders_for(wanted, next(m.value for m in measures if m.name == "reliability")),
        wanted=wanted,
        groups=len(rows),
        unreadable=unreadable,
        calls=counted.calls,
        lost=counted.lost,
        why_lost=counted.error,
        tokens=counted.tokens,
        cost_dollars=counted.cost_dollars,
        void=void,
        settings=asdict(settings),
        unseen=unseen_total(len(unseen), unseen),
    )


MEASURES: tuple[tuple[str, float | None, str], ...] = (
    ("accuracy", 0.5, "share of pairs of different worth that it puts in the right order"),
    ("tau", 0.0, "Kendall's tau-b between its ranking and the truth"),
    ("position_bias", 0.5, "how often the first text of a pair is ranked higher"),
    (
        "length_bias",
        0.0,
        "errors in favour of the longer run minus errors in favour of the shorter",
    ),
    ("self_preference", 0.0, "errors in favour of its own runs minus errors against them"),
    ("retest", None, "Kendall's tau-b between two rankings in the same order"),
    ("reliability", 0.0, "Kendall's tau-b between two rankings in opposite orders"),
    ("drift", 0.0, "standard deviation of the score of one run that is scored twice"),
    ("ties", None, "share of pairs that it ties"),
)
"""Name, null, meaning."""
WHY_NOT = {
    "length_bias": "not computable because in no group pairs of different worth and length occur "
    "both ways",
    "self_preference": "not computable because no author is known to be the judge (--own), or no "
    "group has runs of its own and of others that are better and worse",
}


def orders_for(wanted: float, single: float | None) -> int | None:
    """Returns the orders needed for reliability `wanted`: w (1 - r) / (r (1 - w)),
    Spearman-Brown.

    Args:
        wanted: between 0 and 1.
        single: r, agreement between two single orders.

    Returns: the number, or None if r is not above 0, when no number of orders helps.
    """
    if single is None or single <= 0:
        return None
    if single >= 1:
        return 1
    odds = wanted * (1 - single) / (single * (1 - wanted))
    return max(1, math.ceil(odds - 1e-9))


def _measured(
    presenter: Presenter, judge: Judge, rng: np.random.Generator, own: str
) -> tuple[dict[str, float], int]:
    """Returns the measures of one group, NaN if it does not allow one, and unreadable replies."""
    group, unreadable = presenter.group, 0
    n = len(group.candidates)
    order = rng.permutation(n).tolist()
    orders = dict(zip(ORDERS, (order, order, order[::-1]), strict=True))
    rankings: dict[str, Ranking] = {}
    sheets = [presenter.sheet("ranking", each) for each in orders.values()]
    one = int(rng.integers(n))
    questions = [*sheets, *(presenter.sheet("score", [one]) for _ in range(2))]
    opinions: list[Opinion] = []
    for first in range(0, len(questions), judge.at_once):
        opinions += judge.judge(questions[first : first + judge.at_once])
    for name, sheet, opinion in zip(orders, sheets, opinions, strict=False):
        try:
            rankings[name] = without_canaries(sheet, parse_ranking(opinion.text, sheet.labels))
        except JudgeError:
            unreadable += 1
    values = dict.fromkeys((name for name, *_ in MEASURES), math.nan)
    try:
        values["drift"] = float(np.std([parse_score(o.text) for o in opinions[3:]], ddof=1))
    except JudgeError:
        unreadable += 1
    truth = np.array([each.truth for each in group.candidates], dtype=float)
    if "first" in rankings and "again" in rankings:
        values["retest"] = kendall_tau_b(rankings["first"], rankings["again"])
    if "first" in rankings and "backwards" in rankings:
        both = [rankings["first"], rankings["backwards"]]
        values["reliability"] = kendall_tau_b(*both)
        values["tau"] = float(np.mean([kendall_tau_b(r, tied_sets(truth)) for r in both]))
        above = [_above(r, n) for r in both]
        values |= _of_pairs(above, truth, group, own)
        # A pair counts once for each order: it is shown first in one and second in the other.
        places = [np.argsort(orders[name]) for name in ("first", "backwards")]
        values["position_bias"] = float(
            np.mean([a[p[:, None] < p[None, :]].mean() for a, p in zip(above, places, strict=True)])
        )
    return values, unreadable


def _above(ranking: Ranking, n: int) -> Floats:
    """Returns [n, n]: 1 where i is put above j, 0.5 where they are tied."""
    place = np.zeros(n)
    for rank, tied in enumerate(ranking):
        place[list(tied)] = rank
    return np.asarray(0.5 + 0.5 * np.sign(place[None, :] - place[:, None]))


def _of_pairs(above: list[Floats], truth: Floats, group: Group, own: str) -> dict[str, float]:
    """Returns measures over pairs in both orders, so that a position preference cancels."""
    mean = np.mean(above, axis=0)
    n = len(truth)
    better = truth[:, None] > truth[None, :]
    lengths = np.array([sum(len(e.text) for e in c.episode.events) for c in group.candidates])
    mine = np.array([bool(own) and c.author == own for c in group.candidates])
    off = ~np.eye(n, dtype=bool)
    values = {"ties": float(np.mean([(a == 0.5)[off].mean() for a in above]))}
    if better.any():
        values["accuracy"] = float(mean[better].mean())
    wrong = 1 - mean  # of (better, worse): how far the worse one is put above
    # errors for a kind less errors against it: a judge that errs at random has no preference
    longer = lengths[:, None] > lengths[None, :]
    values["length_bias"] = _difference(wrong, better & longer.T, better & longer)
    owned = mine[:, None] & ~mine[None, :]
    values["self_preference"] = _difference(wrong, better & owned.T, better & owned)
    return values


def _difference(wrong: Floats, favours: Bools, against: Bools) -> float:
    """Returns the mean error that favours a kind of run, less the mean error against that kind."""
    if not favours.any() or not against.any():
        return math.nan
    return float(wrong[favours].mean() - wrong[against].mean())


def _measure(rows: list[dict[str, float]], name: str, null: float | None, meaning: str) -> Measure:
    values = np.array([row[name] for row in rows])
    values = values[~np.isnan(values)]
    if len(values) < FEWEST_GROUPS:  # a bootstrap of groups that are alike by chance has no width
        unknown = WHY_NOT.get(name, "not computable because no reply could be read")
        value, meaning = (float(values.mean()), meaning) if len(values) else (None, unknown)
        return Measure(name=name, value=value, low=None, high=None, null=null, n=len(values),
                       meaning=meaning, found=False)  # fmt: skip
    interval = bootstrap_interval(values, rng=np.random.default_rng(0), statistic=means)
    is_found = null is not None and _is_away(interval, values, null)
    return Measure(name=name, value=interval.value, low=interval.low, high=interval.high, null=null,
                   n=len(values), meaning=meaning, found=is_found)  # fmt: skip


def _is_away(interval: Estimate, values: Floats, null: float) -> bool:
    """Returns whether a mean is clearly not the null: by its interval, and by a test.

    Percentile intervals of 5 to 8 groups leave the null out for 8% to 17% of unbiased judges, and
    together with Student's test for 2% to 5%.
    """
    is_outside = interval.low - null > ROUNDING or interval.high - null < -ROUNDING
    return is_outside and paired_t_test(values - null) <= LEVEL
