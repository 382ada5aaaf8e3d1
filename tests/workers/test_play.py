"""The runtime: who hears what, and when; guards; budgets; members that fail."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from counterpoint.errors import SettingError
from counterpoint.topology import make_topology
from counterpoint.topology.play import Guards, MemberAnswers, TalkBudget, play, team_answers

ITEMS = ("x", "y")


@dataclass
class Parrot:
    """Says its name, and what it has heard; answers with the number of things it heard."""

    name: str
    heard: list = field(default_factory=list)

    def speak(self, items, seen, rng):
        told = [m.content[0] for m in seen.received]
        self.heard.append(told)
        return np.array([f"{self.name}{seen.round}"] * len(items), dtype=object)

    def answer(self, items, seen, rng):
        return np.full(len(items), len(seen.received)), np.zeros(len(items))


class Breaks(Parrot):
    def speak(self, items, seen, rng):
        raise RuntimeError("out of order")


class Quiet(Parrot):
    def speak(self, items, seen, rng):
        return np.array(["woken" if seen.nudged else "", "said"], dtype=object)


def team(count):
    return [Parrot("abcdef"[i]) for i in range(count)]


def run(told, members, **more):
    return play(make_topology(told, len(members)), ITEMS, 2, members,
                np.random.default_rng(0), **more)  # fmt: skip


def test_one_after_the_other_hears_the_one_before():
    members = team(3)
    played = run("chain", members)
    assert [m.heard for m in members] == [[[]], [["a0"]], [["b0"]]]
    assert played.answers.tolist() == [1, 1]  # the last has heard one thing
    assert played.calls == 2 * (3 + 1)


def test_those_who_speak_at_once_hear_each_other_in_the_next_round():
    members = team(3)
    run("complete:rounds=2", members)
    assert members[0].heard == [[], ["b0", "c0"]]


def test_fresh_context_forgets_what_was_heard_before_it_spoke_last():
    members = team(2)
    run("complete:rounds=3", members, guards=Guards(fresh_context=True))
    assert members[0].heard == [[], ["b0"], ["b1"]]


def test_drafts_are_written_before_anybody_is_heard():
    members = team(3)
    played = run("chain", members, guards=Guards(isolated_drafts=True))
    assert [m.heard[0] for m in members] == [[], [], []]
    assert members[1].heard[1] == ["a-1", "a0"]
    assert [turn.round for turn in played.turns] == [-1, -1, -1, 0, 0, 0]


def test_rounds_are_capped():
    assert len(run("debate", team(2), guards=Guards(most_rounds=1)).turns) == 2
    with pytest.raises(SettingError, match="at least 1"):
        Guards(most_rounds=0)


def test_a_judge_outside_hears_all_and_decides():
    played = run("independent", team(3), guards=Guards(outside_judge=True))
    assert played.answers.tolist() == [3, 3]
    assert [vote.member for vote in played.votes] == [3]


def test_only_the_last_speaker_dissents():
    seats = []

    class Notes(Parrot):
        def speak(self, items, seen, rng):
            seats.append((seen.member, seen.dissents))
            return super().speak(items, seen, rng)

    run("complete", [Notes("a"), Notes("b")], guards=Guards(dissenter=True))
    assert seats == [(0, False), (1, True)]


def test_a_member_that_says_nothing_is_asked_once_more():
    members = [Quiet("q"), Parrot("p")]
    assert run("chain", members).turns[0].content.tolist() == ["", "said"]
    played = run("chain", members, guards=Guards(heartbeat=True))
    assert played.turns[0].content.tolist() == ["woken", "said"]
    assert played.turns[0].nudged == 1


def test_a_member_that_fails_is_written_down_and_its_siblings_go_on():
    members = [Parrot("a"), Breaks("b"), Parrot("c")]
    played = run("chain", members)
    assert played.failures == ("member 1, round 0: out of order",)
    assert played.turns[1].content is None
    assert members[2].heard == [[]]
    assert played.answered.tolist() == [True, True]


def test_nobody_answers_where_all_fail():
    class Mute(Breaks):
        def answer(self, items, seen, rng):
            raise RuntimeError("no answer")

    played = run("independent", [Mute("a"), Mute("b")])
    assert played.answered.tolist() == [False, False]
    assert len(played.failures) == 4


@pytest.mark.parametrize(
    ("budget", "spoken"), [({"calls": 0}, 0), ({"calls": 3}, 2), ({"seconds": 0}, 0)]
)
def test_a_budget_ends_talk_and_not_the_answer(budget, spoken):
    played = run("blackboard", team(4), budget=TalkBudget(**budget))
    assert len(played.turns) == spoken
    assert played.stopped in budget
    assert played.answered.all()


def test_wrong_shapes_and_sizes_are_told():
    class Short(Parrot):
        def speak(self, items, seen, rng):
            return np.array(["one"])

    assert "shape (1,) for 2" in run("independent", [Short("s")]).failures[0]
    with pytest.raises(SettingError, match="1 members for 3 seats"):
        play(make_topology("chain", 3), ITEMS, 2, team(1), np.random.default_rng(0))
    with pytest.raises(SettingError, match="budget"):
        TalkBudget(calls=-1)


def votes(*rows, sure=None):
    certain = np.zeros((len(rows), 1)) if sure is None else np.array(sure, dtype=float)[:, None]
    return [
        MemberAnswers(i, np.array([row]), one)
        for i, (row, one) in enumerate(zip(rows, certain, strict=True))
    ]


def test_the_majority_decides_and_among_equals_the_surest():
    rng = np.random.default_rng(0)
    assert team_answers(votes("a", "b", "b"), "vote", 1, rng)[0] == ["b"]
    assert team_answers(votes("a", "b", sure=[2, 1]), "vote", 1, rng)[0] == ["a"]
    assert team_answers(votes("a", "b", "b", sure=[9, 1, 1]), "best", 1, rng)[0] == ["a"]


def test_no_answer_is_no_vote():
    rng = np.random.default_rng(0)
    given = votes("a", "b", "b", sure=[0, -np.inf, -np.inf])
    answers, answered = team_answers(given, "vote", 1, rng)
    assert (answers[0], answered[0]) == ("a", True)
    assert not team_answers(votes("a", sure=[-np.inf]), "vote", 1, rng)[1][0]


def test_lots_are_fair():
    rng = np.random.default_rng(0)
    taken = [team_answers(votes("a", "b"), "vote", 1, rng)[0][0] == "a" for _ in range(2000)]
    assert 0.46 < np.mean(taken) < 0.54
