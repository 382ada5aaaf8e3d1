"""A team where one speaker is wanted, and members who read and speak."""

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.speakers.scripted import Fixed, RandomWord, Scripted
from counterpoint.speakers.speaker import Message, Reply, Request
from counterpoint.topology import make_topology
from counterpoint.topology.play import Guards, Meter, play
from counterpoint.topology.records import episodes
from counterpoint.topology.speaker import DISSENT, SpokenMember, TeamSpeaker
from counterpoint.worlds.message.hidden_profile import HiddenProfile

ASKED = Request((Message("user", "Which is it?"),), words=("yes", "no"))


def test_the_majority_of_three_speaks():
    team = TeamSpeaker(make_topology("independent", 3), [Fixed("yes"), Fixed("no"), Fixed("no")])
    # three answers; what nobody would hear is not asked for
    assert team.answer([ASKED, ASKED]) == [Reply("no", 0, 0, tries=3)] * 2


def test_members_hear_each_other_under_the_same_question():
    met = []

    def note(request):
        met.append(request.messages[-1].content)
        return "no" if request.words else "I think no"

    team = TeamSpeaker(make_topology("chain", 2), [Scripted(note), Scripted(note)])
    assert team.answer([ASKED])[0].text == "no"
    assert met[0].startswith("Which is it?\nDo not answer yet")
    assert met[1] == "Which is it?\nMember 1 says: I think no"  # nobody hears the last, who answers


def test_a_failed_member_is_no_vote_and_all_failed_is_an_error():
    broken = Scripted(lambda request: 1 / 0)
    team = TeamSpeaker(make_topology("independent", 3), [broken, broken, Fixed("yes")])
    assert team.answer([ASKED])[0].text == "yes"
    none = TeamSpeaker(make_topology("independent", 1), [broken]).answer([ASKED])[0]
    assert none.text == ""
    assert "division" in none.error


def test_free_text_wants_one_who_decides():
    free = Request((Message("user", "Say something."),))
    with pytest.raises(SettingError, match="one decides"):
        TeamSpeaker(make_topology("independent", 2), [Fixed("a")] * 2).answer([free])
    spoken = TeamSpeaker(make_topology("chain", 2), [Fixed("a"), Fixed("b")]).answer([free])
    assert spoken[0].text == "b"
    with pytest.raises(SettingError, match="1 speakers for 2 seats"):
        TeamSpeaker(make_topology("chain", 2), [Fixed("a")])


def test_a_team_passes_the_conformance_suite_of_speakers():
    from counterpoint.testing import check_speaker

    check_speaker(lambda: TeamSpeaker(make_topology("star", 3), [RandomWord(i) for i in range(3)]))


def reader(request):
    """Answers with the option of which most good is said in all that it was shown."""
    if request.words and request.words[0].endswith("."):
        return request.words[-1]  # the last clue is one of its own
    text = request.messages[-1].content
    return max(request.words, key=lambda name: text.count(name))


def test_members_who_read_play_a_world_in_words():
    world = HiddenProfile()
    items, meter = world.draw(np.random.default_rng(0), 5), Meter()
    member = SpokenMember(Scripted(reader), world, "Tell facts.", meter)
    played = play(make_topology("star", 4), items, 5, [member] * 4, np.random.default_rng(0))
    assert played.failures == ()
    assert played.answered.all()
    assert meter.calls == 5 * 5  # three who tell the hub, which tells all, and answers
    assert all(text.endswith(".") for turn in played.turns for text in turn.content)
    first = next(episodes(world, items, played, "run"))
    assert [event.text for event in first.events if event.kind == "message"] == [
        turn.content[0] for turn in played.turns
    ]
    shown = []
    spy = SpokenMember(Scripted(lambda r: shown.append(r) or reader(r)), world, "Go.", meter)
    play(make_topology("complete:rounds=2", 4), items, 5, [spy] * 4, np.random.default_rng(0),
         guards=Guards(dissenter=True))  # fmt: skip
    told = [request.messages[-1].content for request in shown]
    assert "Member 3 said: " in told[35]  # the fourth speaker in the second round, first item
    assert [DISSENT in text for text in told[::5]] == [False] * 3 + [True] + [False] * 3 + [
        True
    ] + [False] * 4  # it answers as it thinks


def test_a_reply_that_fails_is_no_answer():
    world = HiddenProfile()
    items = world.draw(np.random.default_rng(0), 2)
    member = SpokenMember(Scripted(lambda r: 1 / 0), world, "", Meter())
    played = play(make_topology("complete", 4), items, 2, [member] * 4, np.random.default_rng(0))
    assert not played.answered.any()
    assert len(member.meter.errors) == 2 * (4 + 4)
