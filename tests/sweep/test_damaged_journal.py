"""A journal of a search that is torn goes on; one that is damaged is refused in one line."""

from __future__ import annotations

import json
import shutil

import pytest

from counterpoint.cli.main import main

pytest.importorskip("optuna")
LINE = ["sweep", "spread", "--over", "lr=1e-3..1e-2:log", "--trials", "2", "--seeds", "1",
        "--fresh", "2", "--budget", "800", "--workers", "1", "--set", "steps=25",
        "copies=8"]  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep") / "out"
    assert main([*LINE, "--out", str(out)]) == 0
    (out / "seal.json").unlink()
    return out


def found(out):
    """What a search found, without how long it took."""
    return json.loads((out / "results.json").read_text())["arms"]


@pytest.mark.fault("R10")
def test_a_torn_last_line_is_cut_and_its_trial_done_again(swept, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    before = found(out)
    journal = out / "study.journal"
    journal.write_bytes(journal.read_bytes()[:-30])
    assert main([*LINE, "--out", str(out)]) == 0
    assert found(out) == before


@pytest.mark.parametrize("line", ["null", "[1]", '{"op_code": 99}', "[" * 3000, "{}"])
def test_an_odd_line_is_refused_in_one_line(line, swept, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    with (out / "study.journal").open("a") as journal:
        journal.write(f"{line}\n")
    capsys.readouterr()
    assert main([*LINE, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "study.journal is damaged" in said


def test_a_result_of_another_trial_is_refused_in_one_line(swept, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(swept, out)
    journal, lines = out / "study.journal", []
    for text in journal.read_text().splitlines():
        line = json.loads(text)
        if "result" in line.get("user_attr", {}):
            line["user_attr"]["result"]["number"] = 99
        lines.append(json.dumps(line))
    for kept in (lines, lines[:-1]):  # also with a trial that has a result and no end
        journal.write_text("".join(f"{line}\n" for line in kept))
        capsys.readouterr()
        assert main([*LINE, "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert "trial 0 has the result of 99" in said
