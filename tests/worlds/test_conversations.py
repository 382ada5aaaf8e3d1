"""`conversation` by hand: whose words are whose turn."""

from __future__ import annotations

import pytest

from counterpoint.errors import WorldError
from counterpoint.worlds import Prompt, Statement, conversation

SAID = (
    Statement("solver", "two\nlines"),
    Statement("checker", "1 of 2 right"),
    Statement("verifier", "the second is wrong"),
    Statement("solver", ""),
    Statement("verifier", "better"),
)


def test_own_answers_are_turns_of_the_assistant_and_the_others_one_turn_between_them():
    prompt = conversation("solver", "You solve.", "Solve it.", SAID, then="Again.", most_tokens=9)
    assert prompt == Prompt(
        "solver",
        "You solve.",
        "verifier: better\nAgain.",
        (),
        9,
        (
            ("user", "Solve it."),
            ("assistant", "two\nlines"),
            ("user", "checker: 1 of 2 right\nverifier: the second is wrong"),
            ("assistant", ""),
        ),
    )
    assert [role for role, _ in prompt.messages] == [
        "system", "user", "assistant", "user", "assistant", "user"
    ]  # fmt: skip


def test_the_first_question_has_all_that_others_said_before():
    prompt = conversation("verifier", "You check.", "Is it right?", SAID[:1], words=("yes", "no"))
    assert prompt.messages == (
        ("system", "You check."), ("user", "Is it right?\nsolver: two\nlines")
    )  # fmt: skip
    assert prompt.words == ("yes", "no")
    first = conversation("solver", "You solve.", "Solve it.", (), then="Again.")
    assert first == Prompt("solver", "You solve.", "Solve it.")


def test_an_example_stands_before_the_question():
    shown = (("user", "1 + 1?"), ("assistant", "2"))
    first = conversation("solver", "s", "2 + 2?", (), then="Again.", examples=shown)
    assert first.messages[1:] == (*shown, ("user", "2 + 2?"))
    heard = conversation("verifier", "s", "q", SAID[:1], then="Again.", examples=shown)
    assert heard.messages[1:] == (*shown, ("user", "q\nsolver: two\nlines"))
    again = conversation("solver", "s", "q", SAID[:2], then="Again.", examples=shown)
    assert again.messages[3:] == (
        ("user", "q"), ("assistant", "two\nlines"), ("user", "checker: 1 of 2 right\nAgain.")
    )  # fmt: skip


def test_results_of_tools_are_messages_of_a_tool_without_a_name():
    prompt = conversation("solver", "s", "q", SAID[:2], tools=("checker",))
    assert prompt.messages[1:] == (
        ("user", "q"), ("assistant", "two\nlines"), ("tool", "1 of 2 right"), ("user", "Go on.")
    )  # fmt: skip
    after = conversation("solver", "s", "q", SAID[:3], tools=("checker",), then="Again.")
    assert after.messages[3:] == (
        ("tool", "1 of 2 right"), ("user", "verifier: the second is wrong\nAgain.")
    )  # fmt: skip


def test_who_speaks_twice_is_asked_to_go_on():
    assert conversation("solver", "s", "q", SAID[:1]).user == "Go on."
    assert conversation("solver", "s", "q", SAID[:1], then="Write more.").user == "Write more."


def test_prompts_with_other_earlier_messages_are_shown_and_sorted_apart():
    one = conversation("solver", "s", "q", SAID[:1])
    two = conversation("solver", "s", "q", (Statement("solver", "three"),))
    assert one.user == two.user
    assert one.place != two.place
    assert one.shown == "user: q\nassistant: two\nlines\nGo on."
    assert Prompt("solver", "s", "q").shown == "q"
    assert sorted([one, two], key=lambda prompt: prompt.place) == [two, one]


def test_earlier_messages_may_be_lists_and_are_kept_as_pairs():
    one = Prompt("a", "s", "q", earlier=[["user", "x"], ("assistant", "y")])
    assert one.earlier == (("user", "x"), ("assistant", "y"))
    assert {one: 1}[Prompt("a", "s", "q", earlier=one.earlier)] == 1


@pytest.mark.parametrize("message", [("asistant", "x"), ("user", 3), ("user",), "user", None])
def test_an_earlier_message_that_is_no_role_and_text_is_refused(message):
    with pytest.raises(WorldError, match=r"in a prompt of 'solver'; wanted \(role, text\)"):
        Prompt("solver", "s", "q", earlier=(message,))
