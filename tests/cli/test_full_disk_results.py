"""A result that cannot be saved is printed all the same."""

from __future__ import annotations

import json

import pytest

from counterpoint.cli import results
from counterpoint.cli.main import main
from counterpoint.errors import OutputError


@pytest.mark.fault("R4")
def test_a_result_that_cannot_be_saved_is_printed(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OutputError("could not write results.json (No space left on device)")

    monkeypatch.setattr(results, "write_atomically", full)
    for words in ([], ["--json"]):
        assert main(["game", "chicken", "--out", str(tmp_path / "out"), *words]) == 2
        told = capsys.readouterr()
        assert "No space left on device" in told.err.splitlines()[-1]
        assert "report:" not in told.err
        if words:
            assert json.loads(told.out)["name"] == "chicken"
        else:
            assert "3 equilibria" in told.out
