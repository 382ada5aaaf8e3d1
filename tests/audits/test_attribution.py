"""Where a failed run went wrong first: candidates, abstention, and the accuracy that is claimed."""

import math
from pathlib import Path

import pytest

from counterpoint.audits import audit
from counterpoint.audits.attribution import FEATURES, SURE, WEIGHTS, candidates, features, look
from counterpoint.readers import episode, read_logs

SHARED = Path(__file__).parents[3] / "shared" / "data" / "who_and_when"


def team(*turns, success=0.0):
    fields = [{"agent": who, "kind": "message", "text": text} for who, text in turns]
    return episode("run", fields, "test", success=success)


def test_features_by_hand():
    one = team(("Ada", "x" * 9), ("user", "go on"), ("Bo", "```ls``` failed"))
    steps, values = features(one)
    assert [step.agent for step in steps] == ["Ada", "Bo"]  # the user is no member
    assert values.shape == (2, len(FEATURES))
    assert values[0].tolist() == [pytest.approx(math.log(10)), 0, 0, 0, 0]
    assert values[1].tolist() == [pytest.approx(math.log(16)), 1, 0, 1, 1]


def test_probabilities_are_a_softmax_and_add_up():
    ranked = candidates(team(("Ada", "a"), ("Bo", "b" * 500), ("Ada", "an error")))
    assert sum(one.probability for one in ranked) == pytest.approx(1)
    assert ranked == sorted(ranked, key=lambda one: -one.probability)
    of_ada = sum(one.probability for one in ranked if one.agent == "Ada")
    (both,) = {one.agent_probability for one in ranked if one.agent == "Ada"}
    assert both == pytest.approx(of_ada)
    assert candidates(team(("user", "hello"))) == []


def test_nobody_is_named_without_a_failure_or_without_a_reason():
    turns = (("Ada", "plan"), ("Bo", "plan"), ("Cy", "plan"))
    assert look(team(*turns, success=1.0)) is None
    assert look(team(("Ada", "alone"))) is None
    equal = look(team(*turns))
    assert (equal.row, dict(equal.cases)) == ({"named": False}, {})


def test_who_writes_the_code_that_fails_and_ends_the_run_is_named():
    turns = [("Ada", "ok"), *[("Bo", "```run``` error: wrong " + "x" * 400)] * 4]
    (case,) = look(team(*turns)).cases["first_mistake"]
    assert case.agent == "Bo"
    assert case.weight >= SURE
    (finding,) = [f for f in audit([team(*turns)]).findings if f.name == "first_mistake"]
    assert finding.verdict == "cannot tell"
    assert "1 of 1 failed episodes" in finding.reason


@pytest.mark.skipif(not SHARED.is_dir(), reason="the labelled runs are not there")
def test_the_named_members_are_those_that_people_blame():
    named = [
        (case.agent, one.labels["mistake_agent"])
        for one in read_logs(SHARED)
        if (kept := look(one)) and (case := next(iter(kept.cases.get("first_mistake", ())), None))
    ]
    assert len(named) >= 10
    assert sum(a == b for a, b in named) / len(named) >= SURE
    assert len(WEIGHTS) == len(FEATURES)
