"""Every audit finds a planted failure, in four formats, and stays silent on clean twins."""

from __future__ import annotations

import pytest
from planted_logs import FORMATS, write

from counterpoint.audits import audit
from counterpoint.records import CLEAR, FOUND, read

PLANTED = {
    "idle": ("idleness", "idle_member"),
    "contagion": ("idleness", "contagion"),
    "echo": ("agreement", "echo"),
    "loop": ("stuck", "message_loop"),
    "calls": ("stuck", "repeated_call"),
    "checks": ("hacking", "edits_checks"),
}


def found_in(path):
    return {(f.audit, f.name): f for f in audit(read(path)).findings}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("failure", PLANTED)
def test_what_was_planted_is_found_in_every_format(tmp_path, failure, kind):
    found = found_in(write(tmp_path / "log.jsonl", kind, 1, failure))
    finding = found[PLANTED[failure]]
    assert finding.verdict == FOUND, finding
    assert finding.low > finding.null
    assert finding.reason
    if failure != "contagion":
        assert finding.evidence


def test_the_power_at_full_strength_is_nine_in_ten(tmp_path):
    for failure, which in PLANTED.items():
        hits = sum(
            found_in(write(tmp_path / "log.jsonl", "ours", seed, failure))[which].verdict == FOUND
            for seed in range(20)
        )
        assert hits >= 18, failure


@pytest.mark.parametrize("kind", FORMATS)
def test_clean_logs_are_seldom_blamed(tmp_path, kind):
    blamed = 0
    for seed in range(25):
        found = audit(read(write(tmp_path / "log.jsonl", kind, seed))).findings
        blamed += any(f.verdict == FOUND for f in found)
    assert blamed <= 3  # of 25; a hundred over all formats, of which 5 may be


def test_a_rest_that_nobody_follows_is_no_contagion(tmp_path):
    hits = 0
    for seed in range(20):
        path = write(tmp_path / "log.jsonl", "ours", seed, "rest without contagion")
        hits += found_in(path)["idleness", "contagion"].verdict == FOUND
    assert hits <= 2


def test_what_cannot_be_known_is_said_and_never_a_number(tmp_path):
    found = found_in(write(tmp_path / "log.jsonl", "openai", 0, episodes=2))
    for finding in found.values():
        if finding.verdict not in (FOUND, CLEAR):
            assert finding.value is None
            assert finding.reason.startswith("not computable because")
    assert found["worth", "team_minus_best"].value is None
    assert found["idleness", "idle_member"].value is None  # 2 episodes are too few
