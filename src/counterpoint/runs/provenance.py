"""`RunFile`: what is needed to do a run again: configuration, versions, revision, machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from counterpoint import __version__
from counterpoint.results.parts import Settings, encode_json


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `run.json`; environment variables are left out, since they hold secrets."""

    schema: str = "counterpoint.run/1"
    config: Settings = {}
    """Everything that is needed to do the run again; what it has depends on what ran."""
    version: str = ""
    git_revision: str | None = None
    python: str = ""
    numpy: str = ""
    platform: str = ""
    created: str | None = None
    """When it began, UTC."""
    kind: str | UnsetType = UNSET
    """`train` in the directory of a training; left out beside other results."""
    sealed: bool | UnsetType = UNSET
    """True in the directory of a training that has a seal from its start."""

    def encode(self) -> bytes:
        """Returns the file.

        Raises:
            TypeError, ValueError, OverflowError: JSON cannot hold the configuration.
        """
        return msgspec.json.format(encode_json(self))


def provenance(config: Settings, kind: str | UnsetType = UNSET) -> RunFile:
    """Returns the content of `run.json` for something that begins now.

    Args:
        config: what is needed to do it again.
        kind: `train` for a training, which is sealed from its start.
    """
    return RunFile(
        config=config,
        version=__version__,
        git_revision=git_revision(),
        python=platform.python_version(),
        numpy=np.__version__,
        platform=f"{sys.platform} {platform.machine()}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=kind,
        sealed=UNSET if kind is UNSET else True,
    )


def git_revision() -> str | None:
    """Returns the commit of the working folder, with `+` after uncommitted changes."""

    def output(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        commit = output("rev-parse", "HEAD")
        return commit + ("+" if output("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
