"""The settings of a world, in words that a person or a program can read."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from typing import Any


def settings_facts(settings: type) -> dict[str, Any]:
    """Field name to its default and to what it is about."""
    about = documented_fields(settings)
    return {
        spec.name: {
            "default": None if spec.default is MISSING else spec.default,
            "about": about.get(spec.name, ""),
        }
        for spec in fields(settings)
    }


def documented_fields(settings: type) -> dict[str, str]:
    """Field name to the docstring under it, for a dataclass and those it inherits from."""
    about: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if not is_dataclass(cls):
            continue
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):  # it was made without a file
            continue
        tree = ast.parse(textwrap.dedent(source)).body[0]
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                about[field.target.id] = " ".join(str(text.value.value).split())
    return about
