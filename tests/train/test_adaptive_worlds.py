"""bench/adaptive.py: its loop is the learner's, and its regrets, ranks and files are right."""

from __future__ import annotations

import numpy as np
import pytest

from bench_modules import bench_module
from counterpoint.train.tabular.learner import train
from counterpoint.worlds.registry import find_world

adaptive = bench_module("adaptive")


@pytest.mark.parametrize("scheme", ["grpo", "reinforce_plus_plus", "mappo_per_agent"])
def test_the_short_loop_learns_what_the_learner_learns(scheme):
    world = find_world("regions").make({"updates": 12})
    mine, full = adaptive.trained(world, scheme, [0, 1]), train(world, scheme, [0, 1])
    share = (full.returns[:, -1] - world.random) / (1 - world.random)
    assert mine["returns"] == pytest.approx(share.tolist(), abs=1e-12)
    paid = (full.weighted_returns[:, -1] - world.random) / (1 - world.random)
    assert mine["weighted"] == pytest.approx(paid.tolist(), abs=1e-12)


def test_every_cell_of_the_recipes_is_a_world():
    for name in adaptive.RECIPES:
        assert adaptive.world_named(name).settings.updates > 0


def test_the_best_fixed_scheme_is_chosen_on_the_other_half_of_the_seeds():
    scores = {
        "grpo": np.array([0.9, 0.1, 0.8, 0.2]),  # best on even places
        "rloo": np.array([0.3, 0.5, 0.4, 0.6]),  # best on odd places
        "other": np.array([1.0, 1.0, 1.0, 1.0]),  # not fixed: no rival
    }
    regret = adaptive.regrets(scores, ["grpo", "rloo"])
    # Even places meet rloo, which the odd ones chose, and odd places meet grpo.
    assert np.allclose(regret["grpo"], [0.3 - 0.9, 0.0, 0.4 - 0.8, 0.0])
    assert np.allclose(regret["rloo"], [0.0, 0.1 - 0.5, 0.0, 0.2 - 0.6])
    assert np.allclose(regret["other"], [0.3 - 1, 0.1 - 1, 0.4 - 1, 0.2 - 1])


def test_luck_alone_is_no_regret():
    """The naive best of eleven equal schemes is 1.6 standard errors above each; this one is not."""
    rng = np.random.default_rng(0)
    names = [f"scheme_{k}" for k in range(11)]
    worlds = [{name: rng.standard_normal(16) for name in names} for _ in range(400)]
    mine = np.mean([adaptive.regrets(scores, names)["scheme_0"] for scores in worlds])
    naive = np.mean([
        max(x.mean() for x in scores.values()) - scores["scheme_0"].mean() for scores in worlds
    ])  # fmt: skip
    assert abs(mine) < 0.05
    assert naive == pytest.approx(1.586 / 4, abs=0.05)


def test_ranks_share_ties():
    assert adaptive.ranks(np.array([0.5, 0.9, 0.5, 0.1])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_a_finished_cell_is_read_and_not_trained_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(adaptive, "world_named", lambda name: find_world("regions").make(SHORT))
    arguments = ["adaptive.py", "--out", str(tmp_path), "--seeds", "2", "--workers", "1"]
    arguments += ["--worlds", "regions x1 shared", "--schemes", "grpo", "rloo"]
    monkeypatch.setattr("sys.argv", arguments)
    adaptive.main()
    first = capsys.readouterr().out
    assert "2/2 regions x1 shared, rloo" in first
    assert "1 of 1 worlds with all of grpo, rloo; 2 seeds" in first
    adaptive.main()
    second = capsys.readouterr().out
    assert "CPU seconds" not in second
    assert second.strip() == first[first.index("# single worlds") :].strip()
    monkeypatch.setattr("sys.argv", [*arguments, "--again", "rloo"])
    adaptive.main()
    assert "1/1 regions x1 shared, rloo" in capsys.readouterr().out


def test_a_regret_needs_a_fixed_scheme(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["adaptive.py", "--schemes", "grpo_rows"])
    with pytest.raises(SystemExit):
        adaptive.main()
    assert "got schemes grpo_rows; wanted some of none, center" in capsys.readouterr().err


SHORT = {"updates": 3}
