"""Modules of the standard library that only some systems have."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def module_or_none(name: str) -> Any:
    """Returns a module, or None where this system has none."""
    try:
        return import_module(name)
    except ImportError:
        return None
