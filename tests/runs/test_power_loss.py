"""Power loss (R5): any moment of a run's life, without what was not yet on the disk."""

import random
import shutil
from dataclasses import replace

import faulty_commits
import numpy as np
import pytest
from disk_model import Disk, File, Folder
from tracing import CHANGES, Call, needs_strace, read_calls, run_under_strace

from counterpoint.errors import RunError
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.metrics import read_rows

pytestmark = pytest.mark.usefixtures("no_fsync")


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """The file operations of a run that is begun, stopped, resumed and finished."""
    root = tmp_path_factory.mktemp("life")
    (root / "0").mkdir()
    options = ["-y", "-xx", "-s", "1000000", "-e", f"trace=openat,open,creat,{CHANGES}"]
    run_under_strace(options, ["whole_life", root], root / "log")
    calls = [c for c in read_calls(root / "log") if c.name != "open" or c.creates]
    assert (root / "0.notes").read_text().endswith("closed\n")
    return root / "0", calls


def acknowledged(call):
    """The step that a note says is saved, or None."""
    if call.name == "pwrite64" and call.paths[0].endswith(".notes") and b"saved" in call.data:
        return int(call.data.split()[1])
    return None


def check(path, floor):
    """What must hold: nothing acknowledged is lost, nothing half is taken for whole."""
    try:
        run = RunDirectory.open(path)
    except RunError:
        assert floor is None, f"checkpoint {floor} was acknowledged, and the run is gone"
        return
    with run:
        step = run.resumed.step
        assert run.resumed.damaged == {}
        assert floor is None or (step is not None and step >= floor), (floor, step)
        if step is not None:
            wanted = faulty_commits.snapshot(step).arrays["weights"]
            assert run.resumed.snapshot.facts == {"step": step}
            assert np.array_equal(run.resumed.snapshot.arrays["weights"], wanted)
        rows = [row["step"] for row in read_rows(path / "metrics.jsonl")[0]]
        assert rows == list(range(1, (step or 0) + 1))


def states(life, count, seed, scratch, calls=None):
    """Check so many states after a power loss; the state is in the message of a failure."""
    root, recorded = life
    calls = recorded if calls is None else calls
    rng = random.Random(seed)
    moments = sorted(rng.randrange(1, len(calls) + 1) for _ in range(count))
    disk, floor, done = Disk(root), None, 0
    for moment, call in enumerate(calls, 1):
        disk.replay(call)
        step = acknowledged(call)
        floor = step if step is not None else floor
        while moments and moments[0] == moment:
            moments.pop(0)
            disk.lose_power(rng, scratch)
            check(scratch / "run", floor)
            shutil.rmtree(scratch)
            done += 1
    return done


@pytest.mark.fault("R5", cases=500)
@needs_strace
def test_no_state_after_a_power_loss_is_wrong(life, in_memory):
    root, calls = life
    assert sum(acknowledged(call) is not None for call in calls) == 7
    assert sum(call.paths[0].startswith(str(root)) for call in calls) > 200
    assert states(life, 500, 5, in_memory / "disk") == 500


@needs_strace
def test_the_model_replays_what_is_on_the_disk(life, tmp_path):
    root, calls = life
    disk = Disk(root)
    for call in calls:
        disk.replay(call)

    def tree(folder):
        return {
            name: tree(node) if isinstance(node, Folder) else node.now
            for name, node in folder.now.items()
        }

    def real(path):
        return {p.name: real(p) if p.is_dir() else p.read_bytes() for p in path.iterdir()}

    assert tree(disk.top) == real(root)


@needs_strace
@pytest.mark.parametrize("left_out", ["files", "folders", "all"])
def test_without_an_fsync_the_model_does_find_wrong_states(life, in_memory, left_out):
    _, calls = life

    def kept(call):
        if call.name != "fsync":
            return True
        is_file = "." in call.paths[0].rsplit("/", 1)[1].removeprefix(".").removesuffix(".partial")
        return left_out != "all" and is_file != (left_out == "files")

    weaker = [replace(call) for call in calls if kept(call)]
    assert len(weaker) < len(calls)
    with pytest.raises(AssertionError):
        states(life, 500, 5, in_memory / "disk", weaker)


@pytest.mark.fault("R5", cases=3_000)
@needs_strace
@pytest.mark.slow
def test_no_state_of_many_is_wrong(life, in_memory):
    assert sum(states(life, 1000, seed, in_memory / f"{seed}") for seed in range(3)) == 3_000


def test_the_model_by_hand(tmp_path):
    disk, rng = Disk("/r"), random.Random(0)
    for call in (
        Call("mkdir", ("/r/d",)),
        Call("fsync", ("/r",)),
        Call("open", ("/r/d/a",), creates=True),
        Call("write", ("/r/d/a",), b"one", -1),
        Call("fsync", ("/r/d/a",)),
        Call("fsync", ("/r/d",)),
        Call("write", ("/r/d/a",), b"two", -1),
        Call("rename", ("/r/d/a", "/r/d/b")),
        Call("unlink", ("/elsewhere",)),
    ):
        disk.replay(call)
    assert disk.top.now["d"].now["b"] == File(b"onetwo", b"one")
    seen = set()
    for number in range(300):
        disk.lose_power(rng, tmp_path / str(number))
        (file,) = (tmp_path / str(number) / "d").iterdir()
        seen.add((file.name, file.read_bytes()))
    left = (b"one", b"onet", b"onetw", b"onetwo", b"one\0\0\0")
    assert seen == {(name, content) for name in "ab" for content in left}
