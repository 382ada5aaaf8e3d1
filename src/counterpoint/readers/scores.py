"""Scores and labels that people, models and code give to traces, in rows of their own.

Start with `scores_in`. A row is a score of Langfuse's, an annotation of Phoenix's or an assessment
of MLflow's; a file of rows is a list, lines, or an object with `data`, as the APIs have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import Line, finite
from counterpoint.readers.replies import first_of, json_text
from counterpoint.records import Json

PLACES = ("traceId", "trace_id", "observationId", "observation_id", "span_id", "spanId",
          "sessionId", "session_id", "datasetRunId", "dataset_run_id")  # fmt: skip
"""Where a row has the id of what it scores; a trace comes before its parts."""
_WORDS = ("stringValue", "string_value", "label")
_LANGFUSE = ("dataType", "data_type", "source", "comment", "observationId", "observation_id")
"""Keys of which each score of Langfuse's has some."""


@dataclass(frozen=True)
class Score:
    """What one row says."""

    place: str
    """The id of the trace, the span or the session that it scores."""
    name: str
    value: float | None = None
    label: Json = None
    """What it says in words, with its comment if there is one; None if it is only a number."""
    id: str = ""
    """Its own id; the same score may stand in a trace and in a row."""


@dataclass(frozen=True)
class Verdicts:
    """What all scores of an episode say together."""

    success: float | None
    """The number called `success`, if it is one from 0 to 1."""
    numbers: Mapping[str, float]
    """Name to the mean of the numbers of that name."""
    labels: Mapping[str, Json]
    """Name to what is said in words, a list if there are several."""


def is_langfuse_score(value: Any) -> bool:
    """Returns whether a value is a score of Langfuse's, or an object with a list of them."""
    return all(_is_langfuse(row) for row in _rows(value)[:20])


def is_annotation(value: Any) -> bool:
    """Returns whether a value is an annotation of Phoenix's, an assessment of MLflow's, or an
    object with a list of them."""
    return all(_is_annotation(row) for row in _rows(value)[:20])


def _is_langfuse(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and isinstance(row.get("name"), str)
        and first_of(row, PLACES) is not None
        and first_of(row, ("value", *_WORDS)) is not None
        and bool(row.keys() & set(_LANGFUSE))
        and not row.keys() & {"annotator_kind", "attributes", "type"}
    )


def _is_annotation(row: Any) -> bool:
    if not isinstance(row, dict) or first_of(row, PLACES) is None:
        return False
    is_assessment = bool(row.keys() & {"assessment_id", "assessment_name"}) and bool(
        row.keys() & {"feedback", "expectation"}
    )
    return is_assessment or "annotator_kind" in row


def _rows(value: Any) -> list[Any]:
    """Returns the rows of an object with `data`, or the value as the only row."""
    inner = value.get("data") if isinstance(value, dict) else None
    return inner if isinstance(inner, list) and inner else [value]


def scores_in(value: Any, place: str = "") -> Iterator[Score]:
    """Yields the scores of a value; rows without a name or a value are left out.

    Args:
        value: a row, or an object with a list of rows in `data`.
        place: the trace of rows that name none.
    """
    for row in _rows(value):
        if isinstance(row, dict) and (score := _score(row, place)):
            yield score


def _score(row: Mapping[str, Any], place: str) -> Score | None:
    name = first_of(row, ("name", "annotation_name", "assessment_name"))
    if not isinstance(name, str) or row.get("valid") is False:  # a later assessment replaces it
        return None
    expected = row.get("expectation")
    holder = first_of(row, ("feedback", "expectation", "result"))
    flat = {key.removeprefix("result."): each for key, each in row.items()}
    holder = holder if isinstance(holder, dict) else flat
    comment = first_of({**flat, **holder}, ("comment", "explanation", "rationale"))
    given = first_of(holder, ("value", "score"))
    words = first_of(holder, _WORDS)
    kind = first_of(row, ("dataType", "data_type"))
    number = float(given) if isinstance(given, bool) else finite(given)
    number = None if expected is not None or kind == "CATEGORICAL" else number
    if number is None and words is None:
        words = given if given is not None else holder.get("error")
    elif kind == "BOOLEAN":
        words = None
    if number is None and words is None:
        return None
    label: Json = words
    if isinstance(comment, str) and comment:
        label = {"value": given if words is None else words, "comment": comment}
    own = str(first_of(row, ("id", "assessment_id")) or "")
    return Score(str(first_of(row, PLACES) or place), name, number, label, own)


def verdicts(scores: Iterable[Score]) -> Verdicts:
    """Returns what scores say together: means of numbers, and all labels."""
    numbers: dict[str, list[float]] = {}
    labels: dict[str, list[Json]] = {}
    for score in scores:
        if score.value is not None:
            numbers.setdefault(score.name, []).append(score.value)
        if score.label is not None:
            labels.setdefault(score.name, []).append(score.label)
    means = {name: sum(values) / len(values) for name, values in numbers.items()}
    success = means.get("success")
    success = success if success is not None and 0 <= success <= 1 else None
    return Verdicts(
        success,
        {name: mean for name, mean in means.items() if success is None or name != "success"},
        {name: given[0] if len(given) == 1 else given for name, given in labels.items()},
    )


def check_traces(lines: Sequence[Line], spans: Sequence[object], scores: Sequence[Score]) -> None:
    """Raises a LogError if there are scores and no trace that they could belong to."""
    if scores and not spans:
        noun = "score" if len(scores) == 1 else "scores"
        raise LogError(
            f"{lines[0].where}: got {len(scores)} {noun}, such as {json_text(scores[0].name)!r}, "
            "and no trace; wanted the traces in the same folder: audit the folder"
        )
