"""Tables in gzip, and JSON lists instead of JSON lines, are read by every reader of tables."""

import gzip
import io
import json

import pytest

from counterpoint.audits.outcomes import read_scores
from counterpoint.errors import LogError
from counterpoint.readers import read_decisions
from counterpoint.readers.groups import read_groups
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.readers.packed import unpacked

ROWS = [
    {"prompt": p, "rollout": r, "agent": "baker", "reward": p + r} for p in (0, 1) for r in (0, 1)
]
SCORES = [{"task": f"t{i}", "setting": "solo", "score": i % 2} for i in range(4)]
GROUPS = [{"id": "g", "task": "bake", "runs": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]}]


def packings(folder, rows):
    """The rows as lines, as a list, and each of both in gzip."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    whole = json.dumps(rows, indent=1).encode()
    for name, data in (("log.jsonl", lines), ("log.json", whole)):
        (folder / name).write_bytes(data)
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        yield folder / name
        yield folder / f"{name}.gz"


def test_every_packing_has_the_same_rows(tmp_path):
    for path in packings(tmp_path, ROWS):
        assert read_decisions(path).rewards[:, 0].tolist() == [0, 1, 1, 2]
    for path in packings(tmp_path, SCORES):
        assert [row.score for row in read_outcomes(path)] == [0, 1, 0, 1]
        assert len(read_scores(path)) == 4
    for path in packings(tmp_path, GROUPS):
        (line,) = read_groups(path)
        assert [each.id for each in line.group.candidates] == ["a", "b"]


def test_a_broken_gzip_file_is_one_line(tmp_path):
    path = tmp_path / "table.csv.gz"
    data = gzip.compress(b"task,setting,score\n" + b"t1,solo,1\n" * 9)
    path.write_bytes(data[: len(data) // 2])
    for read in (read_outcomes, read_decisions, read_scores, lambda p: list(read_groups(p))):
        with pytest.raises(LogError, match="broken gzip file"):
            read(path)
    path.write_bytes(data)
    assert len(read_outcomes(path)) == 9


def test_lines_that_are_lists_stay_as_they_are():
    for data in (b"[1]\n[2]\n", b"[1, 2]", b"[", b"", b'{"a": 1}\n'):
        assert unpacked(io.BytesIO(data)).read() == data
