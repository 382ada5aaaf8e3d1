"""The Python in the documentation runs, and prints what its comments say."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from counterpoint.cli.main import main
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.workers.plan import WorkerPlan, WorkPlan
from counterpoint.workers.sandbox.sandbox import why_no_sandbox

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
CASES = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    if page.name != "schemes.md"  # generated: one expression a block, checked by docs/generate.py
    for i, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
    if not code.startswith("# usage.py\n")  # a script that reads its input: team/test_real_agents
]


@pytest.mark.parametrize("code", CASES)
def test_examples_run_and_print_what_they_say(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write a file
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "<documentation>", "exec"), {})
    said = re.findall(r"print\(.*\)  # (.*)", code)
    told = printed.getvalue().splitlines()
    assert len(told) == len(said)
    for wanted, got in zip(said, told, strict=True):
        assert got.endswith(wanted.removeprefix("... "))


SHOWN = re.compile(
    r"```(?:sh)?\n(counterpoint compare [^\n]+)\n```\n\n```text\n(.*?)```", re.DOTALL
)
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
    headline = first[: f"{first} ".index(". ") + 1]
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
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| *([^|]*?) *\| *([^|]*?) *\|$", page, re.MULTILINE)
    for names, defaults, meaning in rows:
        assert meaning, names
        values = defaults.strip().strip("`").split(", ")
        told |= dict(zip(re.findall(r"[a-z_]+", names), values, strict=True))
    for field in dataclasses.fields(LanguageSettings):
        said, real = told[field.name], field.default
        if isinstance(real, float):
            assert float(said) == real, field.name
        else:
            assert said.lower() == str(real).lower(), field.name


TRY_IT = re.compile(r"## Try it\n.*?```sh\n(.*?)```.*?```text\n(.*?)```", re.DOTALL)
TRIED = [
    pytest.param(*shown, id=str(page.relative_to(ROOT)))
    for page in PAGES
    for shown in TRY_IT.findall(page.read_text(encoding="utf-8"))
]
WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
@pytest.mark.parametrize(("commands", "shown"), TRIED)
def test_what_a_page_gives_to_try_prints_what_it_shows(commands, shown, tmp_path):
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "counterpoint"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m counterpoint "$@"\n')
    command.chmod(0o755)
    home = tmp_path / "my folder"
    home.mkdir()
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    env["PYTHONPATH"] = str(ROOT / "src")
    ended = subprocess.run(["sh", "-e", "-c", commands], cwd=home, env=env, text=True,
                           capture_output=True, timeout=300, check=False)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert shown.strip() in ended.stdout


def test_one_page_gives_a_team_to_try():
    assert len(TRIED) == 1


@pytest.mark.parametrize(
    ("kind", "head"), [(WorkPlan, "| key | default |"), (WorkerPlan, "| key in `[worker]` |")]
)
def test_the_keys_of_a_plan_are_documented_with_their_defaults(kind, head):
    page = (ROOT / "docs/capabilities/teams.md").read_text(encoding="utf-8")
    table = page.partition(head)[2].partition("\n\n")[0]
    told = {}
    for names, default in re.findall(r"^\| (`[^|]*`) \| *([^|]*?) *\|", table, re.MULTILINE):
        told |= dict.fromkeys(re.findall(r"[a-z_]+", names), default.strip("`"))
    known = {field.name: field.default for field in dataclasses.fields(kind)}
    for name in ("folder", "worker", "task"):  # made by the reader, or a table of their own
        known.pop(name, None)
    assert set(told) - {"tasks"} == set(known)
    for name, default in told.items():
        if default and name != "protected":
            assert tomllib.loads(f"x = {default}")["x"] == known[name], name
