"""A trained team out of its run directory: it plays, and answers as it was trained to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from language_teams import small_plan

from counterpoint.errors import UnknownNameError
from counterpoint.runs import provenance
from counterpoint.runs.directory import RunDirectory
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.chat import TrainedTeam


def left_by(plan, path):
    with RunDirectory.create(path, plan.config()) as run:
        train_to_end(plan, run=run)
    return path


@pytest.fixture(autouse=True)
def _no_git(monkeypatch):
    monkeypatch.setattr(provenance, "git_revision", lambda: None)  # would only take time


def test_an_agent_answers_a_prompt_of_its_world_with_the_chances_it_was_trained_to(tmp_path):
    team = TrainedTeam(left_by(small_plan("lewis"), tmp_path / "run"))
    team.learner.words.forget()
    with torch.no_grad():
        played = team.learner.play(np.random.default_rng(0))
    for ask in dict.fromkeys(played.asks):
        told = team.ask(ask.agent, ask.user)
        assert tuple(told.words) == ask.words
        assert told.text in ask.words
        row = team.learner.words.rows[ask]
        found = list(told.words.values())
        np.testing.assert_allclose(found, team.learner.words.probs[row], atol=1e-5)


def test_it_plays_episodes_as_they_are_recorded(tmp_path):
    team = TrainedTeam(left_by(small_plan("lewis"), tmp_path / "run"))
    assert team.title.startswith("lewis: listener, speaker on tiny, trained by 4 updates under ")
    found = [team.episode() for _ in range(5)]
    for one in found:
        assert one.task in team.tasks()
        speaker, listener = one.events
        assert (speaker.agent, listener.agent) == ("speaker", "listener")
        assert one.success == float(listener.text == one.task[0])
    again = TrainedTeam(tmp_path / "run")
    assert [again.episode() for _ in range(5)] == found


def test_agents_that_write_answer_in_free_text(tmp_path):
    team = TrainedTeam(left_by(small_plan("relay", budget=1, episodes=1), tmp_path / "run"))
    told = team.ask("planner", "Tell your partner these words: apple.")
    assert told.agent == "planner"
    assert told.words == {}
    assert [event.agent for event in team.episode().events] == ["planner", "answerer"]


def test_an_agent_that_is_seldom_asked_can_be_talked_to(tmp_path):
    """However few tasks are in a batch of the training."""
    settings = {"prompts": 1, "rollouts": 1}
    plan = small_plan("solver_verifier", language=settings, budget=1, episodes=1)
    team = TrainedTeam(left_by(plan, tmp_path / "run"))
    told = team.ask("verifier", "What is one plus two?")
    assert sum(told.words.values()) == pytest.approx(1)
    assert "unsure" in team.ask("solver", "What is one plus two?").words  # as at the start
    with pytest.raises(UnknownNameError, match="did you mean solver"):
        team.ask("solve", "What is one plus two?")


def test_an_agent_that_nobody_asks_says_so(tmp_path):
    plan = small_plan("solver_verifier", budget=1, episodes=1)
    team = TrainedTeam(left_by(plan, tmp_path / "run"))
    del team._asks["verifier"]
    with pytest.raises(UnknownNameError, match=r"'verifier'.*got no prompt"):
        team.ask("verifier", "What is one plus two?")
