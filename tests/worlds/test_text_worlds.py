"""The worlds in words by hand: who is asked what, who hears it, what it is worth."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest

from counterpoint.errors import SettingError, UnknownNameError
from counterpoint.worlds import Kind, find_world, worlds
from counterpoint.worlds.kind import cycled
from counterpoint.worlds.text.relay import THINGS
from counterpoint.worlds.text.solver_verifier import NUMBERS, UNSURE
from counterpoint.worlds.text.world import Statement, TextSettings, shared


def said_in(world, task, *texts):
    """The episode in which agents say `texts` in turn, one asked at a time."""
    said = ()
    for text in texts:
        (ask,) = world.prompts(task, said)
        said = (*said, world.statement(task, said, ask, text))
    return said


# tasks


@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.TEXT)])
def test_tasks_follow_the_generator_alone(name):
    world = find_world(name).make()
    random.seed(1)
    first = world.tasks(np.random.default_rng(3), 12)
    random.seed(2)
    np.random.default_rng().random()
    assert find_world(name).make().tasks(np.random.default_rng(3), 12) == first
    assert world.tasks(np.random.default_rng(4), 12) != first


def test_a_pool_is_gone_through_before_a_task_comes_again():
    pool = [("a",), ("b",), ("c",)]
    tasks = cycled(np.random.default_rng(0), pool, 7)
    assert sorted(tasks[:3]) == sorted(tasks[3:6]) == pool
    assert tasks[6] in pool
    assert cycled(np.random.default_rng(0), pool, 0) == []
    starts = Counter(cycled(np.random.default_rng(i), pool, 1)[0] for i in range(300))
    assert min(starts.values()) > 60  # sd = sqrt(300 * 1/3 * 2/3) = 8


def test_everybody_is_paid_the_same():
    assert shared(0.5, (Statement("a", "x"), Statement("b", "y"))) == ((0.5,), (0.5,))
    assert shared(0.5, ()) == ()


# schelling


def test_both_choose_at_once_each_in_an_order_of_its_own():
    world = find_world("schelling").make()
    speaker, partner = world.prompts(("a park",), ())
    assert (speaker.agent, partner.agent) == ("speaker", "partner")
    assert speaker.words == partner.words == ("red", "blue", "green", "yellow")
    assert speaker.user == (
        "You are at a park. The colours are red, blue, green, yellow. Which colour do you choose?"
    )
    assert partner.user == (
        "You are at a park. The colours are green, yellow, red, blue. Which colour do you choose?"
    )
    assert speaker.messages == (("system", speaker.system), ("user", speaker.user))
    assert "cannot talk" in speaker.system


@pytest.mark.parametrize(("colours", "wanted"), [(2, "blue, red"), (3, "blue, green, red")])
def test_the_partner_is_shown_the_second_half_first(colours, wanted):
    _, partner = find_world("schelling").make({"colours": colours}).prompts(("a shop",), ())
    assert f"The colours are {wanted}. " in partner.user


@pytest.mark.parametrize(("one", "two", "paid"), [("red", "red", 1.0), ("red", "blue", 0.0)])
def test_paid_where_both_chose_the_same(one, two, paid):
    world, task = find_world("schelling").make(), ("a park",)
    speaker, partner = world.prompts(task, ())
    said = (world.statement(task, (), speaker, one), world.statement(task, (), partner, two))
    assert [each.to for each in said] == ["", ""]
    assert world.prompts(task, said) == ()
    assert world.ending(task, said).success == paid
    assert world.ending(task, said).rewards == ((paid,), (paid,))
    assert world.ending(task, said[::-1]).success == paid


def test_chance_agrees_once_in_so_many_colours():
    assert find_world("schelling").make({"colours": 5}).references.random == pytest.approx(1 / 5)
    assert find_world("lewis").make({"objects": 8}).references.random == pytest.approx(1 / 8)


# lewis


def test_a_signal_is_sent_heard_and_read():
    world, task = find_world("lewis").make({"objects": 3}), ("key",)
    (first,) = world.prompts(task, ())
    assert first.agent == "speaker"
    assert first.user == "You see a key. Which word do you send: red, blue, green?"
    assert first.words == ("red", "blue", "green")
    said = said_in(world, task, "blue")
    assert said == (Statement("speaker", "blue", to="listener"),)
    (second,) = world.prompts(task, said)
    assert second.agent == "listener"
    assert second.user == "You hear blue. What was seen: ball, key, cup?"
    assert second.words == ("ball", "key", "cup")
    assert "key" not in second.user.partition("What was seen")[0]  # what was seen is not told
    for guess, success in (("key", 1.0), ("ball", 0.0)):
        done = said_in(world, task, "blue", guess)
        assert done[1] == Statement("listener", guess)
        assert world.prompts(task, done) == ()
        assert world.ending(task, done).success == success
        assert world.ending(task, done).rewards == ((success,), (success,))


def test_the_objects_of_a_batch_come_equally_often():
    world = find_world("lewis").make()
    seen = Counter(world.tasks(np.random.default_rng(1), 8))
    assert seen == {(thing,): 2 for thing in ("ball", "key", "cup", "hat")}


# solver_verifier


def test_a_plain_sum_is_answered_at_once():
    world, task = find_world("solver_verifier").make(), ("one", "two", "plain")
    (ask,) = world.prompts(task, ())
    assert ask.agent == "solver"
    assert ask.user == "What is one plus two?"
    assert ask.words == ("zero", "one", "two", "three", "four", "five", "six", "unsure")
    assert "unsure" in ask.system
    said = said_in(world, task, "three")
    assert said == (Statement("solver", "three"),)
    assert world.prompts(task, said) == ()
    assert world.ending(task, said).success == 1.0
    assert world.ending(task, said).rewards == ((1.0,),)
    assert world.ending(task, said_in(world, task, "four")).rewards == ((0.0,),)


def test_a_hidden_sum_shows_the_verifier_alone_what_is_hidden():
    world, task = find_world("solver_verifier").make(), ("one", "two", "hidden")
    (solver,) = world.prompts(task, ())
    assert solver.user == "What is one plus something?"
    said = said_in(world, task, UNSURE)
    assert said == (Statement("solver", "unsure", to="verifier"),)
    (verifier,) = world.prompts(task, said)
    assert verifier.agent == "verifier"
    assert verifier.user == "What is one plus two?"
    assert verifier.words == NUMBERS[:7]
    said = said_in(world, task, UNSURE, "three")
    assert said[1] == Statement("verifier", "three", to="solver")
    (again,) = world.prompts(task, said)
    assert again.user == "What is one plus something? The verifier says three."


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_after_its_last_call_the_solver_must_answer(calls):
    world, task = find_world("solver_verifier").make({"calls": calls}), ("one", "two", "plain")
    said = said_in(world, task, *[UNSURE, "four"] * calls)
    (last,) = world.prompts(task, said)
    assert UNSURE not in last.words
    assert "unsure" not in last.system
    done = said_in(world, task, *[UNSURE, "four"] * calls, "three")
    assert len(done) == world.longest == 2 * calls + 1
    assert world.prompts(task, done) == ()
    if calls > 1:
        (earlier,) = world.prompts(task, said[:2])
        assert UNSURE in earlier.words


@pytest.mark.parametrize(
    ("penalty", "wanted"),
    [("team", (0.8, 0.8, 0.8, 0.8, 0.8)), ("local", (0.9, 1.0, 0.9, 1.0, 1.0))],
)
def test_calls_are_paid_for_by_all_or_by_the_one_who_called(penalty, wanted):
    world, task = find_world("solver_verifier").make({"penalty": penalty}), ("one", "two", "plain")
    end = world.ending(task, said_in(world, task, UNSURE, "four", UNSURE, "three", "three"))
    assert end.success == 1.0  # the price is no part of success
    np.testing.assert_allclose([row[0] for row in end.rewards], wanted)


def test_a_call_in_vain_costs_all_the_same():
    world, task = find_world("solver_verifier").make({"price": 0.25}), ("three", "three", "hidden")
    end = world.ending(task, said_in(world, task, UNSURE, "six", "five"))
    assert (end.success, end.rewards) == (0.0, ((-0.25,),) * 3)


@pytest.mark.parametrize(("hidden", "share"), [(0.0, 0.0), (1.0, 1.0), (0.25, 0.25)])
def test_so_many_sums_are_hidden(hidden, share):
    world = find_world("solver_verifier").make({"hidden": hidden})
    tasks = world.tasks(np.random.default_rng(0), 2000)
    found = np.mean([task[2] == "hidden" for task in tasks])
    assert abs(found - share) <= (0.05 if 0 < share < 1 else 0)  # sd = sqrt(.19 / 2000) = .01
    assert len({task[:2] for task in tasks}) == 16


def test_what_is_hidden_is_drawn_without_a_look_at_the_sum():
    tasks = find_world("solver_verifier").make().tasks(np.random.default_rng(1), 1600)
    each = Counter(task[:2] for task in tasks if task[2] == "hidden")
    assert set(Counter(task[:2] for task in tasks).values()) == {100}
    assert min(each.values()) > 20
    assert max(each.values()) < 80  # sd = 5


# relay


def test_a_note_is_written_passed_on_and_answered():
    world, task = find_world("relay").make({"most_tokens": 5}), ("tiger", "piano")
    (planner,) = world.prompts(task, ())
    assert planner.agent == "planner"
    assert planner.user == "Write a note that says we need tiger and piano."
    assert (planner.words, planner.most_tokens) == ((), 5)
    said = said_in(world, task, "  a tiger\n")
    assert said == (Statement("planner", "  a tiger\n", to="answerer"),)
    (answerer,) = world.prompts(task, said)
    assert answerer.agent == "answerer"
    assert answerer.user == "a tiger\nWhat do we need?"
    assert "piano" not in answerer.user
    done = said_in(world, task, "a tiger", "tiger")
    assert done[1] == Statement("answerer", "tiger")
    assert world.prompts(task, done) == ()


@pytest.mark.parametrize(
    ("answer", "success", "wasted"),
    [
        ("tiger piano", 1.0, 0),
        ("Piano,TIGER!", 1.0, 0),
        ("tiger", 0.5, 0),
        ("tiger tiger tiger", 0.5, 0),
        ("the words are tiger and piano", 1.0, 4),
        ("tigers pianos", 0.0, 2),
        ("tiger7piano", 1.0, 0),
        ("", 0.0, 0),
        ("日本 3 ?!", 0.0, 0),
        ("bread bread", 0.0, 2),
    ],
)
def test_the_answer_is_worth_the_words_it_holds_less_what_was_not_asked(answer, success, wasted):
    world, task = find_world("relay").make({"waste": 0.1}), ("tiger", "piano")
    end = world.ending(task, said_in(world, task, "whatever", answer))
    assert end.success == success
    np.testing.assert_allclose(end.rewards, [[success - 0.1 * wasted]] * 2)


def test_words_to_pass_on_are_different_ones():
    world = find_world("relay").make({"things": 4})
    tasks = world.tasks(np.random.default_rng(0), 50)
    assert all(len(set(task)) == 4 and set(task) <= set(THINGS) for task in tasks)
    assert len(set(tasks)) > 40


# the catalogue


def test_the_catalogue_tells_what_worlds_are():
    for entry in worlds(Kind.TEXT):
        assert entry.world.name == entry.name
        assert issubclass(entry.settings_type, TextSettings)
        assert entry.summary == entry.world.summary
        assert entry.source
        assert find_world(entry.name).make().settings == entry.settings_type()
        assert {spec.name for spec in fields(TextSettings)} < {
            spec.name for spec in fields(entry.settings_type)
        }


def test_text_is_converted_to_settings():
    world = find_world("solver_verifier").make({"penalty": "local", "calls": "3", "price": ".5"})
    assert (world.settings.penalty, world.settings.calls, world.settings.price) == ("local", 3, 0.5)


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("schelling", {"colours": 9}, "colours"),
        ("schelling", {"colours": 1}, "colours"),
        ("lewis", {"objects": 1}, "objects"),
        ("lewis", {"speaker_noise": -1.0}, "speaker_noise"),
        ("lewis", {"speaker_scale": float("nan")}, "speaker_scale"),
        ("solver_verifier", {"largest": 0}, "largest"),
        ("solver_verifier", {"largest": 6}, "largest"),
        ("solver_verifier", {"hidden": 1.5}, "hidden"),
        ("solver_verifier", {"price": -0.1}, "price"),
        ("solver_verifier", {"calls": 5}, "calls"),
        ("solver_verifier", {"penalty": "both"}, "penalty"),
        ("relay", {"things": 5}, "things"),
        ("relay", {"most_tokens": 0}, "most_tokens"),
        ("relay", {"waste": -1}, "waste"),
    ],
)
def test_settings_out_of_range_are_refused(name, settings, complaint):
    with pytest.raises(SettingError, match=f"{complaint}.*wanted"):
        find_world(name).make(settings)


def test_names_that_are_not_known_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean lewis"):
        find_world("lewi").make()
    with pytest.raises(UnknownNameError, match="did you mean objects"):
        find_world("lewis").make({"object": 3})
