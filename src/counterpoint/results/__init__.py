"""Results as frozen values: one for each kind, with its JSON as its encoding.

`read_result` turns a saved document back into a value, and `document_of` a value into a document
of plain mappings, lists, numbers and text. A damaged document is refused with the path of the
field that is wrong.
"""

from counterpoint.results.audit import AuditResult
from counterpoint.results.claims import ClaimResult, ClaimsResult
from counterpoint.results.comparison import ComparisonResult
from counterpoint.results.contribution import ContributionResult
from counterpoint.results.diagnosis import DiagnosisResult
from counterpoint.results.folder import FolderResult
from counterpoint.results.game import GameResult
from counterpoint.results.judge_check import JudgeCheckResult
from counterpoint.results.outcomes import OutcomesResult
from counterpoint.results.parts import Document, Result
from counterpoint.results.population import PopulationResult
from counterpoint.results.ranking import RankingResult
from counterpoint.results.saved import document_of, encode, read_result
from counterpoint.results.sweep import SweepResult
from counterpoint.results.team import TeamResult
from counterpoint.results.topology import TopologyResult, TopologySearchResult
from counterpoint.results.training import TrainingResult

__all__ = [
    "AuditResult",
    "ClaimResult",
    "ClaimsResult",
    "ComparisonResult",
    "ContributionResult",
    "DiagnosisResult",
    "Document",
    "FolderResult",
    "GameResult",
    "JudgeCheckResult",
    "OutcomesResult",
    "PopulationResult",
    "RankingResult",
    "Result",
    "SweepResult",
    "TeamResult",
    "TopologyResult",
    "TopologySearchResult",
    "TrainingResult",
    "document_of",
    "encode",
    "read_result",
]
