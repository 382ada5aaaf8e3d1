"""The seal of a run: each edit is named with its file and its field or row; no edit, no word."""

import json
import os
import shutil

import numpy as np
import pytest

from counterpoint.cli.main import main
from counterpoint.errors import EditedError, RunError
from counterpoint.runs import checkpoint
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.metrics import Digest
from counterpoint.runs.seal import (
    Seal,
    accept_edits,
    accepted_edits,
    edits,
    require_unedited,
    write_seal,
)

pytestmark = pytest.mark.usefixtures("no_fsync")

CONFIG = {"world": "spread", "scheme": "grpo", "seed": 0, "budget": 8, "policy": {"lr": 0.003}}


def begun(path, *, rows=9, saves=(3, 6), finish=False):
    """A run of nine rows whose last three no checkpoint has acknowledged, and texts beside them."""
    with RunDirectory.create(path, CONFIG) as run:
        for step in range(1, rows + 1):
            run.log({"step": step, "return": step / 8})
            run.log({"step": step, "episodes": []}, "episodes.jsonl")
            if step in saves:
                run.save(step, Snapshot({"x": np.full(3, step)}, {"updates": step}))
        if finish:
            (path / "games.json").write_text("{}")
            run.seal_file(path / "games.json")
            run.finish(step=rows, returned=0.7)
    return path


def change(path, **fields):
    """Edit run.json as a person does."""
    run = json.loads((path / "run.json").read_text())
    for name, value in fields.items():
        (run["config"] if name in run["config"] else run)[name] = value
    (path / "run.json").write_text(json.dumps(run, indent=4))


def rows_of(path):
    return (path / "metrics.jsonl").read_bytes().splitlines(keepends=True)


def edit_row(path, number, old, new):
    rows = rows_of(path)
    assert old in rows[number - 1]
    rows[number - 1] = rows[number - 1].replace(old, new)
    (path / "metrics.jsonl").write_bytes(b"".join(rows))


def doubled(path):
    (path / "metrics.jsonl").write_bytes(b"".join(rows_of(path) * 2))


PLANTED = {
    "seed": (lambda p: change(p, seed=1), "run.json: config.seed is 1, was 0"),
    "scheme": (
        lambda p: change(p, scheme="agent_wise"),
        'run.json: config.scheme is "agent_wise", was "grpo"',
    ),
    "lr": (
        lambda p: change(p, policy={"lr": 0.3}),
        "run.json: config.policy.lr is 0.3, was 0.003",
    ),
    "version": (lambda p: change(p, version="9.9"), 'run.json: version is "9.9", was'),
    "schema": (
        lambda p: change(p, schema="counterpoint.run/2"),
        'schema is "counterpoint.run/2", was "counterpoint.run/1"',
    ),
    "a new field": (lambda p: change(p, other=1), "run.json: other is 1, was not there"),
    "spaces": (lambda p: change(p), "run.json: is not as it was written, in no field"),
    "no plan": (lambda p: (p / "run.json").write_text("{"), "run.json: cannot be read"),
    "a digit": (
        lambda p: edit_row(p, 2, b"0.25", b"0.35"),
        "metrics.jsonl: row 2 (step 2) is not as written",
    ),
    "a broken row": (
        lambda p: edit_row(p, 2, b"{", b"["),
        "metrics.jsonl: row 2 is not as written",
    ),
    "a row less": (
        lambda p: (p / "metrics.jsonl").write_bytes(b"".join(rows_of(p)[:4])),
        "metrics.jsonl: 2 of 6 rows are gone",
    ),
    "doubled": (doubled, "metrics.jsonl: goes back to step 1 after row 6"),
    "no series": (lambda p: (p / "metrics.jsonl").unlink(), "metrics.jsonl: is gone"),
    "no texts": (lambda p: (p / "episodes.jsonl").unlink(), "episodes.jsonl: is gone"),
    "no checkpoints": (
        lambda p: shutil.rmtree(p / "checkpoints"),
        "checkpoints/6: is gone",
    ),
    "a foreign checkpoint": (
        lambda p: checkpoint.save(p / "checkpoints", 6, Snapshot({"x": np.zeros(3)}, {})),
        "checkpoints/6: is not the checkpoint that this run wrote",
    ),
    "status": (
        lambda p: (p / "status.json").write_text('{"status": "finished", "return": 1.0}'),
        "status.json: is not as it was written",
    ),
    "no status": (lambda p: (p / "status.json").unlink(), "status.json: is gone"),
    "no seal": (lambda p: (p / "seal.json").unlink(), "seal.json: is gone"),
    "seal": (
        lambda p: (p / "seal.json").write_text((p / "seal.json").read_text().replace("6", "7", 1)),
        "seal.json: is not as it was written",
    ),
}


@pytest.mark.fault("R31")
@pytest.mark.parametrize("planted", PLANTED)
def test_an_edit_is_named_refused_and_kept_in_mind(planted, tmp_path):
    edit, sentence = PLANTED[planted]
    path = begun(tmp_path / "run")
    edit(path)
    (named,) = edits(path)
    assert sentence in named
    with pytest.raises(RunError) as refused:
        RunDirectory.open(path)
    assert "\n" not in str(refused.value)
    if planted == "no plan":
        with pytest.raises(RunError, match=r"run\.json cannot be read; put it back"):
            accept_edits(path)
        return
    assert sentence in str(refused.value)
    assert accept_edits(path) == [named]
    assert edits(path) == accept_edits(path) == []
    with RunDirectory.open(path) as run:
        assert run.accepted == accepted_edits(path)
        assert run.accepted[0].endswith(named)
        run.log({"step": 10})
        run.save(10, Snapshot({}, {}))
        run.finish()
    assert accepted_edits(path)[0].endswith(named)
    assert edits(path) == []


@pytest.mark.fault("R31")
@pytest.mark.parametrize("finish", [False, True])
def test_a_run_that_nobody_edited_has_no_word(finish, tmp_path):
    path = begun(tmp_path / "run", finish=finish)
    assert edits(path) == []
    moved = path.rename(tmp_path / "elsewhere")
    assert edits(moved) == []
    with RunDirectory.open(moved) as run:  # the rows after its checkpoint are cut
        assert run.notes == ()
        assert edits(moved) == []  # while a process works in it
        run.log({"step": 7})
        assert edits(moved) == []
    assert edits(moved) == []


def test_a_finished_run_ends_where_it_ended(tmp_path):
    path = begun(tmp_path / "run", finish=True)
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 10}\n')
    assert edits(path) == ["metrics.jsonl: has 1 more after row 9, its last"]
    (path / "games.json").write_text("[]")
    assert "games.json: is not as it was written" in edits(path)
    accept_edits(path)
    assert edits(path) == []


def test_the_first_few_of_many_differences_are_named(tmp_path):
    path = begun(tmp_path / "run")
    change(path, seed=1, budget=9, scheme="x", world="y", version="z")
    (named,) = edits(path)
    assert named.count(" was ") == 3
    assert named.endswith(", and 2 more")
    for number in (1, 3, 5):
        edit_row(path, number, b"return", b"retorn")
    (path / "episodes.jsonl").unlink()
    shutil.rmtree(path / "checkpoints")
    assert "metrics.jsonl: row 1 (step 1) and 2 more are not as written" in edits(path)
    with pytest.raises(EditedError, match=r"; and 1 more\. Put the files back, or accept"):
        RunDirectory.open(path)


def test_no_intact_checkpoint_is_no_reason_to_begin_again(tmp_path):
    path = begun(tmp_path / "run")
    for step in ("3", "6"):
        (path / "checkpoints" / step / "facts.json").write_text("{}")
    with pytest.raises(EditedError, match=r"checkpoint .*/6 is damaged"):
        RunDirectory.open(path)
    assert len(accept_edits(path)) == 2
    with RunDirectory.open(path) as run:
        assert run.resumed.step is None
    names = {file.name for file in (path / "checkpoints").iterdir()}
    assert names == {"3.damaged", "6.damaged"}


def test_an_earlier_checkpoint_has_its_own_rows(tmp_path):
    path = begun(tmp_path / "run")
    (path / "checkpoints" / "6" / "facts.json").write_text("{}")
    with RunDirectory.open(path) as run:
        assert run.resumed.step == 3
        assert len(run.notes) == 1
        assert edits(path) == []
    assert [json.loads(row)["step"] for row in rows_of(path)] == [1, 2, 3]


def test_a_digest_is_the_same_row_by_row_and_at_once(tmp_path):
    rows = [b'{"step":1}\n', b'{"step":2,"x":"\\n"}\n', b"\n", b"torn"]
    digest = Digest()
    for row in rows:
        digest.add(row)
    assert digest.sealed() == Digest(b"".join(rows)).sealed()
    assert digest.sealed().rows == 4
    assert digest.sealed().bytes == 36  # 11 + 20 + 1 + 4


@pytest.mark.fault("R36")
@pytest.mark.parametrize("name", ["run.json", "status.json", "metrics.jsonl", "seal.json"])
def test_a_pipe_in_place_of_a_file_is_never_waited_for(name, tmp_path, capsys):
    begun(tmp_path / "all" / "run", finish=True)
    other = begun(tmp_path / "all" / "other", finish=True)
    (other / name).unlink()
    os.mkfifo(other / name)
    assert main(["report", str(other)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said
    assert main(["resume", str(other)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    main(["runs", "--here", str(tmp_path / "all")])
    assert "run" in capsys.readouterr().out


def test_without_a_plan_no_edit_can_be_accepted(tmp_path):
    path = begun(tmp_path / "run", finish=True)
    (path / "run.json").write_text("")
    with pytest.raises(EditedError, match="cannot be accepted") as refused:
        require_unedited(path)
    assert "--accept-edits" not in str(refused.value)


def test_a_seal_that_cannot_be_read_is_no_missing_one(tmp_path):
    write_seal(tmp_path, Seal(files={}))
    assert edits(tmp_path) == []
    (tmp_path / "seal.json").unlink()
    assert edits(tmp_path) == []  # of an earlier version
    (tmp_path / "seal.json").mkdir()
    (edit,) = edits(tmp_path)
    assert edit.startswith("seal.json: ")
    (tmp_path / "seal.json").rmdir()
    (tmp_path / "seal.json").symlink_to("nowhere")
    assert edits(tmp_path) == [edit]
