"""The page of one training: what it says at every stage of a run, and hostile text."""

from copy import deepcopy

import pytest
from hostile_text import PAYLOADS
from report_reading import Page
from report_samples import training

from counterpoint.errors import LogError
from counterpoint.report import render


def test_it_says_where_the_run_stands():
    text = Page(render(training())).text
    assert "Under mappo_pooled the team returns −30.00 after 4,000 steps." in text
    assert "500 steps a second" in text
    assert "1 of 2 agents" in text
    assert "agent_0 (DROWNED)" in text
    assert "reference team" in text
    assert "Normalize per agent" in text  # the remedy


def test_a_run_that_goes_on_says_how_far_it_is():
    text = Page(render(training(20, "running"))).text
    assert "so far, after 2,000 of 4,000 steps" in text
    assert "stopped after 2,000" in Page(render(training(20, "stopped"))).text


def test_before_the_tenth_measurement_there_is_no_verdict():
    text = Page(render(training(5, "running"))).text
    assert "too few measurements for a verdict" in text


def test_a_run_that_has_just_begun():
    text = Page(render(training(0, "running"))).text
    assert "has no return yet" in text
    assert "No update has been done yet" in text


def test_what_is_absent_is_no_error():
    assert render({"schema": "counterpoint.training/1", "curve": {"step": [1]}})
    with pytest.raises(LogError, match="curve"):
        render({"schema": "counterpoint.training/1"})


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_from_outside_stay_text(payload):
    evil = deepcopy(training())
    evil["world"] = evil["scheme"] = evil["status"] = payload
    evil["agents"] = {payload: evil["agents"]["agent_0"]}
    assert "<script" not in render(evil).lower()
