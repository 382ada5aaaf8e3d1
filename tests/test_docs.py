"""The Python in the documentation runs, and prints what its comments say."""

import contextlib
import dataclasses
import io
import re
from pathlib import Path

import pytest

from counterpoint.cli.main import main
from counterpoint.train.language_settings import LanguageSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
CASES = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    if page.name != "schemes.md"  # generated: one expression a block, checked by docs/generate.py
    for i, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("code", CASES)
def test_examples_run_and_print_what_they_say(code):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<documentation>", "exec"), {})
    said = re.findall(r"print\(.*\)  # (.*)", code)
    told = printed.getvalue().splitlines()
    assert len(told) == len(said)
    for wanted, got in zip(said, told, strict=True):
        assert got.endswith(wanted.removeprefix("... "))


SHOWN = re.compile(r"```\n(counterpoint compare [^\n]+)\n```\n\n```text\n(.*?)```", re.DOTALL)
COMPARED = [
    pytest.param(*shown, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    for i, shown in enumerate(SHOWN.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "shown"), COMPARED)
def test_comparisons_in_the_documentation_end_with_the_headline_that_is_shown(
    command, shown, tmp_path, monkeypatch, capsys
):
    """The headline alone: the last digits of a table depend on the machine."""
    monkeypatch.chdir(tmp_path)
    assert main(command.split()[1:]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    first = " ".join(shown.split())
    headline = first[: first.index(". ") + 1]
    assert len(headline.split()) <= 15
    assert printed.startswith(headline)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_settings_of_language_models_are_documented_with_their_defaults():
    page = (ROOT / "docs/how-to/language.md").read_text(encoding="utf-8")
    page, told = page.partition("## Settings")[2].partition("\n## ")[0], {}
    for names, defaults in re.findall(r"^\| (`[a-z_`, ]+`) \| *([^|]*?) *\|", page, re.MULTILINE):
        values = defaults.strip().strip("`").split(", ")
        told |= dict(zip(re.findall(r"[a-z_]+", names), values, strict=True))
    for field in dataclasses.fields(LanguageSettings):
        said, real = told[field.name], field.default
        if isinstance(real, float):
            assert float(said) == real, field.name
        else:
            assert said.lower() == str(real).lower(), field.name
