"""`counterpoint runs`: the table, JSON, filters, a folder, and forgetting."""

import json
import os
import shutil

import pytest

from counterpoint.cli.main import main
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.index import Index


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def make_runs(root, index):
    for world, scheme, end in (("regions", "grpo", True), ("idle", "[red]x", False)):
        config = {"world": world, "scheme": scheme, "seed": 3, "budget": 20}
        with RunDirectory.create(root / world, config, index=index) as run:
            run.save(8, Snapshot())
            if end:
                run.finish(step=20, returned=0.5, normalized=0.25)


def told(capsys, *words):
    assert main(["runs", *words]) == 0
    return capsys.readouterr().out


def test_the_table_says_how_each_run_stands(tmp_path, capsys):
    assert "No such runs" in told(capsys)
    make_runs(tmp_path / "out", Index())
    table = told(capsys)
    for text in ("regions", "grpo", "finished", "20 of 20", "0.500", "0.250", "[red]x", "8 of 20"):
        assert text in table


def test_the_table_is_whole_where_there_is_no_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    make_runs(tmp_path / "out", Index())
    table = told(capsys)
    assert "…" not in table
    assert str(tmp_path / "out" / "regions") in table


def test_a_folder_says_what_is_left_out(tmp_path, capsys):
    make_runs(tmp_path / "out", Index())
    (tmp_path / "out" / "idle" / "run.json").write_text("{")
    os.symlink(tmp_path, tmp_path / "out" / "elsewhere")
    assert main(["runs", "--here", str(tmp_path / "out"), "--json"]) == 0
    printed = capsys.readouterr()
    assert [run["world"] for run in json.loads(printed.out)] == ["regions"]
    (line,) = printed.err.splitlines()
    assert f"left out: {tmp_path}/out/elsewhere: a link is not followed; " in line
    assert f"{tmp_path}/out/idle/run.json is damaged" in line


def test_json_and_filters(tmp_path, capsys):
    make_runs(tmp_path / "out", Index())
    runs = json.loads(told(capsys, "--json"))
    assert {run["world"] for run in runs} == {"regions", "idle"}
    assert runs[0].keys() >= {"path", "status", "step", "budget", "return", "normalized"}
    for words, left in (
        (("--world", "idle"), ["idle"]),
        (("--scheme", "grpo"), ["regions"]),
        (("--status", "stopped"), ["idle"]),
        (("--status", "failed"), []),
    ):
        assert [run["world"] for run in json.loads(told(capsys, *words, "--json"))] == left


def test_a_folder_is_looked_into_and_put_into_the_index(tmp_path, capsys):
    make_runs(tmp_path / "out", None)
    assert json.loads(told(capsys, "--json")) == []
    runs = json.loads(told(capsys, "--here", str(tmp_path / "out"), "--json"))
    assert len(runs) == 2
    assert json.loads(told(capsys, "--json")) == runs
    shutil.rmtree(tmp_path / "out" / "idle")
    assert len(json.loads(told(capsys, "--status", "missing", "--json"))) == 1
    assert len(json.loads(told(capsys, "--prune", "--json"))) == 1


def test_a_damaged_index_is_one_line_and_a_folder_can_still_be_read(tmp_path, capsys, home):
    make_runs(tmp_path / "out", None)
    home.mkdir()
    (home / "index.sqlite").mkdir()
    assert main(["runs"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["runs", "--here", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 2
    assert "index" in err


@pytest.mark.parametrize("words", [["--status", "well"], ["--here", "nowhere"]])
def test_bad_input_is_one_line(words, capsys):
    assert main(["runs", *words]) == 2
    assert words[1] in capsys.readouterr().err
