"""Who says what to whom is found by trying: words, listeners, and where they hear."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.worlds import PermutedStepWorld, find_world
from counterpoint.worlds.sequential.channels import (
    COPIES,
    ExchangedMessages,
    find_channels,
    speakers_of,
)
from counterpoint.worlds.sequential.particles import SpeakerListener
from counterpoint.worlds.sequential.world import uniform_actions


def of(name, **settings):
    """(speaker, words, {listener: places}) of each channel, and the world's agents."""
    world = find_world(name).make(settings, COPIES, 0)
    return [
        (
            world.agents[c.speaker],
            c.words.tolist(),
            {world.agents[k]: p.tolist() for k, p in c.heard},
        )
        for c in find_channels(world)
    ]


def test_the_listener_hears_three_words_in_its_last_three_numbers():
    wanted = [("speaker_0", [0, 1, 2], {"listener_0": [8, 9, 10]})]
    assert of("speaker_listener") == wanted
    assert of("speaker_listener", speakers="speaker") == wanted


def test_agents_in_another_order_have_the_same_channels():
    world = PermutedStepWorld(SpeakerListener(copies=COPIES), [1, 0])
    (channel,) = find_channels(world)
    assert (channel.speaker, channel.heard[0][0]) == (1, 0)
    assert channel.heard[0][1].tolist() == [8, 9, 10]


@pytest.mark.parametrize(
    ("name", "speakers", "words", "heard"),
    [
        ("simple_speaker_listener_v4", ["speaker_0"], 3, {"listener_0": [8, 9, 10]}),
        # a move and one of ten words in one action; the move shows one step later
        ("simple_reference_v3", ["agent_0", "agent_1"], 10, {"agent_1": list(range(11, 21))}),
        ("simple_crypto_v3", ["alice_0"], 4, {"eve_0": [0, 1, 2, 3], "bob_0": [4, 5, 6, 7]}),
        ("simple_spread_v3", [], 0, {}),
    ],
)
def test_the_channels_of_particle_worlds(name, speakers, words, heard):
    pytest.importorskip("mpe2")
    channels = of(f"mpe2:{name}")
    assert [speaker for speaker, _, _ in channels] == speakers
    for _, says, _ in channels:
        assert len(set(says)) == words
    assert (channels[0][2] if channels else {}) == heard


def test_actions_that_only_move_are_no_messages():
    with pytest.raises(SettingError, match="no other agent sees"):
        of("spread", speakers="agent_0")


def test_names_that_nobody_has_and_numbers_are_refused():
    with pytest.raises(SettingError, match="wanted names out of speaker_0, listener_0"):
        of("speaker_listener", speakers="spaker_0")
    world = find_world("speaker_listener").make({"continuous": True})
    assert speakers_of(world) == ()
    world = find_world("speaker_listener").make({"continuous": True, "speakers": "speaker_0"})
    with pytest.raises(SettingError, match="discrete"):
        speakers_of(world)


def test_exchanged_messages_are_those_of_the_next_copy_and_all_else_is_as_before():
    (channel,) = find_channels(SpeakerListener(copies=COPIES))
    plain = SpeakerListener(copies=4, seed=3)
    other = ExchangedMessages(SpeakerListener(copies=4, seed=3), [channel])
    rng = np.random.default_rng(0)
    view = other.reset(3)
    plain.reset(3)
    for _ in range(30):  # beyond the end of an episode
        actions = uniform_actions(plain, view, rng)
        one, two = plain.step(actions), other.step(actions)
        view = two.view
        for mine, theirs in ((one.view, two.view), (one.last, two.last)):
            assert np.array_equal(theirs.seen[:, 1, 8:], np.roll(mine.seen[:, 1, 8:11], 1, axis=0))
            assert np.array_equal(theirs.seen[:, 1, :8], mine.seen[:, 1, :8])
            assert np.array_equal(theirs.seen[:, 0], mine.seen[:, 0])
        assert np.array_equal(one.own, two.own)
    arrays, facts = other.capture()
    assert np.array_equal(other.restore(arrays, facts).seen, view.seen)
