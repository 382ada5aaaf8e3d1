"""Control groups of sandboxes: where they can be made, and that none is left behind."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest

from counterpoint.cli.main import main
from counterpoint.workers.sandbox import cgroups
from counterpoint.workers.sandbox.cgroups import (
    NAME,
    ControlGroup,
    GroupFolder,
    group_folders,
    not_enforced,
    remove_dead_groups,
    usable_folders,
)
from counterpoint.workers.sandbox.sandbox import Limits, run, why_no_sandbox

needs_groups = pytest.mark.skipif(not usable_folders(), reason="no control group can be made here")
VERSION_1 = """\
30 25 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
36 30 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
37 30 0:34 /pod /sys/fs/cgroup/cpu,pids rw - cgroup cgroup rw,cpu,pids
38 30 0:35 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw
"""
VERSION_2 = "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def left() -> list[Path]:
    return [
        p for place in usable_folders() for p in place.folder.iterdir() if p.name.startswith(NAME)
    ]


def test_version_1_has_a_group_for_each_controller():
    ours = "8:cpu,pids:/pod/a\n4:memory:/jobs/b c\n0::/\n"
    assert [(str(p.folder), p.totals, p.unified) for p in group_folders(ours, VERSION_1)] == [
        ("/sys/fs/cgroup/memory/jobs/b c", ("memory",), False),
        ("/sys/fs/cgroup/cpu,pids/a", ("processes",), False),  # the mount begins at /pod
        ("/sys/fs/cgroup/unified", ("memory", "processes"), True),
        ("/sys/fs/cgroup", ("memory", "processes"), True),
    ]


def test_version_2_has_one_for_both_also_above_ours():
    found = group_folders("0::/user.slice/app.slice/run.scope\n", VERSION_2)
    assert [str(place.folder) for place in found] == [
        "/sys/fs/cgroup/user.slice/app.slice/run.scope",
        "/sys/fs/cgroup/user.slice/app.slice",
    ]
    assert group_folders("", VERSION_2) == []
    assert group_folders("0::/x\n", "") == []


def test_a_folder_that_is_no_control_group_is_not_taken(tmp_path):
    for unified in (False, True):
        assert not cgroups._works(GroupFolder(tmp_path, ("memory", "processes"), unified))
        assert not cgroups._works(GroupFolder(tmp_path / "none", ("memory",), unified))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("R27")
@needs_groups
def test_a_group_limits_what_enters_it_and_goes_with_what_is_in_it():
    with ControlGroup(1 << 26, 16) as group:
        line = [*group.enter(), "/bin/sh", "-c", "cat /proc/self/cgroup; sleep 60 & exec sleep 60"]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in Path("/proc/self/cgroup").read_text().split()]
        assert sum(NAME in row for row in told) == len(usable_folders())
        assert group.hit() == ()
    assert process.communicate(timeout=5)[0] == ""  # ends with the other sleep
    assert process.returncode == -9
    assert not [p for p in left() if f".{os.getpid()}." in p.name]


@pytest.mark.fault("R27")
@needs_groups
def test_memory_that_was_refused_is_said():
    with ControlGroup(1 << 26, 16) as group:
        code = "head -c 200M /dev/zero | tail -c 150M"
        subprocess.run([*group.enter(), "/bin/sh", "-c", code], capture_output=True, check=False)
        assert group.hit() == tuple({"memory"} - set(not_enforced()))
    with ControlGroup(1 << 26, 8) as group:
        code = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done"
        subprocess.run([*group.enter(), "/bin/sh", "-c", code], capture_output=True, check=False)
        assert group.hit() == tuple({"processes"} - set(not_enforced()))


def _make_and_die() -> None:
    ControlGroup(1 << 26, 16)
    os.kill(os.getpid(), 9)


@needs_groups
@pytest.mark.skipif(why_no_sandbox() is not None, reason="no sandbox")
def test_what_a_kill_leaves_is_swept_by_the_next_run_and_nothing_else():
    dead = multiprocessing.get_context("spawn").Process(target=_make_and_die)
    dead.start()
    dead.join()
    mine = f"{NAME}.{cgroups._namespace()}.{os.getpid()}.{cgroups._started('self')}.x"
    others = [f"{NAME}.1.{dead.pid}.1.0", mine, f"{NAME}-of-somebody"]
    place = usable_folders()[0]
    try:
        for name in others:
            (place.folder / name).mkdir()
        assert [p for p in left() if f".{dead.pid}." in p.name and p.name not in others]
        run(["/bin/true"], {}, Limits(seconds=20))
        there = {p.name for p in left()}
        assert set(others) <= there
        assert not [name for name in there - set(others) if f".{dead.pid}." in name]
    finally:
        for name in others:
            with contextlib.suppress(OSError):
                (place.folder / name).rmdir()


def test_an_id_that_is_used_again_is_another_process(tmp_path):
    """A group whose process has our id and began at another time is one of a dead process."""
    stem = f"{NAME}.{cgroups._namespace()}.{os.getpid()}"
    (tmp_path / f"{stem}.1.0").mkdir()
    (tmp_path / f"{stem}.{cgroups._started('self')}.0").mkdir()
    remove_dead_groups(GroupFolder(tmp_path, ("memory",), False))
    assert [p.name for p in tmp_path.iterdir()] == [f"{stem}.{cgroups._started('self')}.0"]


@pytest.mark.fault("R27")
def test_the_doctor_says_which_totals_nothing_limits(monkeypatch, capsys, imports_untried):
    monkeypatch.setattr(cgroups, "usable_folders", tuple)
    assert not_enforced() == ("memory", "processes")
    with ControlGroup(1 << 26, 16) as group:
        assert group.enter() == []
    monkeypatch.setenv("COLUMNS", "400")  # the cell is not broken over lines
    main(["doctor"])
    assert "not enforced: memory, processes" in " ".join(capsys.readouterr().out.split())
