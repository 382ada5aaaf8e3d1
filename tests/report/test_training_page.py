"""The page of one training: what it says at every stage of a run, and hostile text."""

from copy import deepcopy

import msgspec
import pytest
from hostile_text import PAYLOADS
from report_reading import Page
from report_samples import language_training, training

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.report.next_steps import next_steps
from counterpoint.report.pages.messages import talk_figure
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results import read_result
from counterpoint.results.training import TrainingResult


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
    assert "so far (2,000 of 4,000 steps)" in text
    assert "stopped at 2,000 of 4,000 steps" in Page(render(training(20, "stopped"))).text


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


def test_it_draws_what_messages_carry_while_the_team_learns():
    run = training()
    assert "What messages carry" not in render(run)
    updates = len(run["curve"]["step"])
    run["curve"]["said_bits"] = [0.1 * i if i % 5 == 0 else None for i in range(updates)]
    page = Page(render(run))
    assert "What messages carry" in page.text
    assert "seen and said" in page.text
    assert "heard and done" not in page.text  # not known of a team that remembers
    figure = talk_figure(msgspec.convert(run, TrainingResult))
    assert figure is not None
    assert figure.header == ("step", "seen and said")
    assert figure.rows[1] == (run["curve"]["step"][5], pytest.approx(0.5))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_from_outside_stay_text(payload):
    evil = deepcopy(training())
    evil["world"] = evil["scheme"] = evil["status"] = payload
    evil["agents"] = {payload: evil["agents"]["agent_0"]}
    assert "<script" not in render(evil).lower()


def test_a_language_team_counts_updates_and_shows_what_it_said():
    page = Page(render(language_training(30)))
    assert "the team returns 0.9000 after 30 updates." in page.text
    assert "4.00 seconds an update" in page.text
    assert "steps" not in page.text.split("What the numbers mean")[0].lower()
    rows = [[cell["text"].strip() for cell in row] for row in page.tables["said"]]
    assert rows[0] == ["1", "ball", "speaker to listener: redlistener: ball", "20 of 32", "1.00"]
    assert [row[0] for row in rows] == ["1", "", "16", "", "30", ""]
    words = [[cell["text"].strip() for cell in row] for row in page.tables["words"]]
    assert words[0] == ["listener", "You hear red.", "ball", "94%", "32", "key 2"]
    said = page.files["counterpoint-lewis-said.csv"]
    assert said[0]["said"] == "speaker to listener: red | listener: ball"
    assert page.files["counterpoint-lewis-words.csv"][1]["word"] == "red"
    assert "Gradient of listener" in page.text
    assert "“Ahead in”" not in page.text


def test_the_next_comparison_is_of_the_same_environment_and_model():
    document = language_training(40)
    document["config"]["world_settings"] = {"tasks_from": "my questions.jsonl", "held_out": "0.1"}
    (step,) = next_steps(read_result(document))
    assert step.line == (
        "counterpoint compare lewis --set 'tasks_from=my questions.jsonl' held_out=0.1 "
        "--policy tiny --budget 40"
    )
    small = training()
    small["config"]["world_settings"] = {"stakes": "agent_0:100"}
    (step,) = next_steps(read_result(small))
    assert step.line == "counterpoint compare spread --set stakes=agent_0:100"


def test_a_language_team_that_has_said_nothing_yet():
    text = Page(render(language_training(0, "running"))).text
    assert "No episode has been played yet" in text
    assert "There is no table of words: no word has been chosen yet." in text
    assert "Messages" not in Page(render(training())).text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_model_wrote_stays_text(payload):
    evil = deepcopy(language_training())
    for moment in evil["talk"]["moments"]:
        moment["shown"][0]["task"] = payload
        for event in moment["shown"][0]["events"]:
            event["text"] = event["to"] = event["agent"] = payload
    for row in evil["talk"]["words"]:
        row["shown"], row["said"] = payload, {payload: 3}
    page = render(evil)
    assert "<script" not in page.lower()
    assert Page(page).problems == []
    shown = " ".join(visible(payload).split())
    assert shown in Page(page).text
