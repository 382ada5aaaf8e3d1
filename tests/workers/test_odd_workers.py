"""Commands that leave the work folder in a state that no honest one would leave."""

from __future__ import annotations

import shutil

import pytest

from counterpoint.workers.members import VARIABLE
from counterpoint.workers.sandbox.sandbox import RESULTS, Limits, run, why_no_sandbox

WHY_NOT = why_no_sandbox() if shutil.which("bwrap") else "no bubblewrap"
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
FILES = {"a.txt": b"a\n", "sub/b.txt": b"b\n", "sub/deep/c.txt": b"c\n"}


def after(line, limits=None):
    return run(["/bin/sh", "-c", line], FILES, limits or Limits(seconds=20))


@pytest.mark.parametrize(
    "close", ["chmod 000 .", "chmod 000 sub", "chmod 000 sub/deep sub", "chmod 311 sub; chmod 0 ."]
)
def test_folders_that_were_made_unreadable_keep_their_files(close):
    ended = after(f"echo new > sub/b.txt; {close}")
    assert ended.stopped == ""
    assert (sorted(ended.changed), ended.removed) == (["sub/b.txt"], ())
    assert ended.changed["sub/b.txt"].data == b"new\n"


def test_files_that_were_taken_away_are_gone_all_the_same():
    ended = after("rm -r sub; chmod 000 .")
    assert sorted(ended.removed) == ["sub/b.txt", "sub/deep/c.txt"]


@pytest.mark.parametrize(
    "make", ["mkfifo $U", "mkdir $U", "ln -s /dev/zero $U", "ln -s $U $U", "ln -s /proc/kmsg $U"]
)
def test_a_file_of_results_that_is_none_is_not_waited_for(make):
    line = f"U=${VARIABLE}; {make}; echo new > a.txt"
    command = ["/usr/bin/env", f"{VARIABLE}={RESULTS}", "/bin/sh", "-c", line]
    ended = run(command, FILES, Limits(seconds=5))
    assert (ended.stopped, ended.results) == ("", b"")
    assert sorted(ended.changed) == ["a.txt"]
