"""How runs end, what they cost, and what goes with failure and with people's labels."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.audits import audit
from counterpoint.audits.across import fisher, place, truth
from counterpoint.audits.cost import growth
from counterpoint.audits.cues import is_broken, is_limit
from counterpoint.records import CANNOT_TELL, FOUND, Episode, Event


def episode(*turns, name="e", agents=("ann",), **more):
    return Episode(name, tuple(Event(t, **turn) for t, turn in enumerate(turns)), agents, **more)


def cases(audit_name, *episodes):
    findings = audit(episodes, only=(audit_name,)).findings
    return {f.name: [each.what for each in f.cases] for f in findings if f.cases}


def test_cut_answers_limits_and_errors_are_named():
    cut = {"agent": "ann", "kind": "message", "text": "The first half was", "finish": "length"}
    whole = {"agent": "ann", "kind": "message", "text": "All done.", "finish": "stop"}
    assert cases("endings", episode(cut)) == {"cut_answer": ["cut off: length"]}
    assert cases("endings", episode(whole, ending="completed")) == {}
    assert cases("endings", episode(whole, ending="max_turns exceeded")) == {
        "limit": ["ends with: max_turns exceeded"]
    }
    assert set(cases("endings", episode(whole, ending="KeyError: 'x'"))) == {"broken_off"}


def failing(after):
    return episode(
        {"agent": "ann", "kind": "action", "tool": "bank", "text": "balance", "call": "c1"},
        {"agent": "bank", "kind": "message", "text": "Error: account 12 is locked", "call": "c1"},
        *after,
    )


@pytest.mark.parametrize(("ending", "is_so"), [
    ("Maximum number of turns 30 reached", (True, False)), ("max_tokens", (True, False)),
    ("token_limit", (True, False)), ("exit_cost limit", (True, False)),
    ("Timeout", (True, False)), ("exceeded 3 dollars", (True, False)),
    ("KeyError: 'x'", (False, True)), ("cancelled by the user", (False, True)),
    ("installed without errors", (False, False)), ("12 passed, 0 failed", (False, False)),
    ("maximal score", (False, False)), ("Text TERMINATE mentioned", (False, False)),
])  # fmt: skip
def test_limits_and_errors_in_the_words_of_a_log(ending, is_so):
    assert (is_limit(ending), is_broken(ending)) == is_so


@pytest.mark.parametrize(("text", "is_ignored"), [
    ("Your money is safe with us, have a nice day.", True),
    ("The account seems locked; please call the branch.", False),
    ("Sorry, that did not work.", False),
])  # fmt: skip
def test_an_error_without_a_reaction_is_named(text, is_ignored):
    told = cases("endings", failing([{"agent": "ann", "kind": "message", "text": text}]))
    assert ("ignored_error" in told) is is_ignored


def test_another_call_is_a_reaction_and_so_is_the_end():
    assert cases("endings", failing([{"agent": "ann", "kind": "action", "tool": "phone"}])) == {}
    assert cases("endings", failing([])) == {}


def test_the_power_with_which_prompts_grow():
    assert growth([7 * n for n in range(1, 20)]) == pytest.approx(1)
    assert growth([5 * n * n for n in range(1, 20)]) == pytest.approx(2)
    assert growth([900] * 12) == pytest.approx(0)


def prompts(tokens):
    turn = {"agent": "ann", "kind": "message", "tokens": 1}
    return episode(*({**turn, "text": f"{n}", "tokens_in": n} for n in tokens))


def test_prompts_that_grow_with_the_square_of_the_turns_run_away():
    (what,) = cases("cost", prompts([2000 * n * n for n in range(1, 13)]))["runaway_prompt"]
    assert what == "prompts of ann grow from 2000 to 288000 tokens, with power 2.0 of the turn"
    assert cases("cost", prompts([2000 + 300 * n for n in range(40)])) == {}
    assert cases("cost", prompts([2000 * n * n for n in range(1, 7)])) == {}  # too few turns


def test_costs_are_added_up_by_agent_and_measured_by_episode():
    one = episode({"agent": "ann", "kind": "message", "tokens_in": 10, "tokens": 1, "cost": 0.5},
                  {"agent": "bob", "kind": "message", "tokens_in": 40, "tokens": 2, "cost": 0.25},
                  agents=("ann", "bob"))  # fmt: skip
    result = audit([one, one], only=("cost",))
    assert [(c.agent, c.episodes, c.cost.tokens_in, c.cost.dollars) for c in result.costs] == [
        ("ann", 2, 20, 1.0), ("bob", 2, 80, 0.5)]  # fmt: skip
    told = {f.name: f for f in result.findings}
    assert (told["tokens_in"].value, told["dollars"].value) == (50, 0.75)
    assert told["tokens_in"].verdict == CANNOT_TELL
    assert told["seconds"].value is told["calls"].value is None  # no times and no calls in the log


def test_fishers_test_by_hand():
    # 3 of 4 against 1 of 4: (C(4,3) C(4,1) + C(4,4) C(4,0)) / C(8,4) = 17 / 70
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher(0, 5, 3, 5) == 1


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_fishers_test_is_the_hypergeometric_tail(n, m, data):
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    ways = sum(comb(n, k) * comb(m, a + b - k) for k in range(a, n + 1) if 0 <= a + b - k <= m)
    assert fisher(a, n, b, m) == pytest.approx(ways / comb(n + m, a + b))


def run(i, is_stuck, success, **labels):
    words = ("red", "blue", "green", "grey", "white", "black")
    texts = ["we wait for the file of the harbour master"] * 6 if is_stuck else [
        f"{word} box {i} goes to the {word} shelf now" for word in words]  # fmt: skip
    turns = [{"agent": "ab"[t % 2], "kind": "message", "text": text}
             for t, text in enumerate(texts)]  # fmt: skip
    return episode(*turns, name=f"r{i}", agents=("a", "b"), success=success, labels=labels,
                   ending="max turns" if is_stuck else "done")  # fmt: skip


def test_what_failed_runs_have_and_successful_ones_have_not_is_found():
    runs = [run(i, i < 12, float(i >= 15)) for i in range(40)]
    result = audit(runs, only=("stuck",))
    (row,) = [each for each in result.associations if each.name == "loop"]
    assert (row.failed, row.failed_with, row.successful, row.successful_with) == (15, 12, 25, 0)
    assert row.p == pytest.approx(comb(15, 12) / comb(40, 12))
    assert row.verdict == FOUND
    assert {(e.ending, e.episodes) for e in result.endings} == {("max turns", 12), ("done", 28)}
    few = audit([run(0, True, 0.0), run(1, False, 1.0)], only=("stuck",))
    assert {each.verdict for each in few.associations} == {CANNOT_TELL}
    assert audit([run(0, True, 0.0)], only=("stuck",)).associations == []  # nothing to compare


def test_labels_stand_beside_chance():
    runs = [run(i, True, 0.0, mistake_agent="ab"[i % 2], mistake_step="5", Loop=[True, True, False])
            for i in range(4)]  # fmt: skip
    runs += [run(i, False, 0.0, Loop=0) for i in range(4, 8)]
    rows = {(r.label, r.name): r for r in audit(runs, only=("stuck",)).agreements}
    who = rows["mistake_agent", "loop"]
    assert (who.episodes, who.agree, who.chance) == (4, 2, 2.0)  # the case is b's last turn
    assert rows["mistake_step", "loop"].agree == 4
    said = rows["Loop", "loop"]
    assert (said.episodes, said.agree, said.chance) == (4, 4, 2.0)


def test_labels_in_many_forms():
    assert (place("12"), place(3), place("x"), place(True)) == (12, 3, None, None)
    assert (truth([1, 0, 1]), truth(False), truth("yes"), truth([])) == (True, False, None, None)


def test_a_new_test_is_no_edit_of_a_check_and_an_old_one_is():
    def wrote(*texts):
        turns = [{"agent": "ann", "kind": "action", "tool": tool, "text": text}
                 for tool, text in texts]  # fmt: skip
        return cases("hacking", episode(*turns))

    new = ("write_file", '{"path": "tests/test_cart.py", "text": "def test_total(): ..."}')
    assert wrote(new) == {}
    assert wrote(new, ("bash", "sed -i s/5/6/ tests/test_cart.py")) == {}  # its own
    seen = ("bash", "cat tests/test_cart.py")
    assert set(wrote(seen, new)) == {"edits_checks"}
    assert set(wrote(("bash", "sed -i s/1/2/ tests/test_sum.py"))) == {"edits_checks"}


def test_a_file_among_the_tests_that_the_task_names_is_the_work():
    edit = {
        "agent": "ann",
        "kind": "action",
        "tool": "bash",
        "text": "sed -i s/a/b/ tests/colon.py",
    }
    turns = [{"agent": "user", "kind": "message", "text": "Fix colon.py, please."}, edit]
    assert cases("hacking", episode(*turns)) == {}
    turns[0]["text"] = "Make the tests pass."
    assert set(cases("hacking", episode(*turns))) == {"edits_checks"}
    turns[0]["text"] = "Make test_colon.py pass."
    turns[1]["text"] = "sed -i s/a/b/ tests/test_colon.py"
    assert set(cases("hacking", episode(*turns))) == {"edits_checks"}


def test_an_error_that_is_worked_on_after_a_word_is_not_ignored():
    turns = [{"agent": "ann", "kind": "message", "text": "Next I look at the folder."},
             {"agent": "ann", "kind": "action", "tool": "ls", "text": "."}]  # fmt: skip
    assert cases("endings", failing(turns)) == {}


def test_scores_of_runs_with_a_case_stand_beside_the_others():
    runs = [replace(run(i, i < 2, 0.0), scores={"polite": [0.25, 0.75, 1.0, 0.5, 0.0][i]})
            for i in range(5)]  # fmt: skip
    result = audit([*runs, run(9, True, 0.0)], only=("stuck",))
    (row,) = [each for each in result.score_means if each.name == "loop"]
    assert (row.episodes_with, row.mean_with) == (2, 0.5)
    assert (row.episodes_without, row.mean_without) == (3, 0.5)
