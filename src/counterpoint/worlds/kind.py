"""`Kind`: how teams act in a world; `WorldEntry`: the facts about a world before it is made.

Each kind has an entry class of its own, in the folder of the kind; `registry.py` lists the entries.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from msgspec import Struct, convert

from counterpoint.settings import GivenSettings, settings_from

W_co = TypeVar("W_co", covariant=True)
Item = TypeVar("Item")
F = TypeVar("F", bound="WorldFacts")


class Kind(StrEnum):
    """How teams act in a world, which decides how they are trained, evaluated and compared."""

    EXACT = "exact"
    """Worlds of one or a few steps, whose expected returns are computed exactly: `World`."""
    SEQUENTIAL = "sequential"
    """Environments of many steps, with copies side by side; foreign environments are of this kind:
    `StepWorld`."""
    TEXT = "text"
    """Worlds whose agents are language models that choose words or write: `TextWorld`."""
    MESSAGE = "message"
    """Worlds in which a topology says who hears whom: `MessageWorld`."""

    @property
    def in_words(self) -> str:
        """Returns the kind in words, with its article."""
        article = "an" if self is Kind.EXACT else "a"
        return f"{article} {self} {'world' if self is Kind.EXACT else 'environment'}"


class SettingFacts(Struct, frozen=True):
    """The facts about one setting."""

    default: Any
    """None if there is no default."""
    about: str
    """Its documentation."""


class WorldFacts(Struct, frozen=True, kw_only=True):
    """The facts about a world with default settings; each kind has a subclass."""

    name: str
    summary: str
    source: str


class WorldEntry(ABC, Generic[W_co]):
    """A world in the registry.

    Args:
        name: the name by which the registry finds it.
        settings_type: a frozen dataclass, with a docstring under each field.
        summary: one line: what happens there.
        source: where the world comes from.
    """

    kind: ClassVar[Kind]
    """How teams act in it."""
    command: ClassVar[str] = "compare"
    """The command that plays it."""

    def __init__(self, name: str, settings_type: type, summary: str, source: str) -> None:
        self.name, self.settings_type = name, settings_type
        self.summary, self.source = summary, source

    @abstractmethod
    def make(self, settings: GivenSettings | None = None) -> W_co:
        """Returns the world.

        Args:
            settings: field name to value; text is converted to the field's type (`scale="10"`).

        Raises:
            UnknownNameError: the world has no setting of that name.
            SettingError: a value has a wrong type or is out of range.
        """

    def filled(self, settings: GivenSettings | None = None) -> dict[str, Any]:
        """Returns all settings of the world, converted, with defaults in place of what is not
        given: the same for every way to write the same settings.

        Args:
            settings: as for `make`.

        Raises:
            UnknownNameError, SettingError: as for `make`.
        """
        return asdict(settings_from(settings, self.settings_type, self.name))

    def check(self, settings: GivenSettings | None = None) -> tuple[str, ...]:
        """Plays a world of somebody else for a moment; ours need no check.

        Args:
            settings: as for `make`.

        Returns:
            Sentences about what looks like a mistake in it, each with the line to change.

        Raises:
            WorldError: nothing can be learned in it as it is.
        """
        return ()

    @abstractmethod
    def describe(self) -> WorldFacts:
        """Returns the facts of the world with default settings.

        Raises:
            CounterpointError: as `make`.
        """


def facts_from(kind: type[F], world: object, entry: WorldEntry[Any], **other: object) -> F:
    """Returns the facts of a kind: attributes of the world of the same names, and others.

    Args:
        kind: the type of the facts; `name` and `settings` are those of the entry.
        world: the world that is described.
        entry: its entry in the registry.
        other: facts by name that are no attributes of the world.
    """
    other |= {"name": entry.name, "settings": settings_facts(entry.settings_type)}
    same = {name: getattr(world, name) for name in kind.__struct_fields__ if name not in other}
    return convert({**same, **other}, kind)


def settings_facts(settings: type) -> dict[str, SettingFacts]:
    """Returns the facts of every field of a dataclass of settings, by name."""
    about = documented_fields(settings)
    return {
        spec.name: SettingFacts(
            None if spec.default is MISSING else spec.default, about.get(spec.name, "")
        )
        for spec in fields(settings)
    }


def documented_fields(settings: type) -> dict[str, str]:
    """Returns the docstring under every field of a dataclass, inherited ones too, by name."""
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


def cycled(rng: np.random.Generator, pool: Sequence[Item], count: int) -> list[Item]:
    """Returns `count` tasks in random order, each of the pool about equally often."""
    order = [i for _ in range(-(-count // len(pool))) for i in rng.permutation(len(pool))]
    return [pool[i] for i in order[:count]]
