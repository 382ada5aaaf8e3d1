"""Peers' environments: the Python that each wants, and pins beside a planted index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench_modules import bench_module

peers = bench_module("peer_environments")
HERE = "{}.{}".format(*sys.version_info[:2])


def environment(*pinned: str, **held: str) -> object:
    return peers.Environment((("alone",), pinned), "nothing", held=held)


def of(rows: tuple, package: str) -> object:
    (row,) = [row for row in rows if row.package == package]
    return row


def newest(package: str) -> str:
    """An index on which only two packages moved on."""
    moved = {"slow": "2.0", "kept": "3.0", "numpy": "9.9"}
    current = {**dict(x.split("==") for x in peers.CORE), "fresh": "1.0", "freed": "1.0"}
    return moved.get(package) or current[package]


def test_a_pin_that_fell_behind_is_an_error_unless_it_says_why() -> None:
    rows = peers.outdated(
        {"e": environment("slow==1.0", "kept[x]==2.9", "fresh==1.0", kept="slow needs it")}, newest
    )
    assert [row.package for row in rows] == ["slow", "kept", "numpy"]
    assert of(rows, "slow").is_wrong
    assert not of(rows, "kept").is_wrong
    assert of(rows, "kept").reason == "slow needs it"
    assert not of(rows, "numpy").is_wrong  # every environment has one reason for it
    text = peers.outdated_table(rows)
    assert "| e | slow | 1.0 | 2.0 | **fell behind** |" in text
    assert "| e | kept | 2.9 | 3.0 | slow needs it |" in text


def test_a_reason_that_is_no_longer_needed_is_an_error() -> None:
    rows = peers.outdated({"e": environment("freed==1.0", freed="an old bug")}, newest)
    assert of(rows, "freed").is_wrong
    assert "**no longer needed**: an old bug" in peers.outdated_table(rows)


def test_current_pins_are_no_row_and_the_index_is_asked_once_a_package() -> None:
    asked = []

    def counted(package: str) -> str:
        asked.append(package)
        return newest(package)

    rows = peers.outdated({n: environment("fresh==1.0") for n in "ab"}, counted)
    assert {row.package for row in rows} == {"numpy"}
    assert sorted(asked) == sorted({"fresh", *(x.split("==")[0] for x in peers.CORE)})


def test_this_python_is_found_and_an_unknown_one_is_not() -> None:
    assert peers.interpreter(HERE) == sys.executable
    assert peers.interpreter("3.99") == ""


def test_pythons_of_pyenv_are_found_and_shims_that_only_complain_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shims, said = tmp_path / "shims", "#!/bin/sh\necho 3.99\n"
    for path, text in (
        (shims / "python3.99", "#!/bin/sh\necho no such version >&2\nexit 127\n"),
        (tmp_path / "versions" / "3.99.2" / "bin" / "python", said),
        (tmp_path / "versions" / "3.99.10" / "bin" / "python", said),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{shims}:/usr/bin:/bin")
    assert peers.interpreter("3.99").endswith("versions/3.99.10/bin/python")


def test_an_environment_without_its_python_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = peers.Environment((), "nothing", python="3.99")
    monkeypatch.setitem(peers.ENVIRONMENTS, "wants", wants)
    assert "needs Python 3.99" in peers.make("wants", tmp_path)
    assert not (tmp_path / "wants").exists()


def test_a_clone_takes_no_submodules_and_keeps_what_git_was_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submodule whose address cannot be reached, as pip's clones update it."""
    for name, value in {"COUNT": "1", "KEY_0": "user.name", "VALUE_0": "me"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)

    def git(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(tmp_path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, **more)

    git("init")
    address = (tmp_path / "gone").as_uri()
    (tmp_path / ".gitmodules").write_text(f'[submodule "far"]\n\tpath = far\n\turl = {address}\n')
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},far")
    update, told = ("submodule", "update", "--init"), peers.with_git(*peers.OWN_FILES_ONLY)
    assert git(*update, env=told).returncode == 0
    assert git("config", "user.name", env=told).stdout == "me\n"
    assert git(*update).returncode != 0


def test_an_unknown_name_is_refused() -> None:
    script = Path(peers.__file__)
    done = subprocess.run(
        [sys.executable, script, "peers-nobody"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "got peers-nobody" in done.stderr
