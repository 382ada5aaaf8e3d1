"""Which texts are a legal word, and how one is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.speakers.pending import ask_again, ask_for_a_word, legal_word
from counterpoint.speakers.speaker import Message

YES_NO = ("yes", "no")


@pytest.mark.parametrize(
    ("text", "words", "wanted"),
    [
        ("yes", YES_NO, "yes"),
        (" \n Yes.\n", YES_NO, "yes"),
        ('**"NO"**', YES_NO, "no"),
        ("\u201cNo\u201d!", YES_NO, "no"),
        ("(b)", ("A", "B"), "B"),
        ("MOVE LEFT", ("move left", "stay"), "move left"),
        ("stra\u00dfe", ("STRASSE", "x"), "STRASSE"),
        ("+", ("+", "-"), "+"),
        ("C++", ("C", "C++"), "C++"),
        ("C", ("C", "C++"), "C"),
        ("c.", ("C", "C++"), None),
        ("Yes", ("yes", "Yes"), "Yes"),
        ("YES", ("yes", "Yes"), None),
        ("yes, of course", YES_NO, None),
        ("yes no", YES_NO, None),
        ("yess", YES_NO, None),
        ("", YES_NO, None),
        ("...", YES_NO, None),
        ("", ("+", "-"), None),
        ("move  left", ("move left", "stay"), None),
    ],
)
def test_only_the_ends_and_the_case_are_forgiven(text, words, wanted):
    assert legal_word(text, words) == wanted


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_what_is_legal_is_one_of_the_words(text, words):
    words = tuple(word for word in words if word == word.strip() and word)
    assert legal_word(text, words) in {None, *words}
    assert all(legal_word(f" {word}\n", words) == word for word in words)


def test_the_line_goes_into_the_last_message_of_the_user():
    system, user = Message("system", "Rules."), Message("user", "Choose.")
    line = "Answer with exactly one of these, and nothing else: yes, no"
    assert ask_for_a_word([system, user], YES_NO) == (
        system,
        Message("user", f"Choose.\n\n{line}"),
    )
    said = Message("assistant", "Hm.")
    assert ask_for_a_word([user, said], YES_NO) == (user, said, Message("user", line))
    assert ask_for_a_word([system], YES_NO) == (system, Message("user", line))


def test_after_a_refused_answer_the_roles_still_alternate():
    asked = ask_for_a_word([Message("user", "Choose.")], YES_NO)
    again = ask_again(asked, "maybe", YES_NO)
    assert [message.role for message in again] == ["user", "assistant", "user"]
    assert ask_again(asked, " \n", YES_NO) == asked
