"""A comparison in which algorithms stand beside schemes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

pytest.importorskip("torch")

from counterpoint.comparison import Plan, compare
from counterpoint.comparison.run import backend_of
from counterpoint.errors import SchemeError, SettingError, UnknownNameError
from counterpoint.report import render
from counterpoint.report.pages.comparison.decision_words import comparison_verdict
from counterpoint.report.pages.comparison.tables import curve_table
from counterpoint.report.terminal.parts import comparison_parts
from counterpoint.report.toolkit.frame import set_words
from counterpoint.results import document_of, read_result
from counterpoint.runs.status import read_facts

SETTINGS = {
    "copies": "8", "steps": "5", "hidden": "8", "horizon": "5", "diagnose_every": "1",
    "batch": "8", "passes": "2", "epochs": "1",
}  # fmt: skip


def plan(*schemes, budget=90, **settings):
    return Plan("spread", schemes, seeds=2, settings={**SETTINGS, **settings}, budget=budget)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("arms")


@pytest.fixture(scope="module")
def result(folder):
    return compare(plan("mappo_pooled", "qmix", "iql"), workers=1, folder=folder)


def test_an_algorithm_is_an_arm_like_any_other(result, folder):
    assert [s.kind for s in result.schemes.values()] == ["scheme", "algorithm", "algorithm"]
    assert "Rashid" in result.schemes["qmix"].citation
    assert set(result.differences) >= {"qmix", "iql"}
    assert result.versus == "mappo_pooled"
    assert set(result.decision.standings) == {"qmix", "iql"}
    assert read_result(document_of(result)) == result
    for name in ("qmix-0", "qmix-1", "iql-0"):
        facts = read_facts(folder / "runs" / name)
        assert (facts.status, facts.scheme) == ("finished", name[:-2])
    assert compare(plan("mappo_pooled", "qmix", "iql"), workers=1, folder=folder) == result


def test_what_has_no_meaning_for_values_is_unknown(result):
    for agent in result.schemes["qmix"].agents.values():
        assert agent.collapsed is None
        assert agent.cause is None
        assert agent.signal_kept.iqm is None
        assert agent.returns is not None


def test_the_page_and_the_terminal_show_it(result):
    text = io.StringIO()
    Console(file=text, width=200, color_system=None).print(*comparison_parts(result), sep="\n")
    page = render(result)
    assert "never falls where an agent" in page
    assert "nothing is measured under" in page
    for words in (page, text.getvalue()):
        assert "qmix" in words
    table = curve_table(result)
    assert all(len(row.cells) == 4 for row in table.rows)


def test_each_arm_gets_the_settings_that_it_knows():
    both = backend_of(plan("mappo_pooled", "vdn", replay="64", gae="0.5", lr="0.01"))
    of_policies, of_values = both.training("mappo_pooled", 1), both.training("vdn", 1)
    assert (of_policies.policy.gae, of_policies.policy.lr) == (0.5, 0.01)
    assert (of_values.value.replay, of_values.value.lr, of_values.seed) == (64, 0.01, 1)
    assert both.settings["value.replay"] == 64
    apart = backend_of(plan("mappo_pooled", "vdn", **{"lr": "0.01", "value.lr": "0.02"}))
    assert apart.training("vdn", 0).value.lr == 0.02
    assert apart.training("mappo_pooled", 0).policy.lr == 0.01
    with pytest.raises(UnknownNameError, match=r"value\.lr"):
        backend_of(plan("mappo_pooled", "none", **{"value.lr": "0.02"}))
    with pytest.raises(UnknownNameError, match="replay"):
        backend_of(plan("mappo_pooled", "none", replay="64"))
    del (alone := {**SETTINGS, "gae": "0.5"})["epochs"]
    with pytest.raises(UnknownNameError, match="gae"):
        backend_of(Plan("spread", ("vdn", "iql"), seeds=2, settings=alone))


def test_the_settings_of_a_result_are_those_of_the_same_comparison():
    arms = ("mappo_pooled", "happo", "qmix")
    first = backend_of(plan(*arms, lr="0.01", parameters="per_role"))
    words = dict(word.split("=", 1) for word in set_words(first.settings)[1:])
    again = backend_of(Plan("spread", arms, seeds=2, settings=words, budget=90))
    for arm in arms[:2]:
        assert again.training(arm, 1).policy == first.training(arm, 1).policy
    assert again.training("qmix", 1).value == first.training("qmix", 1).value
    assert first.training("happo", 1).policy.parameters == "separate"


def test_settings_that_happo_does_not_follow_are_said_or_refused():
    def plan(*schemes, **settings):
        return Plan("spread", schemes, seeds=2, settings={"copies": "8", **settings}, budget=90)

    both = backend_of(plan("mappo_pooled", "happo", parameters="shared"))
    assert both.training("happo", 0).policy.parameters == "separate"
    assert both.notes[-1] == (
        "happo always has update=sequential parameters=separate; only the other arms have "
        "parameters=shared"
    )
    for quiet in (
        plan("mappo_pooled", "happo"),
        plan("mappo_pooled", "happo", parameters="separate"),
        plan("mappo_pooled", "none", parameters="shared"),
    ):
        assert not backend_of(quiet).notes
    # no other arm has the setting
    with pytest.raises(SettingError, match="parameters=separate"):
        backend_of(plan("happo", parameters="shared"))
    with pytest.raises(SchemeError, match="got happo with update=simultaneous"):
        backend_of(plan("happo", "qmix", update="simultaneous"))


def test_a_control_that_concerns_no_arm_says_so(result):
    assert result.verdict.decoupled is None
    sentence = comparison_verdict(result).facts[2].below
    assert sentence.endswith("was compared: this says nothing of the arms.")


def test_algorithms_can_be_compared_alone():
    settings = {k: x for k, x in SETTINGS.items() if k not in ("epochs", "diagnose_every")}
    result = compare(
        Plan("spread", ("vdn", "iql"), seeds=2, settings=settings, budget=40), workers=1
    )
    assert result.versus == "vdn"
    assert result.decision.verdict == "cannot tell"


def test_points_of_curves_that_lie_apart_are_told_by_step(result):
    curves = curve_table(result)
    steps = [row.cells[0].exact[0] for row in curves.rows]
    assert steps == [40, 80, 120]
    for scheme, cell in zip(result.ranked.values(), curves.rows[1].cells[1:], strict=True):
        at = scheme.curves.at.index(80)
        assert cell.exact[0] == scheme.curves.returns.iqm[at]


@pytest.mark.parametrize("world", ["regions", "lewis"])
def test_where_algorithms_cannot_learn_they_are_refused(world):
    with pytest.raises(SchemeError, match="sequential environments"):
        Plan(world, ("qmix",))
    with pytest.raises(UnknownNameError, match="qmix"):
        Plan(world, ("qmx",))
