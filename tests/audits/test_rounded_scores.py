"""Scores that are alike but for rounding, and costs that are known at few tasks."""

import pytest

from counterpoint.audits import audit
from counterpoint.audits.outcomes import compare_outcomes
from counterpoint.cli.main import main
from counterpoint.records import Outcome


def alone(score, tasks):
    """Two members that have the same score alone at each task."""
    rows = []
    for t in range(tasks):
        rows.append(Outcome(f"t{t}", "team", ("ann", "bob"), 0.5))
        rows += [Outcome(f"t{t}", "isolated", (name,), score) for name in ("ann", "bob")]
    return rows


@pytest.mark.parametrize("score", [0.1, 0.3, 0.7, 1 / 3, 1e-9, 0.0, 1.0])
@pytest.mark.parametrize("tasks", [5, 6, 10, 13])
def test_members_of_one_constant_score_have_no_correlation(score, tasks):
    found = {f.name: f for f in audit([], alone(score, tasks), ["worth"]).findings}
    assert found["error_correlation"].value is None
    assert "fewer than two members differ" in found["error_correlation"].reason


def test_a_table_of_them_is_compared(tmp_path, capsys):
    rows = [f"{o.task},{o.setting},{o.score!r},{';'.join(o.members)}" for o in alone(0.1, 10)]
    path = tmp_path / "outcomes.csv"
    path.write_text("\n".join(["task,setting,score,members", *rows]))
    assert main(["compare-outcomes", str(path), "--json"]) == 0
    assert capsys.readouterr().err.count("Warning") == 0


@pytest.mark.parametrize(("known", "is_ratio"), [(0, False), (1, False), (4, False), (5, True)])
def test_costs_of_few_tasks_are_said_and_no_ratio_of_all(known, is_ratio, capsys):
    rows = []
    for t in range(40):
        costs = (1000.0, 10.0) if t < known else (None, None)
        rows.append(Outcome(f"t{t:02}", "team", ("ann",), 1.0, costs[0]))
        rows.append(Outcome(f"t{t:02}", "solo", (), float(t % 2), costs[1]))
    result = compare_outcomes(rows)
    assert (result.cost_ratio is not None) == is_ratio
    assert (f"costs are known at {known} of 40 tasks" in result.incomplete) == (known > 0)
    reason = {f.name: f for f in audit([], rows, ["worth"]).findings}["team_minus_solo"].reason
    few = f"costs are known at {known} of 40 tasks, so they may differ"
    all_of_them = f"at 100.00 times its cost (costs of {known} of 40 tasks)"
    assert {0: "costs are not known", 5: all_of_them}.get(known, few) in reason


def test_one_agent_that_costs_nothing_has_no_ratio():
    rows = [Outcome(f"t{t}", s, (), t % 2, 3.0 * (s == "team")) for t in range(9)
            for s in ("team", "solo")]  # fmt: skip
    assert compare_outcomes(rows).cost_ratio is None
    reason = {f.name: f for f in audit([], rows, ["worth"]).findings}["team_minus_solo"].reason
    assert reason.startswith("team less one agent; one agent costs nothing")


@pytest.mark.parametrize(("cost", "status"), [("1e-300", 2), ("-1", 2), ("1e-100", 0), ("0", 0)])
def test_costs_whose_ratio_no_number_can_hold_are_refused(cost, status, tmp_path, capsys):
    rows = [f"t{t},solo,{t % 2},{cost}\nt{t},team,1,1e100" for t in range(6)]
    path = tmp_path / "outcomes.csv"
    path.write_text("\n".join(["task,setting,score,cost", *rows]))
    assert main(["compare-outcomes", str(path), "--out", str(tmp_path / "o")]) == status
    told = capsys.readouterr().err
    assert not status or f"cost: got {float(cost):g}; wanted 0, or a number from 1e-100" in told
