"""Names from outside as parts of a path: they stay in the folder that they are put into."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_LONGEST = 80
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(text: str) -> str:
    """`text` as the name of one file: letters, digits, `-`, `_` and inner dots stay.

    A text that is a safe name already comes back as it is. Any other gets eight digits of its hash,
    so that two texts do not meet in one name.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("._-")[:_LONGEST]
    if name and name == text and not _RESERVED.fullmatch(name):
        return name
    digits = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name.rstrip('._-')}-{digits}" if name else digits


def run_folder(root: Path, *words: object) -> Path:
    """A folder for a run inside `root`, named after its words: `runs/regions-grpo-seed3`."""
    return root / "-".join(safe_name(str(word)) for word in words)
