"""Tables of outcomes to decisions: the team beside others, and what each member adds."""

import csv
import itertools
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.audits import audit
from counterpoint.audits.outcomes import compare_outcomes, contribution, read_scores
from counterpoint.cli.main import main
from counterpoint.errors import LogError, SettingError
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import Outcome
from counterpoint.report import render
from counterpoint.report.pages.contribution import contribution_headline
from counterpoint.report.pages.outcomes import outcomes_headline
from counterpoint.results import document_of, encode, read_result
from counterpoint.stats import bounded_difference, paired_decision


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
    assert [r.cost for r in rows[:3]] == [2.5, 1, None]
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


def test_the_audit_and_the_comparison_agree_on_the_same_difference():
    for team in ([0.0] * 5 + [1.0] * 5, [0.0] * 9 + [1.0], [1.0] * 10):
        rows = pairs(team, [1.0] * 10)
        finding = next(f for f in audit([], rows, ("worth",)).findings if f.n == 10)
        (compared,) = compare_outcomes(rows).compared
        assert finding.name == "team_minus_solo"
        ends = (finding.value, finding.low, finding.high)
        assert ends == (compared.difference, compared.low, compared.high)
        assert (finding.verdict == "found") == (compared.decision == "worse")


@pytest.mark.parametrize(("wins", "losses", "n"), [(2, 6, 20), (5, 9, 30), (4, 4, 30)])
def test_so_many_more_tasks_decide_in_about_four_of_five_cases(wins, losses, n):
    rng = np.random.default_rng(0)
    so_far = np.array([1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses))
    more = paired_decision(so_far, margin=0.1, rng=rng).more
    decided = 0
    for _ in range(100):
        all_of_them = np.concatenate([so_far, rng.choice(so_far, more)])
        interval = bounded_difference(all_of_them)
        decided += interval.low > -0.1 or interval.high < 0
    assert 65 <= decided <= 95


def test_four_tasks_need_at_least_a_fifth():
    assert compare_outcomes(pairs([1.0] * 4, [0.0] * 4), margin=1).tasks_needed == 1


@pytest.mark.parametrize("header", ["task,members,score", "task;members;score",
                                    "task\tmembers\tscore"])  # fmt: skip
def test_a_table_of_a_spreadsheet_is_read(tmp_path, header):
    sign = header[4]
    rows = [sign.join((f"t{i}", f'"{who}"', "1")) for i in range(5) for who in ("ann;bo", "bo")]
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *rows, ""]), "utf-8-sig")
    assert read_outcomes(path)[0] == Outcome("t0", "team", ("ann", "bo"), 1.0)


@pytest.mark.parametrize(("text", "message"), [
    ("", "got columns without names"),
    ("task,members,score\nt,a,x\n", "line 2, score: got 'x'"),
    ("task,members,score\nt,a,2\n", "line 2: got a score of 2"),
    ("task,members,score,cost\nt,a,1,-1\n", "line 2, cost: got -1"),
    ("task,members,score,cost,budget\nt,a,1,1,2\n", "a cost and another budget"),
    ("task,members,score,score\nt,a,1,1\n", "a column twice"),
    ("task;members;score\nt;a;b;1\n", "got 4 cells in 3 columns"),
    ('{"task": 1, "members": 5, "score": 1}', "line 1, members: got 5"),
    ('{"task": 1, "members": "a", "score": 1' + "0" * 400 + "}", "line 1, score"),
])  # fmt: skip
def test_strange_tables_are_refused_with_the_place(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(LogError, match=message):
        read_outcomes(path)


def test_the_earlier_name_of_the_cost_is_read(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"task": "a\u2028b", "members": ["x"], "score": 1, "budget": 3}\n', "utf-8")
    assert read_outcomes(path) == [Outcome("a\u2028b", "isolated", ("x",), 1.0, 3.0)]


def test_one_agent_beside_the_team_is_no_part_of_it():
    rows = games(lambda s, t: len(s) / 2, 6, "ab")
    rows += [Outcome(f"t{i}", "solo", ("carl",), 1.0) for i in range(6)]
    result = contribution(rows)
    assert set(result.members) == {"a", "b"}
    assert result.members["a"].leave_one_out.value == pytest.approx(0.5)
    with pytest.raises(SettingError, match="different names"):
        contribution([*rows, Outcome("t", "team", ("a", "a"), 1.0)])


def test_a_large_team_needs_only_the_subsets_that_leave_out_one():
    names = tuple(f"m{i}" for i in range(70))
    rows = [Outcome(f"t{i}", "team", names, 1.0) for i in range(6)]
    result = contribution([*rows, Outcome("t0", "team", names[1:], 0.0)])
    assert result.missing_total == 69
    assert json.loads(encode(result))["missing_total"] == 69


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_members_that_do_the_same_have_the_same_value(seed):
    rng = np.random.default_rng(seed)
    drawn = {}

    def value(subset, t):  # a and b are interchangeable
        return drawn.setdefault((len(subset & {"a", "b"}), "c" in subset, t), float(rng.random()))

    shapley = {n: m.shapley.value for n, m in contribution(games(value, 5)).members.items()}
    assert shapley["a"] == pytest.approx(shapley["b"])


def test_members_without_an_effect_are_seldom_blamed_or_praised():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(60):
        result = contribution(games(lambda s, t: float(rng.random() < 0.5), 15))
        effects = [m.leave_one_out for m in result.members.values()]
        wrong += any(e.decision in ("helps", "hurts") for e in effects)
    assert wrong <= 7  # 0.05 of 60 are 3; more than 7 have a probability of 0.01


def test_the_next_step_is_one_that_the_table_can_do(tmp_path, capsys):
    folder = tmp_path / "my tables"
    folder.mkdir()
    lines = {"lacks": ("team,a;b", "solo,c"), "has": ("team,a;b", "solo,c", "isolated,a",
                                                      "isolated,b")}  # fmt: skip
    for name, rows in lines.items():
        path = folder / f"{name}.csv"
        made = [f"t{i},{row},1" for i in range(6) for row in rows]
        path.write_text("\n".join(["task,setting,members,score", *made]))
        assert main(["compare-outcomes", str(path)]) == 0
        step = capsys.readouterr().err
        assert f"counterpoint contribution '{path}'" in step
        assert ("add rows" in step) == (name == "lacks")


def test_a_success_outside_0_to_1_is_counted_and_left_out(tmp_path, capsys):
    log = tmp_path / "runs.jsonl"
    event = {"agent": "ann", "kind": "message", "text": "x"}
    log.write_text("\n".join(json.dumps({"schema": 1, "id": f"e{i}", "task": "t", "success": i,
                                         "events": [event]}) for i in range(4)))  # fmt: skip
    assert len(read_scores(log)) == 2
    assert main(["audit", str(log), "--only", "worth"]) == 0
    assert "2 of 4 episodes have a success outside 0 to 1" in capsys.readouterr().err


def test_half_of_a_surrogate_pair_breaks_nothing(tmp_path, capsys):
    log = tmp_path / os.fsdecode(b"log\xff.jsonl")
    rows = [{"task": "t\ud800", "members": m, "score": 1} for m in ("a\udc00", "b", "a\udc00;b")]
    log.write_text(
        "\n".join(json.dumps({**row, "task": f"t{i}"}) for row in rows for i in range(6))
    )
    assert main(["contribution", str(log), "--out", str(tmp_path / "c")]) == 0
    chat = tmp_path / os.fsdecode(b"chat\xff.jsonl")
    messages = [{"role": "assistant", "name": n, "content": "hi \ud800"} for n in ("x\udfff", "y")]
    chat.write_text(json.dumps({"messages": messages}) + "\n")
    assert main(["audit", str(chat), "--out", str(tmp_path / "a")]) == 0
    assert main(["report", str(tmp_path / "a")]) == 0
    assert main(["import", str(chat), "-o", str(tmp_path / "i.jsonl")]) == 0
    assert main(["audit", str(tmp_path / "i.jsonl")]) == 0
    capsys.readouterr()


def test_what_fail_on_names_has_to_exist_and_to_run(tmp_path, capsys):
    log = str(tmp_path / "none.jsonl")
    assert main(["audit", log, "--fail-on", "stuck.lop"]) == 2
    assert "did you mean stuck.loop or" in capsys.readouterr().err
    assert main(["audit", log, "--only", "worth", "--fail-on", "stuck.loop"]) == 2
    assert "an audit that does not run finds nothing" in capsys.readouterr().err


def with_members_alone(missing=(), tasks=40):
    """The team has 0.7; bob alone has 1 and ann 0.3, except where bob has no row."""
    rows = []
    for t in range(tasks):
        rows.append(Outcome(f"t{t:02}", "team", ("ann", "bob"), 0.7))
        rows.append(Outcome(f"t{t:02}", "isolated", ("ann",), 0.3))
        if t not in missing:
            rows.append(Outcome(f"t{t:02}", "isolated", ("bob",), 1.0))
    return rows


def test_one_missing_row_does_not_hide_the_best_member():
    whole = {one.against: one for one in compare_outcomes(with_members_alone()).compared}
    assert (whole["the best member"].n, whole["the best member"].decision) == (40, "worse")
    result = compare_outcomes(with_members_alone(missing=[0]))
    best = {one.against: one for one in result.compared}["the best member"]
    assert (best.n, best.other, best.decision) == (39, 1.0, "worse")
    assert result.incomplete == "left out: 1 of 40 tasks where a member has no score of its own"
    assert "1 of 40 tasks" in render(document_of(result))
    found = {f.name: f for f in audit([], with_members_alone(missing=[0]), ("worth",)).findings}
    assert found["team_minus_best"].n == 39
    assert "1 of 40 tasks" in found["team_minus_best"].reason


def test_a_member_of_few_tasks_is_named_and_left_out():
    rows = [Outcome(o.task, o.setting, (*o.members, "cy"), o.score) if o.setting == "team" else o
            for o in with_members_alone()]  # fmt: skip
    result = compare_outcomes([*rows, Outcome("t00", "isolated", ("cy",), 0.0)])
    told = "left out: members with a score at less than half of the tasks: cy"
    assert result.incomplete == told
    assert {one.n for one in result.compared} == {40}


@pytest.mark.fault("R44")
def test_who_is_in_no_team_is_no_member_however_good():
    rows = with_members_alone()
    guest = [Outcome(o.task, "isolated", ("guest",), 1.0) for o in rows if o.setting == "team"]
    plain, result = compare_outcomes(rows), compare_outcomes([*rows, *guest])
    assert result.incomplete == "left out: isolated rows of who is in no team: guest"
    assert result.compared == plain.compared
    assert result.findings == [f for f in result.findings if "left out" in (f.reason or "left out")]
    unnamed = [Outcome(o.task, "team", (), o.score) if o.setting == "team" else o for o in rows]
    assert compare_outcomes([*unnamed, *guest]).compared != plain.compared  # nobody knows the team


@pytest.mark.fault("R44")
def test_rows_of_a_smaller_team_at_other_tasks_are_said():
    whole = [Outcome(f"t{i}", "team", ("ann", "bob", "cy"), i % 2) for i in range(8)]
    small = [Outcome(f"u{i}", "team", ("ann", "bob"), 1.0) for i in range(8)]
    solo = [Outcome(each.task, "solo", ("eve",), 0.5) for each in (*whole, *small)]
    said = ("8 rows count as the team though their members, such as ann;bob, are some of another "
            "task's team")  # fmt: skip
    assert compare_outcomes([*whole, *small, *solo]).incomplete == said
    assert compare_outcomes([*whole, *solo]).incomplete == ""
    one = {f.name: f for f in audit([], [*whole, *small, *solo], ("worth",)).findings}
    assert said in one["team_minus_solo"].reason


@pytest.mark.fault("R44")
def test_the_ratio_of_costs_is_of_the_tasks_that_both_have_done():
    rows = [Outcome(f"t{i}", how, (), 1.0, 100.0) for i in range(10) for how in ("team", "solo")]
    rows += [Outcome(f"u{i}", "solo", (), 1.0, 10_000.0) for i in range(10)]
    assert compare_outcomes(rows).cost_ratio.value == 1.0
    found = {f.name: f for f in audit([], rows, ("worth",)).findings}["team_minus_solo"]
    assert "at 1.00 times its cost" in found.reason


@pytest.mark.fault("R44")
def test_names_with_spaces_and_whole_numbers_are_one_name_and_truth_is_no_cost(tmp_path):
    table = tmp_path / "o.csv"
    table.write_text("task,setting,score\nt0 ,team,1\n t0,solo,0\n")
    assert [each.task for each in read_outcomes(table)] == ["t0", "t0"]
    lines = tmp_path / "o.jsonl"
    lines.write_text(
        '{"task": 1, "members": [1, 2], "score": 1}\n'
        '{"task": 1.0, "members": [1.0], "score": true}\n'
    )
    assert read_outcomes(lines) == [
        Outcome("1", "team", ("1", "2"), 1.0),
        Outcome("1", "isolated", ("1",), 1.0),
    ]
    lines.write_text('{"task": 1, "members": ["a"], "score": 1, "cost": true}\n')
    with pytest.raises(LogError, match="line 1, cost: got True; wanted a number"):
        read_outcomes(lines)


def test_members_of_different_tasks_are_not_compared():
    rows = [Outcome(f"t{t}", "isolated", (("ann", "bob", "eve", "dan")[t % 4],), 1.0)
            for t in range(40)]  # fmt: skip
    rows += [Outcome(f"t{t}", "team", ("ann", "bob"), 0.7) for t in range(40)]
    with pytest.raises(SettingError, match="wanted tasks with a score of the team"):
        compare_outcomes(rows)


@pytest.mark.parametrize(("score", "cost"), [("1", "1e308"), ("5e-324", "1"), ("1", "1e100")])
def test_huge_costs_and_tiny_scores_are_no_traceback(score, cost, tmp_path, capsys):
    rows = [f"t{t},{how},{score},{cost}" for t in range(8) for how in ("team", "solo")]
    table = tmp_path / "o.csv"
    table.write_text("\n".join(["task,setting,score,cost", *rows]))
    assert main(["compare-outcomes", str(table)]) == (2 if cost == "1e308" else 0)
    told = capsys.readouterr()
    assert "Traceback" not in told.err + told.out
    assert "inf" not in told.out


def test_parts_of_a_team_are_not_the_team():
    """The whole team is always right and every pair never: 1.00, and not the mean of four rows."""
    rows = games(lambda who, t: float(len(who) == 3), 20)
    rows = [o for o in rows if len(o.members) > 1]
    rows += [Outcome(f"t{t}", "solo", ("a",), float(t % 2), 1.0) for t in range(20)]
    result = compare_outcomes(rows)
    assert (result.compared[0].team, result.decision) == (1.0, "better")
    assert "left out: 60 rows of parts of the team" in result.incomplete
    # a part at one task is one where the whole team has no row
    late = [o for o in rows if o.task != "t0" or len(o.members) < 3]
    assert compare_outcomes(late).compared[0].team == 1.0


def test_teams_of_other_tasks_may_be_smaller():
    rows = [
        Outcome(f"t{t}", "team", ("a", "b", "c")[: 2 + t % 2], t % 2 / 1, None) for t in range(20)
    ]
    rows += [Outcome(f"t{t}", "solo", ("a",), 0.0) for t in range(20)]
    result = compare_outcomes(rows)
    assert (result.compared[0].n, result.compared[0].team) == (20, 0.5)
    assert result.incomplete.startswith("10 rows count as the team though their members, such as a")


def test_two_teams_at_one_task_are_refused():
    rows = [
        Outcome(f"t{t}", "team", ("ann", other), 1.0) for t in range(9) for other in ("bo", "cy")
    ]
    rows += [Outcome(f"t{t}", "solo", ("ann",), 0.0) for t in range(9)]
    with pytest.raises(SettingError, match="got two teams at one task, ann;bo and ann;cy"):
        compare_outcomes(rows)
    worth = [f for f in audit([], rows, ("worth",)).findings if f.name == "team_minus_solo"]
    assert worth[0].verdict == "not_computable"
    assert "two teams" in worth[0].reason


def test_isolated_rows_without_one_member_are_counted():
    rows = pairs([1.0] * 9, [0.5] * 9)
    rows += [Outcome(f"t{t}", "isolated", who, 0.0) for t in range(9) for who in ((), ("x", "y"))]
    assert compare_outcomes(rows).incomplete == "left out: 18 isolated rows without one member"


ROWS = [f"t{i},solo,0.{i},{'right' if i % 2 else 'wrong'}" for i in range(9)]


@pytest.mark.fault("R10")
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('t9,solo,0.5,"the answer', "row from line 11 on: unexpected end of data"),
        ("t9,solo", "line 11: got 2 cells in 4 columns; wanted a cell for each"),
        ("t9,solo,0.5,a,b", "line 11: got 5 cells in 4 columns"),
    ],
)
def test_a_row_that_is_torn_is_refused(row, said, tmp_path):
    (tmp_path / "o.csv").write_text("\n".join(["task,setting,score,answer", *ROWS, row, *ROWS, ""]))
    with pytest.raises(LogError, match=said):
        read_outcomes(tmp_path / "o.csv")


@pytest.mark.fault("R10")
def test_a_last_line_without_an_end_may_be_cut(tmp_path, capsys):
    table = "task,setting,score\n" + "".join(f"t{i},solo,1\nt{i},team,0.9{i}\n" for i in range(9))
    (tmp_path / "whole.csv").write_text(table)
    (tmp_path / "cut.csv").write_text(table[:-3])
    notes = []
    assert len(read_outcomes(tmp_path / "whole.csv", notes.append)) == 18
    assert notes == []
    assert main(["compare-outcomes", str(tmp_path / "cut.csv")]) == 0
    assert "has no line end, so its last value may be cut" in capsys.readouterr().err


def test_answers_of_parts_of_a_team_are_no_answers_of_the_team():
    """A pair takes a rare answer, and the team the common one: the team adopts none."""
    rows = []
    for t in range(9):
        alone = (("a", "x"), ("b", "x"), ("c", "y"))
        rows += [Outcome(f"t{t}", "isolated", (who,), 0.0, answer=said) for who, said in alone]
        rows.append(Outcome(f"t{t}", "team", ("a", "b", "c"), 1.0, answer="x"))
    whole = {f.name: f for f in audit([], rows, ("worth",)).findings}["idea_adoption"]
    parts = [Outcome(f"t{t}", "team", ("a", "c"), 0.0, answer="y") for t in range(9)]
    mixed = {f.name: f for f in audit([], rows + parts, ("worth",)).findings}["idea_adoption"]
    assert (mixed.value, mixed.n) == (whole.value, whole.n)
