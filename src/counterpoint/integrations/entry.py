"""What adapters are given: a scheme or a `TeamCredit`, and a package that may not be installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from counterpoint.credit import AnyScheme
from counterpoint.errors import MissingPackageError
from counterpoint.integrations.team_credit import TeamCredit

Given = str | AnyScheme | TeamCredit
"""A scheme, the name of one, or a `TeamCredit` with its state and its log."""


def credit_of(given: Given, record: str | Path | None = None) -> TeamCredit:
    """A `TeamCredit` of what was given; one that was given stays the same object.

    Raises:
        UnknownNameError: no scheme of that name.
        OutputError: `record` cannot be written.
    """
    return given if isinstance(given, TeamCredit) else TeamCredit(given, record=record)


def imported(module: str, install: str) -> Any:
    """A module of a peer.

    Args:
        module: its dotted name.
        install: what brings it, after "install it with".

    Raises:
        MissingPackageError: it, or something that it imports, is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"got no {module} ({error}); install it with {install}"
        ) from error


def bring(name: str, module: str, install: str) -> Any:
    """Something out of a file that needs a package of a peer.

    Raises:
        MissingPackageError: the package, or one that it needs, is not installed.
    """
    try:
        return getattr(import_module(f"counterpoint.integrations.{module}"), name)
    except ImportError as error:
        if (error.name or "").startswith("counterpoint"):
            raise
        raise MissingPackageError(f"{name}: {error}; do {install}") from error
