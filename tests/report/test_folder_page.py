"""The page of a folder, and the headings of results, which it shows without their pages."""

from __future__ import annotations

import copy
import io
import json
import re
from pathlib import Path

import pytest
from report_samples import (
    audited,
    comparison,
    diagnosis,
    language_training,
    listed,
    spoken,
    topologies,
    training,
)
from rich.console import Console
from test_team_page import TEAM

from counterpoint.cli.main import main
from counterpoint.errors import LogError, UnknownNameError
from counterpoint.games import game_catalogue, make_game
from counterpoint.games.analysis import analyze_game
from counterpoint.report import render
from counterpoint.report.headings import HEADINGS, heading
from counterpoint.report.next_steps import next_steps
from counterpoint.report.page import PAGES
from counterpoint.report.pages.folder import folder_headline
from counterpoint.report.terminal.parts import folder_parts
from counterpoint.results import FolderResult, document_of, read_result

SAVED = Path(__file__).parents[1] / "data" / "saved"
SAMPLES = {
    "audit": audited(), "comparison": comparison(2, 4), "spoken": spoken(2, 4),
    "diagnosis": diagnosis(6), "team": TEAM, "topology": topologies(),
    "training": training(12), "stopped": training(4, "stopped"), "nothing": training(0),
    "language": language_training(12),
    "game": document_of(analyze_game(make_game(sorted(game_catalogue())[0]))),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_heading_is_that_of_its_page(name):
    result = read_result(SAMPLES[name])
    page = PAGES[type(result)](result)
    assert heading(result) == (page.kind, page.subject, page.verdict.sentence)


def test_every_page_has_a_heading():
    assert set(HEADINGS) == set(PAGES) - {FolderResult}
    with pytest.raises(UnknownNameError, match=r"counterpoint\.folder/1"):
        heading(folder())


def folder(*statuses, results=0):
    entry = copy.deepcopy(listed()["entries"][0])
    entries = [{**entry, "status": status} for status in (*statuses, *[""] * results)]
    return read_result({**listed(), "entries": entries})


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (folder(), "There is no result and no run here yet."),
        (folder(results=1), "1 result: none needs attention."),
        (folder("finished", results=2), "2 results and 1 run: none needs attention."),
        (folder("running", "finished"), "1 run is under way, of 2 runs."),
        (folder("failed", "running", results=1), "1 run needs attention, of 1 result and 2 runs."),
        (folder("failed", "stopped"), "2 runs need attention, of 2 runs."),
    ],
)
def test_the_headline_counts(made, sentence):
    assert folder_headline(made) == sentence


def test_the_page_begins_with_what_failed_and_folds_the_parts_of_results():
    page = render(listed())
    first, second = page.index('id="attention"'), page.index('id="all"')
    assert first < second < page.index('id="parts_of"')
    assert "bad run" in page[first:second]
    assert "runs/1" not in page[:second]
    assert 'href="./a%20b/report.html"' in page
    rows = re.findall(r"<tr.*?</tr>", page[page.index('id="parts_of"') :], re.DOTALL)
    assert "3.25" in rows[1]
    assert "it is not JSON" in page


def test_a_page_that_could_not_be_drawn_is_no_link():
    document = listed()
    document["entries"][0]["page"] = ""
    assert "a%20b/report.html" not in render({**document, "entries": document["entries"][:1]})


@pytest.mark.parametrize("field", ["address", "page"])
@pytest.mark.parametrize("bad", ["javascript:alert(1)", 'x" onclick="y', "a b", "//x?y", "ü"])
def test_an_address_that_is_none_is_refused(field, bad):
    document = listed()
    document["entries"][1][field] = bad
    with pytest.raises(LogError, match=rf"entries\[1\]\.{field}"):
        render(document)


def test_the_next_step_continues_a_run_that_stopped_or_shows_the_list_live():
    lines = [step.line for step in next_steps(folder("stopped", "finished"))]
    assert lines == [
        f"counterpoint resume '{Path('counterpoint-out', 'a b')}'",
        "counterpoint serve counterpoint-out",
    ]
    assert [step.line for step in next_steps(folder())] == ["counterpoint demo"]


def test_the_terminal_has_a_row_for_each():
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(*folder_parts(read_result(listed())))
    printed = console.export_text()
    for text in ("1 run needs attention", "Training, a b/runs/1", "3.25", "RuntimeError", "bad"):
        assert text in printed


@pytest.mark.parametrize("lr", [-1.0, "x"])
def test_a_result_that_contradicts_itself_hides_no_other(lr, tmp_path, capsys):
    """Rates on a logarithmic axis are above 0: the page of this one cannot be drawn."""
    good = SAVED / "sweep.json"
    bad = re.sub(r'"lr": ?[-0-9.e]+', f'"lr": {json.dumps(lr)}', good.read_text("utf-8"))
    for name, text in (("good", good.read_text("utf-8")), ("bad", bad)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text, "utf-8")
    assert main(["report", str(tmp_path / "bad")]) == 2
    assert "the result contradicts itself" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "its page was not drawn: the result contradicts itself" in page
    assert (tmp_path / "good" / "report.html").exists()
    assert not (tmp_path / "bad" / "report.html").exists()
