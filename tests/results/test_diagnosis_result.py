"""A saved diagnosis is read, encodes to the same document, and is drawn or refused in one line."""

from __future__ import annotations

import json

import pytest
from mutations import is_shown, mutations, saved, with_value, without

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.results import DiagnosisResult, document_of, encode, read_result

KINDS = ("diagnosis", "diagnosis_faults")
"""A log with advice, and one that is too short for a verdict."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_diagnosis_is_read_and_encodes_to_the_same_document(kind: str) -> None:
    result = read_result(saved(kind))
    assert isinstance(result, DiagnosisResult)
    assert json.loads(encode(result)) == saved(kind)
    assert json.loads(json.dumps(document_of(result))) == saved(kind)
    assert render(result) == render(saved(kind))


def test_what_a_diagnosis_holds() -> None:
    result = read_result(saved("diagnosis"))
    assert isinstance(result, DiagnosisResult)
    assert (result.source, result.scheme) == ("log.jsonl", "mappo_pooled")
    assert result.recommended == "agent_wise"
    assert result.agents["listener"].cause == "DEAD"
    assert result.timeline.agents["listener"].cause == ["OFFSET", "DEAD", "DEAD", "DEAD"]
    assert result.recommendation is not None
    assert result.recommendation.change == "splitting by prompt and agent"
    assert [fault.code for fault in result.log_faults if fault.fatal] == []
    short = read_result(saved("diagnosis_faults"))
    assert isinstance(short, DiagnosisResult)
    assert [fault.code for fault in short.log_faults if fault.fatal] == ["too_few"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_mutation_gives_a_page_or_one_line(kind: str) -> None:
    shown = [is_shown(document) for document in mutations(saved(kind))]
    assert any(shown)
    assert not all(shown)


def test_a_diagnosis_without_the_parts_of_later_versions_is_shown() -> None:
    document = saved("diagnosis")
    for name in ("log_faults", "groupings", "best_grouping", "signal_kept", "recommendation"):
        del document[name]
    for agent in document["agents"].values():
        for name in ("missing_rate", "signal_kept", "stuck_rate"):
            del agent[name]
    for agent in document["timeline"]["agents"].values():
        del agent["stuck_rate"]
    assert is_shown(document)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("timeline", "step"), [0], r"for each of \$.timeline.step - at `\$.timeline.agents.spea"),
        (("timeline", "agents"), {}, r"one for each of \$.agents - at `\$.timeline.agents`"),
        (("recommendation", "dead_rate"), {}, r"\$.agents - at `\$.recommendation.dead_rate`"),
        (("best_grouping",), "by day", r"one of \$.groupings - at `\$.best_grouping`"),
        (("decoupling", "verdict"), "maybe", r"'maybe' - at `\$.decoupling.verdict`"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_path(
    at: tuple[str, ...], value: object, message: str
) -> None:
    with pytest.raises(LogError, match=message):
        render(with_value(saved("diagnosis"), at, value))


def test_a_missing_part_is_refused_with_its_path() -> None:
    with pytest.raises(LogError, match=r"missing required field `cause` - at `\$.agents\[...\]`"):
        render(without(saved("diagnosis"), ("agents", "speaker", "cause")))
