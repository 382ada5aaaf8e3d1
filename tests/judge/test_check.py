"""A judge is measured: planted faults are found, clean twins are not."""

from __future__ import annotations

import numpy as np
import pytest
from judge_attacks import Sound
from judge_groups import drawn, group, run

from counterpoint.errors import JudgeError
from counterpoint.judge import (
    Candidate,
    Group,
    Opinion,
    Programmatic,
    ProgrammaticSettings,
    RankSettings,
    check,
    rank_groups,
)
from counterpoint.judge.aggregate import kendall_tau_b
from counterpoint.judge.check import measure_judge, orders_for
from counterpoint.report.pages.judge_check import judge_check_headline
from counterpoint.stats import Estimate


def measured(judge, groups, **told):
    found = measure_judge(groups, judge, **told)
    return {each.name: each for each in found.measures}, found


def lengths(count, n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        group(["x" * int(rng.integers(10, 500)) for _ in range(n)], rng.random(n).tolist(), f"g{k}")
        for k in range(count)
    ]


def judge(**told):
    return Programmatic(ProgrammaticSettings(**told))


@pytest.mark.few(2)
@pytest.mark.parametrize("accuracy", [0.6, 0.75, 0.9, 1.0])
def test_accuracy_is_what_was_put_in(accuracy):
    found, _ = measured(judge(accuracy=accuracy), drawn(300, 4))
    assert found["accuracy"].value == pytest.approx(accuracy, abs=0.03)
    assert found["tau"].value == pytest.approx(2 * accuracy - 1, abs=0.06)


@pytest.mark.parametrize(
    ("name", "planted"),
    [("position_bias", {"position_bias": 0.5}), ("length_bias", {"length_bias": 0.8}),
     ("drift", {"drift": 0.3})],
)  # fmt: skip
def test_a_planted_taste_is_found_and_its_clean_twin_is_not(name, planted):
    found, _ = measured(judge(accuracy=0.85, **planted), lengths(120, 5))
    assert found[name].found
    assert found[name].value > found[name].null
    if name != "drift":  # noise alone is drift, too
        clean, _ = measured(judge(accuracy=0.85), lengths(120, 5))
        assert not clean[name].found


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_nothing_is_decided_on_few_groups(count):
    """Two groups that are alike by chance have a bootstrap interval without a width."""
    groups = [group(["yes", "no"], [1.0, 0.0], f"g{k}") for k in range(count)]
    found, result = measured(judge(accuracy=1.0), groups)
    assert found["accuracy"].value == 1.0
    assert (found["accuracy"].low is None) == (count < 5)
    assert found["accuracy"].found == (count == 5)
    said = judge_check_headline(result)
    assert said.startswith("Cannot tell" if count < 5 else "The judge puts 100% of pairs")
    assert len(said.split()) <= 15


@pytest.mark.slow
def test_clean_judges_are_seldom_blamed():
    blamed = 0
    for seed in range(40):
        clean, _ = measured(judge(accuracy=0.8), lengths(30, 4, seed),
                            settings=RankSettings(seed=seed))  # fmt: skip
        blamed += clean["position_bias"].found + clean["length_bias"].found
    assert blamed <= 10  # 80 intervals of 95%, from 30 groups: about 5 expected


def test_clean_judges_are_seldom_blamed_on_few_groups():
    """Percentile intervals alone blame 9 of these 96 judges."""
    blamed = sum(
        measured(judge(accuracy=0.8), lengths(count, 4, seed), settings=RankSettings(seed=seed))[0][
            "position_bias"
        ].found
        for count in (5, 6, 8)
        for seed in range(32)
    )
    assert blamed <= 5


def test_an_interval_that_ends_at_the_null_but_for_rounding_finds_nothing(monkeypatch):
    """Means of thirds: 0.5 came out as 0.49999999999999994, and was called a preference."""
    end = float(np.nextafter(0.5, 0))
    monkeypatch.setattr(check, "bootstrap_interval", lambda *_, **__: Estimate(0.4, 0.3, end, 6))
    rows = [{"position_bias": value} for value in (0.35, 0.4, 0.4, 0.4, 0.4, 0.45)]
    assert not check._measure(rows, "position_bias", 0.5, "").found
    assert check._measure(rows, "position_bias", 0.6, "").found


class LikesItsOwn(Sound):
    facts = {"judge": "likes its own"}  # noqa: RUF012

    def judge(self, sheets):
        from counterpoint.judge.judges import written

        return [
            Opinion(written(s, [x.candidate.truth + 0.5 * (x.candidate.author == "me")
                                for x in s.shown]))
            for s in sheets
        ]  # fmt: skip


def test_a_judge_that_likes_its_own_is_found_where_authors_are_known():
    rng = np.random.default_rng(0)
    groups = [
        Group(f"g{k}", "t", tuple(
            Candidate(str(i), run(str(i), f"text {i}", 0).episode, float(t),
                      "me" if i % 2 else "you")
            for i, t in enumerate(rng.random(6))))
        for k in range(60)
    ]  # fmt: skip
    found, _ = measured(LikesItsOwn(), groups, own="me")
    assert found["self_preference"].found
    assert found["self_preference"].value > 0.2
    clean, _ = measured(judge(accuracy=0.8), groups, own="me")
    assert not clean["self_preference"].found
    unknown, _ = measured(LikesItsOwn(), groups)
    assert unknown["self_preference"].value is None
    assert "not computable because" in unknown["self_preference"].meaning


def test_a_taste_for_the_first_by_hand():
    class First(Sound):
        def judge(self, sheets):
            from counterpoint.judge.judges import written

            return [Opinion(written(s, list(range(len(s.shown), 0, -1)))) for s in sheets]

    found, told = measured(First(), drawn(10, 4))
    assert found["position_bias"].value == 1
    assert found["accuracy"].value == 0.5  # forwards and backwards cancel
    assert found["reliability"].value == -1
    assert found["retest"].value == 1
    assert told.orders is None


def test_orders_by_hand():
    # r = .5: k = .8 * .5 / (.5 * .2) = 4
    assert orders_for(0.8, 0.5) == 4
    assert orders_for(0.8, 1.0) == 1
    assert orders_for(0.8, 0.95) == 1
    assert orders_for(0.8, 0.0) is None


@pytest.mark.slow
def test_the_projection_holds_in_simulation():
    noisy, groups = judge(accuracy=0.75), drawn(150, 6)
    _, found = measured(noisy, groups, wanted=0.8)
    assert found.orders is not None

    def agreement(orders):
        plain = RankSettings(orders=orders, calls=orders, canaries="none", seed=1)
        other = RankSettings(orders=orders, calls=orders, canaries="none", seed=2)
        a, b = (list(rank_groups(groups, noisy, told)) for told in (plain, other))
        taus = []
        for x, y in zip(a, b, strict=True):
            if x.ranking and y.ranking:
                index = {name: i for i, name in enumerate(sorted(x.rewards))}
                taus.append(
                    kendall_tau_b(*([[index[i] for i in t] for t in v.ranking] for v in (x, y)))
                )
        return float(np.mean(taus))

    # what two independent rankings of so many orders agree on
    assert agreement(found.orders) == pytest.approx(0.8, abs=0.1)
    assert agreement(1) < agreement(found.orders)


def test_unreadable_replies_and_costs_are_counted():
    found = measure_judge(drawn(20, 3), judge(accuracy=0.9, broken=0.5))
    assert found.unreadable > 10
    assert found.calls == 20 * 5
    assert found.tokens > 0


def test_groups_without_truth_or_without_pairs_are_refused():
    for groups in ([], [group("a")], [group("ab", [None, 1.0])]):
        with pytest.raises(JudgeError):
            measure_judge(groups, judge(accuracy=0.9))
