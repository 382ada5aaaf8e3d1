"""Two teams that begin in one folder at a time: one works, and the other one leaves it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from disjoint import WRITE, disjoint_plan

from counterpoint.cli.main import main
from counterpoint.errors import BusyError, RunError, SettingError
from counterpoint.workers import state as module
from counterpoint.workers.state import TeamState


def teams(tmp_path: Path) -> tuple[TeamState, TeamState]:
    """Two teams with one folder."""
    plans = [disjoint_plan(tmp_path / name, 1, WRITE) for name in ("first", "second")]
    one, two = (TeamState(tmp_path / "run", plan, "solo", 1) for plan in plans)
    return one, replace(two, tries=31)


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.fault("R21")
def test_the_second_one_is_refused_while_the_first_one_copies(tmp_path, monkeypatch):
    one, two = teams(tmp_path)
    copy = module.Repository.copy

    def slow(source, to):
        copy(source, to)
        before = everything(tmp_path / "run")
        with pytest.raises(RunError, match="not empty"):
            two.create()
        monkeypatch.setattr(TeamState, "_require_new", lambda self: None)  # it looked before
        with pytest.raises(BusyError, match="in use by process"):
            two.create()
        monkeypatch.undo()
        assert everything(tmp_path / "run") == before

    monkeypatch.setattr(module.Repository, "copy", slow)
    one.create()
    assert TeamState.load(tmp_path / "run").plan == one.plan


@pytest.mark.fault("R21")
def test_the_second_one_looks_again_when_it_has_the_lock(tmp_path, monkeypatch):
    one, two = teams(tmp_path)
    lock = module.Lock

    def late(path):
        monkeypatch.undo()
        one.create()
        return lock(path)

    monkeypatch.setattr(module, "Lock", late)
    with pytest.raises(RunError, match="holds a run already"):
        two.create()
    loaded = TeamState.load(tmp_path / "run")
    assert (loaded.plan, loaded.tries) == (one.plan, None)
    assert loaded.repository.head()


@pytest.mark.parametrize("was_there", [True, False])
def test_what_could_not_begin_leaves_nothing_of_its_own(tmp_path, was_there):
    one, _ = teams(tmp_path)
    if was_there:
        (tmp_path / "run").mkdir()
    with pytest.raises(SettingError, match="notes"):
        replace(one, plan=replace(one.plan, notes=".git/config")).create()
    assert (tmp_path / "run").exists() == was_there
    assert not was_there or not list((tmp_path / "run").iterdir())
    one.create()
    assert TeamState.load(tmp_path / "run").plan == one.plan


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--workers", "0"], "got 0 workers; wanted 1 to 64"),
        (["--budget", ","], "got --budget ',', which is empty"),
        (["--budget", "seconds=1." + "0" * 40 + "e20"], "less than 2**53"),
        (["--budget", "tries=" + "9" * 5000], "got budget of tries='9999"),
    ],
)
def test_workers_and_budgets_that_cannot_be(tmp_path, capsys, given, why):
    disjoint_plan(tmp_path / "repo", 1)
    (tmp_path / "plan.toml").write_text('repository = "repo"\ntests = "true"\n')
    command = ["team", "run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "run"), *given]
    assert main(command) == 2
    told = capsys.readouterr().err.strip()
    assert why in told
    assert len(told) < 200
    assert not (tmp_path / "run").exists()
