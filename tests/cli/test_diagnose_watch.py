"""`counterpoint diagnose --watch`: a log that grows, is shortened, or begins anew."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from counterpoint.cli.diagnose import ANEW, NOTHING, Diagnose
from counterpoint.cli.follow import Tail, latest_updates, news, rows_before, rows_of, state_line
from counterpoint.cli.main import main
from counterpoint.diagnose import diagnose
from counterpoint.errors import LogError
from counterpoint.integrations.recorder import Recorder
from counterpoint.records import Decisions


def team(steps, scale, rows=64, seed=0):
    """Rows of a quiet agent and one whose rewards are `scale` times as large, by step."""
    rng = np.random.default_rng(seed)
    n = rows * len(steps)
    agent = np.array(["loud", "quiet"] * (n // 2))
    rewards = rng.normal(size=n) * np.where(agent == "loud", scale, 1.0)
    labels = {
        "agent": agent,
        "rollout": np.tile(np.arange(rows) // 2, len(steps)),
        "prompt": np.zeros(n, dtype=int),
    }
    return Decisions(rewards[:, None], ("reward",), labels, np.repeat(steps, rows))


def record(path, decisions):
    recorder = Recorder(path)
    for step in np.unique(decisions.step):
        here = decisions.step == step
        labels = {name: column[here] for name, column in decisions.labels.items()}
        recorder.add(int(step), decisions.rewards[here], labels)


def test_a_tail_has_whole_lines_only_and_sees_a_new_beginning(tmp_path):
    path = tmp_path / "log.jsonl"
    tail = Tail(path)
    assert not tail.poll()  # not there yet
    path.write_bytes(b'{"a": 1}\n{"a": ')
    assert tail.poll()
    assert list(tail.lines) == [b'{"a": 1}\n']
    assert not tail.poll()
    with path.open("ab") as file:
        file.write(b"2}\n")
    assert tail.poll()
    assert tail.content == b'{"a": 1}\n{"a": 2}\n'
    assert not tail.again
    other = tmp_path / "other"  # as long, and another file: as a recorder that goes back leaves it
    other.write_bytes(b'{"a": 3}\n{"a": 4}\n')
    os.replace(other, path)
    assert tail.poll()
    assert tail.again
    assert tail.content == b'{"a": 3}\n{"a": 4}\n'
    path.write_bytes(b"")
    assert tail.poll()
    assert tail.content == b""


def test_the_head_of_a_csv_file_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("counterpoint.cli.follow.LINES", 2)
    path = tmp_path / "log.csv"
    tail = Tail(path)
    path.write_bytes(b"agent,reward\na,1\na,2\na,3\n")
    assert tail.poll()
    assert tail.content == b"agent,reward\na,2\na,3\n"
    assert tail.cut


@pytest.mark.parametrize(
    "content", [gzip.compress(b"{}\n", mtime=0) + b"\n", b'[{"a": 1},\n', b"PK\0\n"]
)
def test_what_cannot_grow_line_by_line_is_refused(content, tmp_path):
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(LogError, match="wanted JSON lines or CSV with --watch"):
        Tail(tmp_path / "log").poll()


@pytest.mark.parametrize(
    ("cut", "ended", "wanted"),
    [(False, True, [3, 4]), (False, False, [3]), (True, False, [3]), (True, True, [3, 4])],
)
def test_whole_updates_are_diagnosed_as_many_as_have_room(cut, ended, wanted, monkeypatch):
    monkeypatch.setattr("counterpoint.cli.follow.ROWS", 130)
    latest = latest_updates(team([2, 3, 4], 1.0), cut=cut, ended=ended)
    whole = [2, 3] if not ended else [3, 4]
    expected = whole[1:] if cut and not ended else whole
    assert sorted(set(latest.step)) == (expected if cut or not ended else wanted)


def test_a_long_update_stays_whole_and_one_that_is_being_written_waits(monkeypatch):
    monkeypatch.setattr("counterpoint.cli.follow.ROWS", 10)
    assert set(latest_updates(team([2, 3, 4], 1.0), cut=False, ended=False).step) == {3}
    assert len(latest_updates(team([2], 1.0), cut=False, ended=False)) == 0


def test_a_look_forgets_the_lines_before_the_latest_updates(tmp_path, monkeypatch):
    monkeypatch.setattr("counterpoint.cli.follow.ROWS", 130)
    path, whole = tmp_path / "log.jsonl", team(range(6), 100.0)
    tail, watched = Tail(path), Diagnose(str(path), watch=True)
    for steps in (range(3), range(3, 5), range(5, 6)):
        record(path, rows_of(whole, np.isin(whole.step, steps)))
        tail.poll()
        latest = watched._latest(tail, {}, ended=False)
        last = steps[-1]  # it may go on, and the two before it have room
        assert set(latest.step) == {last - 2, last - 1}
        assert len(tail.lines) == 3 * 64
    ended = watched._latest(tail, {}, ended=True)
    assert set(ended.step) == {4, 5}
    wanted = latest_updates(whole, cut=False, ended=True)
    np.testing.assert_array_equal(ended.rewards, wanted.rewards)


def test_rows_of_a_late_update_are_not_forgotten_with_those_before_it():
    whole = team([2, 3, 4], 1.0)
    latest = rows_of(whole, whole.step > 2)
    assert rows_before(whole, latest) == 64
    assert rows_before(whole, rows_of(whole, whole.step > 9)) == 0
    mixed = rows_of(whole, np.r_[64:128, 0:64, 128:192])  # an old update behind a new one
    assert rows_before(mixed, latest) == 0


def test_news_are_told_once_and_taken_back():
    told = {}
    rng = np.random.default_rng(0)
    drowned = diagnose(team(range(8), 100.0), "mappo_pooled", rng=rng)
    healthy = diagnose(team(range(8), 1.0), "mappo_pooled", rng=rng)
    (line,) = news(drowned, told)
    assert line.startswith("quiet: DROWNED: its learning signal is lost under mappo_pooled")
    assert line.endswith("Use mappo_per_agent.")
    assert state_line(drowned, 7) == (
        "update 7 (latest 512 rows): signal kept loud 1.00, quiet 0.00 (DROWNED)"
    )
    assert news(drowned, told) == []
    assert news(healthy, told) == ["quiet: DROWNED is gone"]
    assert news(healthy, told) == []


def test_standard_input_cannot_be_followed(capsys):
    assert main(["diagnose", "-", "--watch"]) == 2
    assert "wanted a file" in capsys.readouterr().err


@pytest.mark.parametrize("json_too", [False, True])
def test_a_training_is_followed_until_ctrl_c(json_too, tmp_path):
    log = tmp_path / "my log.jsonl"
    command = [sys.executable, "-m", "counterpoint", "diagnose", "my log.jsonl", "--watch"]
    command += ["--out", "seen", *(["--json"] if json_too else [])]
    run = subprocess.Popen(
        command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert "is not there; waiting for it" in run.stderr.readline()
    log.touch()
    assert "my log.jsonl has no rows yet; waiting for them" in run.stderr.readline()
    record(tmp_path / "written", team(range(9), 100.0))
    os.replace(tmp_path / "written", log)  # at once, so that the first look sees all of it
    first, second = run.stdout.readline(), "" if json_too else run.stdout.readline()
    time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    if json_too:
        documents = [json.loads(line) for line in (first, *out.splitlines())]
        # the ninth update could have gone on until the end was known
        assert [one["updates"] for one in documents] == [8, 9]
        assert documents[-1]["agents"]["quiet"]["cause"] == "DROWNED"
        assert json.loads((tmp_path / "seen" / "results.json").read_text("utf-8"))["updates"] == 9
    else:
        assert first == (
            "update 7 (latest 512 rows): signal kept loud 1.00, quiet 0.00 (DROWNED)\n"
        )
        assert second.startswith("quiet: DROWNED: its learning signal is lost under mappo_pooled")
        assert "1 of 2 agents loses signal to a variance mismatch (DROWNED)" in out
        assert (tmp_path / "seen" / "report.html").exists()


def test_a_new_file_with_the_number_of_a_deleted_one_is_read_anew(tmp_path):
    path = tmp_path / "log.jsonl"
    tail = Tail(path)
    path.write_bytes(b'{"a": 1}\n')
    assert tail.poll()
    path.write_bytes(b'{"a": 2}\n{"a": 3}\n')  # the same number, and longer
    assert tail.poll()
    assert tail.again
    assert tail.content == b'{"a": 2}\n{"a": 3}\n'
    path.unlink()
    assert not tail.poll()
    assert tail.waits_for == "is not there; waiting for it"
    path.write_bytes(b"")
    assert tail.poll()
    assert tail.waits_for == "has no rows yet; waiting for them"


@pytest.mark.parametrize("first", ["", "step,agent,rollout,reward\n"])
def test_empty_lines_before_the_first_row_are_none(first, tmp_path):
    path = tmp_path / "log"
    tail = Tail(path)
    path.write_text("\n \n\n" + first)
    tail.poll()
    assert tail.waits_for == "has no rows yet; waiting for them"
    with path.open("a") as file:
        file.write("0,a,1,2\n" if first else '{"step": 0, "agent": "a", "reward": 2}\n')
    assert tail.poll()
    assert not tail.again
    assert tail.waits_for == ""
    assert tail.numbered_content == tail.content == path.read_bytes()


def test_a_faulty_row_ends_nothing_once_something_was_diagnosed(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 3, "agent": "a", "rollout": 0, "reward": Infinity}\n')
    command, tail = Diagnose(str(log), watch=True), Tail(log)
    assert tail.poll()
    assert command._look(tail, 2, {}, {}) == 2
    assert "what was added is not diagnosed" in capsys.readouterr().err
    with pytest.raises(LogError, match="infinite"):
        command._look(tail, NOTHING, {}, {})


def test_a_log_that_begins_anew_is_reported_though_its_last_update_has_the_same_number(
    tmp_path, capsys
):
    log = tmp_path / "log.jsonl"
    command, tail = Diagnose(str(log), watch=True), Tail(log)
    record(log, team(range(3), 1.0))
    assert tail.poll()
    last = command._look(tail, NOTHING, {}, {})
    assert last == 1  # update 2 may still grow
    assert command._look(tail, last, {}, {}) == 1
    capsys.readouterr()
    log.unlink()
    record(log, team(range(3), 9.0))
    assert tail.poll()
    assert tail.again
    assert command._look(tail, ANEW, {}, {}) == 1
    assert "update 1 (latest" in capsys.readouterr().out


@pytest.mark.parametrize("csv", [False, True])
def test_a_faulty_line_has_the_number_that_it_has_in_the_file(tmp_path, csv, monkeypatch):
    monkeypatch.setattr("counterpoint.cli.follow.LINES", 50)
    log, head = tmp_path / "log", "step,agent,rollout,reward\n"
    row = "{0},a,{1},{2}\n" if csv else '{{"step":{0},"agent":"a","rollout":{1},"reward":{2}}}\n'
    rows = [row.format(i // 10, i % 10, i % 3) for i in range(200)]
    log.write_text((head if csv else "") + "".join(rows))
    command, tail = Diagnose(str(log), watch=True), Tail(log)
    for line in ("", row.format(20, 0, 1), "?\n"):
        with log.open("a") as file:
            file.write(line)
        tail.poll()
        if line != "?\n":
            command._latest(tail, {}, ended=False)
    assert len(tail.lines) < 50
    with pytest.raises(LogError, match=rf"line {202 + csv}\b"):
        command._latest(tail, {}, ended=False)


def test_a_note_whose_counts_grow_is_said_once_and_again_at_the_end(tmp_path, capsys):
    log, seen = tmp_path / "log.jsonl", {}
    tail, watched = Tail(log), Diagnose(str(log), watch=True)
    whole = team(range(3), 1.0)
    whole.rewards[::16] = np.nan  # 4 of the 64 rows of each update
    for step in range(3):
        record(log, rows_of(whole, whole.step == step))
        tail.poll()
        watched._latest(tail, seen, ended=False)
    said = "counterpoint: missing rewards of {} rows: reward in {}\n"
    assert capsys.readouterr().err == said.format(64, 4)
    for _ in range(2):
        watched._latest(tail, seen, ended=True)
    assert capsys.readouterr().err == said.format(192, 12)


@pytest.mark.fault("R20")
@pytest.mark.parametrize("text", [None, "", "junk"], ids=["absent", "empty", "not yet whole"])
def test_a_signal_before_there_is_anything_to_diagnose_has_its_status(text, tmp_path):
    log = tmp_path / "log.jsonl"
    if text is not None:
        log.write_text(text)
    line = [sys.executable, "-m", "counterpoint", "diagnose", str(log), "--watch"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as running:
        said = running.stderr.readline()
        assert "waiting" in said
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 143
    assert err.splitlines() == [
        "counterpoint: ended without a last diagnosis: got an empty log; wanted at least one record"
    ]
