"""Small logs, with the arithmetic beside them."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.audits import audit, hacking, idleness, worth
from counterpoint.audits.base import sign_flip
from counterpoint.audits.coordination import success_area
from counterpoint.audits.cues import proposes_rest, says_nothing, waits
from counterpoint.audits.run import corrected
from counterpoint.errors import LogError, UnknownNameError
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import CANNOT_TELL, FOUND, NOT_FOUND, Episode, Event, Finding, Outcome


def episode(*told, name="e", **more):
    events = tuple(Event(t, **each) for t, each in enumerate(told))
    agents = tuple(dict.fromkeys(e.agent for e in events))
    return Episode(name, events, agents, **more)


def test_the_longest_idle_run():
    assert idleness._longest(np.array([0, 1, 1, 0, 1, 1, 1], dtype=bool)) == (3, 6)
    assert idleness._longest(np.zeros(4, dtype=bool)) == (0, 0)


def test_idle_is_what_the_log_says_before_what_words_say():
    assert idleness.idle(Event(0, "a", "message", "a very long and useful text", work=0.0))
    assert not idleness.idle(Event(0, "a", "message", "ok", work=2.0))
    assert idleness.idle(Event(0, "a", "message", "Okay, thanks!"))
    assert not idleness.idle(Event(0, "a", "action", ""))


def test_cues():
    assert proposes_rest("Let's take a break.")
    assert not proposes_rest("The break of the data is at line 7.")
    assert waits("I'm waiting for your answer")
    assert says_nothing("")
    assert says_nothing("Sounds good, thanks")
    assert not says_nothing("Thanks, the sum is 5.")
    for courtesy in ("You're welcome!", "Thanks again!", "Thank you so much, reviewer!", "pass",
                     "My pleasure!", "Nothing to do for me.", "OK. Goodbye!", "Thank you, @Bo.",
                     "I am ready to help when needed.", "Great work, thanks a lot!"):  # fmt: skip
        assert says_nothing(courtesy), courtesy
    for content in ("No, 5.", "Yes, Paris.", "Passing tests: 4", "Thanks, but the sum is wrong",
                    "Done in main.py", "Right shoulder first", "Good question"):  # fmt: skip
        assert not says_nothing(content), content
    assert not says_nothing("I'm waiting for it. " + "But this is long. " * 20)


def test_the_best_member_is_chosen_on_other_tasks():
    # members: the first is right on even tasks, the second on odd ones, the third on none
    scores = np.array([[1, 0, 0], [0, 1, 0]] * 5, dtype=float)
    told = worth.best_member(scores)
    # each task is in a fold with the one five later, of the other parity; choosing on the others
    # ties the first two, and the first is taken: right on even tasks
    np.testing.assert_array_equal(told, scores[:, 0])


def outcomes(team, members, solo=None):
    found = []
    for i, score in enumerate(team):
        found.append(Outcome(f"t{i}", "team", ("a", "b"), score, 10.0))
        for m, name in enumerate("ab"):
            found.append(Outcome(f"t{i}", "isolated", (name,), members[i][m], 5.0))
        if solo is not None:
            found.append(Outcome(f"t{i}", "solo", ("s",), solo[i], 10.0))
    return found


def test_worth_by_hand():
    team = [0.0] * 10
    members = [[1.0, 0.0]] * 5 + [[1.0, 1.0]] * 5
    found = {f.name: f for f in audit([], outcomes(team, members, [1.0] * 10), ("worth",)).findings}
    assert found["team_minus_mean"].value == pytest.approx(-0.75)
    assert found["team_minus_best"].value == pytest.approx(-1.0)
    assert found["team_minus_oracle"].value == pytest.approx(-1.0)
    assert found["team_minus_solo"].value == pytest.approx(-1.0)
    assert found["team_minus_best"].verdict == FOUND
    assert found["team_minus_oracle"].verdict == CANNOT_TELL  # nobody has to reach it
    assert "1.00 times" in found["team_minus_solo"].reason


def test_retention_by_hand():
    solo = [1.0] * 8 + [0.0] * 4
    team = [1.0] * 4 + [0.0] * 8
    told = outcomes(team, [[0.0, 0.0]] * 12, solo)
    found = {f.name: f for f in audit([], told, ("coordination",)).findings}
    assert found["retention"].value == pytest.approx(0.5)
    assert found["retention"].verdict == FOUND
    assert found["retention_auc"].value is None  # two difficulties are no curve
    assert found["team_size"].value is None
    same = {
        f.name: f
        for f in audit([], outcomes(solo, [[0, 0]] * 12, solo), ("coordination",)).findings
    }
    assert same["retention"].value == 1
    assert same["retention"].verdict == NOT_FOUND


def test_the_area_by_hand():
    # bins at .05 and .95: trapezoid of 1 and 0 over .9
    assert success_area(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(0.45)
    assert success_area(np.array([0.5, 0.5]), np.array([0.3, 0.32])) == 0.5
    graded = [
        Outcome(f"t{i}", "solo", ("s",), s)
        for i in range(20)
        for s in [float(i % 4 > k) for k in range(4)]
    ]
    team = [Outcome(f"t{i}", "team", ("a", "b"), 0.0) for i in range(20)]
    found = {f.name: f for f in audit([], graded + team, ("coordination",)).findings}
    assert found["retention_auc"].value == 0


def test_larger_teams_that_do_worse_are_found():
    def of(size, rate):
        return [
            Outcome(f"t{i}", "team", tuple("abcd"[:size]), float(i < rate * 40)) for i in range(40)
        ]

    worse = {f.name: f for f in audit([], of(2, 0.9) + of(4, 0.3), ("coordination",)).findings}
    assert worse["team_size"].value == pytest.approx(-0.6)
    assert worse["team_size"].verdict == FOUND
    same = {f.name: f for f in audit([], of(2, 0.5) + of(4, 0.45), ("coordination",)).findings}
    assert same["team_size"].verdict == CANNOT_TELL


def test_a_team_that_beats_its_members_is_not_blamed():
    found = audit([], outcomes([1.0] * 8, [[0.0, 1.0], [1.0, 0.0]] * 4), ("worth",)).findings
    assert all(f.verdict != FOUND for f in found)


def test_members_who_are_both_right_are_not_blamed_for_agreeing():
    rows = [episode({"agent": "a", "kind": "answer", "answer": "5"},
                    {"agent": "b", "kind": "answer", "answer": "5"}, task=f"t{i}")
            for i in range(10)]  # fmt: skip
    alone = [Outcome(f"t{i}", "isolated", (m,), 1.0, None, "5") for i in range(10) for m in "ab"]
    found = audit(rows, alone, ("agreement",)).findings
    assert all(f.verdict != FOUND for f in found)


def test_members_who_give_up_what_they_knew_are_found():
    rows = [episode({"agent": "a", "kind": "answer", "answer": "4"},
                    {"agent": "b", "kind": "answer", "answer": "4"}, task=f"t{i}",
                    meta={"gold": "5"})
            for i in range(10)]  # fmt: skip
    alone = [Outcome(f"t{i}", "isolated", (m,), float(m == "a"), None, "5" if m == "a" else "4")
             for i in range(10) for m in "ab"]  # fmt: skip
    found = {f.name: f for f in audit(rows, alone, ("agreement",)).findings}
    # they differ alone on all tasks and agree on all in the team: (1 - 0) / (1 - 0)
    assert found["excess_agreement"].value == 1
    assert found["excess_agreement"].verdict == FOUND
    assert found["flips_to_wrong"].value == 1
    assert found["disagreement_collapse"].value == 1


def rewarded(proxy, true):
    return [episode({"agent": "a", "kind": "reward", "reward": {"proxy": p, "true": t}},
                    name=f"e{i}")
            for i, (p, t) in enumerate(zip(proxy, true, strict=True))]  # fmt: skip


def test_a_proxy_that_leaves_the_truth_is_found_and_where():
    x, rng = np.arange(100), np.random.default_rng(0)
    proxy = x / 50 + 0.05 * rng.standard_normal(100)
    true = np.minimum(x, 80 - x) / 40 + 0.05 * rng.standard_normal(100)
    found = {f.name: f for f in audit(rewarded(proxy, true), (), ("hacking",)).findings}
    assert found["proxy_gap"].verdict == FOUND
    assert found["goodhart_point"].verdict == FOUND
    assert found["goodhart_point"].value == pytest.approx(0.4, abs=0.1)
    same = {f.name: f for f in audit(rewarded(proxy, proxy), (), ("hacking",)).findings}
    assert same["proxy_gap"].value == 0
    assert same["proxy_gap"].verdict == same["goodhart_point"].verdict == NOT_FOUND


def test_goodhart_by_hand():
    true = np.concatenate([np.arange(20.0), 20 - np.arange(20.0)])
    at, lost = hacking.goodhart(true)
    assert at == pytest.approx(20, abs=2)
    assert lost > 10


def test_many_tests_at_once_are_corrected():
    def finding(p):
        return Finding("a", str(p), 1.0, 9, verdict=FOUND, p=p)

    # Holm: .01 <= .05/3, .02 <= .05/2, .06 > .05/1
    verdicts = [f.verdict for f in corrected([finding(0.06), finding(0.01), finding(0.02)])]
    assert verdicts == [CANNOT_TELL, FOUND, FOUND]
    # and after the first that fails, no other holds
    assert [f.verdict for f in corrected([finding(0.02), finding(0.03), finding(0.04)])] == [
        CANNOT_TELL
    ] * 3


def test_chance_by_signs_is_the_same_by_either_way():
    rng = np.random.default_rng(0)
    values = rng.normal(0.05, 1, 400)
    exact = sign_flip(values)
    assert sign_flip(np.append(values, 0.0)) == pytest.approx(exact, abs=0.03)
    assert sign_flip(np.ones(5)) == pytest.approx(1 / 32, abs=0.01)
    assert sign_flip(np.zeros(1000)) == 1


def test_only_one_audit_or_an_unknown_one():
    assert {f.audit for f in audit([], (), ("stuck",)).findings} == {"stuck"}
    with pytest.raises(UnknownNameError):
        audit([], (), ("nothing",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "wanted task, score"),
        ("task,setting,score\nx,team,2\n", "from 0 to 1"),
        ("task,setting,score\nx,both,1\n", "solo, team or isolated"),
        ("task,setting,score\nx,team,high\n", "number"),
        ("task,setting,score\n,team,1\n", "line 2, task"),
        ('{"task": "x", "setting": "team"}\n', "score"),
        ("{nonsense\n", "JSON"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, text, said):
    path = tmp_path / "t.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(LogError, match=said):
        read_outcomes(path)


def test_tables_in_both_formats_are_the_same(tmp_path):
    (tmp_path / "a.csv").write_text("task,setting,score,members,budget\nx,team,.5,a;b,7\n", "utf-8")
    (tmp_path / "a.jsonl").write_text(
        '{"task": "x", "setting": "team", "score": 0.5, "members": ["a", "b"], "budget": 7}\n',
        "utf-8",
    )
    wanted = [Outcome("x", "team", ("a", "b"), 0.5, 7.0)]
    assert read_outcomes(tmp_path / "a.csv") == read_outcomes(tmp_path / "a.jsonl") == wanted
