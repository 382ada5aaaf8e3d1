"""What any value of a plan has to be, whatever its key: text without NUL, numbers of a usual size.

What git, the queue and programs take is less than what TOML and JSON can say. Start with
`require_usual`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from counterpoint.errors import SettingError
from counterpoint.workers.repository.paths import shown

LARGEST = 1 << 53
"""Numbers of a plan are below this, so that every part of a run can hold their sums."""
AUTHOR = re.compile(r"[ .,:;\"'\\]*+[^<>\x00-\x20.,:;\"'\\][^<>\x00-\x1f]*+<[^<>\x00-\x20]{1,200}>")
"""A name with something besides marks and space, which git leaves out, and an address."""
_VARIABLE = re.compile(r"[^=]+")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def require_usual(plan: Any) -> None:
    """Return where all values of a plan can be used.

    Raises:
        SettingError: a text has NUL or half of a surrogate pair in it, a number is not finite or is
            not below 2**53 in size, or a variable of the environment has no possible name.
    """
    for path, value in _values(plan, ""):
        if isinstance(value, str) and (found := _NO_TEXT.search(value)):
            raise SettingError(f"got {found[0]!r} in {path}; wanted text without it")
        if isinstance(value, int | float) and not abs(value) < LARGEST:  # NaN is not
            raise SettingError(f"got {path}={value!s:.24}; wanted a finite number below 2**53")
    for name in plan.env:
        if not _VARIABLE.fullmatch(name):
            raise SettingError(f"got {shown(name)!r} in env; wanted the name of a variable")


def _values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All that is in a plan, each with where it is: `worker.tries`, `task[3].id`."""
    if dataclasses.is_dataclass(value):
        for name, inner in vars(value).items():
            yield from _values(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _values(name, path)
            yield from _values(inner, path)
    elif isinstance(value, tuple | list):
        for n, inner in enumerate(value, 1):
            yield from _values(inner, f"{path}[{n}]")
    else:
        yield path, value
