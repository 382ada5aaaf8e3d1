"""The notebooks run without Jupyter, in an empty folder, and print what they have stored."""

import json
import re
import tomllib
from importlib import util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
notebooks = util.module_from_spec(SPEC)
SPEC.loader.exec_module(notebooks)
FAST = ("reward-log", "transcripts")


def read(name):
    return json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text("utf-8"))


@pytest.mark.parametrize("name", FAST)
def test_a_run_prints_what_the_notebook_has_stored(name):
    assert notebooks.stale_cells(read(name)) == []


def test_the_environment_of_the_long_notebook_is_the_stored_one():
    notebook = read("pettingzoo")
    places = [i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    notebook["cells"] = notebook["cells"][: places[2]]  # the third cell trains
    assert "reset(seed=0)" in "".join(notebook["cells"][-2]["source"])
    assert notebooks.stale_cells(notebook) == []


@pytest.mark.slow
def test_the_whole_comparison_prints_what_the_notebook_has_stored():
    pytest.importorskip("torch")
    assert notebooks.stale_cells(read("pettingzoo")) == []


def test_a_planted_number_in_a_stored_output_is_named():
    notebook = read("transcripts")
    notebook["cells"] = notebook["cells"][:6]
    assert notebooks.stale_cells(notebook) == []
    printed = notebooks.code_cells(notebook)[2]["outputs"][0]["text"]
    printed[0] = printed[0].replace("20", "21", 1)
    assert notebooks.stale_cells(notebook) == [3]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings\nwarnings.warn('old', DeprecationWarning)", "DeprecationWarning: old"),
        ("import sys\nprint('lost', file=sys.stderr)", "lost"),
    ],
)
def test_a_cell_that_fails_or_warns_is_an_error(cell, why):
    with pytest.raises(RuntimeError, match=why):
        notebooks.outputs_of(["x = 1", cell])


def test_cells_share_their_names_and_show_their_last_value_alone():
    outputs = notebooks.outputs_of(["x = 2\nx", "print(x)\nx + 1\nNone"])
    assert [notebooks.text_of(each) for each in outputs] == ["2", "2\n"]


@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_of_format_4_and_says_what_to_install(path):
    notebook = read(path.stem)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    first = "".join(notebook["cells"][0]["source"])
    extras = re.search(r"%pip install '?\.\./\.\.(?:\[([\w,]+)\]')?\n", first)
    assert extras, first
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(filter(None, (extras[1] or "").split(","))) <= set(known["optional-dependencies"])
    outputs = [one for cell in notebooks.code_cells(notebook) for one in cell["outputs"]]
    assert any("image/svg+xml" in one.get("data", {}) for one in outputs)


def test_three_notebooks_are_small_and_linked():
    assert len(notebooks.NOTEBOOKS) == 3
    assert sum(path.stat().st_size for path in notebooks.NOTEBOOKS) < 200_000
    for path in notebooks.NOTEBOOKS:
        page = (ROOT / "docs" / "start" / f"{path.stem}.md").read_text("utf-8")
        assert f"../notebooks/{path.name}" in page
