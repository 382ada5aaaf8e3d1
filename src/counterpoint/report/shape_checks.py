"""The door before the page of a saved result: `require_shape`.

A document that lacks a part, or has one of another type, is refused in one line with the path of
what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from counterpoint.errors import LogError
from counterpoint.report.shapes import AuditShape
from counterpoint.report.toolkit.document import AUDIT, Document

SHAPES: Mapping[str, type[Struct]] = {
    AUDIT: AuditShape,
}


def require_shape(document: Document) -> Document:
    """The document, with every part that its page reads.

    Parts that may be absent get what stands for nothing: none, or an empty list.

    Raises:
        LogError: a part is missing, or is of another type or length than its page needs; the
            message has its path.
    """
    schema = str(document["schema"])
    if schema not in SHAPES:
        return document
    try:
        shape = msgspec.convert(document, SHAPES[schema])
    except msgspec.ValidationError as error:
        raise _refused(schema, str(error)) from None
    complete: Document = _with_defaults(document, msgspec.to_builtins(shape))
    return complete


def _with_defaults(document: Any, checked: Any) -> Any:
    """The document itself, with the parts that only `checked` has."""
    if isinstance(document, Mapping) and isinstance(checked, Mapping):
        return {**checked, **{k: _with_defaults(v, checked.get(k)) for k, v in document.items()}}
    if isinstance(document, list) and isinstance(checked, list) and len(document) == len(checked):
        return [_with_defaults(a, b) for a, b in zip(document, checked, strict=True)]
    return document


def _refused(schema: str, why: str) -> LogError:
    return LogError(
        f"got a document of schema {schema} with a part missing or of another type: {why}; wanted "
        "a results.json as it was written"
    )


def _wanted(holds: bool, schema: str, path: str, wanted: str) -> None:
    if not holds:
        raise _refused(schema, f"Expected {wanted} - at `$.{path}`")
