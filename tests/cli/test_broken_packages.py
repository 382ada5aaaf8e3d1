"""A package that is installed and cannot be imported: one line, and what `doctor` says."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

BROKEN = {
    "a library of the system is missing": (
        'raise ImportError("libgomp.so.1: cannot open shared object file")', "libgomp.so.1"),
    "another one has other symbols": ('raise OSError("undefined symbol: x")', "undefined symbol"),
    "half a file": ("x =", "SyntaxError"),
    "a package of its own is missing": ("import not_there_at_all", "not_there_at_all"),
}  # fmt: skip


def called(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "counterpoint", *words],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_package_that_fails_is_named_in_one_line(kind, tmp_path):
    content, why = BROKEN[kind]
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(content)
    ended = called(tmp_path, "train", "spread", "--budget", "100", "--out", str(tmp_path / "out"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "torch" in ended.stderr
    assert "fails when it is imported" in ended.stderr
    assert why in ended.stderr
    assert not (tmp_path / "out").exists()


def test_doctor_tries_what_is_installed(tmp_path):
    sound = json.loads(called(tmp_path, "doctor", "--json").stdout)
    assert sound["failing"] == {}
    (tmp_path / "torch.py").write_text("print('a word')\nraise OSError('libx.so is gone')")
    told = called(tmp_path, "doctor", "--json")
    failing = json.loads(told.stdout)["failing"]
    assert failing["torch"] == "fails when it is imported (OSError: libx.so is gone)"
    able = json.loads(told.stdout)["can"]
    changed = {what for what, can in able.items() if can != sound["can"][what]}
    assert {what.split(",")[0] for what in changed} == {
        "train teams of networks in sequential environments", "train teams of language models",
    }  # fmt: skip
    (tmp_path / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    failing = json.loads(called(tmp_path, "doctor", "--json").stdout)["failing"]
    assert failing == {"torch": "ends Python when it is imported (-11)"}
