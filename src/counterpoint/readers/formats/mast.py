"""MAST: a trace as one text, with people's labels."""

from __future__ import annotations

from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, episode
from counterpoint.records import Episode


def mast(value: Any, where: str, name: str) -> list[Episode]:
    """Returns one event with the whole trace: each system marks its speakers in its own way."""
    trace = value["trace"]
    inner = trace.get("trajectory") if isinstance(trace, dict) else trace
    if not isinstance(inner, str):
        raise LogError(f"{where}, trace: got {type(inner).__name__}; wanted text")
    labels = value.get("mast_annotation") or {}
    event: EventFields = {"agent": str(value["mas_name"]), "kind": "message", "text": inner}
    return [episode(name, [event], "mast", labels=labels)]


FORMAT = Format(
    lambda value: isinstance(value, dict) and "mas_name" in value and "trace" in value, mast
)
