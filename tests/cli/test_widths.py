"""The laws of what a person reads at 60, 80 and 200 columns: nothing is cut, nothing is too wide.

Every word of the widest output is whole at any width, and only a single word is wider than a line.
"""

from __future__ import annotations

import json
import re
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from counterpoint.cli.chat import texts
from counterpoint.cli.commands import COMMANDS, help_page
from counterpoint.cli.help import command_help
from counterpoint.cli.main import main
from counterpoint.cli.results import print_result
from counterpoint.report.terminal import judging, parts
from counterpoint.report.terminal.audit import audit_parts
from counterpoint.report.terminal.claims import claim_parts, claims_parts
from counterpoint.report.terminal.layout import wrap
from counterpoint.report.terminal.outcomes import contribution_parts, outcomes_parts
from counterpoint.report.terminal.sweep import sweep_parts
from counterpoint.report.terminal.tables import text_table
from counterpoint.results import read_result

WIDTHS = (60, 80, 200)
WIDEST = 5000
SAVED = Path(__file__).parents[1] / "data" / "saved"
PARTS = {
    "audit": audit_parts,
    "claim": claim_parts,
    "claims": claims_parts,
    "comparison": parts.comparison_parts,
    "contribution": contribution_parts,
    "diagnosis": parts.diagnosis_parts,
    "folder": parts.folder_parts,
    "game": parts.game_parts,
    "judge_check": judging.judge_check_parts,
    "outcomes": outcomes_parts,
    "population": parts.population_parts,
    "ranking": judging.ranking_parts,
    "sweep": sweep_parts,
    "team": parts.team_parts,
    "topology": parts.topology_parts,
    "topology_search": parts.search_parts,
    "training": parts.training_parts,
}
"""Start of the name of a saved result to the function that shows it; the longest start counts."""
SHOWN_BY_RESULT = {
    "demo", "diagnose", "compare", "train", "resume", "population", "rank", "judge", "sweep",
    "team",
}  # fmt: skip
"""Commands that print nothing but saved kinds of results; `demo` prints two of them."""
LISTS = [
    ["doctor"], ["schemes"], ["schemes", "gdpo"], ["schemes", "counterfactual"], ["worlds"],
    ["worlds", "spread"], ["worlds", "lewis"], ["model", "list"], ["audit"], ["game"], ["claims"],
    ["game", "prisoners_dilemma"], ["topology", "--members", "12"],
]  # fmt: skip


def words_of(text: str) -> set[str]:
    """Returns the words; rules and the colon behind a title that moved below its row are none."""
    words = {re.sub(r"[:;]$", "", word) for word in text.split()}
    return {word for word in words if word.strip("─")}


def require_lawful(outputs: dict[int, str]) -> None:
    wanted = words_of(outputs[WIDEST])
    assert len(wanted) > 1
    for width in WIDTHS:
        text = outputs[width]
        assert text.count("…") == outputs[WIDEST].count("…")
        for line in text.splitlines():
            assert cell_len(line.rstrip()) <= width or len(line.split()) == 1, line
        assert wanted <= words_of(text)


def at_all_widths(show, capsys, monkeypatch) -> dict[int, str]:
    outputs = {}
    for width in (*WIDTHS, WIDEST):
        monkeypatch.setenv("COLUMNS", str(width))
        capsys.readouterr()
        show()
        outputs[width] = capsys.readouterr().out
    return outputs


@pytest.mark.parametrize("file", sorted(SAVED.glob("*.json")), ids=lambda file: file.stem)
def test_a_saved_result_is_whole_at_every_width(file, capsys, monkeypatch):
    result = read_result(json.loads(file.read_text("utf-8")))
    name = max((name for name in PARTS if file.stem.startswith(name)
                and not (name == "topology" and "search" in file.stem)), key=len)  # fmt: skip
    require_lawful(at_all_widths(lambda: print_result(*PARTS[name](result)), capsys, monkeypatch))


@pytest.mark.few(6)
@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_a_list_is_whole_at_every_width(words, capsys, monkeypatch, imports_untried):
    monkeypatch.setattr(
        "counterpoint.cli.doctor.available_memory", lambda: 21_500_000_000
    )  # or it changes
    require_lawful(at_all_widths(lambda: main(list(words)), capsys, monkeypatch))


def test_commands_on_files_are_whole_at_every_width(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERPOINT_HOME", str(tmp_path / "home"))
    log = Path(__file__).parents[1] / "data" / "who_and_when"
    scores = "".join(f"t{i},solo,{i % 2},a\nt{i},team,{(i + 1) % 2},a;b\n" for i in range(12))
    Path("outcomes.csv").write_text(f"task,setting,score,members\n{scores}", "utf-8")
    Path("saved").mkdir()
    Path("saved/results.json").write_bytes((SAVED / "diagnosis.json").read_bytes())
    run = tmp_path / "a folder with spaces" / "run-of-a-very-long-name" / "spread-mappo_pooled-0"
    run.mkdir(parents=True)
    facts = {"schema": "counterpoint.run/1", "config": {"world": "spread"}, "command": "train"}
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    for words in (
        ["audit", str(log)], ["compare-outcomes", "outcomes.csv"],
        ["contribution", "outcomes.csv"], ["runs", "--here", "."],
        ["import", str(log), "-o", "out.jsonl"], ["report", "saved"],
    ):  # fmt: skip
        require_lawful(at_all_widths(partial(main, words), capsys, monkeypatch))


def test_what_models_say_is_whole_at_every_width(capsys, monkeypatch):
    said = ["task: red blue", "  speaker to listener: " + "a long sentence, " * 20, "success: 1"]
    require_lawful(at_all_widths(lambda: print_result(*texts(said)), capsys, monkeypatch))


def test_every_command_is_tried():
    tried = {words[0] for words in LISTS} | SHOWN_BY_RESULT
    files = {
        "audit",
        "compare-outcomes",
        "contribution",
        "serve",
        "runs",
        "import",
        "report",
        "chat",
        "completion",
    }
    assert tried | files == set(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_fits_every_width(name):
    command = COMMANDS[name].load()
    outputs = {wide: command_help(name, command, wide) for wide in WIDTHS}
    wanted = words_of(outputs[200])
    for wide, text in outputs.items():
        assert wanted <= words_of(text) | {"\\"}
        for line in text.splitlines():
            assert len(line) <= wide or len(line.split()) <= 3, line  # a flag with its choices


def test_the_overview_is_a_screen():
    lines = help_page().splitlines()
    assert len(lines) <= 23  # the prompt takes one of 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("columns", [None, "", "-3", "0", "wide", "٣0000", "9" * 4301])
def test_where_there_is_no_terminal_lines_have_100_columns(capsys, monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("LINES", columns)
    assert main(["schemes"]) == 0
    widths = [cell_len(line.rstrip()) for line in capsys.readouterr().out.splitlines()]
    assert 80 < max(widths) <= 100


def test_a_table_by_hand(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    rows = [("ab", "0.125", "one two three four five six seven")]
    print_result(text_table(("name", "value", "what"), rows, numeric=("value",)))
    assert capsys.readouterr().out.splitlines() == [
        "",
        "name  value",
        "───────────",
        "ab    0.125",
        "  what: one two three four",
        "  five six seven",
        "",
    ]
    monkeypatch.setenv("COLUMNS", "40")
    print_result(text_table(("name", "value", "what"), rows, numeric=("value",)))
    assert capsys.readouterr().out.splitlines() == [
        "",
        "name  value  what",
        "─" * 40,
        "ab    0.125  one two three four five six",
        "             seven",
        "",
    ]


def test_a_word_that_is_too_long_stands_alone():
    assert [line.plain for line in wrap(Text("see /a/very/long/path now"), 8)] == [
        "see", "/a/very/long/path", "now",
    ]  # fmt: skip


@given(st.lists(st.text("ab報 \n", min_size=0, max_size=30), max_size=6), st.integers(1, 40))
def test_wrapping_loses_no_word(texts, width):
    text = "\n".join(texts)
    lines = [line.plain for line in wrap(Text(text), width)]
    assert " ".join(lines).split() == text.split()
    assert all(cell_len(line) <= width or len(line.split()) == 1 for line in lines)


@given(
    st.lists(
        st.tuples(*[st.text("xy報-0. ", min_size=0, max_size=40)] * 4), min_size=1, max_size=5
    ),
    st.integers(20, 120),
)
def test_a_table_loses_no_word_at_any_width(rows, width):
    def drawn(wide: int) -> str:
        stream = StringIO()
        table = text_table(("n", "what", "v", "source"), rows, numeric=("v",))
        Console(file=stream, width=wide).print(table, crop=False)
        return stream.getvalue()

    text = drawn(width)
    assert words_of(" ".join(cell for row in rows for cell in row)) <= words_of(text)
    longest = max(cell_len(" ".join(row[i].split())) for row in rows for i in (0, 2))
    for line in text.splitlines():
        shown = cell_len(line.rstrip())
        assert shown <= max(width, longest + 5) or len(line.split()) == 1, line
