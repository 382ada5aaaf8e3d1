"""Conformance suites that ship with the package: hold your own parts to what ours promise."""

from counterpoint.testing.batches import ConformanceError
from counterpoint.testing.speakers import check_speaker
from counterpoint.testing.steps import check_step_world
from counterpoint.testing.texts import check_text_world
from counterpoint.testing.worlds import check_world

__all__ = [
    "ConformanceError",
    "check_speaker",
    "check_step_world",
    "check_text_world",
    "check_world",
]
