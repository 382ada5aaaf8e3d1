"""A user's pattern on strangers' texts: right where it is fast, and ended where it is not."""

from __future__ import annotations

import time

import pytest

from counterpoint.errors import SettingError
from counterpoint.judge.rules import PatternJudge, PatternSettings


def scores(pattern: str, texts: list[str], timeout_seconds: float = 10.0) -> list[float]:
    return PatternJudge(PatternSettings(pattern, timeout_seconds))._scores(texts)


def test_who_matches_is_better():
    texts = ["the answer is 42", "", "42", "the answer is 43", "\ud800 the answer is 42\n"]
    assert scores("answer is 42", texts) == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert scores("x", []) == []


@pytest.mark.fault("R38")
def test_a_text_on_which_a_pattern_hangs_counts_as_no_match_and_the_others_are_searched():
    hangs = "a" * 60 + "!"  # 2 ** 60 steps
    begun = time.monotonic()
    assert scores("(a+)+$", ["aa", hangs, "b", hangs, "a"], 1.0) == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert time.monotonic() - begun < 30


def test_a_limit_is_a_positive_number_of_seconds():
    with pytest.raises(SettingError, match="wanted a number above 0"):
        PatternSettings("a", 0.0)
