"""`extract`, `debate` and `revise` by hand: prompts, pay, and a team that has solved each."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.train.lora.episodes import Answer, play_episodes, random_replies
from counterpoint.worlds import Statement, find_world
from counterpoint.worlds.text.debate import BLAME, DEBATERS, PRAISE, blamed
from counterpoint.worlds.text.revise import EXAMPLES
from counterpoint.worlds.text.split import split_tasks


def said_in(world, task, *texts):
    """The episode in which agents say `texts` in turn, one asked at a time."""
    said = ()
    for text in texts:
        (ask,) = world.prompts(task, said)
        said = (*said, world.statement(task, said, ask, text))
    return said


def played_by(world, answer, episodes=64):
    """Mean success of a team that answers each prompt by a function of it."""

    def respond(asks, rng):
        return [Answer(answer(ask)) for ask in asks]

    return play_episodes(world, respond, np.random.default_rng(0), episodes, 1).success


# splits


def test_a_split_depends_on_the_tasks_alone():
    tasks = [(str(i),) for i in range(50)]
    split = split_tasks(tasks, 0.2)
    assert len(split.held_out) == 10
    assert len(split.training) == 40
    assert not set(split.held_out) & set(split.training)
    turned = split_tasks([*tasks[::-1], tasks[3]], 0.2)
    assert set(turned.held_out) == set(split.held_out)
    assert split_tasks(tasks, 0.2, seed=1).held_out != split.held_out
    more = split_tasks([*tasks, ("new",)], 0.2)
    assert len(set(more.held_out) ^ set(split.held_out)) <= 2


@pytest.mark.parametrize("share", [0.0, 0.04, 0.96, 1.0])
def test_an_empty_part_is_refused(share):
    with pytest.raises(SettingError, match=r"held_out=.* of 10 tasks.*wanted at least 1 of each"):
        split_tasks([(str(i),) for i in range(10)], share)


@pytest.mark.parametrize("name", ["extract", "debate", "revise"])
def test_training_never_draws_what_is_held_out(name):
    world, rng = find_world(name).make(), np.random.default_rng(0)
    size = len(world.split.held_out[0])
    training = {task[:size] for task in world.tasks(rng, 2000)}
    held_out = {task[:size] for task in world.held_out_tasks(rng, 2000)}
    assert training <= set(world.split.training)
    assert len(training) > len(world.split.training) / 2  # debate has 1536
    assert held_out == set(world.split.held_out)
    assert not training & held_out


# extract


TASK = ("Anna", "Oslo", "It rained when {} came to {}.")


def test_the_extractor_alone_reads_the_sentence():
    world = find_world("extract").make()
    (first,) = world.prompts(TASK, ())
    assert first.agent == "extractor"
    assert first.user == "It rained when Anna came to Oslo.\nWho is it, and which city?"
    assert first.earlier[-1] == ("assistant", "Nina, Geneva")
    said = said_in(world, TASK, " Anna,\nOslo ")
    assert said == (Statement("extractor", " Anna,\nOslo ", to="formatter"),)
    (second,) = world.prompts(TASK, said)
    assert second.user == "Note: Anna,\nOslo\nWrite NAME@PLACE."
    assert second.earlier[-1] == ("assistant", "Nina@Geneva")
    assert world.prompts(TASK, said_in(world, TASK, "a", "b")) == ()


@pytest.mark.parametrize(
    ("answer", "success", "reward"),
    [
        ("Anna@Oslo", 1.0, 1.0),
        (" Anna@Oslo\n", 1.0, 1.0),
        ("Anna, Oslo", 0.0, 0.5),
        ("Oslo@Anna", 0.0, 1.0 - 0.0),
        ("Nina@Geneva", 0.0, 0.5 - 2 * 0.02),
        ("Anna@Oslo\nAnna", 0.0, 0.5),
        ("It is Anna.", 0.0, 0.25 - 2 * 0.02),
        ("", 0.0, 0.0),
    ],
)
def test_the_form_is_half_of_the_pay_and_each_fact_a_quarter(answer, success, reward):
    world = find_world("extract").make()
    ending = world.ending(TASK, said_in(world, TASK, "note", answer))
    assert ending.success == success
    assert np.array(ending.rewards) == pytest.approx(np.full((2, 1), reward))


def test_a_team_that_passes_on_both_facts_has_solved_it():
    def answer(ask):
        if ask.agent == "formatter":
            return ask.user.splitlines()[0].removeprefix("Note: ").replace(", ", "@")
        words = ask.user.replace(".", "").split("\n")[0].split()[1:]
        person = next(x for x in words if x in ("Anna", "Ben", "Carla", "David", "Emma", "Frank",
                      "Grace", "Henry", "Julia", "Karl", "Laura", "Martin"))  # fmt: skip
        city = next(x for x in words if x[0].isupper() and x not in (person, "May"))
        return f"{person}, {city}"

    world = find_world("extract").make()
    assert played_by(world, answer).min() == world.references.reference == 1.0
    random = play_episodes(world, random_replies, np.random.default_rng(0), 64, 4)
    assert random.success.max() == world.references.random == 0.0


# debate

CLAIM = ("Lion", "tasty", "dirty")


def debated(world, task, *texts):
    """The episode in which the debaters speak at once, then the judge."""
    said = ()
    while asks := world.prompts(task, said):
        some, texts = texts[: len(asks)], texts[len(asks) :]
        if not some:
            break
        words = zip(asks, some, strict=True)
        said = (*said, *(world.statement(task, said, ask, text) for ask, text in words))
    return said


def test_each_debater_knows_one_review_and_the_judge_their_words_alone():
    world = find_world("debate").make()
    first, second = world.prompts(CLAIM, ())
    assert (first.agent, second.agent) == DEBATERS
    assert first.user == "The food at the Lion was tasty.\nIs the Lion good or bad?"
    assert second.user == "The rooms at the Lion were dirty.\nIs the Lion good or bad?"
    (judge,) = world.prompts(CLAIM, debated(world, CLAIM, "good", "bad"))
    assert judge.agent == "judge"
    assert judge.user == "Is the Lion good or bad if its food is good and its rooms are bad?"
    assert judge.earlier == ()
    done = debated(world, CLAIM, "good", "bad", "bad")
    assert [one.to for one in done] == ["judge", "judge", ""]
    assert world.ending(CLAIM, done).rewards == ((1.0,),) * 3
    assert world.ending(CLAIM, debated(world, CLAIM, "bad", "bad", "good")).success == 0.0
    praised = ("Lion", "tasty", "clean")
    assert world.ending(praised, debated(world, praised, "bad", "bad", "good")).success == 1.0


def test_in_a_second_round_each_debater_hears_the_other_after_itself():
    world = find_world("debate").make({"rounds": 2})
    first, second = world.prompts(CLAIM, debated(world, CLAIM, "good", "bad"))
    for ask, own, heard in ((first, "good", "second: bad"), (second, "bad", "first: good")):
        assert ask.earlier[-1] == ("assistant", own)
        assert ask.user == heard
    assert world.longest == 5
    done = debated(world, CLAIM, "good", "bad", "bad", "bad", "bad")
    (judge,) = world.prompts(CLAIM, done[:4])
    assert "food is bad and its rooms are bad?" in judge.user
    assert [one.to for one in done] == ["second", "first", "judge", "judge", ""]
    assert world.prompts(CLAIM, done) == ()


def test_half_of_the_hotels_are_good_and_of_the_rest_one_part_is_bad():
    world = find_world("debate").make()
    wrong = Counter(map(blamed, world.tasks(np.random.default_rng(0), 3000)))
    assert wrong[False, False] == pytest.approx(1500, abs=110)  # 4 sd = 4 sqrt(3000 / 4)
    for one in ((True, False), (False, True)):
        assert wrong[one] == pytest.approx(750, abs=95)  # 4 sd = 4 sqrt(3000 * 1/4 * 3/4)
    assert len(wrong) == 3


def test_no_word_of_a_held_out_review_is_in_one_of_training():
    world = find_world("debate").make()
    words = [[{claim[i] for claim in part} for part in (world.split.training, world.split.held_out)]
             for i in (1, 2)]  # fmt: skip
    for (training, held_out), agent in zip(words, DEBATERS, strict=True):
        assert not training & held_out
        assert training | held_out == {*PRAISE[agent], *BLAME[agent]}
        assert len(held_out & {*PRAISE[agent]}) == len(held_out & {*BLAME[agent]}) == 2
    assert not set.union(*words[0]) & set.union(*words[1])


def test_a_team_that_reports_what_it_knows_has_solved_the_debate():
    def honest(ask):
        if ask.agent == "judge":
            return "bad" if "food is bad" in ask.user or "are bad?" in ask.user else "good"
        word = ask.user.splitlines()[0].removesuffix(".").split()[-1]
        return "bad" if word in BLAME[ask.agent] else "good"

    world = find_world("debate").make()
    assert played_by(world, honest, 200).min() == world.references.reference == 1.0
    # If the second debater praises everything, hotels whose rooms are bad are judged wrongly:
    # a quarter.
    deaf = played_by(world, lambda ask: honest(ask) if ask.agent != "second" else "good", 2000)
    assert deaf.mean() == pytest.approx(3 / 4, abs=0.039)  # 4 sd = 4 sqrt(3/16 / 2000)


# revise

NEEDS = ("apple", "river")


def test_the_solver_sees_its_list_as_its_own_turn_and_the_feedback_as_the_users():
    world = find_world("revise").make()
    (draft,) = world.prompts(NEEDS, ())
    assert (draft.agent, draft.user) == ("solver", "Write a list with apple.")
    assert draft.earlier == EXAMPLES["solver"]
    said = said_in(world, NEEDS, "apple\nbread")
    (check,) = world.prompts(NEEDS, said)
    assert check.agent == "verifier"
    assert check.user == (
        "The list needs apple and river. Say what is missing.\nsolver: apple\nbread"
    )
    said = said_in(world, NEEDS, "apple\nbread", "river, no bread")
    (again,) = world.prompts(NEEDS, said)
    assert again.earlier[:4] == EXAMPLES["solver"]
    assert again.messages[5:] == (
        ("user", "Write a list with apple."),
        ("assistant", "apple\nbread"),
        ("user", "verifier: river, no bread\nWrite the whole list again."),
    )
    done = said_in(world, NEEDS, "apple\nbread", "river, no bread", "- apple\n- river\n- it")
    assert [one.to for one in done] == ["verifier", "solver", ""]
    ending = world.ending(NEEDS, done)
    assert ending.success == 1.0
    assert np.array(ending.rewards) == pytest.approx(np.full((3, 1), 0.98))
    assert world.prompts(NEEDS, done) == ()


def test_only_the_last_list_counts():
    world = find_world("revise").make()
    done = said_in(world, NEEDS, "apple river", "apple river", "apple")
    assert world.ending(NEEDS, done).success == 0.5


def test_a_team_that_passes_on_what_is_missing_has_solved_it():
    def answer(ask):
        if ask.agent == "verifier":
            shown = (*ask.earlier, ("user", ask.user))[2:]  # behind the example
            return shown[0][1].split("needs ")[1].split(".")[0]
        return ask.user.removeprefix("verifier: ").split("\n")[0]

    world = find_world("revise").make({"things": 3, "rounds": 2})
    assert played_by(world, answer).min() == world.references.reference == 1.0
    alone = played_by(world, lambda ask: ask.shown.split("list with ")[-1].split(".")[0])
    assert alone.max() < 1.0
