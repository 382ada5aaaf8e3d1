"""A commit that is killed (R2) or refused by the disk (R4) at each of its system calls.

strace does it to a real process. Afterwards the run opens: every acknowledged checkpoint is there,
the interrupted one is complete or invisible, and the series is that of the checkpoint.
"""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import faulty_commits
import numpy as np
import pytest
from tracing import CHANGES, needs_strace, run_under_strace

from counterpoint.errors import RunError
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.metrics import read_rows

pytestmark = [needs_strace, pytest.mark.usefixtures("no_fsync")]
START = {"resume": 3, "begin": 0}


def template(how, path):
    """The folder that a scenario starts from: for `resume` one with much to tidy up."""
    path.mkdir()
    if how == "begin":
        return
    with RunDirectory.create(path / "run", {"seed": 1}) as run:
        faulty_commits.steps_of(run, 3, lambda line: None)
        run.log({"step": 9, "value": 0})
    with open(path / "run" / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 1')
    for name in (".7.partial", ".1.removed"):
        shutil.copytree(path / "run" / "checkpoints" / "1", path / "run" / "checkpoints" / name)
    (path / "run" / "checkpoints" / "2").rename(path / "run" / "checkpoints" / ".2.replaced")


def calls_of(how, folder):
    """How often a scenario makes each kind of call when nothing goes wrong."""
    folder.mkdir(parents=True)
    template(how, folder / "0")
    log = folder / "log"
    run_under_strace(["-e", f"trace={CHANGES}"], [how, folder], log)
    assert (folder / "0.notes").read_text().endswith("closed\n")
    counts = Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))
    del counts["pwrite64"]  # of the notes, and of who holds the lock
    assert counts.keys() <= faulty_commits.CALLS.keys()
    return counts


def inject(how, call, count, what, folder):
    """Run a scenario once for each place of a call; the folders and the notes of each."""
    folder.mkdir(parents=True)
    template(how, folder / "1")
    for number in range(2, count + 1):
        shutil.copytree(folder / "1", folder / str(number))
    options = ["-e", f"trace={call}", "-e", f"inject={call}:{what}:when={count}"]
    run_under_strace(options, [how, folder, call, count], folder / "log")
    return [
        (folder / str(number) / "run", (folder / f"{number}.notes").read_text().splitlines())
        for number in range(1, count + 1)
    ]


def check(how, path, notes):
    """What must hold after any fault."""
    saved = [int(note.split()[1]) for note in notes if note.startswith("saved")]
    acknowledged = max([START[how], *saved])
    try:
        run = RunDirectory.open(path)
    except RunError:
        assert acknowledged == 0
        run = RunDirectory.create(path, {"seed": 1})
    with run:
        step = run.resumed.step or 0
        assert acknowledged <= step <= acknowledged + 1
        assert run.resumed.damaged == {}
        assert run.notes == () or "metrics.jsonl: damaged lines dropped: 1" in run.notes[0]
        if step:
            state = run.resumed.snapshot
            assert state.facts == {"step": step}
            wanted = faulty_commits.snapshot(step).arrays["weights"]
            assert np.array_equal(state.arrays["weights"], wanted)
        assert [row["step"] for row in read_rows(path / "metrics.jsonl")[0]] == list(
            range(1, step + 1)
        )
        if step:
            assert all(name.isdigit() for name in os.listdir(path / "checkpoints"))
        assert not [name for name in os.listdir(path) if name.startswith(".")]
        faulty_commits.steps_of(run, 1, lambda line: None)


@pytest.mark.fault("R2")
@pytest.mark.few(1)
@pytest.mark.parametrize("how", ["resume", "begin"])
def test_killed_at_every_call_of_a_commit(how, in_memory, record_property):
    counts = calls_of(how, in_memory / "calm")
    assert counts["write"] >= 5
    assert counts["fsync"] >= 8
    places = 0
    for call, count in counts.items():
        found = inject(how, call, count + 1, "signal=KILL", in_memory / call)
        for number, (path, notes) in enumerate(found, 1):
            assert (notes[-1:] == ["closed"]) == (number == count + 1), (call, number, notes)
            check(how, path, notes)
            places += number <= count
    assert places == sum(counts.values())
    record_property("cases", places)


FAST = [("write", "ENOSPC"), ("fsync", "EIO")]
SLOW = [("write", "EIO"), ("fsync", "ENOSPC"), ("write", "EDQUOT"), ("mkdir", "ENOSPC")]
SLOW += [("rename", "EIO"), ("unlinkat", "EIO"), ("ftruncate", "EIO")]


@pytest.mark.fault("R4")
@pytest.mark.few(1)
@pytest.mark.parametrize("how", ["resume", "begin"])
@pytest.mark.parametrize(
    ("call", "error"), [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
def test_refused_at_every_call_of_a_commit(how, call, error, in_memory, record_property):
    count = calls_of(how, in_memory / "calm")[call]
    if not count:
        return  # a new run deletes nothing
    found = inject(how, call, count + 1, f"error={error}", in_memory / call)
    refused = 0
    for number, (path, notes) in enumerate(found, 1):
        last = notes[-1]
        refused += last.startswith("OutputError")
        assert last == "closed" or (last.startswith("OutputError") and number <= count)
        assert len([note for note in notes if not note.startswith("saved")]) == 1  # one line
        check(how, path, notes)
    assert refused or call == "ftruncate"
    record_property("cases", refused)


def test_the_trace_itself_is_not_silent(in_memory):
    """Without the fsync of a folder, and with a rename too early, the check does fail."""
    template("resume", in_memory / "1")
    path = in_memory / "1" / "run"
    (path / "checkpoints" / ".7.partial").rename(path / "checkpoints" / "7")
    with pytest.raises(AssertionError):
        check("resume", path, [])
    assert Path(path).is_dir()
