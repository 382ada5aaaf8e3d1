"""Write the parts of the documentation that the code already knows; `--check` only compares.

docs/reference/commands.md is what `--help` prints, docs/reference/schemes.md is the catalogue, and
docs/reference/glossary.md the words of the reports.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from importlib import import_module
from pathlib import Path

os.environ |= {"COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb"}

from counterpoint.cli.catalogue import scheme_facts
from counterpoint.cli.commands import COMMANDS
from counterpoint.cli.main import main
from counterpoint.credit import Scheme
from counterpoint.report.glossary import CONDITIONS, GLOSSARY
from counterpoint.worlds.kind import documented_fields

ROOT = Path(__file__).parent
HEAD = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->\n"


def help_of(arguments: list[str]) -> str:
    """What the command line prints for `--help`."""
    return printed_by([*arguments, "--help"])


def printed_by(arguments: list[str]) -> str:
    """What the command line prints on standard output."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main(arguments)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue())
    return "\n".join(line.rstrip() for line in plain.strip().splitlines())


def commands_page() -> str:
    """Every command with its help."""
    parts = [HEAD, "# Commands\n", f"```text\n{help_of([])}\n```\n"]
    parts.append(f"## Exit status\n\n```text\n{printed_by(['help', 'exit-codes'])}\n```\n")
    parts += [f"## counterpoint {n}\n\n```text\n{help_of([n])}\n```\n" for n in COMMANDS]
    return "\n".join(parts)


def schemes_page() -> str:
    """The catalogue with sources."""
    lines = [HEAD, "# Credit schemes, baselines and algorithms\n"]
    lines.append("`counterpoint schemes NAME` shows the same in the terminal.\n")
    lines.append("## The fields of a scheme\n\n| field | default | meaning |\n|---|---|---|")
    default = Scheme()
    for name, about in documented_fields(Scheme).items():
        lines.append(f"| `{name}` | `{getattr(default, name)!r}` | {about} |")
    lines.append("")
    for name, facts in scheme_facts().items():
        title = str(facts.title)
        lines.append(f"## {name}\n\n{title[:1].upper()}{title[1:]}. Source: {facts.citation}.\n")
        if facts.note:
            lines.append(f"Mind: {facts.note}.\n")
        if facts.kind == "baseline":
            lines.append(f"{facts.summary} It needs: {facts.needs}\n")
            continue
        if facts.kind == "algorithm":
            lines.append("An algorithm in the place of a scheme: `train --algorithm`.\n")
            continue
        if facts.kind == "mix":
            parts = " + ".join(map(str, facts.fields.values()))
            lines.append(f"It is a `Mix` of two schemes:\n\n```text\n{parts}\n```\n")
            continue
        given = ", ".join(f"{key}={value!r}" for key, value in facts.fields.items())
        lines.append(f"```python\nScheme({given})\n```\n")
    return "\n".join(lines)


def glossary_page() -> str:
    """The words of the pages and tables, by subject."""
    lines = [
        HEAD,
        "# Glossary\n",
        "Words, codes and abbreviations of the pages, reports and terminal output, by subject. A "
        "healthy value stands beside each number that has one. A report ends with those that it "
        "uses.\n",
    ]
    for subject, words in GLOSSARY.items():
        lines.append(f"## {subject}\n")
        for word in words:
            title, address = word.see
            lines.append(f"### {word.term}\n{word.meaning} [{title}]({address})\n")
            if word.term == "C1 to C7":
                lines += [f"- {code}: {meaning}." for code, meaning in CONDITIONS.items()] + [""]
    return "\n".join(lines).rstrip() + "\n"


API = (
    "credit",
    "diagnose",
    "stats",
    "records",
    "readers",
    "audits",
    "judge",
    "topology",
    "games",
    "population",
    "worlds",
    "comparison",
    "sweep",
    "train",
    "speakers",
    "results",
    "report",
    "testing",
    "plugins",
    "errors",
)
"""The public packages and modules, in the order of the reference."""


def api_pages() -> dict[str, str]:
    """Returns a page for each public package and each adapter: the site fills in its docstrings."""
    adapters = sorted(
        file.stem
        for file in (ROOT.parent / "src/counterpoint/integrations").glob("*.py")
        if (ROOT / "integrations" / f"{file.stem.replace('_', '-')}.md").exists()
    )
    return {
        f"api/{name}.md": _api_page(name)
        for name in [*API, *(f"integrations.{n}" for n in adapters)]
    }


def _api_page(name: str) -> str:
    """Returns the page of a module; names that a module of the package hides stand below it.

    Those are functions with the name of their module, and classes that are made when their trainer
    is there.
    """
    file = ROOT.parent / "src/counterpoint" / name.replace(".", "/")
    hidden = [
        f"{name}.{one}.{one}\n    options:\n      show_root_heading: true"
        for one in getattr(import_module(f"counterpoint.{name}"), "__all__", ())
        if (file / f"{one}.py").exists()
    ]
    if file.with_name(f"{file.name}_classes.py").exists():
        hidden.append(f"{name}_classes")
    blocks = "\n\n".join(f"::: counterpoint.{one}" for one in (name, *hidden))
    return f"{HEAD}\n# counterpoint.{name}\n\n{blocks}\n"


def run(check: bool) -> int:
    """Write the pages, or say which of them are out of date."""
    pages = {
        "commands.md": commands_page(), "schemes.md": schemes_page(),
        "glossary.md": glossary_page(), **api_pages(),
    }  # fmt: skip
    stale = []
    for name, text in pages.items():
        file = ROOT / "reference" / name
        if check and (not file.exists() or file.read_text(encoding="utf-8") != text):
            stale.append(str(file.relative_to(ROOT.parent)))
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(run("--check" in sys.argv[1:]))
