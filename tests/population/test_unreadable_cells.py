"""Kept cells of a population that cannot be read are named, and made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from counterpoint.cli.main import main


def compared(folder: Path) -> tuple[list[str], Path, Path]:
    """Returns the command of a comparison that has ended, its folder, and one of its cells."""
    out = folder / "out"
    line = ["population", "climbing", "--members", "1,4", "--budget", "400", "--repeats", "3",
            "--workers", "1", "--out", str(out)]  # fmt: skip
    assert main(line) == 0
    return line, out, sorted((out / "cells").glob("*.json"))[0]


@pytest.mark.fault("R31")
def test_a_dangling_link_in_place_of_a_cell_is_named_and_made_again(tmp_path, capsys):
    line, out, cell = compared(tmp_path)
    before = json.loads((out / "results.json").read_text())
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
    line, out, cell = compared(tmp_path)
    before = json.loads((out / "results.json").read_text())
    document = json.loads(cell.read_text())
    del document["sha256"]
    document["found"]["champion"] = [99.0 for _ in document["found"]["champion"]]
    cell.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(line) == 0
    assert f"{cell} is not as it was written; it is made again" in capsys.readouterr().err
    assert json.loads((out / "results.json").read_text())["arms"] == before["arms"]
