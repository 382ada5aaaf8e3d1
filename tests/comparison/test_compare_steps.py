"""A comparison in a world of many steps: the same result as in small worlds, and resumable."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from counterpoint.comparison import Plan, compare
from counterpoint.errors import RunError, SchemeError, SettingError, UnknownNameError
from counterpoint.report import render
from counterpoint.report.terminal.parts import comparison_parts
from counterpoint.results import document_of, read_result
from counterpoint.results.comparison import Band

TINY = {"copies": "8", "steps": "5", "hidden": "8", "horizon": "5", "diagnose_every": "1"}
SCHEMES = ("mappo_pooled", "mappo_per_agent")


def tiny(**changes):
    settings = {**TINY, **changes.pop("settings", {})}
    return Plan("spread", SCHEMES, seeds=2, settings=settings, budget=80, **changes)


@pytest.fixture(scope="module")
def result():
    return compare(tiny(), workers=1)


def test_its_document_is_plain_json_and_gives_the_result_again(result):
    document = document_of(result)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert read_result(document) == result


def test_the_document_has_what_others_rely_on(result):
    document = document_of(result)
    assert document["world"] == "spread"
    assert document["axis"] == "step"
    assert document["config"]["budget"] == 80
    assert document["config"]["settings"]["copies"] == 8
    assert document["references"]["scale"]
    for scheme in document["schemes"].values():
        assert scheme["return"].keys() == {"iqm", "low", "high", "n"}
        assert scheme["return"]["low"] <= scheme["return"]["iqm"] <= scheme["return"]["high"]
        assert scheme["weighted_return"] is None
        assert scheme["curves"]["step"] == [40, 80]
        assert list(scheme["agents"]) == document["agents"]
        for agent in scheme["agents"].values():
            assert agent["accuracy"] is None
            assert agent["collapsed"] is None  # two measurements are no verdict
            assert set(agent["signal_kept"].values()) == {None}
    assert document["differences"]["mappo_per_agent"]["versus"] == "mappo_pooled"
    assert document["differences"]["mappo_per_agent"]["weighted_return"] is None


def test_a_return_without_references_is_not_normalized(result):
    for scheme in result.schemes.values():
        assert scheme.normalized.n == 2
    pytest.importorskip("mpe2")
    settings = {"copies": 2, "steps": 4, "hidden": 4, "max_cycles": 4, "sides": "none"}
    found = compare(Plan("mpe2:simple_tag_v3", ("none",), 1, settings, budget=8), workers=1)
    assert found.schemes["none"].normalized is None
    assert "not known" in found.schemes["none"].normalized_reason
    assert render(found)


@pytest.mark.fault("R25")
def test_any_number_of_workers_gives_the_same_result(result):
    assert compare(tiny(), workers=2) == result


def test_a_comparison_goes_on_where_it_was(result, tmp_path):
    told = []
    assert compare(tiny(), workers=1, folder=tmp_path) == result
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert runs == [f"{scheme}-{seed}" for scheme in sorted(SCHEMES) for seed in (0, 1)]
    again = compare(tiny(), workers=1, folder=tmp_path, on_row=lambda *row: told.append(row))
    assert again == result
    assert told == []  # nothing was trained again


def test_a_run_of_another_plan_is_not_taken_up(tmp_path):
    compare(tiny(), workers=1, folder=tmp_path)
    wanted = "another plan, with lr=0.001 instead of 0.1; wanted"
    with pytest.raises(RunError, match=wanted):
        compare(tiny(settings={"lr": "0.1"}), workers=1, folder=tmp_path)
    with pytest.raises(RunError, match=r"horizon=5 instead of 6, lr=.* instead of 0\.1"):
        compare(tiny(settings={"lr": "0.1", "horizon": "6"}), workers=1, folder=tmp_path)


def test_progress_is_told_by_scheme_and_seed():
    rows, units = [], []
    compare(
        tiny(),
        workers=1,
        on_row=lambda *told: rows.append(told),
        on_progress=lambda done, total: units.append((done, total)),
    )
    assert [(scheme, seed, told.step) for scheme, seed, told in rows] == [
        (scheme, seed, step) for seed in (0, 1) for scheme in SCHEMES for step in (40, 80)
    ]
    assert units[-1] == (8, 8)


def test_the_control_is_a_no_op_by_arithmetic(result):
    assert result.control.decoupling == "no-op"
    assert result.control.max_advantage_difference < 1e-12


def test_with_one_reward_normalized_first_decoupling_is_a_no_op():
    plan = tiny(settings={"reward": "common", "level": "reward"})
    found = compare(plan, workers=1)
    assert found.verdict.decoupling == "no-op"
    assert found.verdict.effect == "tie"
    assert found.verdict.recommended == "mappo_pooled"
    pooled, own = (found.schemes[name].curves.returns.iqm for name in SCHEMES)
    np.testing.assert_allclose(pooled, own, rtol=0, atol=1e-9)


def test_own_rewards_and_own_estimates_are_conditions(result):
    assert result.verdict.decoupling == "matters"
    assert result.verdict.conditions == ["C3", "C4"]
    common = compare(tiny(settings={"reward": "common"}), workers=1)
    assert common.verdict.conditions == ["C4"]


def test_credit_is_audited_under_a_common_reward(result):
    assert result.schemes["mappo_pooled"].credit_correlation is None
    found = compare(tiny(settings={"reward": "common"}), workers=1)
    for scheme in found.schemes.values():
        assert -1 <= scheme.credit_correlation.iqm <= 1
        assert scheme.credit_correlation.n == 2


def test_pages_and_tables_show_it(result):
    page = render(result)
    assert "steps played" in page
    assert "Worst agent" not in page
    assert comparison_parts(result)


@pytest.mark.parametrize(
    ("plan", "error", "said"),
    [
        ({"world": "spraed"}, UnknownNameError, "did you mean spread"),
        ({"world": "spread", "settings": {"hiden": 3}}, UnknownNameError, "did you mean hidden"),
        ({"world": "spread", "settings": {"hidden": 0}}, SettingError, "hidden=0"),
        ({"world": "spread", "budget": 0}, SettingError, "budget=0"),
        ({"world": "spread", "schemes": ("difference",)}, SchemeError, "difference"),
        ({"world": "regions", "budget": 10}, SettingError, "updates="),
    ],
)
def test_bad_plans_are_refused_before_anything_is_trained(plan, error, said):
    with pytest.raises(error, match=said):
        compare(Plan(**plan), workers=1)


def test_small_worlds_do_without_torch():
    script = (
        "import sys; from counterpoint.comparison import Plan, compare; "
        "from counterpoint.cli.main import main; import counterpoint.credit; "
        "compare(Plan('regions', ('grpo',), 1, {'updates': 2}), workers=1); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_stakes_have_a_weighted_return_and_returns_by_agent_add_up():
    found = compare(tiny(settings={"stakes": "agent_0:100"}), workers=1)
    for scheme in found.schemes.values():
        parts = [agent.returns.iqm for agent in scheme.agents.values()]
        assert sum(parts) == pytest.approx(scheme.returns.iqm)  # two seeds: iqm is the mean
        weights = np.array([100.0, 1.0, 1.0])
        assert scheme.weighted_return.iqm == pytest.approx(weights @ parts / weights.mean())
    assert found.differences["mappo_per_agent"].weighted_return is not None
    assert "Reward-weighted is the return" in render(found)
    assert found.control.decoupling == "no-op"
    common = compare(tiny(settings={"stakes": "agent_0:100", "reward": "common"}), workers=1)
    assert common.schemes["mappo_pooled"].weighted_return is None


def test_a_curve_is_unknown_until_every_seed_has_finished_an_episode():
    found = compare(tiny(settings={"horizon": "8"}), workers=1)
    curves = found.schemes["mappo_pooled"].curves
    band = curves.returns
    assert curves.step == curves.at == [40, 80]
    assert band.iqm[0] is None
    assert band.low[1] <= band.iqm[1] <= band.high[1]
    assert render(found)
    never = compare(tiny(settings={"horizon": "25"}), workers=1)  # 2 updates are 10 steps
    nothing = Band(iqm=[None, None], low=None, high=None)
    assert never.schemes["mappo_pooled"].curves.returns == nothing
    assert render(never)
    assert comparison_parts(never)


@pytest.mark.fault("R25")
@pytest.mark.slow
def test_processes_ray_and_serial_give_the_same_result(result):
    assert compare(tiny(), workers=2, executor="processes") == result
    pytest.importorskip("ray")
    assert compare(tiny(), workers=2, executor="ray") == result
