"""Conformance suites, which check that your own parts keep the promises of ours.

Each `check_*` tests one promise of an interface and raises `ConformanceError` with the result and
the promise. Everything is deterministic: the same part always passes or always fails.
"""

from counterpoint.testing.adapters import check_adapter
from counterpoint.testing.audits import check_audit
from counterpoint.testing.batches import ConformanceError
from counterpoint.testing.exporters import check_exporter
from counterpoint.testing.judges import check_judge
from counterpoint.testing.messages import check_message_world
from counterpoint.testing.readers import check_reader
from counterpoint.testing.schemes import check_scheme
from counterpoint.testing.situations import TeamBatch
from counterpoint.testing.speakers import check_speaker
from counterpoint.testing.steps import check_step_world
from counterpoint.testing.texts import check_text_world
from counterpoint.testing.worlds import check_world

__all__ = [
    "ConformanceError",
    "TeamBatch",
    "check_adapter",
    "check_audit",
    "check_exporter",
    "check_judge",
    "check_message_world",
    "check_reader",
    "check_scheme",
    "check_speaker",
    "check_step_world",
    "check_text_world",
    "check_world",
]
