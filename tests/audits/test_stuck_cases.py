"""Loops in any wording and language, and their healthy twins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.audits import audit
from counterpoint.audits.calls import handed_to, plain, steady
from counterpoint.audits.similar import ALL, SKETCH, Duplicates, normal, similarity, sketch
from counterpoint.audits.stuck import doubled_history
from counterpoint.records import Episode, Event

LOOPS = {"loop", "starting_over", "repeated_call", "handoff_ping_pong", "deadlock"}


def seen(*turns, ending="", members=None):
    """The names of the findings of `stuck` that have cases, with the first case of each."""
    events = tuple(Event(t, **turn) for t, turn in enumerate(turns))
    agents = members or tuple(dict.fromkeys(e.agent for e in events if e.agent not in TOOLS))
    findings = audit([Episode("e", events, agents, ending=ending)], only=("stuck",)).findings
    return {f.name: f.cases[0] for f in findings if f.cases}


TOOLS = ("user", "shop_db", "ci")


def says(agent, text):
    return {"agent": agent, "kind": "message", "text": text}


def calls(agent, tool, text, result=None, call=""):
    turn = [{"agent": agent, "kind": "action", "tool": tool, "text": text, "call": call}]
    if result is not None:
        turn.append({"agent": tool, "kind": "message", "text": result, "tool": tool, "call": call})
    return turn


def test_the_similarity_of_texts_by_hand():
    # windows of 8 bytes: "abcdefgh", "bcdefghi" and "abcdefgh", "bcdefghX": 1 of 3
    assert similarity(sketch("abcdefghi"), sketch("abcdefghX")) == pytest.approx(1 / 3)
    assert similarity(sketch("same words"), sketch("same words")) == 1
    assert sketch("short").end == ALL
    assert normal("  Hello \n\t WORLD ") == "hello world"


def test_of_long_texts_the_hashes_that_both_sketches_cover_are_compared():
    words = [f"word{i * 7919 % 997}" for i in range(90)]
    one, other = sketch(" ".join(words)), sketch(" ".join(words[6:]))
    end = min(one.end, other.end)
    a, b = ({each for each in part.hashes if each <= end} for part in (one, other))
    assert one.end != other.end
    assert similarity(one, other) == len(a & b) / len(a | b) > 0.6


@given(st.text(min_size=1, max_size=400), st.text(min_size=1, max_size=400))
def test_similarity_is_symmetric_and_one_for_the_same(one, other):
    a, b = sketch(normal(one)), sketch(normal(other))
    assert similarity(a, b) == similarity(b, a)
    assert 0 <= similarity(a, b) <= 1
    assert similarity(a, a) == 1
    assert len(a.hashes) <= max(SKETCH, 1)


def test_a_long_text_with_one_word_changed_is_a_duplicate_and_another_text_is_not():
    text = " ".join(f"step{i * 7919 % 1000} does thing {i * 104729 % 997}" for i in range(60))
    known = Duplicates()
    assert known.of(text) == (0, True)
    assert known.of(text.replace("step0 ", "step8 ")) == (0, False)
    assert known.of(text[::-1])[1]


def test_a_counter_in_a_template_is_progress_and_a_reworded_copy_is_not():
    known = Duplicates()
    report = "Section {}: the notes on change number {} are written and list what users do."
    assert all(known.of(normal(report.format(i, i)))[1] for i in range(9))
    assert known.of("the door to the cellar is locked, so nobody can get in there")[1]
    assert not known.of("the door to the cellar is locked so nobody can get in there!")[1]


@pytest.mark.parametrize(
    "text", ["我在等你的大纲，没有大纲我没法整理数据。", "Fertig?", "جاهز؟ نعم"]
)
def test_members_that_say_the_same_loop_in_any_language_and_length(text):
    turns = [says("ab"[t % 2], text + "!" * (t % 2)) for t in range(12)]
    loop = seen(says("user", "go"), *turns)["loop"]
    assert (loop.first, loop.event, loop.times) == (1, 12, 12)
    assert loop.what == "a and b repeat themselves for 12 turns"


def test_thanks_that_come_round_again_are_a_loop():
    thanks = ["Thank you, that was a pleasure!", "The pleasure is mine, dear colleague.",
              "So kind of you, have a fine evening!", "You too, and all the best!",
              "See you soon, and take good care.", "Take care as well, my friend."]  # fmt: skip
    turns = [says("ab"[t % 2], thanks[t % 6]) for t in range(18)]
    assert "loop" in seen(says("user", "Plan it."), *turns)
    assert seen(says("user", "Plan it."), *turns[:6]) == {}


def test_an_orchestrator_that_takes_up_its_plan_again_starts_over():
    plan = "We work on this request again: open the site of the museum and read the hours of today."
    turns = []
    for i in range(5):
        news = f"So far we know of {'xyzuvw'[i] * 12} and of nothing more."
        page = f"Page {i}: {chr(97 + i) * 9} " * 4
        turns += [says("lead", plan), says("web", page), says("lead", news)]
    restart = seen(*turns)["starting_over"]
    assert restart.times == 4  # the first plan was new
    assert "lead 4" in restart.what


SQL = '{"sql": "select count(*) from tickets", "request_id": "r-%d"}'


def test_the_same_call_with_a_new_id_and_the_same_error_is_one_case():
    turns = [turn for i in range(7) for turn in
             calls("ann", "shop_db", SQL % (1000 + 7 * i), "ERROR: no such table")]  # fmt: skip
    case = seen(says("user", "How many?"), *turns)["repeated_call"]
    assert case.what == "shop_db 7 times, each time: ERROR: no such table"
    assert (case.first, case.event, case.agent) == (1, 13, "ann")


def test_polling_until_it_changes_and_tests_after_every_edit_are_healthy():
    polls = [turn for state in ("queued", *["running"] * 9, "passed")
             for turn in calls("ops", "ci", '{"id": 7}', state)]  # fmt: skip
    assert seen(says("user", "Wait for it."), *polls) == {}
    cycle = [turn for i in range(6) for turn in (
        *calls("dev", "ci", f"edit cart.py line {i}", "ok"),
        *calls("dev", "ci", "pytest -q", "3 failed"))]  # fmt: skip
    assert seen(says("user", "Fix it."), *cycle) == {}
    waits = [turn for _ in range(6) for turn in (
        *calls("ops", "ci", "status", "running"), *calls("ops", "ci", "sleep 60", ""))]  # fmt: skip
    assert seen(says("user", "Watch it."), *waits) == {}


def test_handoffs_back_and_forth_are_named_with_their_tool():
    turns = []
    for t in range(8):
        agent, other = (("Triage Agent", "refunds"), ("refunds", "triage"))[t % 2]
        turns.append({"agent": agent, "kind": "action", "tool": f"transfer_to_{other}"})
        turns.append({"agent": agent, "kind": "handoff", "to": (other,)})
    case = seen(says("user", "Money back!"), *turns)["handoff_ping_pong"]
    assert case.times == 8
    assert "transfer_to_triage and back, 8 times between Triage Agent and refunds" in case.what
    turns[6:6] = calls("refunds", "shop_db", "look up order 17", "paid")
    turns[12:12] = [says("refunds", "The order was paid on Monday and cannot be refunded now.")]
    assert "handoff_ping_pong" not in seen(says("user", "Money back!"), *turns)


def test_names_of_tools_that_hand_over():
    assert handed_to(Event(0, "a", "action", tool="handoff_to_billing")) == "billing"
    assert handed_to(Event(0, "a", "action", tool="transfer_back_to_lead")) == "lead"
    assert handed_to(Event(0, "a", "action", tool="transfer_money")) == ""
    assert plain("Refund Agent") == plain("refund_agent") == plain("refund")


WAITS = ("My part comes after the form.", "The form comes after the endpoint.",
         "There is nothing to do here before the endpoint.", "The endpoint needs the form before.",
         "So my part is after that, nothing before.", "The form is nothing without the endpoint.",
         "My form comes after the endpoint there.", "The endpoint comes after the form here.",
         "There is nothing before the form.", "There is nothing before the endpoint.")  # fmt: skip


def test_a_standoff_in_any_words_that_a_limit_ends_is_a_deadlock():
    turns = [says(("front", "back")[t % 2], text) for t, text in enumerate(WAITS)]
    case = seen(says("user", "Ship it."), *turns, ending="Maximum turns reached")["deadlock"]
    assert (case.times, case.agent) == (10, "back")
    assert seen(says("user", "Ship it."), *turns, ending="Text TERMINATE mentioned") == {}
    acts = [*turns[:9], *calls("back", "ci", "publish the endpoint", "ok"), turns[9]]
    assert seen(says("user", "Ship it."), *acts, ending="Maximum turns reached") == {}


def test_a_history_that_was_logged_twice_is_named_and_is_no_loop():
    texts = ("Read the file.", "It has twelve columns and no header.", "Name them after the spec.")
    once = [says("user", "Load the table of the harbour."),
            *(says("ab"[t % 2], text) for t, text in enumerate(texts))]  # fmt: skip
    found = seen(*once, *once, says("a", "Then I load it into the warehouse."))
    assert set(found) == {"doubled_history"}
    assert found["doubled_history"].what == "events 4 to 7 are events 0 to 3 again"
    loop = [says("ab"[t % 2], "the very same words again") for t in range(8)]
    assert doubled_history(Episode("e", tuple(Event(t, **x) for t, x in enumerate(loop)),
                                   ("a", "b"))) is None  # fmt: skip


def test_what_changes_from_call_to_call_is_left_out():
    assert steady('{"q": 1,  "request_id": "r-7"}') == steady('{"q": 1, "request_id": "r-8"}')
    assert steady("at 2026-05-01T10:00:01 ok") == steady("at 2026-05-01T11:30:59 ok")
    assert steady('{"id": 7}') != steady('{"id": 8}')


def test_different_work_in_one_template_is_healthy():
    turns = [says("ab"[t % 2], f"Item {t * 7919 + 140891} lies under {t * 104729} and was counted.")
             for t in range(20)]  # fmt: skip
    assert not LOOPS & set(seen(says("user", "Count."), *turns))


def test_code_that_is_written_again_with_a_new_line_is_new():
    def program(*lines):
        inner = "\n".join((*(f"total_{n} = total_{n - 1} + {n}" for n in range(1, 60)), *lines))
        return says(
            "coder", f"main.py\n```python\ntotal_0 = 100000\n{inner}\nprint(total_59)\n```\n"
        )

    better = [program(f"check_the_total_of(total_{n})") for n in (3, 17, 28, 39)]
    assert seen(*better) == {}
    same = [
        says(turn["agent"], f"{turn['text']}Version {n}.") for n, turn in enumerate([better[0]] * 4)
    ]
    assert set(seen(*same)) == {"loop"}
