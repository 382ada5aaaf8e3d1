"""Shared words and shuffles, all at once, are what one at a time would give."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.audits import cues, idleness, overlap
from counterpoint.audits.overlap import WORD, chosen, hashed, runs, shared

LETTERS = st.text(alphabet="aB_9 .,-\n\x1c\u2028éſİKß我", max_size=40)
TEXTS = st.lists(LETTERS, max_size=8)


def one_by_one(sets, back):
    """For each step back, the number of what each set shares with the one before it."""
    return [[len(each & sets[i - step]) if i >= step else 0 for i, each in enumerate(sets)]
            for step in range(back + 1)]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(TEXTS, st.integers(1, 4), st.integers(0, 5))
def test_runs_of_words_are_shared_as_sets_of_them_are(texts, length, back):
    words = [WORD.findall(text.lower()) for text in texts]
    sets = [set(zip(*(each[i:] for i in range(length)), strict=False)) for each in words]
    counts = shared(runs(hashed(texts), length), back)
    assert counts.tolist() == one_by_one(sets, back)


def test_four_words_in_a_row_are_within_one_text():
    words = hashed(["a b c d e", "too short text", "b c d e"])
    assert shared(runs(words, 4), 2).tolist() == [[2, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_chosen_texts_are_numbered_anew():
    words = chosen(hashed(["a b", "c", "b d d"]), np.array([0, 2]))
    assert shared(words, 1).tolist() == [[2, 2], [0, 1]]


def test_different_words_have_different_hashes():
    words = [f"{a}{b}{c}" for a in range(60) for b in "abcdefghijklmnopqrst" for c in range(60)]
    words += [word[::-1] for word in words] + [f"w{i}" for i in range(50_000)]
    assert shared(hashed([" ".join(words)]), 0).item() == len(set(words))


def test_words_of_more_letters_than_there_are_ready_powers_of_the_base_are_the_same():
    long = "zz " * len(overlap._POWERS)
    assert shared(hashed(["zz b", long, "b"]), 2).tolist() == [[2, 1, 1], [0, 1, 0], [0, 0, 1]]


def test_runs_do_not_mistake_letters_for_words():
    # a polynomial of polynomials with one base would give both the same hash
    words = hashed(["x yz a b", "z y ax b", "yz x a b", "xy z a b"])
    assert shared(runs(words, 4), 3)[1:].sum() == 0


@pytest.mark.parametrize("length", [1, 2, 9, 40])
def test_orders_by_chance_are_those_of_one_at_a_time(length):
    flags = np.arange(length) % 3 == 0
    one, all_at_once = np.random.default_rng(length), np.random.default_rng(length)
    orders = [one.permutation(flags) for _ in range(idleness.SHIFTS)]
    np.testing.assert_array_equal(idleness._shuffled(flags, all_at_once), orders)
    assert one.bit_generator.state == all_at_once.bit_generator.state
    longest = [idleness._longest(order)[0] for order in orders]
    np.testing.assert_array_equal(idleness._longest_runs(np.array(orders)), longest)


def test_how_idle_the_next_turns_are():
    turns = [(1, True), (3, False), (4, True)]  # events 0 to 5
    soon = idleness._idle_soon(turns, 6)
    np.testing.assert_array_equal(soon, [0.5, 0.5, 0.5, 1.0, np.nan, np.nan])
    rates = idleness._means(soon[np.array([[0, 3], [3, 5], [4, 5]])])
    np.testing.assert_array_equal(rates, [0.75, 1.0])  # of the last row nothing is known


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(
    ["let's", "rest", "We can", "stop here", "waiting", "for", "you", "Standing by", "awaiting",
     "i'm", "İ'm", "ſtanding", "nothing left to do", "wait", "a_waiting", "ready when you are"]
), max_size=6).map(" ".join))  # fmt: skip
def test_a_look_at_the_first_letter_hides_no_phrase(text):
    for phrases, pattern in ((cues.REST, cues._REST), (cues.WAITING, cues._WAITING)):
        plain = re.compile(r"\b(" + "|".join(phrases) + r")\b", re.IGNORECASE)
        assert (pattern.search(text) is None) == (plain.search(text) is None)
