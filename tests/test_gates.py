"""Gates over the whole tree: unsafe deserialization, imports, sizes, paths of a machine.

Each gate is a function with planted cases that it must find and clean twins on which it must stay
silent; then it is held against the project itself.
"""

import ast
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from counterpoint.errors import LogError
from counterpoint.readers import read_decisions

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = sorted((PROJECT / "src").rglob("*.py"))

# --- unsafe deserialization and evaluation ------------------------------------------------------

UNSAFE_MODULES = {
    *("pickle", "_pickle", "pickletools", "cPickle", "cloudpickle", "dill", "joblib"),
    *("marshal", "shelve", "jsonpickle"),
}
UNSAFE_CALLS = {
    *("eval", "exec", "builtins.eval", "builtins.exec", "torch.load"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
}


def unsafe(source: str) -> list[str]:
    """What in `source` could run code out of data, as `line: what`."""
    tree = ast.parse(source)
    meaning: dict[str, str] = {}  # local name to what it was imported as
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                meaning[alias.asname or alias.name] = alias.name
                found.append((node.lineno, alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.lineno, node.module))
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                found.append((node.lineno, f"{node.module}.{alias.name}"))
    imported = [(n, what) for n, what in found if what.split(".")[0] in UNSAFE_MODULES]
    named = [(n, what) for n, what in found if what in UNSAFE_CALLS]
    called = [
        (node.lineno, what)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for what in _unsafe_call(node, meaning)
    ]
    return [f"{line}: {what}" for line, what in sorted({*imported, *named, *called})]


def _unsafe_call(call: ast.Call, meaning: dict[str, str]) -> Iterator[str]:
    head, _, rest = ast.unparse(call.func).partition(".")
    name = ".".join(filter(None, [meaning.get(head, head), rest]))
    if name in UNSAFE_CALLS or name.endswith(".read_pickle"):
        yield name
    if name in ("__import__", "importlib.import_module") and call.args:
        module = call.args[0]
        if isinstance(module, ast.Constant) and module.value in UNSAFE_MODULES:
            yield str(module.value)
    for keyword in call.keywords:
        literal = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "allow_pickle" and literal is not False:
            yield f"{name}(allow_pickle)"
    if name == "numpy.load" and len(call.args) > 2:
        yield "numpy.load(allow_pickle)"


@pytest.mark.fault("R15")
@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "import os, marshal as m",
        "from shelve import open",
        "from joblib.numpy_pickle import load",
        "def f():\n    import cloudpickle",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path, weights_only=True)",
        "from torch import load",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "from yaml import unsafe_load as read",
        "eval(text)",
        "exec(compile(text, name, 'exec'))",
        "import builtins\nbuiltins.eval(text)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=trusted)",
        "import numpy as np\nnp.load(path, None, True)",
        "from numpy import load\nload(path, None, True)",
        "import numpy as np\nnp.lib.format.read_array(file, allow_pickle=1)",
        "import pandas as pd\npd.read_pickle(path)",
        "import importlib\nimportlib.import_module('pickle')",
        "__import__('dill')",
    ],
)
def test_the_gate_finds_planted_code(planted: str) -> None:
    assert unsafe(planted)


@pytest.mark.parametrize(
    "clean",
    [
        "model.eval()",
        "self.exec(command)",
        "import numpy as np\nnp.load(path)\nnp.load(path, allow_pickle=False)",
        "import numpy as np\nnp.load(path, None)",
        "import yaml\nyaml.safe_load(text)",
        "import json\njson.load(file)",
        "import importlib\nimportlib.import_module('json')",
        "from . import pickled_herring",
        "'''never pickle.load, eval(x) or torch.load(y)'''",
        "import torch\ntorch.loads_of_things()",
    ],
)
def test_the_gate_is_silent_on_clean_twins(clean: str) -> None:
    assert unsafe(clean) == []


@pytest.mark.fault("R15")
def test_no_source_file_runs_code_out_of_data() -> None:
    assert len(SOURCES) > 30
    found = {path.name: unsafe(path.read_text("utf-8")) for path in SOURCES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def half_caught(source: str) -> list[int]:
    """Lines that catch msgspec's error for bytes, and not the one for text that is not UTF-8."""
    caught = [
        (node.lineno, ast.unparse(node.type))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler) and node.type
    ] + [
        (node.lineno, " ".join(map(ast.unparse, node.args)))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")
    ]
    whole = re.compile(r"\b(ValueError|Unicode\w+Error|Exception)\b")
    return [
        line
        for line, names in caught
        if re.search(r"\b(MsgspecError|DecodeError)\b", names) and not whole.search(names)
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("try: f()\nexcept msgspec.MsgspecError: pass", [2]),
        ("try: f()\nexcept (OSError, msgspec.DecodeError): pass", [2]),
        ("with suppress(OSError, msgspec.MsgspecError): f()", [1]),
        ("try: f()\nexcept (OSError, *NOT_JSON): pass", []),
        ("try: f()\nexcept (msgspec.MsgspecError, ValueError): pass", []),
        ("try: f()\nexcept (msgspec.DecodeError, UnicodeDecodeError): pass", []),
    ],
)
def test_the_gate_finds_half_a_handler(source: str, found: list[int]) -> None:
    assert half_caught(source) == found


def test_text_that_is_not_utf_8_is_caught_with_other_damage() -> None:
    found = {path.name: half_caught(path.read_text("utf-8")) for path in SOURCES}
    assert {name: lines for name, lines in found.items() if lines} == {}


class LeavesAMark:
    """Makes a directory when it is unpickled: harmless, and plain to see."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


COLUMNS = {
    "prompt": np.zeros(2, int),
    "rollout": np.arange(2),
    "agent": np.array(["a", "b"]),
    "reward": np.ones(2),
}


def test_the_same_columns_without_the_object_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "clean.npz", **COLUMNS)
    assert len(read_decisions(tmp_path / "clean.npz")) == 2


@pytest.mark.fault("R15")
@pytest.mark.parametrize("column", ["prompt", "rollout", "agent", "reward", "turn", "components"])
def test_a_pickled_object_in_an_archive_is_refused_and_not_run(column: str, tmp_path: Path) -> None:
    mark, log = tmp_path / "mark", tmp_path / "log.npz"
    bomb = np.array([LeavesAMark(mark), None], dtype=object)
    np.savez(log, **{**COLUMNS, column: bomb})
    with pytest.raises(LogError, match=column):
        read_decisions(log)
    assert not mark.exists()
    with np.load(log, allow_pickle=True) as archive:  # the trap is armed
        _ = archive[column]
    assert mark.is_dir()


@pytest.mark.fault("R15")
def test_an_object_hidden_in_a_record_is_refused_and_not_run(tmp_path: Path) -> None:
    mark, log = tmp_path / "mark", tmp_path / "log.npz"
    record = np.array([(1.0, LeavesAMark(mark)), (2.0, None)], dtype=[("r", "f8"), ("o", "O")])
    np.savez(log, **{**COLUMNS, "reward": record})
    with pytest.raises(LogError, match="reward"):
        read_decisions(log)
    assert not mark.exists()


@pytest.mark.fault("R15")
def test_an_object_in_a_column_nobody_asked_for_is_not_run(tmp_path: Path) -> None:
    mark, log = tmp_path / "mark", tmp_path / "log.npz"
    np.savez(log, **COLUMNS, extra=np.array([LeavesAMark(mark)], dtype=object))
    assert len(read_decisions(log)) == 2
    assert not mark.exists()


@pytest.mark.fault("R15")
@pytest.mark.parametrize("inside", [True, False])
def test_a_bare_pickle_under_a_wrong_name_is_refused_and_not_run(
    inside: bool, tmp_path: Path
) -> None:
    mark, log = tmp_path / "mark", tmp_path / "log.npz"
    payload = pickle.dumps(LeavesAMark(mark))
    if inside:
        with zipfile.ZipFile(log, "w") as archive:
            archive.writestr("reward.npy", payload)
    else:
        log.write_bytes(payload)
    with pytest.raises(LogError):
        read_decisions(log)
    assert not mark.exists()


# --- imports ------------------------------------------------------------------------------------

HEAVY = {
    *("torch", "jax", "matplotlib", "pandas", "scipy", "msgspec", "rich", "tyro", "jinja2"),
    *("sqlite3", "socket", "ssl", "urllib", "http", "asyncio", "multiprocessing"),
}


def brought_in(statement: str) -> set[str]:
    """Which of the heavy packages `statement` loads in a fresh process, NumPy's own left out."""
    script = (
        "import sys, numpy, numpy.random\nbefore = set(sys.modules)\n"
        f"{statement}\nprint(*(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {module.split(".")[0] for module in run.stdout.split()} & HEAVY


def test_the_import_gate_sees_what_is_brought_in() -> None:
    assert brought_in("import sqlite3, msgspec") == {"sqlite3", "msgspec"}


@pytest.mark.parametrize("room", ["credit", "stats", "records"])
def test_rooms_that_compute_need_numpy_alone(room: str) -> None:
    assert brought_in(f"import counterpoint.{room}") == set()


@pytest.mark.parametrize("room", ["results", "diagnose"])
def test_results_and_the_diagnosis_need_msgspec_too(room: str) -> None:
    assert brought_in(f"import counterpoint.{room}") == {"msgspec"}


# --- sizes --------------------------------------------------------------------------------------

LONGEST = 500
"""Lines of a source file: a file is as long as its idea, and few ideas take more."""


def test_no_source_file_is_too_long() -> None:
    lengths = {str(p.relative_to(PROJECT)): len(p.read_text().splitlines()) for p in SOURCES}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}
    assert max(lengths.values()) > LONGEST / 2  # the gate looks at the files


# --- circles ------------------------------------------------------------------------------------


def imports_of(source: str, modules: set[str]) -> set[str]:
    """Returns those of `modules` that a source imports: at its top, late, or for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & modules


def circles(sources: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Returns the groups of modules that import each other, whatever the kind of their imports."""
    graph = {name: imports_of(text, set(sources)) for name, text in sources.items()}
    reached: dict[str, set[str]] = {}
    for name in graph:
        seen, front = set[str](), [name]
        while front:
            for other in graph[front.pop()] - seen:
                seen.add(other)
                front.append(other)
        reached[name] = seen
    groups = {
        tuple(sorted(b for b in graph if b in reached[a] and a in reached[b]))
        for a in graph
        if a in reached[a]
    }
    return sorted(groups)


@pytest.mark.parametrize(
    "back",
    [
        "from a import x",
        "import a",
        "def f():\n    from a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import X",
    ],
)
def test_the_gate_finds_circles_of_every_kind(back: str) -> None:
    assert circles({"a": "import b", "b": "import c", "c": back}) == [("a", "b", "c")]
    assert circles({"a": "import b", "b": "import c", "c": "import json"}) == []


def test_no_modules_import_each_other() -> None:
    root = PROJECT / "src"
    names = {".".join(p.relative_to(root).with_suffix("").parts): p for p in SOURCES}
    sources = {n: p.read_text() for n, p in names.items() if not n.endswith("__init__")}
    assert circles(sources) == []


# --- pages that an installed user does not have -------------------------------------------------


def named_pages(source: str) -> list[str]:
    """Returns the shown texts of a source that name a page of docs/, which the wheel lacks."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in docstrings and re.search(r"\bdocs/", node.value)
    ]


def test_the_gate_finds_a_page_in_a_message_and_not_in_a_docstring() -> None:
    planted = "def f(x):\n    raise E(f'{x}: see docs/how-to/logs.md')"
    assert named_pages(planted) == [": see docs/how-to/logs.md"]
    assert named_pages("def f():\n    'As docs/how-to/logs.md says.'\n    return 'my_docs'") == []


def test_no_text_of_the_package_names_a_page_that_it_does_not_ship() -> None:
    named = {path.name: named_pages(path.read_text("utf-8")) for path in SOURCES}
    assert {name: texts for name, texts in named.items() if texts} == {}


# --- paths of a machine -------------------------------------------------------------------------

MACHINE_PATH = re.compile(
    r"(?<![\w.~/$}-])(?:/(?:home|root|work|Users)/[\w.][\w./-]*|[A-Z]:\\Users\\\w+)"
)


def tracked() -> list[Path]:
    """The files under version control, or all that a source distribution has."""
    git = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if git.returncode == 0:
        paths = [PROJECT / name for name in git.stdout.split("\0") if name]
    else:
        rooms = ("src", "tests", "docs", "bench")
        paths = [*PROJECT.glob("*.*"), *(p for room in rooms for p in (PROJECT / room).rglob("*"))]
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.parametrize(
    "planted", ["/ho" + "me/ada/logs", '"/ro' + 'ot/.cache"', "C:\\Us" + "ers\\ada"]
)
def test_the_path_gate_finds_planted_paths(planted: str) -> None:
    assert MACHINE_PATH.search(f"open({planted})")


@pytest.mark.parametrize(
    "clean", ["src/work/plan.md", "~/work/x", "../home/x", "a/root/b", "/work"]
)
def test_the_path_gate_is_silent_on_relative_paths(clean: str) -> None:
    assert not MACHINE_PATH.search(f"open('{clean}')")


def test_no_tracked_file_names_a_path_of_a_machine() -> None:
    files = tracked()
    assert len(files) > 50
    found = {
        str(path.relative_to(PROJECT)): hits
        for path in files
        if (hits := MACHINE_PATH.findall(path.read_text("utf-8", errors="replace")))
    }
    assert found == {}
