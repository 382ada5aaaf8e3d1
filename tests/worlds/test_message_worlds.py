"""Worlds in which a topology says who hears whom: what is known, told and answered."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_modules import bench_module
from counterpoint.errors import LogError, SettingError, UnknownNameError
from counterpoint.topology import make_topology
from counterpoint.topology.play import play
from counterpoint.worlds import Kind, find_world, worlds
from counterpoint.worlds.message.hidden_profile import HiddenProfile, HiddenProfileSettings, tally
from counterpoint.worlds.message.idea_search import IdeaSearch, IdeaSearchSettings
from counterpoint.worlds.message.task_file import TaskFile, read_task_file
from counterpoint.worlds.message.world import MessageSettings, Observation, ReceivedMessage

BENCH = bench_module("topologies")


def rng(seed=0):
    return np.random.default_rng(seed)


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_what_all_know_misleads_and_what_the_team_knows_is_right(members, options, seed):
    world = HiddenProfile(HiddenProfileSettings(members=members, options=options, misread=0))
    items = world.draw(rng(seed), 20)
    whole = tally(items.option, items.sign, options)
    assert (whole.argmax(axis=1) == items.right).all()
    shared = tally(items.option, items.sign * ~items.private, options)
    assert (shared.argmax(axis=1) != items.right).all()
    assert (items.has[:members].sum(axis=0) == np.where(items.private, 1, members)).all()


def test_clues_by_hand():
    option = np.array([[0, 0, 1]])
    assert tally(option, np.array([[1, -1, -1]]), 2).tolist() == [[0, -1]]


def test_a_message_holds_as_many_clues_as_its_bits():
    world = HiddenProfile(HiddenProfileSettings(bits=13))  # 6 a clue, 2 an opinion
    items, seen = world.draw(rng(), 50), Observation(1, 0)
    facts = world.member("facts").speak(items, seen, rng())
    both = world.member("naive").speak(items, seen, rng())
    assert world.clue_bits == 6
    assert ((facts[:, :-1] != 0).sum(axis=1) == 2).all()
    assert ((both[:, :-1] != 0).sum(axis=1) == 1).all()
    assert (facts[:, -1] == 0).all()
    assert ((both[:, -1] >= 1) & (both[:, -1] <= 3)).all()


def test_members_tell_what_they_know_and_nothing_twice():
    world = HiddenProfile()
    items, teller = world.draw(rng(), 50), world.member("optimal")
    first = teller.speak(items, Observation(2, 0), rng())
    known = items.read(2)
    assert (first[:, :-1] * (first[:, :-1] != known) == 0).all()
    assert ((first[:, :-1] != 0)[:, items.private].sum(axis=1) == 3).all()  # all it has alone
    second = teller.speak(items, Observation(2, 1, own=(first,)), rng())
    assert not ((first[:, :-1] != 0) & (second[:, :-1] != 0)).any()


def test_a_clue_heard_is_known_and_an_opinion_heard_counts_as_trust_says():
    world = HiddenProfile()
    items = world.draw(rng(), 1)
    said = np.zeros((1, len(items.private) + 1), dtype=np.int8)
    foreign = int(np.flatnonzero(items.read(1)[0] == 0)[0])
    said[0, foreign], said[0, -1] = 1, 2
    seen = Observation(1, 1, received=(ReceivedMessage(0, 0, said),))
    teller = world.member("opinion")
    assert teller.known(items, seen)[0, foreign] == 1
    without = teller.worth(items, Observation(1, 1), teller.known(items, seen))
    assert (teller.worth(items, seen, teller.known(items, seen)) - without).tolist() == [[0, 2, 0]]


def test_a_dissenter_favours_another_option():
    world = HiddenProfile()
    items, teller = world.draw(rng(), 50), world.member("naive")
    plain = teller.speak(items, Observation(1, 0), rng())[:, -1]
    assert (
        teller.speak(items, Observation(1, 0, dissents=True), rng())[:, -1] != plain
    ).mean() > 0.8


def test_telling_all_makes_the_team_as_good_as_one_who_knows_all():
    world = HiddenProfile(HiddenProfileSettings(bits=10_000, misread=0))
    items = world.draw(rng(), 200)
    members = [world.member("optimal")] * 4
    for told in ("star", "complete", "chain", "blackboard"):
        played = play(make_topology(told, 4), items, 200, members, rng())
        assert world.score(items, played.answers).mean() == 1
    assert world.score(items, world.single(items, "naive", 1, rng())).mean() == 1


def test_what_is_written_falsely_misleads_who_reads_it():
    world = HiddenProfile(HiddenProfileSettings(misread=0))
    items = world.draw(rng(), 20)
    wrong = BENCH.inverted(world, items, 0)
    alone = world.has[0] & world.private
    assert (wrong.sign[:, alone] == -items.sign[:, alone]).all()
    assert (wrong.sign[:, ~alone] == items.sign[:, ~alone]).all()
    assert (wrong.right == items.right).all()


def test_messages_in_words():
    world = HiddenProfile()
    items = world.draw(rng(), 2)
    said = world.member("naive").speak(items, Observation(0, 0), rng())
    told = world.message_text(items, said, 0)
    assert told.endswith("I favour " + world.answer_text(items, said[0, -1] - 1) + ".")
    brief = world.brief(items, 0, 0)
    assert told.split(" I favour")[0].split(". ")[0].rstrip(".") + "." in brief.tellings
    assert len(world.brief(items, 0, -1).tellings) == len(items.private)
    assert world.answer_from(items, 0, "Ben") == 1
    assert world.answer_from(items, 0, "nobody") is None


def test_settings_that_cannot_mislead_are_refused():
    with pytest.raises(SettingError, match="hardly ever"):
        HiddenProfile(HiddenProfileSettings(private=0)).draw(rng(), 10)
    with pytest.raises(UnknownNameError, match="naive"):
        HiddenProfile().member("clever")


def test_a_landscape_without_ruggedness_has_one_peak():
    world = IdeaSearch(IdeaSearchSettings(bits=8, ruggedness=0))
    items = world.draw(rng(), 10)
    at = np.arange(256)
    neighbours = items.value[:, at[:, None] ^ (1 << np.arange(8))]
    assert ((items.value[..., None] > neighbours).all(axis=2).sum(axis=1) == 1).all()
    assert (items.value.max(axis=1) == 1).all()
    assert (items.value.min(axis=1) == 0).all()


@pytest.mark.parametrize("prompt", ["follow", "own", "restart"])
def test_a_searcher_finds_more_with_more_steps_and_tells_the_truth(prompt):
    world = IdeaSearch()
    items, member = world.draw(rng(), 60), world.member(prompt)
    first = member.speak(items, Observation(0, 0, share=0.25), rng())
    again = member.speak(items, Observation(0, 1, share=0.25, own=(first,)), rng())
    rows = np.arange(60)
    for said in (first, again):
        assert np.array_equal(said[:, 1], items.value[rows, said[:, 0].astype(int)])
    assert (again[:, 1] >= first[:, 1]).all()
    assert again[:, 1].mean() > first[:, 1].mean()


def test_who_follows_takes_a_better_find_and_who_does_not_keeps_its_own():
    world = IdeaSearch()
    items = world.draw(rng(), 30)
    best = items.value.argmax(axis=1)
    found = np.stack([best, np.ones(30), best, np.ones(30)], axis=1)
    seen = Observation(0, 1, received=(ReceivedMessage(1, 0, found),), share=0.1)
    assert (world.member("follow").speak(items, seen, rng())[:, 2] == best).all()
    assert (world.member("own").speak(items, seen, rng())[:, 2] == best).mean() < 0.2
    assert (world.member("own").answer(items, seen, rng())[0] == best).all()


def test_diversity_by_hand():
    said = np.zeros((2, 1, 4))
    said[1, 0, 2] = 0b0011
    assert BENCH.diversity(said, 4).tolist() == [0.5]
    assert BENCH.diversity(said[:1], 4).tolist() == [0]


def test_a_team_may_look_at_no_more_than_its_budget():
    world = IdeaSearch(IdeaSearchSettings(budget=8, members=4))
    items = world.draw(rng(), 200)
    played = play(make_topology("best_of_n", 4), items, 200, [world.member("own")] * 4, rng())
    moved = items.value[np.arange(200), items.start[:, :4].T] < np.stack(
        [turn.content[:, 1] for turn in played.turns]
    )
    assert moved.mean() < 0.7  # one step each beyond where it begins


TASK = {
    "name": "hire", "description": "Whom to hire?", "shared_information": ["Ada is late."],
    "hidden_information": ["Ben lies.", "Ada learns fast."], "possible_answers": ["Ada", "Ben"],
    "correct_answer": "Ada",
}  # fmt: skip


def test_a_file_of_tasks(tmp_path):
    for text in (json.dumps([TASK]), json.dumps(TASK) + "\n" + json.dumps(TASK),
                 json.dumps({"tasks": [TASK]})):  # fmt: skip
        path = tmp_path / "tasks.json"
        path.write_text(text)
        world = find_world(f"tasks:{path}").make()
        items = world.draw(rng(), 3)
        assert world.settings.members == 2
        assert world.score(items, np.array([0, 0, 1])).tolist() == [1, 1, 0]
        shown = {world.brief(items, 0, member).known for member in (0, 1)}
        assert shown == {"Ada is late.\nBen lies.", "Ada is late.\nAda learns fast."}
        assert world.brief(items, 0, -1).known.count("\n") == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"correct_answer": "Cleo"}, "right answer 'Cleo'"), ({"hidden_information": []}, "hidden"),
        ({"possible_answers": ["Ada", 3]}, "possible_answers"),
        ({"shared_information": 1}, "shared"),
    ],
)  # fmt: skip
def test_broken_tasks_are_told(tmp_path, change, told):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{**TASK, **change}]))
    with pytest.raises(LogError, match=told):
        read_task_file(str(path))


def test_files_that_are_none(tmp_path):
    for name, text in (("a", "[]"), ("b", "{"), ("c", "[1]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(LogError, match="wanted"):
            read_task_file(str(tmp_path / name)) if name != "b" else _told(tmp_path / name)
    with pytest.raises(LogError, match="could not read"):
        read_task_file(str(tmp_path / "none"))
    (tmp_path / "d").write_text(json.dumps([TASK, {**TASK, "hidden_information": ["x"]}]))
    with pytest.raises(SettingError, match=r"several sizes; wanted one of 1 members \(1\), 2 memb"):
        TaskFile(str(tmp_path / "d"))
    only = TaskFile(str(tmp_path / "d"), MessageSettings(members=1))
    assert [task.hidden for task in only.all] == [("x",)]


def _told(path):
    try:
        read_task_file(str(path))
    except LogError as error:
        raise LogError(f"{error}; wanted") from None


def test_names():
    assert [entry.name for entry in worlds(Kind.MESSAGE)] == ["hidden_profile", "idea_search"]
    with pytest.raises(UnknownNameError, match="did you mean hidden_profile"):
        find_world("hidden_profil").make()
    with pytest.raises(SettingError, match="wanted a whole number"):
        find_world("hidden_profile").make({"bits": "many"})
