"""The terminal: the page's verdict and numbers in 80 columns."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from report_samples import comparison, diagnosis
from rich.cells import cell_len
from rich.console import Console, RenderableType

from counterpoint.cli.results import print_result
from counterpoint.report.terminal.audit import audit_parts
from counterpoint.report.terminal.parts import comparison_parts, diagnosis_parts
from counterpoint.results import ComparisonResult, DiagnosisResult, read_result
from counterpoint.results.audit import AuditResult

SAVED = Path(__file__).parents[1] / "data" / "saved"


def printed(*parts: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(*parts, sep="\n")
    return out.getvalue()


def diagnosed(updates: int, *names: str) -> DiagnosisResult:
    """The sample of a diagnosis, with other names of its two agents."""
    text = json.dumps(diagnosis(updates))
    for old, new in zip(("describer", "guesser"), names, strict=False):
        text = text.replace(json.dumps(old), json.dumps(new))
    result = read_result(json.loads(text))
    assert isinstance(result, DiagnosisResult)
    return result


def compared(document: dict[str, Any]) -> str:
    result = read_result(document)
    assert isinstance(result, ComparisonResult)
    return printed(*comparison_parts(result))


def test_a_comparison_fits_and_shows_its_numbers() -> None:
    document = comparison(10, 20)
    lines = compared(document).splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if "mappo_per_agent   " in line)
    found = document["schemes"]["mappo_per_agent"]
    assert "▸" in row
    assert f"{found['return']['iqm']:.3f} [{found['return']['low']:.3f}, " in row
    assert f"{found['weighted_return']['iqm']:.3f}" in row
    pooled = next(line for line in lines if "mappo_pooled   " in line)
    assert pooled.rstrip().endswith("DROWNED")
    assert "…" not in "".join(lines)


def test_weighted_return_and_control_stand_under_the_verdict() -> None:
    said = compared(comparison(10, 20))
    assert said.startswith("Two of four agents lose their signal under mappo_pooled;")
    assert (
        said.index("Reward-weighted return") < said.index("Control") < said.index("mappo_pooled   ")
    )
    assert "no-op" in said


def test_a_diagnosis_fits_and_shows_its_numbers() -> None:
    text = printed(*diagnosis_parts(diagnosed(20)))
    assert max(map(len, text.splitlines())) <= 80
    row = next(line for line in text.splitlines() if "guesser   " in line)
    assert row.split() == ["guesser", "OFFSET", "0.0100", "214", "0.00470", "0.310", "0.420"]
    assert "C3 yes (q < 0.001)" in text
    assert "C4 not" in text
    assert "OFFSET (a baseline offset): Subtract a mean of its own." in text
    assert "docs/reference/glossary.md" in text


def test_names_are_neither_markup_nor_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(*diagnosis_parts(diagnosed(4, "[red]x[/red]", "\x1b[31mred")))
    text = capsys.readouterr().out
    assert "[red]x[/red]" in text
    assert "␛[31mred" in text
    assert "\x1b" not in text


def test_a_long_name_stands_alone_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(*diagnosis_parts(diagnosed(4, "報酬" * 30)))
    lines = capsys.readouterr().out.splitlines()
    assert "報酬" * 30 in lines
    assert max(cell_len(line) for line in lines if "報酬" not in line) <= 100


def test_absent_parts_are_dashes() -> None:
    scheme = {
        "return": {"iqm": None, "low": None, "high": None},
        "agents": {"b": {}},
        "curves": {"update": [], "return": {"iqm": [], "low": None, "high": None}},
    }
    said = compared({
        "schema": "counterpoint.comparison/1", "world": "w", "config": {}, "seeds": [0],
        "agents": ["b"], "references": {}, "schemes": {"a": scheme}, "differences": {},
        "control": None,
    })  # fmt: skip
    row = next(line for line in said.splitlines() if line.strip().startswith("a "))
    assert row.split() == ["a", "–", "–", "–", "–", "–"]
    assert "not run for this comparison" in said


def test_cases_beyond_the_first_are_named() -> None:
    document = json.loads((SAVED / "audit_cases.json").read_bytes())
    shown = next(finding for finding in document["findings"] if finding["cases"])
    case = shown["cases"][0]
    names = ("one", "two", "three", "four", "five", "six", "seven")
    document["findings"] = [
        {**shown, "name": name, "cases": [case], "cases_total": 3} for name in names
    ]
    result = read_result(document)
    assert isinstance(result, AuditResult)
    said = " ".join(printed(*audit_parts(result)).split())
    audit = shown["audit"]
    assert f"More cases (--json, --out): {audit}.six (3), {audit}.seven (3)" in said
