"""What a world is, in words and numbers that a person or a program can read."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from typing import Any

from counterpoint.worlds.registry import catalogue, make


def describe(name: str) -> dict[str, Any]:
    """The facts of the world called `name` with default settings, ready for JSON.

    Raises:
        UnknownNameError: no world has that name.
    """
    world, entry = make(name), catalogue()[name]
    about = documented_fields(entry.settings)
    return {
        "name": name,
        "summary": entry.summary,
        "source": entry.source,
        "agents": list(world.agents),
        "components": list(world.components),
        "baselines": list(world.baselines),
        "random": world.random,
        "optimal": world.optimal,
        "control": dict(world.control) if world.control else None,
        "settings": {
            spec.name: {
                "default": None if spec.default is MISSING else spec.default,
                "about": about.get(spec.name, ""),
            }
            for spec in fields(entry.settings)
        },
    }


def documented_fields(settings: type) -> dict[str, str]:
    """Field name to the docstring under it, for a dataclass and those it inherits from."""
    about: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if not is_dataclass(cls):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                about[field.target.id] = " ".join(str(text.value.value).split())
    return about
