"""OpenEnv: episodes of text worlds here, behind OpenEnv's own server in its own Python."""

from __future__ import annotations

import pytest
from peer_python import run_peer

from counterpoint.errors import MissingPackageError, SettingError
from counterpoint.integrations.openenv import TextEpisode, text_environment
from counterpoint.worlds import find_world


def relayed(seed=1, **settings):
    play = TextEpisode(find_world("relay").make(settings), seed)
    play.answer("planner", " and ".join(play.task))
    assert play.next_request.agent == "answerer"
    play.answer("", " ".join(play.task))
    assert play.next_request is None
    return play


def test_every_agent_is_paid_by_name():
    play = relayed()
    assert play.paid() == (1.0, {"planner": 1.0, "answerer": 1.0})
    assert play.steps == 2
    assert relayed(seed=1).task == play.task


def test_the_speakers_pay_is_what_the_settings_say():
    settings = {"speaker_scale": 3.0, "speaker_offset": 5.0}
    assert relayed(**settings).paid() == (1.0, {"planner": 8.0, "answerer": 1.0})
    noisy = [relayed(seed=s, speaker_noise=1.0).paid()[1] for s in (1, 2)]
    assert noisy[0]["planner"] != noisy[1]["planner"]
    assert noisy[0]["answerer"] == noisy[1]["answerer"] == 1.0


def test_those_asked_together_do_not_hear_each_other():
    play = TextEpisode(find_world("schelling").make(), 0)
    agents, shown = [], []
    while play.next_request:
        agents.append(play.next_request.agent)
        shown.append(play.next_request.user)
        play.answer("", play.next_request.words[0])
    assert agents == sorted(agents)
    world = find_world("schelling").make()
    assert sorted(ask.user for ask in world.prompts(play.task, ())) == sorted(shown)
    assert set(play.paid()[1]) == set(world.agents)


def test_answers_that_are_none():
    play = TextEpisode(find_world("schelling").make(), 0)
    with pytest.raises(SettingError, match="wanted one of 'partner'"):
        play.answer("speaker", "red")
    with pytest.raises(SettingError, match="mauve"):
        play.answer("", "mauve")
    with pytest.raises(SettingError, match="reset"):
        relayed().answer("", "more")


def test_without_openenv_the_error_says_what_to_do():
    with pytest.raises(MissingPackageError, match="pip install openenv"):
        text_environment("relay")


@pytest.mark.slow
def test_behind_openenvs_own_server():
    printed = run_peer("peers-openenv", "openenv_check.py")
    first, second, last = printed["good"]
    assert (first["observation"]["agent"], second["observation"]["agent"]) == (
        "planner", "answerer",
    )  # fmt: skip
    assert first["observation"]["rewards"] is None
    assert last["done"]
    assert last["reward"] == 1.0
    assert last["observation"]["rewards"] == {"planner": 3.0, "answerer": 1.0}
    assert printed["same"]  # the same seed, the same task
    assert "reset" in printed["late"]["data"]["message"]
    assert "planner" in printed["wrong"]["data"]["message"]
    assert printed["state"]["step_count"] == 0
    assert printed["health"] == 200
    one, two, end = printed["schelling"]
    assert (one["agent"], two["agent"], end["done"]) == ("partner", "speaker", True)
    assert set(end["rewards"]) == {"speaker", "partner"}
