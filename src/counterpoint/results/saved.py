"""From a result to its JSON, and back with every field checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from counterpoint.errors import LogError, UnknownNameError
from counterpoint.results.audit import AuditResult, earlier_audit
from counterpoint.results.claims import ClaimResult, ClaimsResult
from counterpoint.results.comparison import ComparisonResult, earlier_comparison
from counterpoint.results.contribution import ContributionResult
from counterpoint.results.diagnosis import DiagnosisResult
from counterpoint.results.folder import FolderResult
from counterpoint.results.game import GameResult
from counterpoint.results.judge_check import JudgeCheckResult
from counterpoint.results.outcomes import OutcomesResult
from counterpoint.results.parts import Document, Result, encode_json
from counterpoint.results.population import PopulationResult
from counterpoint.results.ranking import RankingResult
from counterpoint.results.sweep import SweepResult
from counterpoint.results.team import TeamResult
from counterpoint.results.topology import TopologyResult, TopologySearchResult
from counterpoint.results.training import TrainingResult

KINDS: Mapping[str, type[Result]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        AuditResult,
        ClaimResult,
        ClaimsResult,
        ComparisonResult,
        ContributionResult,
        DiagnosisResult,
        FolderResult,
        GameResult,
        JudgeCheckResult,
        OutcomesResult,
        PopulationResult,
        RankingResult,
        SweepResult,
        TeamResult,
        TopologyResult,
        TopologySearchResult,
        TrainingResult,
    )
}
"""Schema of a document to the kind of result that it holds."""
RESULTS = "results.json"
"""Name of the file that holds a result."""


def document_of(value: object) -> Any:
    """Returns a result, or a mapping or list of results, as plain JSON in Python."""
    return msgspec.to_builtins(value, enc_hook=_plain)


def encode(result: Result) -> bytes:
    """Returns the result as JSON."""
    return encode_json(result, enc_hook=_plain)


def _plain(value: object) -> object:
    """Returns a number or text of NumPy as one of Python: records made in Python may hold them."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError


def read_result(document: Document) -> Result:
    """Returns the result in a document, as `compare --json` and its like print it.

    Raises:
        UnknownNameError: its schema is none of `KINDS`.
        LogError: a field is missing, or is of another type or length; the message has its path.
    """
    schema = document.get("schema")
    kind = KINDS.get(schema) if isinstance(schema, str) else None
    if kind is None:
        raise UnknownNameError(
            f"got a document of schema {schema!r}; wanted {' or '.join(KINDS)}: "
            "render a results.json of this version"
        )
    if kind is ComparisonResult:
        document = earlier_comparison(document)
    if kind is AuditResult:
        document = earlier_audit(document)
    try:
        return msgspec.convert(dict(document), kind)
    except msgspec.ValidationError as error:
        raise LogError(
            f"got a document of schema {schema} with a part missing or of another type: {error}; "
            "wanted a results.json as it was written"
        ) from None
