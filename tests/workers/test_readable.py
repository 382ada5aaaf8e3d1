"""Readable folders of a plan: what would open the machine to agents' code is refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from disjoint import disjoint_plan

from counterpoint.errors import SettingError
from counterpoint.workers.sandbox.readable import require_readable
from counterpoint.workers.sandbox.sandbox import SandboxInputs, run, why_no_sandbox
from counterpoint.workers.state import TeamState

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
needs_sandbox = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.mark.parametrize(
    ("folder", "shows"),
    [
        ("/", "all of /"), ("//", "all of /"), ("/tmp/..", "all of /"), ("/usr/../..", "all of /"),
        ("/proc", "/proc"), ("/proc/self", "/proc"), ("///proc", "/proc"), ("/dev", "/dev"),
        ("/dev/shm", "/dev"), ("/sys", "/sys"), ("/run", "/run"), ("/var", "/var/run"),
        ("/etc", "all of /etc"), ("/root", "all of /root"), ("~root/.ssh", "/.ssh"),
        ("~root/.aws/x", "/.aws"), ("/home", "all of /home"), ("/tmp", "all of /tmp"),
        ("/task", "its own"), ("/task/data", "its own"), ("/setup", "its own"),
    ],
)  # fmt: skip
def test_what_opens_the_machine_is_refused(folder, shows):
    with pytest.raises(SettingError, match="readable folder") as caught:
        require_readable(Path(folder).expanduser())
    assert shows in str(caught.value)


def test_links_are_judged_by_where_they_lead(tmp_path):
    for name, target in (("top", "/"), ("kernel", "/proc"), ("etc", "/etc"), ("me", "me")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(SettingError, match="readable folder"):
            require_readable(tmp_path / name)
    with pytest.raises(SettingError, match="all of /etc"):
        require_readable(tmp_path / "top" / "etc")
    (tmp_path / "packages").symlink_to("/usr/share")
    assert require_readable(tmp_path / "packages") == Path("/usr/share").resolve()


def test_the_home_of_this_user_and_its_keys_are_refused(tmp_path, monkeypatch):
    home = tmp_path / "people" / "ann"
    (home / ".ssh").mkdir(parents=True)
    (home / "venv").mkdir()
    monkeypatch.setenv("HOME", str(home))
    for folder in (home, home.parent, home / ".ssh", home / ".ssh" / "old", home / "venv" / ".."):
        with pytest.raises(SettingError, match="shows"):
            require_readable(folder)
    monkeypatch.setattr("counterpoint.workers.sandbox.readable.is_readable", lambda folder: True)
    assert require_readable(home / "venv") == home / "venv"  # not among the keys


@needs_sandbox
def test_a_folder_whose_name_begins_like_one_of_the_sandbox_is_none_of_it(tmp_path):
    with pytest.raises(SettingError, match="not there"):
        require_readable(Path("/tasks-of-nobody"))
    with pytest.raises(SettingError, match="all of /"):
        run(["/bin/true"], {}, inputs=SandboxInputs(readable=[Path("/usr/..")]))
    dotted = Path("/usr/lib/../share")
    assert run(["/bin/ls", "/usr/share"], {}, inputs=SandboxInputs(readable=[dotted])).status == 0


def test_a_run_with_such_a_folder_does_not_begin(tmp_path):
    plan = replace(disjoint_plan(tmp_path / "repo", 1), readable=(os.sep,))
    with pytest.raises(SettingError, match="all of /"):
        TeamState(tmp_path / "run", plan, "solo", 1).create()
    assert not (tmp_path / "run").exists()
