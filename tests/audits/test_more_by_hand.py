"""Words, effort, rework and conformity: small logs, with the arithmetic beside them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from counterpoint.audits import audit
from counterpoint.audits.agreement import concessions, drift, look, vendi
from counterpoint.audits.base import mean_interval
from counterpoint.audits.coordination import churn, pace, serial_share
from counterpoint.audits.idleness import concentration, partner_tables
from counterpoint.audits.overlap import hashed
from counterpoint.records import CANNOT_TELL, FOUND, NOT_COMPUTABLE, Episode, Event, Outcome


def episode(*told, name="e", **more):
    events = tuple(Event(t, **each) for t, each in enumerate(told))
    return Episode(name, events, tuple(dict.fromkeys(e.agent for e in events)), **more)


def one(name, *args, **more):
    return next(f for f in audit(*args, **more).findings if f.name == name)


def test_members_who_say_the_same_are_one_and_who_share_no_word_are_two():
    assert vendi(hashed(["a b", "b a a"])) == pytest.approx(1)
    assert vendi(hashed(["a b", "c d"])) == pytest.approx(2)
    # cosine 1/2: eigenvalues 3/4 and 1/4
    half = vendi(hashed(["a b", "a c"]))
    assert half == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))


def test_repetition_is_late_less_early():
    def told(*texts):
        events = [{"agent": "ab"[i % 2], "kind": "message", "text": t} for i, t in enumerate(texts)]
        return look(episode(*events)).row["repetition"]

    new = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i}" for i in range(8)]
    assert told(*new) == 0
    # of messages 4 to 7: nothing, nothing, all, and the four of its eight words that 5 had
    half = "a5 b5 c5 d5 i j k l"
    assert told(*new[:6], new[5], half) == pytest.approx((1 + 1 / 5) / 2)
    assert told(*new[:7]) is None  # too short


def test_echo_is_of_the_partners_last_message_less_its_earlier_ones():
    new = [f"a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i}" for i in range(4)]

    def told(*texts, who="abab"):
        events = [
            {"agent": a, "kind": "message", "text": t} for a, t in zip(who, texts, strict=False)
        ]
        return look(episode(*events)).row["echo"]

    assert told(*new[:3]) is None  # no message has two of a partner's before it
    assert told(*new) == 0  # of message 3 alone, which shares nothing
    assert told(*new[:3], new[2]) == 1
    assert told(*new[:3], new[0]) == -1
    assert told(*new[:3], new[0], who="aaab") == -1 / 2  # the partner's earlier ones are two


def test_drift_is_late_less_early_with_the_partners_last():
    early, late = ["x", "y", "z", "u"], ["p", "p p", "p", "p q"]
    # early: three pairs share nothing; late: u with p, then 1, 1, 1/2
    assert drift("abababab", hashed([*early, *late])) == pytest.approx((0 + 1 + 1 + 0.5) / 4)
    assert drift("aaaaaaaa", hashed(["x"] * 8)) is None  # nobody answers anybody


def answer(who, what, text=""):
    return {"agent": who, "kind": "answer", "answer": what, "text": text}


def test_who_takes_an_answer_for_nothing_concedes():
    ann, bob = answer("ann", "A"), answer("bob", "B")
    told = concessions(episode(ann, bob, answer("bob", "A")))
    assert [(p.event, p.agent, p.before, p.now) for p in told] == [(2, "bob", "B", "A")]
    argument = {"agent": "ann", "kind": "message", "text": "one two three four five new words"}
    assert concessions(episode(ann, bob, argument, answer("bob", "A"))) == []
    short = {"agent": "ann", "kind": "message", "text": "no it is A"}
    assert len(concessions(episode(ann, bob, short, answer("bob", "A")))) == 1
    ran = {"agent": "bob", "kind": "action", "text": "run"}
    assert concessions(episode(ann, bob, ran, answer("bob", "A"))) == []
    own = {"agent": "bob", "kind": "message", "text": "six words of his own are nothing new"}
    assert len(concessions(episode(ann, bob, own, answer("bob", "A")))) == 1


def test_who_agree_all_along_or_change_for_themselves_do_not_concede():
    both = [answer("ann", "A"), answer("bob", "A"), answer("bob", "A")]
    assert concessions(episode(*both)) is None
    own = [answer("ann", "A"), answer("bob", "B"), answer("bob", "C")]
    assert concessions(episode(*own)) == []
    assert concessions(episode(answer("ann", "A"), answer("bob", "B"))) is None  # nobody again


def test_concentration_of_work():
    assert concentration([3, 3]) == pytest.approx(0)
    assert concentration([6, 0]) == pytest.approx(1)
    # shares 3/4, 1/4: entropy .811 bits of 1
    assert concentration([3, 1]) == pytest.approx(1 - 0.8112781, abs=1e-6)
    assert concentration([0, 0]) is None
    assert concentration([5]) is None


def test_tables_of_a_partner():
    # b copies a's turn; a alternates. After working, b idle 2 of 2 after idle, and so on.
    turns = [("a", True), ("b", True), ("a", False), ("b", False)] * 2
    told = partner_tables(turns)
    # b's turns: (own idle, partner working): working; (own working, partner idle): idle;
    # (own idle, partner working): working. a's: (own idle, partner idle): working; (own working,
    # partner working): idle; (own idle, partner idle): working.
    # No table has both exposures, so nothing can be told.
    assert told is None
    mixed = [("a", True), ("b", False), ("a", True), ("b", True), ("a", False), ("b", False),
             ("a", True), ("b", True), ("a", False), ("b", False)]  # fmt: skip
    told = partner_tables(mixed)
    # b after own working: (a idle: idle, idle), after own idle: (a working: working, working)
    # a after own idle: b working: idle; b idle: working, working. a after own working: b working:
    # idle. The only table of both exposures is a after own idle: [[0, 2], [1, 0]].
    assert told.both == 0
    assert told.cross == pytest.approx(2 / 3)
    assert told.over == pytest.approx(0 - 2 * 1 / 3)
    assert told.variance == pytest.approx(2 * 1 * 1 * 2 / (9 * 2))


def test_lines_taken_back():
    first = "--- a\n+++ b\n@@ -1 +1,3 @@\n+first long line\n+second long line\n+}\n"
    second = "--- a\n+++ b\n@@ -1 +1,3 @@\n-first long line\n+third long line\n-never seen line\n"
    wrote = [{"agent": "a", "kind": "action", "text": text} for text in (first, second)]
    assert churn(episode(*wrote)) == pytest.approx(1 / 3)  # one of three; braces do not count
    before = "return one\nreturn two"
    edits = [
        {"old_str": "x", "new_str": before},
        {"old_str": before, "new_str": "return two\nreturn three"},
    ]
    called = [{"agent": "a", "kind": "action", "text": json.dumps(each)} for each in edits]
    assert churn(episode(*called)) == pytest.approx(1 / 3)  # `return two` has stayed
    inside = [{"agent": "a", "kind": "action", "text": json.dumps({"patch": text})}
              for text in (first, second)]  # fmt: skip
    assert churn(episode(*inside)) == pytest.approx(1 / 3)
    assert churn(episode({"agent": "a", "kind": "action", "text": "ls\n+ -"})) is None


def test_amdahls_share():
    assert serial_share(1, 8, 8) == 0
    assert serial_share(1, 8, 1) == 1
    # 1 / (s + (1 - s) / 20) = 2.2 at s = .4257
    assert serial_share(1, 20, 2.2) == pytest.approx((1 - 2.2 / 20) / (2.2 * 0.95))
    assert serial_share(2, 4, 4 / 3) == pytest.approx(1 / 3)  # (1/3 + 1/3) / (1/3 + 1/6)
    assert serial_share(1, 4, 0.5) == 1


def test_pace_takes_times():
    acts = [{"agent": "ab"[t % 2], "kind": "action", "seconds": 2.0 * t}
            for t in range(5)]  # fmt: skip
    assert pace(episode(*acts)) == (2, 0.5)
    assert pace(episode({"agent": "a", "kind": "action"})) is None
    odd = [{"agent": "a", "kind": "action", "seconds": at}
           for at in (None, float("nan"), float("inf"), 1.0)]  # fmt: skip
    assert pace(episode(*odd)) is None


def alone(task, **answers):
    return [Outcome(task, "isolated", (who,), 0.0, answer=a) for who, a in answers.items()]


def together(task, gold, **answers):
    return episode(*(answer(who, what) for who, what in answers.items()), name=task, task=task,
                   meta={"gold": gold})  # fmt: skip


def test_conformity_in_numbers():
    outcomes = [*alone("t", a="X", b="Y", c="Y"), *alone("u", a="X", b="Y", c="Z")]
    teams = [together("t", "X", a="Y", b="Y", c="Y"), together("u", "Z", a="Z", b="Y", c="Z")]
    told = {f.name: f for f in audit(teams, outcomes, ("agreement",)).findings}
    # right alone: a in t (flips to Y), c in u (stays)
    assert (told["flips_to_wrong"].value, told["flips_to_wrong"].n) == (0.5, 2)
    # wrong alone: b, c in t stay; a in u mends, b does not
    assert (told["recovery"].value, told["recovery"].n) == (0.25, 4)
    # against the others' mode: only a in t has one, Y, and takes it, from right to wrong;
    # b in t has others X and Y, a tie
    assert (told["modal_adoption"].value, told["modal_adoption"].n) == (1.0, 1)
    assert "0 of them turn right by it, 1 turn wrong" in told["modal_adoption"].reason
    assert told["modal_adoption"].verdict == told["recovery"].verdict == CANNOT_TELL
    # somebody is right alone in both; the vote is Y in t (wrong) and Z in u (right)
    assert told["oracle_gap"].value == 0.5
    assert (told["disagreement_collapse"].value, told["disagreement_collapse"].n) == (0.5, 2)


def test_two_who_are_both_right_are_not_blamed():
    outcomes = [o for i in range(40) for o in alone(f"t{i}", a="X", b="X")]
    teams = [together(f"t{i}", "X", a="X", b="X") for i in range(40)]
    assert all(f.verdict != FOUND for f in audit(teams, outcomes, ("agreement",)).findings)


def test_who_is_needed():
    rows = []
    for i in range(10):
        rows += [Outcome(f"t{i}", "team", ("a", "b"), 1.0), Outcome(f"t{i}", "solo", ("a",), 1.0),
                 Outcome(f"t{i}", "solo", ("b",), 0.0)]  # fmt: skip
    told = one("necessity", [], rows, ("idleness",))
    assert told.verdict == FOUND
    assert told.value == 0
    assert "least needed member, b" in told.reason
    assert "a +1.00" in told.reason
    few = one("necessity", [], rows[:27], ("idleness",))
    assert few.verdict == NOT_COMPUTABLE


def test_a_log_with_tasks_and_success_is_a_table_of_outcomes_itself():
    def run(i, size):
        told = [{"agent": who, "kind": "message", "text": "x"} for who in "abc"[:size]]
        return episode(*told, name=f"{i}-{size}", task=f"t{i}", success=float(size == 1 or i < 3))

    runs = [run(i, size) for i in range(12) for size in (1, 2)]
    told = one("retention", runs)
    assert told.value == 0.25
    assert told.verdict == FOUND
    given = [Outcome("x", "team", ("a",), 1.0)]
    assert one("retention", runs, given).verdict == NOT_COMPUTABLE  # a table that is given counts


def test_success_is_the_truth_where_no_true_reward_is_told():
    runs = [
        episode({"agent": "a", "kind": "end", "reward": {"proxy": float(i)}}, name=str(i),
                success=float(i < 20))
        for i in range(40)
    ]  # fmt: skip
    assert one("proxy_gap", runs).verdict == FOUND


def test_what_stands_out_late_is_kept_for_the_timelines():
    said = {"agent": "a", "kind": "message", "text": "the very same sentence, again and again, a"}
    quiet = [episode({"agent": "a", "kind": "message", "text": f"{i}"}, name=f"q{i}")
             for i in range(30)]  # fmt: skip
    loud = episode(said, said, said, name="loud")
    names = [t.episode for t in audit([*quiet, loud], sample=5).timelines]
    assert names == ["q0", "q1", "q2", "q3", "q4", "loud"]


def test_many_values_take_the_normal_interval_and_few_the_bootstrap():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=10_001)
    told, drawn = mean_interval(values), mean_interval(values[:10_000])
    assert told.value == pytest.approx(values.mean())
    assert told.high - told.value == pytest.approx(1.959964 * values.std(ddof=1) / 10_001**0.5)
    assert told.low == pytest.approx(drawn.low, abs=0.003)
    assert told.high == pytest.approx(drawn.high, abs=0.003)


def test_rewards_beyond_all_sense_are_missing():
    huge = [episode({"agent": "a", "kind": "end",
                     "reward": {"proxy": 1e308, "true": -1e308, "visible": 1e308, "held_out": 0.0}},
                    name=str(i)) for i in range(30)]  # fmt: skip
    told = {f.name: f for f in audit(huge, only=("hacking",)).findings}
    assert told["proxy_gap"].verdict == told["held_out_gap"].verdict == NOT_COMPUTABLE
