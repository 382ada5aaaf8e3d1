"""A result that cannot be saved is printed all the same, and leaves the one that is there whole."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from counterpoint.cli.main import main

resource = pytest.importorskip("resource")

LIMITED = """
import resource, signal, sys
from counterpoint.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""
"""A command whose files may have so many bytes: the first larger one is told what a full disk
tells."""


def limited(size, *words):
    line = [sys.executable, "-c", LIMITED, str(size), *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.fault("R4")
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_result_that_cannot_be_saved_is_printed(words, tmp_path):
    out = tmp_path / "out"
    told = limited(1_000, "game", "chicken", "--out", out, *words)
    assert told.returncode == 2
    assert "File too large" in told.stderr.splitlines()[-1]
    assert "report:" not in told.stderr
    assert list(out.iterdir()) == []
    if words:
        assert json.loads(told.stdout)["name"] == "chicken"
    else:
        assert "3 equilibria" in told.stdout


@pytest.mark.fault("R4")
def test_no_file_is_replaced_where_the_page_has_no_room(tmp_path):
    runs = [{"id": "a", "text": "yes"}, {"id": "b", "text": "no"}]
    for name, more in (("one", ""), ("two", " and more")):
        line = {"id": "g", "task": "t" + more, "runs": runs}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    words = ["--judge", "regex", "--set", "pattern=yes", "--store", str(tmp_path / "store"),
             "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(["rank", str(tmp_path / "one.jsonl"), *words]) == 0
    before = contents(tmp_path / "out")
    page = len(before["report.html"])
    assert max(len(data) for name, data in before.items() if name != "report.html") < page // 2
    told = limited(page // 2, "rank", tmp_path / "two.jsonl", *words[:-2], "--out",
                   tmp_path / "out", "--store", tmp_path / "other")  # fmt: skip
    assert told.returncode == 2
    assert "report.html (File too large); what was there is unchanged" in told.stderr
    assert contents(tmp_path / "out") == before
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "again.html")]) == 0
