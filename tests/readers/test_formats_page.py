"""The page of formats names every format once, and denies nothing that a sample shows."""

import json
from pathlib import Path

import pytest
from session_samples import ALONE, TEAMS
from test_scores import LANGFUSE, LANGFUSE_SCORES
from test_span_formats import KITCHEN
from test_team_frameworks import CHAT, CHATDEV

from counterpoint.readers import read_logs
from counterpoint.readers.formats.catalogue import FORMATS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"
TABLE = [line[2:-2].split(" | ") for line in PAGE.read_text("utf-8").splitlines()
         if line.startswith("| `")]  # fmt: skip
ROWS = {cells[0].strip("`"): cells[1:] for cells in TABLE}
NONE = "\N{EM DASH}"
SAMPLES = {
    **ALONE, **TEAMS, "otel": KITCHEN, "autogen": CHAT, "chatdev": CHATDEV,
    "langfuse": [*LANGFUSE, LANGFUSE_SCORES],
}  # fmt: skip


def test_each_format_has_one_row_in_the_order_of_the_catalogue():
    assert list(ROWS) == [name for name in FORMATS if name in ROWS]
    assert len(TABLE) == len(ROWS)
    assert set(ROWS) == set(FORMATS)
    assert {len(cells) for cells in ROWS.values()} == {7}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_row_denies_nothing_that_a_sample_shows(tmp_path, name):
    value = SAMPLES[name]
    lines = value if isinstance(value, list) else [value]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    path = tmp_path / ("log.jsonl" if len(lines) > 1 else "log.json")
    path.write_text("\n".join(texts) + "\n" * (len(texts) > 1), "utf-8")
    _, _, tokens, cost, ending, scores, _ = ROWS[name]
    for one in read_logs(path):
        shown = [
            ("tokens", tokens, any(e.tokens is not None for e in one.events)),
            ("cost", cost, any(e.cost is not None for e in one.events)),
            ("ending", ending, bool(one.ending) or any(e.finish for e in one.events)),
            ("scores", scores, one.success is not None or bool(one.scores or one.labels)),
        ]
        assert [column for column, cell, is_shown in shown if is_shown and cell == NONE] == []
