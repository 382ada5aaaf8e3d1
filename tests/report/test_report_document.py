"""The door: what is refused, and how a stranger's text and numbers are made safe."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_samples import comparison, diagnosis

from counterpoint.errors import LogError, OutputError, UnknownNameError
from counterpoint.report import render, write_report
from counterpoint.report.page import is_edited_page, slug
from counterpoint.report.toolkit.safe_text import safe, visible
from counterpoint.results import ComparisonResult, DiagnosisResult, read_result


@pytest.mark.parametrize("schema", [None, "counterpoint.comparison/2", 7, ["x"]])
def test_an_unknown_schema_is_named_and_the_known_ones_offered(schema: object) -> None:
    with pytest.raises(UnknownNameError, match=r"got a document of schema .*comparison/1"):
        render({"schema": schema})


@pytest.mark.parametrize("schemes", [None, {}, [], "text"])
def test_a_document_without_schemes_is_refused(schemes: object) -> None:
    with pytest.raises(LogError, match=r"at `\$.schemes`"):
        render({**comparison(2, 4), "schemes": schemes})


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(LogError, match="type list"):
        render([])  # type: ignore[arg-type]


def test_each_document_is_read_as_its_own_kind() -> None:
    assert isinstance(read_result(comparison(2, 4)), ComparisonResult)
    assert isinstance(read_result(diagnosis(4)), DiagnosisResult)


def test_rendering_leaves_the_document_alone() -> None:
    document, untouched = comparison(2, 4), comparison(2, 4)
    render(document)
    assert document == untouched


def test_the_same_document_gives_the_same_page() -> None:
    assert render(comparison(3, 5)) == render(comparison(3, 5))


def test_invisible_and_broken_characters_become_visible() -> None:
    assert visible("a\x00b\x1b[31m\u202ec\ud800d\u200be") == (
        "a\\x00b\\x1b[31m\\u202ec\\ud800d\\u200be"
    )
    assert visible("two\nlines\tand a tab") == "two lines and a tab"
    assert visible("Größe 報酬 μₖ 🎼") == "Größe 報酬 μₖ 🎼"


def test_keys_are_cleaned_without_being_merged() -> None:
    document = {**diagnosis(4), "agents": {"a\x00": {}, "a\x01": {}}}
    assert list(safe(document)["agents"]) == ["a\\x00", "a\\x01"]


def test_numbers_that_are_not_finite_are_absent() -> None:
    document = {**diagnosis(4), "rows": float("nan"), "updates": [float("-inf"), 1e308]}
    shown = safe(document)
    assert (shown["rows"], shown["updates"]) == (None, [None, 1e308])


def test_slugs_are_safe_in_a_file_name() -> None:
    assert slug("on_call") == "on-call"
    assert slug("../../etc/passwd\x00") == "etc-passwd"
    assert slug("報酬") == "report"
    assert len(slug("x" * 500)) == 40


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    written = write_report(comparison(2, 4), tmp_path / "new" / "folder")
    assert written == tmp_path / "new" / "folder" / "report.html"
    html = written.read_text("utf-8")
    assert html.startswith(render(comparison(2, 4)) + "\n<!-- sha256 ")
    assert not is_edited_page(written)
    for changed in (html[:-1], html.replace("sha256", "sha255"), html.replace("<h1", "<h2"), ""):
        written.write_text(changed, "utf-8")
        assert is_edited_page(written)
    written.write_text(render(comparison(2, 4)), "utf-8")  # as earlier versions wrote it
    assert not is_edited_page(written)
    assert [p.name for p in written.parent.iterdir()] == ["report.html"]


def test_a_document_that_cannot_be_shown_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError):
        write_report({"schema": "other"}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        write_report(comparison(2, 4), tmp_path / "file" / "folder")
