"""A user's pattern on strangers' texts: right where it is fast, and ended where it is not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from counterpoint.errors import SettingError
from counterpoint.judge import rules
from counterpoint.judge.rules import (
    CommandJudge,
    CommandSettings,
    PatternJudge,
    PatternSettings,
)


def found(pattern: str, texts: list[str], timeout_seconds: float = 10.0) -> list[bool | None]:
    return PatternJudge(PatternSettings(pattern, timeout_seconds))._found(texts)


def is_over(process: str) -> bool:
    """Returns whether a process has ended; its parent may not have asked yet."""
    try:
        state = (Path("/proc") / process / "stat").read_text()
    except OSError:
        return True
    return state.rpartition(")")[2].split()[0] in "ZX"


def ranked(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Ranks three runs of one group, with a store."""
    runs = [{"id": i, "text": t} for i, t in (("a", "ok"), ("b", "a" * 60 + "!"), ("c", "no"))]
    groups = folder / "groups.jsonl"
    groups.write_text(json.dumps({"id": "g", "task": "do it", "runs": runs}))
    line = [sys.executable, "-m", "counterpoint", "rank", str(groups), "--store",
            str(folder / "store.sqlite"), "--json", *options]  # fmt: skip
    return subprocess.run(line, capture_output=True, text=True, cwd=folder, check=False)


def test_who_matches_is_better():
    texts = ["the answer is 42", "", "42", "the answer is 43", "\ud800 the answer is 42\n"]
    assert found("answer is 42", texts) == [True, False, False, False, True]
    assert found("x", []) == []


@pytest.mark.timed
@pytest.mark.fault("R38")
def test_a_text_on_which_a_pattern_hangs_counts_as_no_match_and_the_others_are_searched():
    hangs = "a" * 60 + "!"  # 2 ** 60 steps
    begun = time.monotonic()
    assert found("(a+)+$", ["aa", hangs, "b", hangs, "a"], 1.0) == [True, None, False, None, True]
    assert time.monotonic() - begun < 30


@pytest.mark.fault("R38")
def test_without_timers_a_search_is_ended_from_outside(monkeypatch):
    monkeypatch.setattr(rules, "START_SECONDS", 1.0)
    monkeypatch.setattr(rules, "_SEARCH", rules._SEARCH.replace("setitimer", "no_timer"))
    assert found("(a+)+$", ["aa", "a" * 60 + "!", "b"], 0.5) == [True, None, False]


@pytest.mark.fault("R38")
def test_texts_that_were_not_searched_to_their_end_are_counted_and_asked_again_with_more_time(
    tmp_path,
):
    """With a limit in which nothing is found, all were equal without a word, and stayed so."""
    options = ["--judge", "regex", "--set", "pattern=ok|(a+)+$"]
    short = ranked(tmp_path, *options, "timeout_seconds=0.000001")
    assert re.search(r"longer than 1e-06 s in (\d+) of \1 texts: they count as", short.stderr)
    usual = ranked(tmp_path, *options, "timeout_seconds=1")
    cut, searched = map(int, re.search(r"1 s in (\d+) of (\d+)", usual.stderr).groups())
    assert 0 < cut < searched
    (group,) = json.loads(usual.stdout)["groups"]
    assert group["rewards"]["a"] > group["rewards"]["b"] == group["rewards"]["c"]


@pytest.mark.timed
@pytest.mark.fault("R38")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_a_search_ends_though_its_parent_was_killed(tmp_path):
    mark = f"(a+)+{os.getpid()}$"
    code = ("from counterpoint.judge.rules import *; "
            f"PatternJudge(PatternSettings({mark!r}, 2.0))._found(['a' * 60 + '!'])")  # fmt: skip
    parent = subprocess.Popen([sys.executable, "-c", code])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while not (known := children.read_text().split()):
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    begun = time.monotonic()
    while not all(is_over(one) for one in known):
        assert time.monotonic() - begun < 20
        time.sleep(0.05)


def test_a_program_that_was_edited_is_asked_again(tmp_path):
    check = tmp_path / "my check.py"
    options = ["--judge", "tests", "--set", f"command='{sys.executable}' 'my check.py'"]
    rewards = []
    for wanted in ("ok", "no"):
        check.write_text(f"import sys; sys.exit(sys.stdin.read() != {wanted!r})")
        for _ in range(2):
            (group,) = json.loads(ranked(tmp_path, *options).stdout)["groups"]
            rewards.append(group["rewards"])
    assert rewards[0] == rewards[1] != rewards[2] == rewards[3]


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
@pytest.mark.fault("R20")
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_does_not_wait_for_a_program(number, tmp_path):
    runs = [{"id": f"r{i}", "text": f"text {i}"} for i in range(5)]
    (tmp_path / "g.jsonl").write_text(json.dumps({"id": "g", "task": "do it", "runs": runs}))
    (tmp_path / "slow.sh").write_text("echo $$ > $$.pid\nsleep 41.3\n")
    line = ["rank", "g.jsonl", "--judge", "tests", "--store", "kept", "--set", "timeout_seconds=60"]
    with subprocess.Popen(
        [sys.executable, "-m", "counterpoint", *line, "--set", "command=sh slow.sh"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as running:  # fmt: skip
        while len(list(tmp_path.glob("*.pid"))) < 2 and running.poll() is None:
            time.sleep(0.05)
        begun = time.monotonic()
        running.send_signal(number)
        _, told = running.communicate(timeout=30)
    assert time.monotonic() - begun < 8
    assert running.returncode == 128 + number
    assert len(told.strip().splitlines()) == 1
    started = [file.stem for file in tmp_path.glob("*.pid")]
    assert len(started) == 2  # and no third one afterwards
    for _ in range(100):
        if all(map(is_over, started)):
            break
        time.sleep(0.1)
    assert all(map(is_over, started))


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
    for _ in range(500 * Path("/proc/self/stat").exists()):
        if is_over(left.read_text().strip()):
            break
        time.sleep(0.01)
    else:
        assert not Path("/proc/self/stat").exists()


@pytest.mark.parametrize("pattern", ["(", "w{1,99999999999}", "(" * 5000 + ")" * 5000])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(SettingError, match="got pattern="):
        PatternSettings(pattern=pattern)
