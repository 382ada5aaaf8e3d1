"""Tables of outcomes to decisions: the team beside others, and what each member adds."""

import csv
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.audits.outcomes import compare_outcomes, contribution, read_scores
from counterpoint.cli.main import main
from counterpoint.errors import SettingError
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import Outcome
from counterpoint.report import render
from counterpoint.report.pages.contribution import contribution_headline
from counterpoint.report.pages.outcomes import outcomes_headline
from counterpoint.results import document_of, read_result


def pairs(team, solo, costs=(None, None)):
    rows = []
    for i, (a, b) in enumerate(zip(team, solo, strict=True)):
        rows.append(Outcome(f"t{i}", "team", ("x", "y"), a, costs[0]))
        rows.append(Outcome(f"t{i}", "solo", ("x",), b, costs[1]))
    return rows


def games(value, tasks, members="abc", cost=None):
    """A row for each subset at each task; `value` gives the score of a subset at a task."""
    subsets = [s for k in range(1, len(members) + 1) for s in itertools.combinations(members, k)]
    return [
        Outcome(f"t{t}", "team", s, value(frozenset(s), t), None if cost is None else cost * len(s))
        for t in range(tasks)
        for s in subsets
    ]


def test_the_same_success_at_more_than_twice_the_cost():
    solo = [1.0, 0.0] * 60
    team = [0.0, 1.0, 1.0, 0.0, *solo[4:]]
    result = compare_outcomes(pairs(team, solo, (2.36, 1.0)))
    assert result.decision == "not worse"
    assert result.cost_ratio.value == pytest.approx(2.36)
    assert result.cost_per_success == pytest.approx({"team": 4.72, "one agent": 2.0})
    sentence = "The team is not worse than one agent, at 2.36 times the cost."
    assert outcomes_headline(result) == sentence


def test_better_worse_and_cannot_tell_with_what_it_takes():
    assert compare_outcomes(pairs([1.0] * 12, [0.0] * 12)).decision == "better"
    assert compare_outcomes(pairs([0.0] * 12, [1.0] * 12)).decision == "worse"
    few = compare_outcomes(pairs([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]))
    assert few.decision == "cannot tell"
    assert few.tasks_needed > 50
    assert len(outcomes_headline(few).split()) <= 15


def test_four_tasks_decide_nothing():
    assert compare_outcomes(pairs([1.0] * 4, [0.0] * 4), margin=1).decision == "cannot tell"


def test_members_are_compared_and_what_was_never_given_has_no_line():
    rows = [Outcome(f"t{i}", "team", ("a", "b"), 1.0) for i in range(10)]
    rows += [Outcome(f"t{i}", "isolated", (m,), float(m == "a")) for i in range(10) for m in "ab"]
    result = compare_outcomes(rows)
    assert [one.against for one in result.compared] == ["the best member", "the mean member"]
    assert [one.difference for one in result.compared] == [0, 0.5]
    assert result.cost_per_success == {}
    assert all(f.verdict != "not_computable" for f in result.findings)


def test_nothing_to_compare_with_is_refused():
    with pytest.raises(SettingError, match="got outcomes of team"):
        compare_outcomes([Outcome("t", "team", ("a", "b"), 1.0)])


def test_shapley_values_by_hand():
    # v(a) .2, v(b) .4, v(ab) 1: a adds .2 alone and .6 to b, b adds .4 alone and .8 to a
    worth = {frozenset("a"): 0.2, frozenset("b"): 0.4, frozenset("ab"): 1.0}
    result = contribution(games(lambda s, t: worth[s], 8, "ab", cost=3.0))
    assert result.members["a"].shapley.value == pytest.approx(0.4)
    assert result.members["b"].shapley.value == pytest.approx(0.6)
    assert result.members["a"].leave_one_out.value == pytest.approx(0.6)
    assert result.members["b"].cost == 3
    (cover,) = result.covers
    assert cover.value == pytest.approx(1 - 0.4 - 0.2)


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_shapley_values_add_up_and_forget_dummies(n, seed):
    rng = np.random.default_rng(seed)
    names = "abcde"[:n]
    drawn = {}

    def worth(subset, t):
        key = (subset - {"a"}, t)  # the member a never changes the score
        return drawn.setdefault(key, float(rng.random())) if key[0] else 0.0

    result = contribution(games(worth, 6, names))
    effects = {name: member.shapley for name, member in result.members.items()}
    assert effects["a"].value == pytest.approx(0, abs=1e-12)
    assert sum(e.value for e in effects.values()) == pytest.approx(result.team)


def test_who_hurts_who_helps_and_who_covers_for_whom():
    def worth(subset, t):
        return float(bool(subset & {"a", "b"}) and not ("c" in subset and t % 3 == 0))

    result = contribution(games(worth, 60))
    shapley = {name: member.shapley for name, member in result.members.items()}
    assert {name: e.decision for name, e in shapley.items()} == {
        "a": "helps", "b": "helps", "c": "hurts",
    }  # fmt: skip
    assert result.members["a"].leave_one_out.decision != "helps"  # b replaces it
    first = result.covers[0]
    assert (first.first, first.second) == ("a", "b")
    assert first.high < 0
    assert contribution_headline(result) == "c hurts; a and b help."


def test_a_team_whose_subsets_were_never_tried_cannot_be_judged():
    rows = [Outcome(f"t{i}", "team", ("a", "b", "c"), 1.0) for i in range(9)]
    rows += [Outcome(f"t{i}", "isolated", ("a",), 1.0) for i in range(9)]
    result = contribution(rows)
    assert result.missing_total == 5
    assert all(member.shapley is None for member in result.members.values())
    assert "7 subsets" in " ".join(result.members["b"].reasons)
    assert contribution_headline(result).startswith("Cannot tell")


def test_six_wins_of_six_need_one_more_task():
    result = contribution(games(lambda s, t: float("b" in s), 6, "ab"))
    effect = result.members["b"].leave_one_out
    assert (effect.value, effect.decision, effect.tasks_needed) == (1, "cannot tell", 1)
    seven = contribution(games(lambda s, t: float("b" in s), 7, "ab"))
    assert seven.members["b"].leave_one_out.decision == "helps"


def test_no_effect_is_a_finding_of_its_own():
    result = contribution(games(lambda s, t: 1.0, 200, "ab"), margin=0.2)
    assert result.members["a"].leave_one_out.decision == "no effect"
    assert result.members["a"].shapley.decision == "helps"  # half of what both do alone


def test_a_table_without_settings_and_with_costs(tmp_path):
    path = tmp_path / "my ablations.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["members", "cost", "task", "score"])
        for i in range(6):
            writer.writerows([["ann;bo", "2.5", i, 1], ["ann", "1", i, 0], ["bo", "", i, 1]])
    rows = read_outcomes(path)
    assert [r.setting for r in rows[:3]] == ["team", "isolated", "isolated"]
    assert [r.budget for r in rows[:3]] == [2.5, 1, None]
    assert read_scores(path) == rows
    (tmp_path / "bad.csv").write_text("task,score\na,1\n")
    assert main(["contribution", str(tmp_path / "bad.csv")]) == 2


def test_a_log_with_tasks_and_successes_is_a_table_too(tmp_path):
    log = tmp_path / "runs.jsonl"
    lines = []
    for i in range(8):
        for members in (["ann"], ["bo"], ["ann", "bo"]):
            events = [{"agent": m, "kind": "message", "text": "x", "cost": 0.5} for m in members]
            lines.append(json.dumps({"schema": 1, "id": f"{i}{members}", "task": f"t{i}",
                                     "success": len(members) / 2, "agents": members,
                                     "events": events}))  # fmt: skip
    log.write_text("\n".join(lines) + "\n")
    result = contribution(read_scores(log))
    assert result.members["bo"].shapley.value == pytest.approx(0.5)
    assert result.members["bo"].cost == pytest.approx(0.5)


def test_the_commands_save_a_page_and_read_it_again(tmp_path, capsys):
    table = tmp_path / "t.jsonl"
    rows = [{"task": i, "members": m, "score": s, "cost": 1}
            for i in range(9) for m, s in (("a", 0), ("b", 1), ("a;b", 1))]  # fmt: skip
    table.write_text("\n".join(map(json.dumps, rows)))
    assert main(["contribution", str(table), "--out", str(tmp_path / "c"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["members"]["b"]["shapley"]["decision"] == "helps"
    assert document_of(read_result(printed)) == printed
    assert "b helps" in render(printed)
    assert (tmp_path / "c" / "report.html").is_file()
    assert main(["compare-outcomes", str(table), "--out", str(tmp_path / "o"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["decision"] == "cannot tell"
    assert {"decision", "cost_per_success", "tasks_needed"} <= set(printed)
    assert main(["report", str(tmp_path / "o")]) == 0
    assert main(["compare-outcomes", str(table), "--margin", "3"]) == 2
