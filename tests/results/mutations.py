"""Every change of one value of a saved document, and whether a page or one line comes of it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from counterpoint.errors import LogError, UnknownNameError
from counterpoint.report import render

OTHERS = (None, "x", 7, -1.5, True, [], {}, [None], {"a": 1})
"""What a value is replaced with."""
EVERY = 1 if int(os.environ.get("COUNTERPOINT_EXAMPLES", "50")) >= 1000 else 7
"""`make test-all` tries every mutation, `make test` each seventh: all kinds and all places."""
Where = tuple[str | int, ...]
SAVED = Path(__file__).parents[1] / "data" / "saved"


def saved(name: str) -> dict[str, Any]:
    """Returns a result as an earlier version saved it."""
    document: dict[str, Any] = json.loads((SAVED / f"{name}.json").read_bytes())
    return document


def places(value: Any, at: Where = ()) -> Iterator[Where]:
    """Yields the path of every key, and of the first two items of every list."""
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value[:2]) if isinstance(value, list) else inside
    for key, part in inside:
        yield (*at, key)
        yield from places(part, (*at, key))


def without(document: dict[str, Any], at: Where) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    del inner(changed, at[:-1])[at[-1]]
    return changed


def with_value(document: dict[str, Any], at: Where, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    inner(changed, at[:-1])[at[-1]] = value
    return changed


def inner(document: Any, at: Where) -> Any:
    for key in at:
        document = document[key]
    return document


def mutations(document: dict[str, Any], every: int = EVERY) -> Iterator[dict[str, Any]]:
    """Yields the document without each part, and with each part replaced by each of `OTHERS`;
    only each `every`-th of these."""
    parts = [where for where in places(document) if where[0] != "schema"]
    changes = ((at, number) for at in parts for number in range(len(OTHERS) + 1))
    for at, number in islice(changes, 0, None, every):
        if number == len(OTHERS):
            yield without(document, at)
        else:
            yield with_value(document, at, OTHERS[number])


def is_shown(document: dict[str, Any], show: Callable[[dict[str, Any]], object] = render) -> bool:
    """Returns whether a page comes of a document; if not, it is refused in one line."""
    refused = ""
    try:
        shown = show(document)
    except (LogError, UnknownNameError) as error:
        refused = str(error)
    assert "\n" not in refused
    if not refused and show is render:
        assert "<html" in str(shown)
    return not refused
