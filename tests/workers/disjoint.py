"""A repository in which every task has a file of its own: no attempt can break another's."""

from __future__ import annotations

from pathlib import Path

from counterpoint.workers.plan import TaskPlan, WorkerPlan, WorkPlan
from counterpoint.workers.sandbox.sandbox import Limits

RUN = (
    "for i in $(seq {n}); do if grep -q good f$i.txt; then echo ok - t$i; else echo not ok - t$i; "
    "fi; done\n"
)
WRITE = "n=$(echo {test} | tr -d t); echo good > f$n.txt"


def make_disjoint(folder: Path, n: int) -> None:
    """Write n files that all have to say `good`, and the script that tests them."""
    folder.mkdir(parents=True)
    for i in range(1, n + 1):
        (folder / f"f{i}.txt").write_text("bad\n")
    (folder / "run.sh").write_text(RUN.replace("{n}", str(n)))


def disjoint_plan(folder: Path, n: int, command: str = WRITE, **more: object) -> WorkPlan:
    """A plan for such a repository, which is made in `folder`; it knows the file of each task."""
    make_disjoint(folder, n)
    tasks = tuple(TaskPlan(id=f"t{i}", test=f"t{i}", files=(f"f{i}.txt",)) for i in range(1, n + 1))
    return WorkPlan(
        repository=str(folder), tests="sh run.sh", limits=Limits(seconds=60), task=tasks,
        worker=WorkerPlan(kind="command", command=command), **more,
    )  # fmt: skip
