"""Where the files of a team come from: a repository that a folder is in, or the folder itself."""

from __future__ import annotations

from pathlib import Path

from counterpoint.workers.repository.git import attempt, git, own_index


def enclosing(source: Path) -> tuple[Path, str] | None:
    """The repository that a folder is the top of, or in whose HEAD it is, and its place there."""
    source = source.resolve()
    if (source / "HEAD").is_file() and (source / "objects").is_dir():
        return source, ""
    for top in (source, *source.parents):
        if (top / ".git").exists():
            if top == source:
                return top, ""
            prefix = source.relative_to(top).as_posix()
            known = attempt("-C", str(top), "cat-file", "-t", f"HEAD:{prefix}")
            return (top, prefix + "/") if known.stdout.strip() == b"tree" else None
    return None


def snapshot(path: Path, folder: Path) -> str:
    """The tree of the files of a folder that is no repository, byte for byte."""
    with own_index(path) as own:
        env = {**own, "GIT_WORK_TREE": str(folder), "GIT_DIR": str(path)}
        git("add", "--all", "--", ".", env=env, cwd=folder)
        return git("write-tree", env=env).decode().strip()
