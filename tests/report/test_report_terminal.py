"""The terminal: the page's verdict and numbers in 80 columns."""

from __future__ import annotations

import io
from typing import Any

import pytest
from report_samples import comparison, diagnosis
from rich.console import Console, RenderableType

from counterpoint.errors import UnknownNameError
from counterpoint.report import comparison_table, diagnosis_table


def printed(table: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return out.getvalue()


def test_a_comparison_fits_and_shows_its_numbers() -> None:
    document = comparison(10, 20)
    lines = printed(comparison_table(document)).splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if "happo_per_agent   " in line)
    found = document["schemes"]["happo_per_agent"]
    assert "▸" in row
    assert f"{found['return']['iqm']:.3f} [{found['return']['low']:.3f}, " in row
    assert f"{found['weighted_return']['iqm']:.3f}" in row
    pooled = next(line for line in lines if "mappo_pooled   " in line)
    assert pooled.rstrip().endswith("DROWNED")
    assert "…" not in "".join(lines)


def test_weighted_return_and_control_stand_under_the_verdict() -> None:
    said = printed(comparison_table(comparison(10, 20)))
    assert said.startswith("Two of four agents stop learning under mappo_pooled;")
    assert (
        said.index("Reward-weighted return") < said.index("Control") < said.index("mappo_pooled   ")
    )
    assert "no-op" in said


def test_a_diagnosis_fits_and_shows_its_numbers() -> None:
    said = printed(diagnosis_table(diagnosis(20)))
    assert max(map(len, said.splitlines())) <= 80
    row = next(line for line in said.splitlines() if "guesser   " in line)
    assert row.split() == ["guesser", "0.0100", "214", "0.00470", "0.310", "0.420", "OFFSET"]
    assert "C3 yes (q < 0.001)" in said
    assert "C4 not" in said
    assert "OFFSET: Subtract a mean of its own." in said


def test_names_are_neither_markup_nor_escapes() -> None:
    document: dict[str, Any] = diagnosis(4)
    document["agents"] = {"[red]x[/red]": {}, "\x1b[31mred": {}, "報酬" * 30: {}}
    said = printed(diagnosis_table(document))
    assert "[red]x[/red]" in said
    assert "\\x1b[31mred" in said
    assert "\x1b" not in said
    assert "…" in said


def test_absent_parts_are_dashes() -> None:
    said = printed(comparison_table({"schema": "counterpoint.comparison/1", "schemes": {"a": {}}}))
    row = next(line for line in said.splitlines() if line.strip().startswith("a "))
    assert row.split() == ["a", "–", "–", "–", "–", "–"]
    assert "not run for this comparison" in said


def test_each_table_takes_its_own_schema_only() -> None:
    with pytest.raises(UnknownNameError):
        comparison_table(diagnosis(4))
    with pytest.raises(UnknownNameError):
        diagnosis_table(comparison(2, 4))
