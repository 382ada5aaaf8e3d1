"""Schemes written down: `grpo_rows,floor=0.05` on a command line, a table in TOML.

Start at `scheme_named`; `scheme_name` is its inverse.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

from counterpoint.credit.catalogue import ALIASES, BUILT_IN, catalogue
from counterpoint.credit.composite import AnyScheme, Mix, PerRole
from counterpoint.credit.scheme import Scheme
from counterpoint.errors import SchemeError, UnknownNameError


def scheme_named(name: str | Mapping[str, object], *, also: Iterable[str] = ()) -> AnyScheme:
    """Returns the scheme that a name, a trainer's name, or a name with changed fields stands for.

    Args:
        name: `grpo`; `trl`; `grpo_rows,floor=0.05,center_by=prompt+agent`; or a table such as
            `{"scheme": "grpo_rows", "floor": 0.05}`. Labels and numbers of a tuple are joined by
            `+`. `custom` stands for a `Scheme` with no field changed.
        also: names that the caller knows beside these, for the message of an unknown one.

    Raises:
        UnknownNameError: nothing is called that; the message lists what there is.
        SchemeError: a field that a scheme does not have, or a value that it cannot take.
    """
    if isinstance(name, Mapping):
        given = dict(name)
        base = str(given.pop("scheme", "custom"))
        changes: Mapping[str, object] = {str(field): value for field, value in given.items()}
    else:
        base, *pairs = (part.strip() for part in str(name).split(","))
        changes = _changes_of(pairs)
    scheme = _base(base, tuple(also))
    if not changes:
        return scheme
    if not isinstance(scheme, Scheme):
        raise SchemeError(
            f"got fields for {base!r}, which is made of several schemes; wanted it alone, or "
            "Mix and PerRole in Python"
        )
    values = {field: _value(field, value) for field, value in changes.items()}
    if "center_by" in values and "scale_by" not in values and scheme.center_by == scheme.scale_by:
        values["scale_by"] = None  # one grouping stays one
    return replace(scheme, **values)


def plain_scheme_named(name: str | Mapping[str, object], *, also: Iterable[str] = ()) -> Scheme:
    """Returns the scheme of that name, where one `Scheme` is needed.

    Raises:
        UnknownNameError, SchemeError: as `scheme_named`; or it is made of several schemes.
    """
    return as_plain_scheme(scheme_named(name, also=also), str(name))


def as_plain_scheme(scheme: AnyScheme, name: str = "") -> Scheme:
    """Returns `scheme` itself, where one `Scheme` is needed.

    Raises:
        SchemeError: it is made of several schemes.
    """
    if isinstance(scheme, Scheme):
        return scheme
    raise SchemeError(
        f"got {name or type(scheme).__name__}, which is made of several schemes; wanted one "
        "Scheme here: `counterpoint.credit.advantages` and TeamCredit take mixes"
    )


def scheme_name(scheme: AnyScheme) -> str:
    """Returns the catalogue's name of a scheme, or the entry nearest to it with the fields that
    differ.

    The name is the same whatever plug-ins are installed: files and states are written with it.
    """
    for name, known in BUILT_IN.items():
        if known == scheme:
            return name
    if isinstance(scheme, Mix):
        return " + ".join(f"{weight:g} * ({scheme_name(part)})" for weight, part in scheme.parts)
    if isinstance(scheme, PerRole):
        parts = [f"{role}: {scheme_name(part)}" for role, part in scheme.schemes]
        parts += [f"other roles: {scheme_name(scheme.default)}"] if scheme.default else []
        return "; ".join(parts)
    bases = {n: known for n, known in BUILT_IN.items() if isinstance(known, Scheme)}
    changes = {n: _changes(known, scheme) for n, known in {"custom": Scheme(), **bases}.items()}
    nearest = min(changes, key=lambda n: (len(changes[n]), n == "custom"))
    return ",".join([nearest, *(f"{k}={_text(v)}" for k, v in changes[nearest].items())])


def split_names(text: str) -> tuple[str, ...]:
    """Splits `a,b,floor=0.05,c` into the schemes `a`, `b,floor=0.05` and `c`."""
    names: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if "=" in part and names:
            names[-1] += f",{part}"
        elif part:
            names.append(part)
    return tuple(names)


def _base(name: str, also: tuple[str, ...]) -> AnyScheme:
    name = ALIASES.get(name, name)
    if name == "custom":
        return Scheme()
    known = catalogue()
    if name not in known:
        near = difflib.get_close_matches(name.lower(), [*known, *also, *ALIASES], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        names = ", ".join([*known, *also])
        raise UnknownNameError(f"got scheme {name!r}; wanted one of {names}{hint}")
    return known[name]


def _changes_of(pairs: Iterable[str]) -> dict[str, str]:
    changes: dict[str, str] = {}
    for field, value in map(_pair, pairs):
        if field in changes:
            raise SchemeError(f"got {field} twice, {changes[field]} and {value}; wanted one value")
        changes[field] = value
    return changes


def _pair(text: str) -> tuple[str, str]:
    field, sign, value = text.partition("=")
    if not sign:
        raise SchemeError(f"got {text!r} after a scheme's name; wanted field=value, floor=0.05")
    return field.strip(), value.strip()


@cache
def _kinds() -> dict[str, object]:
    return {spec.name: get_type_hints(Scheme)[spec.name] for spec in fields(Scheme)}


def _value(field: str, value: Any) -> Any:
    """Returns the value of a field, from text or from a plain value of TOML or JSON."""
    kinds = _kinds()
    if field not in kinds:
        near = difflib.get_close_matches(field, list(kinds), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SchemeError(f"got {field!r}; wanted a field of Scheme: {', '.join(kinds)}{hint}")
    if not isinstance(value, str):
        return tuple(map(_tupled, value)) if isinstance(value, list | tuple) else value
    kind = str(kinds[field])
    options = {one for part in (kinds[field], *get_args(kinds[field])) for one in get_args(part)}
    if value == "none" and "none" not in options and "None" in kind:
        return None
    try:
        if field == "conditions":
            return tuple(_condition(one) for one in value.split("+") if one)
        if field == "weights":
            return tuple(float(one) for one in value.split("+"))
        if field in ("center_by", "scale_by"):
            return tuple(one for one in value.split("+") if one)
        if field in ("ddof", "min_count"):
            return int(value)
        return float(value) if "float" in kind else value
    except ValueError as error:
        raise SchemeError(
            f"got {field}={value!r}; wanted a value that the field can take"
        ) from error


def _condition(text: str) -> tuple[int, int, float]:
    k, j, least = text.split("/")
    return int(k), int(j), float(least)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _changes(base: Scheme, scheme: Scheme) -> dict[str, object]:
    changed = {
        spec.name: getattr(scheme, spec.name)
        for spec in fields(Scheme)
        if getattr(base, spec.name) != getattr(scheme, spec.name)
    }
    if "center_by" in changed:
        changed["scale_by"] = scheme.scale_by
    return changed


def _text(value: Any) -> str:
    """Returns a field's value as `_value` reads it."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "+".join(
            "/".join(map(_text, v)) if isinstance(v, tuple) else _text(v) for v in value
        )
    return repr(value).replace("e+", "e") if isinstance(value, float) else str(value)
