"""Searches over settings: equal trials, resumed searches, fresh seeds, and failed trials."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("optuna")
pytest.importorskip("torch")

from counterpoint.cli.main import main
from counterpoint.errors import BusyError, RunError, SettingError, UnknownNameError
from counterpoint.results import SweepResult, encode, read_result
from counterpoint.runs.lock import Lock
from counterpoint.sweep import SweepPlan, read_over, sweep
from counterpoint.sweep import run as module
from counterpoint.sweep.run import Scored, ScoreTask

OVER = ("lr=1e-4..1e-1:log", "hidden=4..8", "entropy=0,0.01")
SMALL = {"copies": "2", "steps": "4", "epochs": "1", "evaluate_every": "0", "diagnose_every": "0"}
PLAN = SweepPlan("spread", read_over(OVER), trials=6, seeds=2, fresh=5, budget=8, given=SMALL)


class Trainings:
    """Stands for trainings: the return is a function of settings and seed, so that it is known."""

    def __init__(self, fails=(), dies_at=None):
        self.fails, self.dies_at, self.calls = set(fails), dies_at, []

    def __call__(self, tasks, **options):
        results = []
        for task in tasks:
            plan = task.training.plan
            self.calls.append((plan.scheme, plan.policy.lr, plan.seed, task.training.folder))
            if self.dies_at is not None and len(self.calls) > self.dies_at:
                raise KeyboardInterrupt
            results.append(self.result(plan))
            options["on_progress"](len(results))
        return results

    def result(self, plan):
        if plan.seed in self.fails:
            return Scored(None, "it diverged")
        noise = np.random.default_rng(plan.seed).normal(0, 0.01)
        offset = -abs(np.log10(plan.policy.lr) + 2.5)  # the best lr is 0.00316, the default 0.001
        return Scored(float(offset + noise + 0.1 * (plan.scheme == "none")))


def searched(monkeypatch, folder, plan=PLAN, **fake):
    trainings = Trainings(**fake)
    monkeypatch.setattr(module, "run_tasks", trainings)
    return sweep(plan, folder), trainings


def test_each_arm_has_equally_many_trials_of_the_same_seeds(monkeypatch, tmp_path):
    plan = replace(PLAN, schemes=("mappo_pooled", "none"))
    result, trainings = searched(monkeypatch, tmp_path, plan)
    for name, arm in result.arms.items():
        assert [trial.number for trial in arm.trials] == list(range(6))
        seeds = [seed for scheme, _, seed, _ in trainings.calls if scheme == name]
        assert sorted(seeds) == sorted([0, 1] * 6 + [2, 3, 4, 5, 6] * 2)
        scores = {trial.number: trial.score for trial in arm.trials}
        assert arm.winner == max(scores, key=scores.get)
        assert all(t.score == pytest.approx(np.mean(t.scores)) for t in arm.trials)
    assert result.arms["none"].ahead is not None
    assert result.arms["mappo_pooled"].ahead is None
    assert result.level == pytest.approx(0.05 / 3)


def test_the_best_settings_are_compared_on_fresh_seeds_alone(monkeypatch, tmp_path):
    result, _ = searched(monkeypatch, tmp_path, replace(PLAN, trials=12))
    (arm,) = result.arms.values()
    lr = arm.won.settings["lr"]
    noise = [np.random.default_rng(seed).normal(0, 0.01) for seed in range(2, 7)]
    worth = -abs(np.log10(lr) + 2.5)
    assert arm.best == pytest.approx([worth + one for one in noise])
    assert arm.default == pytest.approx([-0.5 + one for one in noise])
    assert arm.gain.mean == pytest.approx(worth + 0.5)
    assert abs(worth) < 0.4, "twelve trials come nearer than the default"
    assert result.gained("mappo_pooled") == "better"
    assert result.chosen == "mappo_pooled"


def test_too_few_fresh_seeds_cannot_tell(monkeypatch, tmp_path):
    result, _ = searched(monkeypatch, tmp_path, replace(PLAN, fresh=4, trials=12))
    assert result.gained("mappo_pooled") == "unclear"
    assert result.chosen is None


@pytest.mark.few(1)
@pytest.mark.parametrize("dies_at", [3, 8, 10, 14])
def test_a_search_that_was_killed_tries_the_same_settings(monkeypatch, tmp_path, dies_at):
    whole, _ = searched(monkeypatch, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        searched(monkeypatch, tmp_path / "killed", dies_at=dies_at)
    resumed, trainings = searched(monkeypatch, tmp_path / "killed")
    assert encode(resumed) == encode(whole)
    trials_before = 4 * (dies_at >= 8) + 2 * (dies_at >= 12)
    assert len(trainings.calls) == 2 * (6 - trials_before) + 10


def test_a_finished_search_continues_with_more_trials_and_fresh_seeds(monkeypatch, tmp_path):
    first, _ = searched(monkeypatch, tmp_path)
    more, trainings = searched(monkeypatch, tmp_path, replace(PLAN, trials=8, fresh=6))
    before, after = (result.arms["mappo_pooled"].trials for result in (first, more))
    assert after[:6] == before
    assert len(trainings.calls) == 2 * 2 + 12


def test_another_search_in_the_same_folder_is_refused(monkeypatch, tmp_path):
    searched(monkeypatch, tmp_path)
    with pytest.raises(RunError, match="holds another search"):
        searched(monkeypatch, tmp_path, replace(PLAN, budget=16))
    lock = Lock(tmp_path / "lock")
    with pytest.raises(BusyError):
        searched(monkeypatch, tmp_path)
    lock.release()


def test_lists_alone_are_tried_in_every_combination(monkeypatch, tmp_path):
    plan = replace(PLAN, over=read_over(["lr=0.01,0.003,0.001", "hidden=4,8"]), trials=6)
    result, _ = searched(monkeypatch, tmp_path, plan)
    tried = [tuple(trial.settings.values()) for trial in result.arms["mappo_pooled"].trials]
    assert len(set(tried)) == 6
    assert result.arms["mappo_pooled"].won.settings["lr"] == "0.003"


def test_failed_trials_are_counted_and_never_win(monkeypatch, tmp_path):
    result, _ = searched(monkeypatch, tmp_path, fails={1})
    (arm,) = result.arms.values()
    assert {trial.score for trial in arm.trials} == {None}
    assert {trial.reason for trial in arm.trials} == {"it diverged"}
    assert (arm.winner, arm.gain, arm.reason) == (None, None, "no trial has a score")


def test_a_setting_that_an_algorithm_lacks_is_refused_with_its_name(tmp_path):
    both = replace(
        PLAN, schemes=("mappo_pooled", "qmix"), over=read_over(("epochs=2,4",)), given={}
    )
    wanted = r"got setting epochs, unknown to world 'spread' and to qmix \(action values\); wanted"
    with pytest.raises(UnknownNameError, match=wanted):
        sweep(both, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failure_with_fresh_seeds_leaves_no_comparison(monkeypatch, tmp_path):
    result, _ = searched(monkeypatch, tmp_path, fails={6})
    (arm,) = result.arms.values()
    assert arm.winner is not None
    assert (arm.gain, arm.reason) == (None, "2 trainings with fresh seeds failed: it diverged")
    assert result.gained("mappo_pooled") == "unclear"


def test_settings_that_are_refused_are_a_failed_trial(monkeypatch, tmp_path):
    plan = replace(PLAN, over=read_over(["minibatches=1,4000"]), trials=2)
    result, _ = searched(monkeypatch, tmp_path, plan)
    good, bad = result.arms["mappo_pooled"].trials
    assert good.score is not None
    assert bad.score is None
    assert "minibatches=4000" in bad.reason


def test_a_training_that_fails_is_a_result():
    class Diverges:
        def __call__(self, advance):
            raise ValueError("logits are\nnot finite")

    class Lost:
        def __call__(self, advance):
            raise RunError("the folder is wrong")

    assert ScoreTask(Diverges())(lambda: None) == Scored(None, "logits are not finite")
    with pytest.raises(RunError):
        ScoreTask(Lost())(lambda: None)


def test_unknown_settings_and_schemes_are_errors_before_any_training(tmp_path):
    with pytest.raises(UnknownNameError, match="entropie"):
        sweep(replace(PLAN, over=read_over(["entropie=0,1"])), tmp_path)
    with pytest.raises(UnknownNameError, match="mappo_pool"):
        sweep(replace(PLAN, schemes=("mappo_pool",)), tmp_path)
    with pytest.raises(SettingError, match="both in --over and in --set"):
        replace(PLAN, given={"lr": "1"})
    assert not list(tmp_path.iterdir())


def test_the_command_with_real_trainings(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "spread", "--over", "lr=1e-4..1e-1:log", "--trials", "2", "--seeds", "1",
             "--fresh", "2", "--budget", "8", "--workers", "1", "--out", "out",
             "--set", *(f"{k}={v}" for k, v in SMALL.items()), "hidden=4"]  # fmt: skip
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "cannot tell" in out
    saved = (tmp_path / "out" / "results.json").read_bytes()
    result = read_result(json.loads(saved))
    assert isinstance(result, SweepResult)
    won = result.arms["mappo_pooled"].won
    assert f"lr={won.settings['lr']:g}" in out
    runs = sorted(path.name for path in (tmp_path / "out" / "runs").iterdir())
    assert runs == ["mappo_pooled-0", "mappo_pooled-1"]
    assert not list((tmp_path / "out" / "runs").glob("**/checkpoints"))
    assert list((tmp_path / "out" / "fresh").glob("**/checkpoints"))
    shutil.rmtree(tmp_path / "out" / "fresh")  # its trainings are repeated, to the same numbers
    assert main([*words, "--json"]) == 0
    assert read_result(json.loads(capsys.readouterr().out)) == result
