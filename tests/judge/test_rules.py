"""A user's pattern on strangers' texts: right where it is fast, and ended where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from counterpoint.errors import SettingError
from counterpoint.judge.rules import (
    CommandJudge,
    CommandSettings,
    PatternJudge,
    PatternSettings,
)


def scores(pattern: str, texts: list[str], timeout_seconds: float = 10.0) -> list[float]:
    return PatternJudge(PatternSettings(pattern, timeout_seconds))._scores(texts)


def test_who_matches_is_better():
    texts = ["the answer is 42", "", "42", "the answer is 43", "\ud800 the answer is 42\n"]
    assert scores("answer is 42", texts) == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert scores("x", []) == []


@pytest.mark.timed
@pytest.mark.fault("R38")
def test_a_text_on_which_a_pattern_hangs_counts_as_no_match_and_the_others_are_searched():
    hangs = "a" * 60 + "!"  # 2 ** 60 steps
    begun = time.monotonic()
    assert scores("(a+)+$", ["aa", hangs, "b", hangs, "a"], 1.0) == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert time.monotonic() - begun < 30


def test_a_limit_is_a_positive_number_of_seconds():
    with pytest.raises(SettingError, match="wanted a number above 0"):
        PatternSettings("a", 0.0)


@pytest.mark.timed
@pytest.mark.fault("R13")
@pytest.mark.parametrize(
    ("program", "seconds"),
    [("while True: print('y' * 1000)", 30.0), ("import time; time.sleep(60)", 0.5)],
    ids=["prints without end", "never ends"],
)
def test_a_program_that_does_not_end_is_killed(program, seconds):
    begun = time.monotonic()
    judge = CommandJudge(CommandSettings(f'"{sys.executable}" -c "{program}"', seconds))
    assert judge._score("a text") is None
    assert time.monotonic() - begun < 20


def test_a_program_that_reads_nothing_and_one_that_prints_a_score():
    long = "x" * 1_000_000
    for program, score in (("pass", 1.0), ("raise SystemExit(1)", 0.0),
                           ("import json; print(json.dumps(dict(score=0.25)))", 0.25)):  # fmt: skip
        judge = CommandJudge(CommandSettings(f'"{sys.executable}" -c "{program}"'))
        assert judge._score(long) == score


def test_programs_that_were_killed_are_counted(tmp_path):
    runs = [{"id": f"r{i}", "text": f"text {i}"} for i in range(3)]
    groups = tmp_path / "groups.jsonl"
    groups.write_text(json.dumps({"id": "g", "task": "do it", "runs": runs}))
    line = [sys.executable, "-m", "counterpoint", "rank", str(groups), "--judge", "tests",
            "--store", str(tmp_path / "store.sqlite")]  # fmt: skip
    done = subprocess.run([*line, "--set", "command=yes"], capture_output=True, text=True)
    said = [one for one in done.stderr.splitlines() if "score 0" in one]
    assert len(said) == 1
    assert "'yes' ran longer than 10 s, or printed more than 65,536 bytes, for" in said[0]


@pytest.mark.timed
@pytest.mark.fault("R13")
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes here")
def test_a_program_is_killed_with_those_that_it_has_started(tmp_path):
    """A shell waits for its command; a program may leave a server behind that holds the pipe."""
    left = tmp_path / "left"
    for command in (
        "sh -c 'sleep 31.7; true'",
        f"sh -c 'sleep 31.7 & echo $! > \"{left}\"'",
    ):
        begun = time.monotonic()
        judge = CommandJudge(CommandSettings(command=command, timeout_seconds=1.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = judge._score("x")
        assert time.monotonic() - begun < 8
        assert score == (1.0 if "echo" in command else None)
    ended = Path("/proc") / left.read_text().strip() / "stat"
    for _ in range(500 * Path("/proc/self/stat").exists()):  # a zombie waits for its parent
        if not ended.exists() or ended.read_text().rpartition(")")[2].split()[0] in "ZX":
            break
        time.sleep(0.01)
    else:
        assert not Path("/proc/self/stat").exists()


@pytest.mark.parametrize("pattern", ["(", "w{1,99999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(SettingError, match="got pattern="):
        PatternSettings(pattern=pattern)
