"""Write all tables of a folder that `make bench` has filled as Markdown.

`python bench/pages.py counterpoint-out/bench` writes results.md and calibration.md into the folder;
docs/discussion/ keeps the rows that a reader of the documentation asks for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

INTRODUCTION = """# Results of every recipe

Written by `make bench` and `bench/pages.py`. Interquartile means over seeds with bootstrap 95%
intervals. Below a number, in brackets, what an earlier laboratory version of the experiment gave,
where there is one. LOG.md in the repository says where the two differ, and why.
"""


def results_page(documents: Sequence[Mapping[str, Any]]) -> str:
    """Returns every table of every recipe as Markdown."""
    parts = [INTRODUCTION]
    for document in documents:
        head = f"{document['seeds']} seeds, {document['cpu_seconds']:.0f} CPU-seconds"
        parts.append(
            f"## {document['recipe']}\n\n{head}; `bench/recipes/{document['recipe']}.py`.\n"
        )
        parts += [table(page) for page in document["tables"]]
    return "\n".join(parts)


def table(page: Mapping[str, Any]) -> str:
    """Returns one table: rows and columns in the order in which the cells name them."""
    cells = {(cell["row"], cell["column"]): shown(cell) for cell in page["cells"]}
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    lines = [
        f"### {page['title']}\n",
        f"| | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [f"| {r} | {' | '.join(cells.get((r, c), '') for c in columns)} |" for r in rows]
    return "\n".join([*lines, "", *([page["note"], ""] if page["note"] else [])])


def shown(cell: Mapping[str, Any]) -> str:
    """Returns a number with its interval, and the earlier one below it."""
    value, low, high = (
        "never" if number is None else format(number, cell["form"]).replace("-0.000", "0.000")
        for number in (cell["value"], cell["low"], cell["high"])
    )
    text = value if value == "never" or low == high == "never" else f"{value} [{low}, {high}]"
    return f"{text}<br>({cell['earlier']})" if cell["earlier"] else text


def main(folder: Path) -> None:
    """Reads the folder, and writes both pages into it."""
    documents = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    recipes = [document for document in documents if "recipe" in document]
    (folder / "results.md").write_text(results_page(recipes), encoding="utf-8")
    parts = [folder / name for name in ("calibrate.md", "battery.md")]
    if all(part.exists() for part in parts):
        text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
        (folder / "calibration.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
