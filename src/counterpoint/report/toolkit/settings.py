"""Settings as names and values, and the command that runs a comparison again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

LONG = 24
"""A value of more characters than this gets a line of its own."""


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns every setting by its own name, however deep it lies, in the order of the document."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value)
        else:
            flat[key] = _written(value)
    return flat


def short_first(settings: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the settings in their order, those that need a line of their own last."""
    return sorted(settings, key=lambda setting: len(setting[1]) > LONG)


def command(config: Mapping[str, Any]) -> str:
    """Returns the command line of a comparison, or nothing where its parts are not all known.

    Every word is quoted for a shell: names come from a document.
    """
    world, schemes, seeds = (config.get(key) for key in ("world", "schemes", "seeds"))
    settings = config.get("settings")
    if not (world and isinstance(schemes, list) and isinstance(settings, Mapping)):
        return ""
    lines = [
        ["counterpoint", "compare", str(world)],
        ["--schemes", ",".join(map(str, schemes)), "--seeds", _written(seeds)],
        ["--set", *(f"{key}={value}" for key, value in flatten(settings).items())],
    ]
    lines += [
        [f"--{name}", _written(config[name])]
        for name in ("policy", "budget", "seconds")
        if config.get(name) is not None
    ]
    if config.get("control") is False:
        lines.append(["--no-control"])
    return " \\\n  ".join(shlex.join(line) for line in lines)


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_written(item) for item in value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
