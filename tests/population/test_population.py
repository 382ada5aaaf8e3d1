"""Populations: what is charged, what a champion is worth, and when many beat one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from counterpoint.cli.main import main
from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.population import PopulationPlan, PopulationSettings, compare_populations
from counterpoint.population.arms import (
    best_of,
    game_of,
    population_based,
    split_best,
    split_rounds,
)
from counterpoint.population.cells import ArmOutcome
from counterpoint.population.compare import crossover
from counterpoint.population.members import Members
from counterpoint.worlds.sequential.world import SequentialEntry

QUICK = PopulationSettings(rounds=4, evaluations=2)


def counted(monkeypatch):
    """What every member is made to do, in updates: those of learning and those of evaluations."""
    told = []
    update, evaluate = Members.update, Members.evaluate

    def note(name, method):
        def wrapped(self, times):
            told.append((name, times * self.count))
            return method(self, times)

        return wrapped

    monkeypatch.setattr(Members, "update", note("update", update))
    monkeypatch.setattr(Members, "evaluate", note("evaluate", evaluate))
    return told


@pytest.mark.parametrize(("arm", "size"), [(best_of, 1), (best_of, 4), (population_based, 8)])
def test_all_that_is_done_is_charged(monkeypatch, arm, size):
    told = counted(monkeypatch)
    found = arm(game_of("climbing"), QUICK, size, 403, 3)
    assert sum(cost for _, cost in told) == found.spent
    assert 0.9 * 403 <= found.spent <= 403
    assert (size == 1) == ("evaluate" not in {name for name, _ in told})


def test_splits_by_hand():
    assert split_best(QUICK, 4, 100) == (23, 100)  # 25 each, two of them to be evaluated
    assert split_best(QUICK, 1, 100) == (100, 100)
    # 25 each: two for the last evaluation, three between rounds, twenty in four rounds of five
    assert split_rounds(QUICK, 4, 100) == (0, 5, 100)
    for size, budget in ((4, 8), (16, 40)):
        with pytest.raises(SettingError, match=f"budget of {budget}"):
            split_best(QUICK, size, budget)
    with pytest.raises(SettingError, match="4 at least"):
        split_rounds(QUICK, 2, 100)


def test_exact_values_by_simulation():
    team = Members(game_of("climbing"), PopulationSettings(), 2, 3)
    simulated = team.play(40_000)[1].mean(axis=-1)
    assert np.abs(simulated - team.values()).max() < 0.5


def test_a_repeat_does_not_depend_on_its_company():
    few = best_of(game_of("climbing"), QUICK, 4, 200, 2)
    many = best_of(game_of("climbing"), QUICK, 4, 200, 5)
    assert np.allclose(few.champion, many.champion[:2])
    again = best_of(game_of("climbing"), QUICK, 4, 200, 2)
    assert np.array_equal(few.champion, again.champion)


@pytest.mark.slow
def test_a_population_wins_where_starts_differ_and_loses_where_there_is_one_peak():
    wide = compare_populations(PopulationPlan("climbing", (1, 16), 6400, 12, {"rounds": 4}))
    assert wide.against_single["best_of_16"].low > 0
    assert wide.crossover.low <= wide.crossover.budget <= wide.crossover.high
    smooth = compare_populations(PopulationPlan("smooth", (1, 16), 3200, 12, {"rounds": 4}))
    assert smooth.against_single["best_of_16"].high < 0
    assert smooth.crossover.why == "never"
    assert smooth.crossover.budget is None


def test_the_winner_is_believed_to_be_better_than_it_is():
    arms = compare_populations(PopulationPlan("climbing", (1, 16), 1600, 20, {"rounds": 4})).arms
    assert arms["best_of_16"].curse.low > 0
    assert arms["single"].curse.value == 0


def spending(values):
    return ArmOutcome(np.array(values, dtype=float), np.array(values, dtype=float), 1, np.ones(2))


def test_the_crossover_by_hand():
    single = {100: spending([1, 1]), 10_000: spending([1, 1])}
    many = {100: spending([0, 0]), 10_000: spending([2, 2])}
    assert crossover(single, many, "r").budget == pytest.approx(1000)  # half way, on logarithms
    assert crossover(many, single, "r").why == "never"
    always = {100: spending([3, 3]), 10_000: spending([3, 3])}
    assert crossover(single, always, "r").why == "always"


@pytest.mark.slow
def test_copies_make_a_population_alike():
    arms = compare_populations(PopulationPlan("climbing", (1, 16), 6400, 6, {"rounds": 8})).arms
    assert arms["pbt_16"].diversity < arms["best_of_16"].diversity


def test_plans_that_cannot_be():
    for wrong, error, why in (
        ({"members": ()}, SettingError, "members"), ({"members": (2, 2)}, SettingError, "once"),
        ({"budget": 0}, SettingError, "budget=0"), ({"repeats": 1}, SettingError, "repeats"),
        ({"budget": 10**20}, SettingError, "from 1 to 1000000000"),
        ({"world": "climing"}, UnknownNameError, "did you mean climbing"),
        ({"world": "regions"}, UnknownNameError, "regions', which is an exact world"),
    ):  # fmt: skip
        with pytest.raises(error, match=why):
            PopulationPlan(**{"world": "climbing", **wrong})


def test_what_depends_on_the_world_is_refused_before_anybody_learns():
    for wrong, error, why in (
        ({"budget": 20}, SettingError, "budget of 20"),
        ({"settings": {"start": "far"}}, SettingError, "wide"),
        ({"settings": {"speed": 1}}, UnknownNameError, "speed"),
    ):
        plan = PopulationPlan(**{"world": "climbing", **wrong})
        with pytest.raises(error, match=why):
            compare_populations(plan)


def test_a_plan_makes_no_world(monkeypatch):
    monkeypatch.setattr(SequentialEntry, "make", lambda *given: pytest.fail("a world was made"))
    PopulationPlan("spread", settings={"no_such_setting": 1})
    PopulationPlan("mpe2:no_such_world")


def test_the_command_line(tmp_path, capsys):
    asked = ["population", "climbing", "--members", "1,4", "--budget", "400", "--repeats", "4",
             "start=narrow", "rounds=4", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for arm in told["arms"].values():
        assert {"iqm", "low", "high"} <= set(arm["champion"])
        assert 360 <= arm["spent"] <= 400
    assert "crossover" in told
    assert told["settings"]["start"] == "narrow"
    assert main(asked) == 0
    assert "best_of_4" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Champions by budget" in page
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text() == page
    assert main(["population", "climbing", "--members", "many"]) == 2
    assert main(["population", "climbing", "--budget", "30"]) == 2
    assert "budget of 30" in capsys.readouterr().err


@pytest.mark.slow
def test_teams_of_networks_are_members_too(capsys):
    pytest.importorskip("torch")
    plan = PopulationPlan("spread", (1, 2), 8, 2, {"copies": 4, "steps": 200})
    result = compare_populations(plan)
    arms = result.arms
    assert arms["single"].spent == arms["best_of_2"].spent == 8
    assert np.isfinite(arms["best_of_2"].champion.iqm)
    assert result.unit
    plan = PopulationPlan("spread", (1, 2), 2, 2, {"copies": 4, "steps": 200})
    with pytest.raises(SettingError, match="budget of 2"):
        compare_populations(plan)


@pytest.mark.parametrize("champion", [None, [], [1.0], [[1.0, 2.0]], "x"])
def test_a_cell_whose_outcome_has_another_shape_is_run_again(tmp_path, champion, capsys):
    out = tmp_path / "out"
    command = ["population", "climbing", "--members", "1", "--budget", "16", "--repeats", "2",
               "--executor", "serial", "--out", str(out)]  # fmt: skip
    assert main(command) == 0
    whole = (out / "results.json").read_bytes()
    for file in (out / "cells").iterdir():
        document = json.loads(file.read_bytes())
        document["found"]["champion"] = champion
        file.write_text(json.dumps(document))
    assert main(command) == 0
    assert (out / "results.json").read_bytes() == whole
    capsys.readouterr()
