"""What is needed to do a run again: configuration, versions, revision, machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from counterpoint import __version__


def provenance(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts of `run.json`, ready for JSON, without environment variables."""
    return {
        "schema": "counterpoint.run/1",
        "config": dict(config),
        "version": __version__,
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": f"{sys.platform} {platform.machine()}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_revision() -> str | None:
    """Returns the commit of the working folder, with `+` after uncommitted changes."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
