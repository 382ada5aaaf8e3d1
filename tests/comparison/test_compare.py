"""A comparison end to end: its result, its control, its determinism."""

import json

import numpy as np
import pytest

from counterpoint.cli.main import main
from counterpoint.comparison import Plan, compare
from counterpoint.comparison.exact import log_of_uniform_team
from counterpoint.credit import advantages, catalogue
from counterpoint.report import render
from counterpoint.results import document_of, read_result
from counterpoint.worlds import find_world

SMALL = {"updates": 30}


@pytest.fixture(scope="module")
def result():
    return compare(Plan("regions", seeds=4, settings=SMALL), workers=1)


def test_its_document_is_plain_json_and_gives_the_result_again(result):
    document = document_of(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert read_result(document) == result


def test_the_document_has_what_others_rely_on(result):
    document = document_of(result)
    schemes = ["mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "grpo", "adaptive"]
    assert list(document["schemes"]) == [*schemes, "counterfactual"]
    assert document["agents"] == ["stable_0", "stable_1", "volatile_0", "volatile_1"]
    for scheme in document["schemes"].values():
        assert scheme["return"].keys() == {"iqm", "low", "high", "n"}
        assert scheme["return"]["low"] <= scheme["return"]["iqm"] <= scheme["return"]["high"]
        assert scheme["weighted_return"]["n"] == 4
        assert list(scheme["agents"]) == document["agents"]
        for agent in scheme["agents"].values():
            assert {"accuracy", "signal_kept", "task_noise", "collapsed", "cause"} <= agent.keys()
            assert "collapsed_share" not in agent
            for name in ("signal_kept", "task_noise"):
                assert agent[name].keys() == {"iqm", "low", "high"}
                known = [value for value in agent[name].values() if value is not None]
                assert len(known) in (0, 3)
                assert all(0 <= value <= 1 for value in known)
                assert not known or known[1] <= known[0] <= known[2]
        for curve in scheme["curves"]["agents"].values():
            assert len(curve["signal_kept"]) == len(curve["collapsed"]) == len(curve["accuracy"])
    wanted = {"decoupling", "effect", "recommended", "headline", "why", "decision"}
    assert wanted <= document["verdict"].keys()
    for difference in document["differences"].values():
        assert {"iqm", "low", "high", "p", "mean", "deviation"} <= difference.keys()
    assert document["config"]["settings"]["updates"] == 30


@pytest.mark.fault("R25")
def test_any_number_of_workers_gives_the_same_result(result):
    assert compare(Plan("regions", seeds=4, settings=SMALL), workers=2) == result


@pytest.mark.fault("R25")
@pytest.mark.slow
def test_more_workers_than_arms_split_the_seeds():
    plan = Plan("regions", ("mappo_pooled",), 3, SMALL, control=False)
    assert compare(plan, workers=3) == compare(plan, workers=1)


def test_a_seed_gives_the_same_result_in_any_company(result):
    alone = compare(Plan("regions", ("grpo",), 1, SMALL, control=False), workers=1)
    both = compare(Plan("regions", ("grpo",), 4, SMALL, control=False), workers=1)
    assert alone.schemes["grpo"].returns.n == 1
    assert alone.schemes["grpo"].returns.low is None
    assert both.schemes["grpo"].returns == result.schemes["grpo"].returns


def test_progress_reaches_the_end():
    seen = []
    compare(
        Plan("regions", ("none",), 2, SMALL),
        workers=1,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (90, 90)  # one arm and two of the control, 30 updates each


def test_every_reader_of_a_real_comparison_says_the_same(result):
    """4 seeds: too few, in the headline, in `--json`, on the page and in its badges."""
    verdict = result.verdict
    assert verdict.headline.startswith("Four seeds are too few to choose a scheme; ")
    assert len(verdict.headline.split()) <= 15
    assert verdict.recommended is None
    assert verdict.decision.seeds_needed >= 5
    assert verdict.decision == result.decision
    page = render(result)
    assert verdict.headline in page
    assert "use this" not in page


def test_without_a_shared_scheme_the_first_is_the_reference():
    plan = Plan("regions", ("mappo_per_agent", "group_reward_decoupled"), 5, SMALL, control=False)
    found = compare(plan, workers=1)
    assert found.differences["group_reward_decoupled"].versus == "mappo_per_agent"
    assert found.verdict.effect is None
    assert found.verdict.decision.compared == 1


def test_the_headline_in_small():
    """At scale 100 the quiet pair stays near chance when pooled, and learns with its own scale."""
    plan = Plan("regions", ("mappo_pooled", "mappo_per_agent"), 5, {"scale": 100, "updates": 120})
    found = compare(plan, workers=1)
    assert found.verdict.decoupling == "matters"
    assert found.verdict.conditions == ["C1"]
    assert found.verdict.effect == "helps"
    assert found.verdict.recommended == "mappo_per_agent"
    pooled, own = (found.schemes[name].agents for name in plan.schemes)
    for agent in ("stable_0", "stable_1"):
        assert pooled[agent].cause == "DROWNED"
        assert own[agent].cause != "DROWNED"
        assert own[agent].accuracy > pooled[agent].accuracy + 0.3


@pytest.mark.few(1)
@pytest.mark.parametrize("agents", [2, 4, 6, 8])
def test_with_everybody_present_decoupling_is_a_no_op(agents):
    settings = {"participation": "everyone", "agents": agents, "updates": 40}
    plan = Plan("regions", ("mappo_pooled", "mappo_per_agent"), 3, settings)
    found = compare(plan, workers=1)
    assert found.verdict.decoupling == "no-op"
    assert found.verdict.conditions == []
    assert found.verdict.effect == "tie"
    assert found.verdict.recommended == "mappo_pooled"
    assert found.control.decoupling == "no-op"
    assert found.control.max_advantage_difference < 1e-12
    assert found.control.max_curve_difference < 1e-9
    pooled, own = (found.schemes[name].curves.returns.iqm for name in plan.schemes)
    np.testing.assert_allclose(pooled, own, rtol=0, atol=1e-9)


@pytest.mark.parametrize("agents", [2, 3, 4, 5, 6, 7, 8])
def test_with_one_reward_for_all_advantages_agree_to_rounding(agents):
    """P0 on rewards of any kind, for team sizes that regions does not have too."""
    rng = np.random.default_rng(agents)
    reward = np.repeat(rng.normal(1e3, 50.0, size=64), agents)
    labels = {"agent": np.tile(np.arange(agents), 64), "rollout": np.repeat(np.arange(64), agents)}
    pooled = advantages(reward, labels, catalogue()["mappo_pooled"]).values
    own = advantages(reward, labels, catalogue()["mappo_per_agent"]).values
    np.testing.assert_allclose(pooled, own, rtol=1e-12, atol=0)


@pytest.mark.few(3)
@pytest.mark.parametrize("agents", range(2, 9))
def test_both_commands_say_no_op_where_everybody_contributes(agents, tmp_path, capsys):
    """homogeneous: everybody always present, one reward; also for odd teams."""
    settings = {"agents": agents, "updates": 25}
    plan = Plan("homogeneous", ("mappo_pooled", "mappo_per_agent"), 2, settings)
    found = compare(plan, workers=1)
    assert found.verdict.decoupling == "no-op"
    pooled, own = (found.schemes[name].curves.returns.iqm for name in plan.schemes)
    np.testing.assert_allclose(pooled, own, rtol=0, atol=1e-9)

    log = log_of_uniform_team(find_world("homogeneous").make(settings))
    lines = [
        json.dumps({"step": step, "prompt": prompt, "rollout": rollout, "agent": who, "reward": r})
        for step, prompt, rollout, who, r in zip(
            log.step.tolist(),
            *(log.labels[name].tolist() for name in ("prompt", "rollout", "agent")),
            log.rewards[:, 0].tolist(),
            strict=True,
        )
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    assert main(["diagnose", str(tmp_path / "log.jsonl"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decoupling"]["verdict"] == "no-op"
    assert told["decoupling"]["conditions"] == []


def test_an_untrained_log_is_what_the_world_pays():
    log = log_of_uniform_team(find_world("regions").make({"updates": 100}))
    assert len(np.unique(log.step)) == 40
    assert set(log.labels["agent"]) == {"stable_0", "stable_1", "volatile_0", "volatile_1"}
    volatile = np.char.startswith(log.labels["agent"].astype(str), "volatile")
    assert log.rewards[volatile].std() > 5 * log.rewards[~volatile].std()
