"""Kept cells of a population that cannot be read are named, and made again."""

from __future__ import annotations

import json

import pytest

from counterpoint.cli.main import main


@pytest.mark.fault("R31")
def test_a_dangling_link_in_place_of_a_cell_is_named_and_made_again(tmp_path, capsys):
    out = tmp_path / "out"
    line = ["population", "climbing", "--members", "1,4", "--budget", "400", "--repeats", "3",
            "--workers", "1", "--out", str(out)]  # fmt: skip
    assert main(line) == 0
    before = json.loads((out / "results.json").read_text())
    cell = sorted((out / "cells").glob("*.json"))[0]
    cell.unlink()
    cell.symlink_to("nowhere")
    capsys.readouterr()
    assert main(line) == 0
    assert f"{cell} is not as it was written; it is made again" in capsys.readouterr().err
    assert not cell.is_symlink()
    assert json.loads((out / "results.json").read_text())["arms"] == before["arms"]


@pytest.mark.fault("R31")
def test_a_cell_without_its_checksum_is_made_again(tmp_path, capsys):
    """A cell of an earlier format had none: who took it out could write any number."""
    out = tmp_path / "out"
    line = ["population", "climbing", "--members", "1,4", "--budget", "400", "--repeats", "3",
            "--workers", "1", "--out", str(out)]  # fmt: skip
    assert main(line) == 0
    before = json.loads((out / "results.json").read_text())
    cell = sorted((out / "cells").glob("*.json"))[0]
    document = json.loads(cell.read_text())
    del document["sha256"]
    document["found"]["champion"] = [99.0 for _ in document["found"]["champion"]]
    cell.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(line) == 0
    assert f"{cell} is not as it was written; it is made again" in capsys.readouterr().err
    assert json.loads((out / "results.json").read_text())["arms"] == before["arms"]
