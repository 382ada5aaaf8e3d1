"""Every audit finds a planted failure, in four formats, and stays silent on clean twins."""

from __future__ import annotations

import json

import pytest
from planted_episodes import PLANTED as IN_EPISODES
from planted_episodes import make
from planted_logs import FORMATS, write

from counterpoint.audits import audit
from counterpoint.readers import read_logs
from counterpoint.records import FOUND, NOT_COMPUTABLE
from counterpoint.results import document_of, read_result

PLANTED = {
    "idle": ("idleness", "idle_member"),
    "contagion": ("idleness", "contagion"),
    "echo": ("agreement", "echo"),
    "loop": ("stuck", "loop"),
    "calls": ("stuck", "repeated_call"),
    "checks": ("hacking", "edits_checks"),
    "follow": ("idleness", "partner_hazard"),
    "drift": ("agreement", "drift"),
    "churn": ("coordination", "churn"),
}


def found_in(path):
    return {(f.audit, f.name): f for f in kept(audit(read_logs(path))).findings}


def kept(result):
    """The result as it is read back from its JSON, which has every number of it."""
    again = read_result(json.loads(json.dumps(document_of(result), allow_nan=False)))
    assert again == result
    return again


@pytest.mark.few(12)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("failure", PLANTED)
def test_what_was_planted_is_found_in_every_format(tmp_path, failure, kind):
    found = found_in(write(tmp_path / "log.jsonl", kind, 1, failure))
    finding = found[PLANTED[failure]]
    assert finding.verdict == FOUND, finding
    assert finding.low > finding.null
    assert finding.reason
    if failure not in ("contagion", "follow", "drift", "churn"):
        assert finding.cases


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "least"), [(5, 5), pytest.param(20, 18, marks=pytest.mark.slow)])
def test_the_power_at_full_strength_is_nine_in_ten(tmp_path, seeds, least):
    for failure, which in PLANTED.items():
        hits = sum(
            found_in(write(tmp_path / "log.jsonl", "ours", seed, failure))[which].verdict == FOUND
            for seed in range(seeds)
        )
        assert hits >= least, failure


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", FORMATS)
def test_clean_logs_are_seldom_blamed(tmp_path, kind):
    blamed = 0
    for seed in range(25):
        found = audit(read_logs(write(tmp_path / "log.jsonl", kind, seed))).findings
        blamed += any(f.verdict == FOUND for f in found)
    assert blamed <= 3  # of 25; a hundred over all formats, of which 5 may be


@pytest.mark.few(6)
@pytest.mark.parametrize(
    ("which", "name"), [(which, name) for which, names in IN_EPISODES.items() for name in names]
)
def test_what_is_planted_in_answers_rewards_and_outcomes_is_found(which, name):
    for seed in range(4):
        told = {}
        for strength in (0.0, 1.0):
            episodes, outcomes = make(name, strength, seed)
            findings = kept(audit(episodes, outcomes, (which,))).findings
            told[strength] = next(f for f in findings if f.name == name)
        assert told[1.0].verdict == FOUND, told[1.0]
        assert told[0.0].verdict not in (FOUND, NOT_COMPUTABLE), told[0.0]


def test_edits_that_stand_are_no_churn(tmp_path):
    path = write(tmp_path / "log.jsonl", "openai", 1, "sound edits")
    assert found_in(path)["coordination", "churn"].value == 0


def test_a_rest_that_nobody_follows_is_no_contagion(tmp_path):
    hits = 0
    for seed in range(20):
        path = write(tmp_path / "log.jsonl", "ours", seed, "rest without contagion")
        hits += found_in(path)["idleness", "contagion"].verdict == FOUND
    assert hits <= 2


def test_what_cannot_be_known_is_said_and_never_a_number(tmp_path):
    found = found_in(write(tmp_path / "log.jsonl", "openai", 0, episodes=2))
    for finding in found.values():
        if finding.verdict == NOT_COMPUTABLE:
            assert finding.value is None
            assert finding.reason.startswith("not computable because")
    assert found["worth", "team_minus_best"].value is None
    assert found["idleness", "idle_member"].value is None  # 2 episodes are too few
