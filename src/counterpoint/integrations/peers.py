"""Modules of packages that may not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from counterpoint.optional import needs


def import_peer(module: str, install: str) -> Any:
    """Returns the module with the dotted name `module`; `install` is the command that installs it.

    Raises:
        MissingPackageError: the module, or a module that it imports, is not installed.
    """
    with needs(module, install):
        return import_module(module)


def load_class(name: str, module: str, install: str) -> Any:
    """Returns the class `name` of a file of this folder that needs another package.

    Raises:
        MissingPackageError: the package, or a package that it needs, is not installed.
    """
    with needs(name, install):
        return getattr(import_module(f"counterpoint.integrations.{module}"), name)
