"""A folder that everybody on this machine can read, so that a sandbox can too."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shared_folder(files: dict[str, str]) -> Iterator[Path]:
    """A folder with these files (name to content); it is gone in the end."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, text in files.items():
            (folder / file).write_text(text)
        yield folder
