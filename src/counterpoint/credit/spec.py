"""Schemes written down: `grpo_rows,floor=0.05` on a command line, a table in TOML.

Start at `scheme_named`; `scheme_name` is its inverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, get_args

from counterpoint.credit.catalogue import ALIASES, BUILT_IN, catalogue
from counterpoint.credit.scheme import AnyScheme, Mix, PerRole, Scheme, field_types
from counterpoint.errors import SchemeError, UnknownNameError, choices


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
    base = ALIASES.get(base, base)
    known: Mapping[str, AnyScheme] = {"custom": Scheme()} if base == "custom" else catalogue()
    if base not in known:
        names = [*known, *also, *ALIASES]
        raise UnknownNameError(f"got scheme {base!r}{choices(base, names, 'counterpoint schemes')}")
    scheme = known[base]
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
    """Returns the scheme itself; raises SchemeError if it is made of several schemes, or none."""
    if isinstance(scheme, Scheme):
        return scheme
    if not isinstance(scheme, Mix | PerRole):
        raise SchemeError(f"got scheme {scheme!r}; wanted a Scheme, e.g. catalogue()['grpo']")
    raise SchemeError(
        f"got {name or type(scheme).__name__}, which is made of several schemes; wanted one "
        "Scheme here: `counterpoint.credit.advantages` and TeamCredit take mixes"
    )


def scheme_name(scheme: AnyScheme) -> str:
    """Returns a scheme's name in the catalogue, or the nearest entry and the fields that differ.

    The name does not depend on the installed plug-ins: files and states are written with it.
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


def _changes_of(pairs: Iterable[str]) -> dict[str, str]:
    """Returns fields and their values out of `field=value` texts."""
    changes: dict[str, str] = {}
    for text in pairs:
        field, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise SchemeError(f"got {text!r} after a scheme's name; wanted field=value, floor=0.05")
        if field in changes:
            raise SchemeError(f"got {field} twice, {changes[field]} and {value}; wanted one value")
        changes[field] = value
    return changes


def _value(field: str, value: Any) -> Any:
    """Returns the value of a field, from text or from a plain value of TOML or JSON."""
    kinds = field_types()
    if field not in kinds:
        raise SchemeError(f"got field {field!r} of a scheme{choices(field, kinds)}")
    if not isinstance(value, str):
        if not isinstance(value, list | tuple):
            return value
        return tuple(tuple(one) if isinstance(one, list) else one for one in value)
    kind = str(kinds[field])
    options = {one for part in (kinds[field], *get_args(kinds[field])) for one in get_args(part)}
    if value == "none" and "none" not in options and "None" in kind:
        return None
    try:
        if field == "conditions":
            triples = [one.split("/") for one in value.split("+") if one]
            return tuple((int(k), int(j), float(least)) for k, j, least in triples)
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


def _changes(base: Scheme, scheme: Scheme) -> dict[str, object]:
    """Returns the fields in which a scheme differs from a base."""
    given = ((name, getattr(scheme, name)) for name in field_types())
    changed = {name: value for name, value in given if value != getattr(base, name)}
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
