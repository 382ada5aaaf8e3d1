"""Duels: what a member can be held to, leagues, ratings; and comparisons that were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.games import make_game
from counterpoint.population import PopulationPlan, PopulationSettings, compare_populations
from counterpoint.population.arms import best_of, league
from counterpoint.population.cells import ArmOutcome
from counterpoint.population.compare import _arm
from counterpoint.population.duels import FROZEN, Duellists, elo, is_duel
from counterpoint.population.members import Members

PENNIES = make_game("matching_pennies")
ROCK = make_game("rock_paper_scissors")
AVERAGE = partial(league, past=False)


def test_which_games_are_duels():
    for name, wanted in (("rock_paper_scissors", True), ("blotto", True), ("higher", True),
                         ("climbing", False), ("prisoners_dilemma", False),
                         ("public_goods", False)):  # fmt: skip
        assert is_duel(make_game(name)) == wanted
    with pytest.raises(SettingError, match="not all that one wins"):
        Duellists(make_game("climbing"), PopulationSettings(), 2, 1)


def test_what_a_policy_can_be_held_to_by_hand():
    team = Duellists(PENNIES, PopulationSettings(), 1, 1)
    even, heads = [0.5, 0.5], [1.0, 0.0]
    # the first seat with even chances gets 0, the second that always shows heads loses 1
    assert team.held_to(np.array([even, even])) == pytest.approx(0)
    assert team.held_to(np.array([even, heads])) == pytest.approx(-0.5)
    assert team.held_to(np.array([heads, heads])) == pytest.approx(-1)


def test_members_against_members_by_hand():
    team = Duellists(ROCK, PopulationSettings(), 1, 3)
    team.logits = np.where(np.eye(3)[None, :, None], 50.0, 0.0) * np.ones((1, 3, 2, 3))
    # rock, paper, scissors
    assert np.allclose(team.against()[0], [[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    assert np.allclose(team.evaluate(400)[0], 0, atol=0.1)
    assert team.diversity()[0] == pytest.approx(3)


def test_what_is_played_pays_what_it_should():
    team = Duellists(ROCK, PopulationSettings(), 1, 4)
    exact = team.against()[0]
    others = (exact.sum(axis=1) - np.diag(exact)) / 3
    assert np.allclose(team.evaluate(5000)[0], others, atol=0.02)


def test_ratings():
    assert np.allclose(elo(np.full((3, 3), 0.5)), 0)
    ratings = elo(np.array([[0.5, 0.9, 0.9], [0.1, 0.5, 0.5], [0.1, 0.5, 0.5]]))
    assert ratings[0] > ratings[1] == pytest.approx(ratings[2])
    assert ratings.sum() == pytest.approx(0)
    cycle = 0.5 + 0.5 * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    assert np.allclose(elo(cycle), 0)  # a cycle is invisible
    # three quarters of the points are 400 log10 3 = 191 apart
    assert np.ptp(elo(np.array([[0.5, 0.75], [0.25, 0.5]]))) == pytest.approx(190.85, abs=0.01)
    assert np.isfinite(elo(np.array([[0.5, 1.0], [0.0, 0.5]]))).all()
    assert elo(np.array([[0.5]])).tolist() == [0]


def counted(monkeypatch):
    told = []
    meet = Duellists.meet

    def note(self, opponents, who=slice(None)):
        told.append(len(range(*who.indices(self.count))))
        return meet(self, opponents, who)

    monkeypatch.setattr(Duellists, "meet", note)
    return told


@pytest.mark.parametrize(("arm", "size"), [(AVERAGE, 1), (league, 1), (league, 4)])
def test_all_that_a_league_does_is_charged(monkeypatch, arm, size):
    told = counted(monkeypatch)
    found = arm(ROCK, PopulationSettings(), size, 403, 2)
    assert sum(told) == found.spent
    assert 0.9 * 403 <= found.spent <= 403


def test_round_in_circles_the_average_is_better_than_the_last_self():
    last = best_of(ROCK, PopulationSettings(lr=0.1), 1, 1600, 10).champion
    mean = AVERAGE(ROCK, PopulationSettings(lr=0.1), 1, 1600, 10).champion
    assert (mean - last).mean() > 0.3
    straight = make_game("higher")  # the control: one action is best whatever the other does
    last = best_of(straight, PopulationSettings(lr=0.1), 1, 1600, 10).champion
    assert (AVERAGE(straight, PopulationSettings(lr=0.1), 1, 1600, 10).champion < last).all()


def test_a_league_forgets_old_selves_and_no_member_is_worth_more_than_the_game():
    found = league(ROCK, PopulationSettings(lr=0.1, rounds=30), 4, 1600, 3)
    assert (found.champion <= 1e-12).all()
    team = Duellists(ROCK, PopulationSettings(), 1, 4)
    for _ in range(40):
        team.freeze(np.arange(4))
    assert team.pool.shape[1] == 4 * 40
    for _ in range(2 * FROZEN):
        team.freeze(np.arange(4))
    assert team.pool.shape[1] <= 4 * FROZEN
    assert {block.shape[1] for block in team.blocks} == {4}  # a main among each, whatever is left


def test_a_duel_needs_two_plays_in_each_seat():
    for batch in (2, 3, 5):
        with pytest.raises(SettingError, match="even number of at least 4"):
            PopulationPlan("rock_paper_scissors", (1,), 400, 2, {"batch": batch}).made()
    PopulationPlan("climbing", (1,), 400, 2, {"batch": 3}).made()
    with pytest.raises(SettingError, match="2 to 10000"):
        PopulationPlan("climbing", (1,), 400, 10**9)


def test_members_who_differ_in_schemes():
    team = Members(make_game("climbing"), PopulationSettings(diverse="scheme"), 2, 4)
    paid = np.random.default_rng(0).normal(size=(2, 4, 32)) * 7
    credit = team.credit(paid)
    centered = paid - paid.mean(axis=-1, keepdims=True)
    assert np.allclose(credit[:, [0, 3]], centered[:, [0, 3]])  # the first scheme comes round
    assert np.allclose(credit[:, 1].std(axis=-1), 1, atol=0.02)
    assert not np.allclose(credit[:, 2], credit[:, 1])
    team.update(2)
    assert np.isfinite(team.values()).all()


def test_elo_is_in_the_unit_of_the_game():
    for small in (0.001, 0.1):
        against = np.array([[0, small], [-small, 0]])
        one = ArmOutcome(np.ones(2), np.ones(2), 1, np.ones(2), against)
        first, second = _arm(2, {8: one}, 8, (-1.0, 1.0)).elo
        assert first - second == pytest.approx(400 * np.log10((1 + small) / (1 - small)))
        assert _arm(2, {8: one}, 8, None).elo is None


def test_parts_are_joined():
    one = ArmOutcome(np.array([1.0]), np.array([2.0]), 5, np.array([1.0]), np.eye(2))
    two = ArmOutcome(
        np.array([3.0, 5.0]), np.array([4.0, 6.0]), 5, np.array([2.0, 2.0]), 4 * np.eye(2)
    )
    both = ArmOutcome.joined([one, two])
    assert both.champion.tolist() == [1, 3, 5]
    assert both.against is not None
    assert both.against.tolist() == [[3, 0], [0, 3]]  # a third of 1 and two thirds of 4
    alone = ArmOutcome.joined([ArmOutcome(np.ones(1), np.ones(1), 1)])
    assert alone.diversity is None
    assert alone.against is None


def test_the_page_shows_who_meets_whom(tmp_path, capsys):
    asked = ["population", "rock_paper_scissors", "--members", "1,4", "--budget", "400",
             "--repeats", "3", "lr=.1", "rounds=2", "--out", str(tmp_path)]  # fmt: skip
    assert main(asked) == 0
    assert "Elo" in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    assert "Who meets whom" in page
    told = json.loads((tmp_path / "results.json").read_text())
    assert set(told["arms"]) == {"single", "average", "past_selves", "best_of_4", "pbt_4",
                                 "league_4"}  # fmt: skip
    assert sum(told["arms"]["league_4"]["elo"]) == pytest.approx(0, abs=1e-6)


def test_what_was_done_is_not_done_again(tmp_path, monkeypatch):
    plan = PopulationPlan("climbing", (1, 4), 400, 3, {"rounds": 2}, executor="serial")
    first = compare_populations(plan, folder=tmp_path)
    kept = sorted((tmp_path / "cells").iterdir())
    kept[0].write_text("{")  # half a file is no result
    done = []
    monkeypatch.setattr(Members, "__init__", note_of(done, Members.__init__))
    assert compare_populations(plan, folder=tmp_path) == first
    assert len(done) == 1
    other = compare_populations(
        PopulationPlan("climbing", (1, 4), 400, 3, {"rounds": 2, "lr": 0.02}, executor="serial"),
        folder=tmp_path,
    )
    assert other.arms != first.arms


def note_of(done, method):
    def wrapped(self, *args, **more):
        done.append(1)
        method(self, *args, **more)

    return wrapped


@pytest.mark.slow
def test_killed_at_random_it_goes_on_and_says_the_same(tmp_path):
    asked = [sys.executable, "-m", "counterpoint", "population", "climbing", "--members", "1,4",
             "--budget", "1600", "--repeats", "6", "--json", "--out"]  # fmt: skip
    whole = subprocess.run([*asked, str(tmp_path / "whole")], capture_output=True, check=True)
    rng, kills = np.random.default_rng(0), 0
    for _ in range(8):
        child = subprocess.Popen([*asked, str(tmp_path / "cut")], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        time.sleep(rng.uniform(0.8, 2.2))
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            kills += 1
        child.communicate()
    again = subprocess.run([*asked, str(tmp_path / "cut")], capture_output=True, check=True)
    assert kills > 0
    assert json.loads(again.stdout) == json.loads(whole.stdout)


def test_populations_of_networks_copy_what_the_best_learned():
    pytest.importorskip("torch")
    from counterpoint.population.neural import NeuralArms, copy

    made = NeuralArms("repeated_game", {"game": "climbing", "rounds": 1, "copies": 16, "steps": 1,
                                        "minibatches": 1, "hidden": 4, "layers": 1,
                                        "pbt_rounds": 2, "diverse": "hyper"})  # fmt: skip
    assert made.evaluation() == 2  # 20 episodes of a step in batches of 16
    assert made.split("single", 1, 100) == [100]
    assert made.split("best_of_4", 4, 100) == [23]
    assert made.split("pbt_4", 4, 100) == [11, 10]
    found = made.run("pbt_4", 4, 100, 0, 2)
    assert found.spent == 100
    assert found.champion.shape == (2,)
    assert made.run("pbt_4", 4, 100, 1, 1).champion[0] == found.champion[1]
    good, bad = (made.plan(0, member, 5).trainer() for member in (0, 1))
    good.update(None)
    copy(good, bad, 0.8)
    assert np.array_equal(*(one.learner.adam.capture()["weights"] for one in (good, bad)))
    assert bad.learner.settings.lr == pytest.approx(0.8 * good.learner.settings.lr)
    bad.update(None)
    assert not np.array_equal(*(one.learner.adam.capture()["weights"] for one in (good, bad)))
    with pytest.raises(SettingError, match="diverse"):
        NeuralArms("repeated_game", {"diverse": "all"})
    with pytest.raises(SettingError, match="pbt_rounds"):
        NeuralArms("repeated_game", {"pbt_rounds": "few"})
