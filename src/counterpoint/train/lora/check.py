"""`placed`: says which line of a world a model cannot follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from counterpoint.errors import SettingError
from counterpoint.worlds.text.calls import WorldCalls
from counterpoint.worlds.text.world import TextWorld


@contextmanager
def placed(world: TextWorld, method: str) -> Iterator[None]:
    """Adds the place of a world's method to a SettingError about what the method returned."""
    try:
        yield
    except SettingError as error:
        calls = WorldCalls(world)
        place = f"{method} of world '{calls.name}' ({calls.place(method)})"
        raise SettingError(f"{error}; see {place}") from error
