"""The result of a team: a patch, and a new branch in the user's own repository.

Start with `require_branch` before a run, and `deliver_result` after it.
"""

from __future__ import annotations

from pathlib import Path

from counterpoint.errors import RunError, SettingError
from counterpoint.runs.files import write_atomically
from counterpoint.workers.repository.git import enclosing_repository, git, try_git
from counterpoint.workers.state import TeamState

PATCH = "result.patch"


def require_branch(source: Path, branch: str) -> None:
    """Checks that a branch of this name can be made in the repository of a plan.

    Raises:
        SettingError: the name is no name of a branch, it exists, or there is no git repository.
    """
    place = enclosing_repository(source)
    if place is None:
        raise SettingError(f"got --branch with {source}, which is no git repository; wanted one")
    checked = try_git("check-ref-format", "--branch", branch)
    if checked.returncode or checked.stdout.decode(errors="replace").rstrip("\n") != branch:
        raise SettingError(f"got --branch {branch!r}; wanted a name that git takes for a branch")
    heads = git("-C", str(place[0]), "for-each-ref", "--format=%(refname)", "refs/heads").decode(
        errors="replace"
    )
    for name in (line.removeprefix("refs/heads/") for line in heads.splitlines()):
        if name == branch:
            raise SettingError(f"got --branch {branch}, which exists already; wanted a new one")
        if name.startswith(f"{branch}/") or branch.startswith(f"{name}/"):
            raise SettingError(f"got --branch {branch}, beside which git cannot keep the branch "
                               f"{name}; wanted another name")  # fmt: skip


def deliver_result(state: TeamState) -> None:
    """Writes the patch of a run that is over, and makes its branch if the user wants one.

    Nothing but this branch changes in the user's repository, and no hook of it runs.

    Raises:
        RunError: the branch cannot be made, because it points elsewhere by now, say.
    """
    repository, head = state.repository, state.repository.head()
    base = state.queue.fact("base")
    if base and base != head:
        write_atomically(state.folder / PATCH, repository.patch(base, head))
    if not state.branch:
        return
    place = enclosing_repository(state.plan.source)
    if place is None:
        raise RunError(f"{state.plan.source} is no git repository any more: no branch was made")
    branch = f"refs/heads/{state.branch}"
    ended = try_git("-C", str(place[0]), "rev-parse", "--verify", "--quiet", branch)
    if ended.stdout.decode().strip() == head:
        return
    git("-c", "protocol.file.allow=always", "-C", str(place[0]), "fetch", "--quiet",
        "--no-tags", "--no-write-fetch-head",
        "--no-auto-maintenance", "--no-recurse-submodules", str(repository.path),
        f"refs/heads/main:{branch}")  # fmt: skip
