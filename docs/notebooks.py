"""Run the notebooks of docs/notebooks and store what their cells print and draw.

`python docs/notebooks.py` runs each notebook in a process and an empty folder of its own, where
warnings are errors. `--check` only compares the stored text with what a run prints; names of
notebooks restrict both. Nothing of Jupyter is needed: a notebook is JSON.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NOTEBOOKS = tuple(sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")))
MOST_SECONDS = 300
"""The time after which the run of a notebook is given up."""
Outputs = list[dict[str, Any]]
"""The outputs of a cell, as the notebook format 4 has them."""


def code_cells(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the cells of a notebook that have code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs_of(sources: Sequence[str]) -> list[Outputs]:
    """Returns the outputs of cells that run one after the other in a process of their own.

    Raises:
        RuntimeError: a cell failed, or wrote to standard error; the message is what it wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "error", str(Path(__file__).resolve()), "--cells"]
        source = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join(filter(None, [str(ROOT / "src"), source]))
        ended = subprocess.run(
            command, input=json.dumps(list(sources)), cwd=folder, text=True, capture_output=True,
            env={**os.environ, "PYTHONPATH": path}, timeout=MOST_SECONDS, check=False,
        )  # fmt: skip
    if ended.returncode or ended.stderr:
        raise RuntimeError(ended.stderr or f"a cell ended the process with {ended.returncode}")
    outputs: list[Outputs] = json.loads(ended.stdout)
    return outputs


def _run_cells(sources: Sequence[str]) -> list[Outputs]:
    """Returns the outputs of cells that run in this process, as a notebook runs them."""
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    for count, source in enumerate(sources, 1):
        body = ast.parse(source).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module(body, []), f"<cell {count}>", "exec"), names)
            value = None
            if isinstance(last, ast.Expr):
                value = eval(  # noqa: S307  # our own notebooks
                    compile(ast.Expression(last.value), f"<cell {count}>", "eval"), names
                )
        outputs.append([*_stream(printed.getvalue()), *_shown(value, count)])
    return outputs


def _stream(text: str) -> Outputs:
    lines = text.splitlines(keepends=True)
    return [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []


def _shown(value: object, count: int) -> Outputs:
    if value is None:
        return []
    data = {"text/plain": [repr(value)]}
    if hasattr(value, "_repr_svg_"):
        data["image/svg+xml"] = value._repr_svg_().splitlines(keepends=True)
    return [
        {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
    ]


def text_of(outputs: Outputs) -> str:
    """Returns the text of the outputs of a cell: pictures may differ in a last digit."""
    lines = [
        o["text"] if o["output_type"] == "stream" else o["data"]["text/plain"] for o in outputs
    ]
    return "".join(part for each in lines for part in each)


def stale_cells(notebook: Mapping[str, Any]) -> list[int]:
    """Returns the numbers, from 1 on, of the code cells whose stored text a run does not print."""
    cells = code_cells(notebook)
    new = outputs_of(["".join(cell["source"]) for cell in cells])
    pairs = enumerate(zip(cells, new, strict=True), 1)
    return [n for n, (cell, now) in pairs if text_of(cell["outputs"]) != text_of(now)]


def store(path: Path) -> None:
    """Runs a notebook and writes its outputs into it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = code_cells(notebook)
    new = outputs_of(["".join(cell["source"]) for cell in cells])
    for count, (cell, outputs) in enumerate(zip(cells, new, strict=True), 1):
        cell |= {"execution_count": count, "outputs": outputs}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Stores the outputs of all notebooks, or says which of them are out of date."""
    names = [word for word in arguments if not word.startswith("--")]
    chosen = [path for path in NOTEBOOKS if not names or path.stem in names]
    if "--check" not in arguments:
        for path in chosen:
            store(path)
        return 0
    stale = False
    for path in chosen:
        for count in stale_cells(json.loads(path.read_text(encoding="utf-8"))):
            stale = True
            sys.stdout.write(f"{path.relative_to(ROOT)}, cell {count}: out of date\n")
    return int(stale)


if __name__ == "__main__":
    if sys.argv[1:] == ["--cells"]:
        json.dump(_run_cells(json.load(sys.stdin)), sys.stdout)
    else:
        sys.exit(main(sys.argv[1:]))
