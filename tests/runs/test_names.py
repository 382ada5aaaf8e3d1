"""Names from outside never lead out of the run root (R14), and secrets never reach a run (R18)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.runs.checkpoint import Snapshot
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.files import run_folder, safe_name
from counterpoint.runs.index import Index

pytestmark = pytest.mark.usefixtures("no_fsync")

NASTY = [
    *("..", ".", "", "/", "//", "../x", "../../x", "/etc/passwd", "a/b", "a/../..", "./a", "~"),
    *("~root", "..\\x", "C:\\x", "C:", "\\\\host\\share", "a\\..\\b", "%2e%2e%2f", "..%2fx"),
    *("con", "CON.txt", "nul", "com1", "lpt9.log", "a\0b", "\0", "a\nb", "\r\n", "\x1b[2J", "\x7f"),
    *(
        "-rf",
        "--help",
        "-",
        "a b",
        " ",
        "a.",
        ".hidden",
        "...",
        "....//",
        "‥/x",
        "．．／x",
        "ａ/ｂ",
    ),
    *("\u202egnp", "é", "e\u0301", "a" * 300, "../" * 60 + "x", "$HOME", "`id`", "|x", "a;b", "*"),
    *("lock", "run.json", "\ud800", "ﬁ/x", "checkpoints"),
]


def outside(root):
    return sorted(p for p in root.rglob("*") if "root" not in p.relative_to(root).parts[:1])


def test_there_are_50_of_them():
    assert len(set(NASTY)) >= 50


@pytest.mark.fault("R14")
@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_nothing_is_written_outside_the_root(name, tmp_path):
    root = tmp_path / "root"
    path = run_folder(root, name)
    assert path.parent == root
    config = {"world": name.encode("utf-8", "replace").decode(), "scheme": "..", "seed": 1}
    with RunDirectory.create(path, config, index=Index(root / "index.sqlite")) as run:
        run.log({"step": 1, name.encode("utf-8", "replace").decode(): 1.0})
        names = [name] if name.isprintable() else []
        run.save(1, Snapshot({n: np.zeros(2) for n in names}, {name: name}))
    with RunDirectory.open(path) as run:
        assert run.resumed.snapshot.facts == {name: name}
    assert outside(tmp_path) == []
    assert {p.name for p in root.iterdir()} == {path.name, "index.sqlite"}


def test_names_stay_apart_and_safe_ones_stay_as_they_are():
    names = [safe_name(name) for name in NASTY]
    assert len({name.casefold() for name in names}) == len(NASTY)
    assert safe_name("regions-grpo_2.5") == "regions-grpo_2.5"
    assert run_folder(Path("runs"), "regions", "grpo", "seed3") == Path("runs/regions-grpo-seed3")


@pytest.mark.fault("R14")
@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_makes_a_plain_name(text):
    name = safe_name(text)
    assert 1 <= len(name.encode()) <= 100
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert name[0] not in ".-"
    assert safe_name(name) == name


@pytest.mark.fault("R18", cases=5)
def test_secrets_of_the_environment_are_in_no_file_of_a_run(tmp_path, monkeypatch):
    secrets = {
        "OPENAI_API_KEY": "sk-proj-Zq81TestTestTestTest0001",
        "HF_TOKEN": "hf_TestTestTestTestTestTest0002",
        "AWS_SECRET_ACCESS_KEY": "wJalrTestTestTest/K7MDENG/0003",
        "GITHUB_TOKEN": "ghp_TestTestTestTestTest0004",
        "MY_PASSWORD": "hunter2-test-0005",
    }
    for name, secret in secrets.items():
        monkeypatch.setenv(name, secret)
    index = Index(tmp_path / "index.sqlite")
    with RunDirectory.create(tmp_path / "run", {"world": "regions"}, index=index) as run:
        run.log({"step": 1})
        run.save(1, Snapshot({"x": np.zeros(1)}, {"a": 1}))
    with pytest.raises(ValueError), RunDirectory.open(tmp_path / "run", index=index):
        raise ValueError(f"refused: {secrets['HF_TOKEN']}")
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) >= 8
    for file in files:
        content = file.read_bytes()
        assert not [name for name, secret in secrets.items() if secret.encode() in content]
