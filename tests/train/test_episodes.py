"""Episodes of text worlds side by side: who is asked when, labels of decisions, what is paid."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import WorldError
from counterpoint.train.lora.episodes import Answer, play_episodes
from counterpoint.worlds import Kind, find_world, worlds
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.conventions import Schelling
from counterpoint.worlds.text.world import Ending, Prompt, Statement, TextSettings, TextWorld


class Court(TextWorld):
    """A judge asks for a witness or not; two clerks write at once; a last word of the judge.

    `short` cases end with the judge's first word, in `long` ones all is asked for.
    """

    name, summary = "court", "a world whose episodes differ in length"
    agents = ("zeno", "abel", "judge", "mary")
    roles = ("clerk", "clerk", "judge", "witness")
    speaker, longest = "judge", 5
    components = ("truth", "speed")
    references = References(None, 1.0, "share")

    def tasks(self, rng, count):
        return [(("short", "long", "clerks")[i % 3],) for i in range(count)]

    def prompts(self, task, said):
        yes_no = ("yes", "no")
        if not said:
            return (Prompt("judge", "s", f"{task[0]} case", yes_no),)
        if task[0] == "short":
            return ()
        if len(said) == 1:
            return tuple(Prompt(a, "s", f"{task[0]} {a}", yes_no) for a in ("zeno", "abel"))
        if len(said) == 3 and said[0].text == "yes":
            return (Prompt("mary", "s", "what did you see?", yes_no),)
        if len(said) == 4:
            return (Prompt("judge", "s", "your last word", yes_no),)
        return ()

    def ending(self, task, said):
        return Ending(len(said) / 10, tuple((i + 1.0, -float(len(said))) for i in range(len(said))))

    def statement(self, task, said, ask, text):
        return Statement(ask.agent, text, to=f"after {len(said)}")


def told(**changes):
    return Court(TextSettings(**changes))


def judge_says(texts):
    """Everybody says yes, but the judge what is in `texts`, the first time it is asked, in turn."""
    waves, left = [], list(texts)

    def respond(asks, rng):
        waves.append([(ask.agent, ask.user) for ask in asks])
        return [
            Answer(left.pop(0) if ask.user.endswith("case") else "yes", (len(waves), i))
            for i, ask in enumerate(asks)
        ]

    respond.waves = waves
    return respond


@pytest.fixture
def played():
    """Tasks short and long, two episodes each; the judge calls mary in the third one alone."""
    respond = judge_says(["yes", "no", "yes", "no"])
    found = play_episodes(told(), respond, np.random.default_rng(0), 2, 2)
    return found, respond.waves


def test_waves_go_by_agents_names_and_then_by_episodes(played):
    _, waves = played
    assert waves == [
        [("judge", "short case")] * 2 + [("judge", "long case")] * 2,
        [("abel", "long abel")] * 2 + [("zeno", "long zeno")] * 2,
        [("mary", "what did you see?")],
        [("judge", "your last word")],
    ]


def test_what_was_said_in_a_wave_is_heard_by_those_of_the_next(played):
    found, _ = played
    one, two = (Statement("abel", "yes", "after 1"), Statement("zeno", "yes", "after 1"))
    assert found.tasks == [("short",), ("short",), ("long",), ("long",)]
    assert found.messages == [
        (Statement("judge", "yes", "after 0"),),
        (Statement("judge", "no", "after 0"),),
        (Statement("judge", "yes", "after 0"), one, two, Statement("mary", "yes", "after 3"),
         Statement("judge", "yes", "after 4")),
        (Statement("judge", "no", "after 0"), one, two),
    ]  # fmt: skip


def test_labels_are_worked_by_hand(played):
    """Agents in the order of names: abel 0, judge 1, mary 2, zeno 3; roles too: clerk 0, judge 1,
    witness 2."""
    found, _ = played
    wanted = {
        "prompt": [0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
        "rollout": [0, 1, 0, 0, 0, 0, 0, 1, 1, 1],
        "agent": [1, 1, 1, 0, 3, 2, 1, 1, 0, 3],
        "role": [1, 1, 1, 0, 0, 2, 1, 1, 0, 0],
        "turn": [0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        "batch": [0] * 10,
    }
    assert {name: column.tolist() for name, column in found.columns.items()} == wanted
    assert found.episode.tolist() == [0, 1, 2, 2, 2, 2, 2, 3, 3, 3]
    assert all(column.dtype == np.int64 for column in found.columns.values())


def test_every_decision_has_its_ask_its_answer_and_its_reward(played):
    found, _ = played
    assert [ask.agent for ask in found.asks] == [
        *("judge", "judge", "judge", "abel", "zeno", "mary", "judge"), "judge", "abel", "zeno",
    ]  # fmt: skip
    assert [answer.handle for answer in found.answers] == [
        *((1, 0), (1, 1), (1, 2), (2, 0), (2, 2), (3, 0), (4, 0)), (1, 3), (2, 1), (2, 3),
    ]  # fmt: skip
    assert found.success.tolist() == [0.1, 0.1, 0.5, 0.3]
    assert found.rewards.tolist() == [
        [1, -1], [1, -1], [1, -5], [2, -5], [3, -5], [4, -5], [5, -5], [1, -3], [2, -3], [3, -3],
    ]  # fmt: skip


def test_scale_and_offset_are_the_speakers_alone():
    """Scale on every component, offset on the first."""
    world = told(speaker_scale=10.0, speaker_offset=0.5)
    found = play_episodes(world, judge_says(["yes"] * 4), np.random.default_rng(0), 2, 2)
    plain = play_episodes(told(), judge_says(["yes"] * 4), np.random.default_rng(0), 2, 2)
    judge = found.columns["agent"] == 1
    np.testing.assert_array_equal(found.rewards[~judge], plain.rewards[~judge])
    wanted = plain.rewards[judge] * 10 + [0.5, 0.0]
    np.testing.assert_allclose(found.rewards[judge], wanted)
    np.testing.assert_array_equal(found.success, plain.success)


def test_noise_is_the_speakers_alone_and_has_its_size():
    world = told(speaker_noise=3.0)
    found = play_episodes(world, judge_says(["yes"] * 3000), np.random.default_rng(0), 3, 1000)
    plain = play_episodes(told(), judge_says(["yes"] * 3000), np.random.default_rng(0), 3, 1000)
    noise, judge = found.rewards - plain.rewards, found.columns["agent"] == 1
    assert not noise[~judge].any()
    assert not noise[:, 1].any()
    drawn = noise[judge, 0]
    assert abs(drawn.mean()) < 5 * 3 / np.sqrt(len(drawn))
    assert drawn.std() == pytest.approx(3, rel=0.05)
    assert len(set(drawn)) == len(drawn)  # of each decision, not of each episode
    np.testing.assert_array_equal(found.success, plain.success)


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.TEXT)])
@pytest.mark.parametrize("setting", ["speaker_scale", "speaker_offset", "speaker_noise"])
def test_in_every_world_the_speaker_alone_is_paid_in_another_way(name, setting):
    def random_replies(asks, rng):
        return [Answer(str(rng.choice(ask.words)) if ask.words else "apple") for ask in asks]

    plain, paid = (
        play_episodes(find_world(name).make(given), random_replies, np.random.default_rng(2), 8, 8)
        for given in ({}, {setting: 4.0})
    )
    world = find_world(name).make()
    speaks = plain.columns["agent"] == sorted(world.agents).index(world.speaker)
    assert plain.messages == paid.messages
    np.testing.assert_array_equal(plain.rewards[~speaks], paid.rewards[~speaks])
    if plain.rewards.any() or setting != "speaker_scale":  # "apple" answers none of the questions
        assert (plain.rewards[speaks] != paid.rewards[speaks]).any()
    else:
        assert name == "questions"
    assert {one.agent for one, at in zip(plain.asks, speaks, strict=True) if at} == {world.speaker}


def test_who_takes_part_depends_on_what_is_said():
    """The verifier is there in the episodes in which it was called, as often as it was."""
    script = iter(["one", "unsure", "unsure", "six"])

    def respond(asks, rng):
        return [
            Answer(next(script) if "says" not in ask.user and ask.agent == "solver" else "two")
            for ask in asks
        ]

    found = play_episodes(
        find_world("solver_verifier").make(), respond, np.random.default_rng(0), 1, 4
    )
    assert [len(said) for said in found.messages] == [1, 3, 3, 1]
    assert found.columns["agent"].tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert found.columns["turn"].tolist() == [0, 0, 0, 1, 0, 0, 1, 0]
    assert found.columns["rollout"].tolist() == [0, 1, 1, 1, 2, 2, 2, 3]


def test_an_episode_that_does_not_end_is_refused():
    class Endless(Schelling):
        name, longest = "endless", 4

        def prompts(self, task, said):
            return super().prompts(task, ())

    with pytest.raises(WorldError, match=r"more than 4 decisions in an episode .*Endless' "):
        play_episodes(
            Endless(), lambda asks, rng: [Answer("red")] * len(asks), np.random.default_rng(0), 1, 1
        )


def test_answers_must_be_as_many_as_asks():
    with pytest.raises(ValueError, match="zip"):
        play_episodes(
            Schelling(), lambda asks, rng: [Answer("red")], np.random.default_rng(0), 1, 1
        )


def test_chance_follows_the_generator():
    def random_replies(asks, rng):
        return [Answer(str(rng.choice(ask.words))) for ask in asks]

    one, two, three = (
        play_episodes(
            find_world("lewis").make({"speaker_noise": 1.0}),
            random_replies,
            np.random.default_rng(s),
            4,
            4,
        )
        for s in (0, 0, 1)
    )
    assert one.messages == two.messages
    np.testing.assert_array_equal(one.rewards, two.rewards)
    assert one.messages != three.messages
