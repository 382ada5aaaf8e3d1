"""Groups in, verdicts out: orders, reliability, canaries, rewards, and what is asked again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from judge_attacks import ATTACKS, Gullible, Sound
from judge_groups import drawn, group, run

from counterpoint.errors import JudgeError, SettingError
from counterpoint.judge import (
    Opinion,
    Programmatic,
    ProgrammaticSettings,
    RankSettings,
    rank_groups,
)
from counterpoint.judge.judges import written
from counterpoint.judge.programmatic import noise_for
from counterpoint.judge.rank import rank_all, ranked_group
from counterpoint.judge.verdict import rank_rewards, score_rewards
from counterpoint.speakers.cache import Replies, _seal

MODES = ("listwise", "pairwise", "swiss", "adaptive", "pointwise")


def one(judge, wanted, **settings):
    (found,) = rank_groups([wanted], judge, RankSettings(**settings))
    return found


class Counting(Sound):
    """A sound judge that remembers what it was shown."""

    def __init__(self):
        self.sheets = []

    def judge(self, sheets):
        self.sheets += sheets
        return super().judge(sheets)


class LikesTheFirst:
    """Always ranks in the order of the sheet."""

    facts = {"judge": "likes the first"}  # noqa: RUF012
    at_once = 64

    def judge(self, sheets):
        return [Opinion(written(s, list(range(len(s.shown), 0, -1)))) for s in sheets]


class Says:
    """Says the given replies, one after the other, whatever it is asked."""

    facts = {"judge": "says"}  # noqa: RUF012
    at_once = 64

    def __init__(self, *replies):
        self.replies = list(replies)

    def judge(self, sheets):
        return [self.replies.pop(0) if self.replies else Opinion("no") for _ in sheets]


@pytest.mark.parametrize("mode", MODES)
def test_a_sound_judge_is_believed_in_every_mode(mode):
    found = one(Sound(), group(["a", "b", "c", "d"], [0.3, 0.1, 0.4, 0.2]), mode=mode)
    assert not found.void
    assert found.ranking == (("r2",), ("r0",), ("r3",), ("r1",))
    assert found.reliability == 1
    # evenly spaced from 1 to -1
    wanted = {"r2": 1, "r0": 1 / 3, "r3": -1 / 3, "r1": -1}
    assert dict(found.rewards) == pytest.approx(wanted)


def test_ties_share_their_mean():
    found = one(Sound(), group("abc", [1.0, 1.0, 0.0]), canaries="none")
    assert found.ranking == (("r0", "r1"), ("r2",))
    # places 1 and 0 are shared: .5
    assert found.rewards == {"r0": 0.5, "r1": 0.5, "r2": -1}


def test_rewards_by_hand():
    np.testing.assert_allclose(rank_rewards([[1], [0, 2], [3]], 4), [0, 1, 0, -1])
    np.testing.assert_allclose(score_rewards(np.array([1.0, 3.0])), [-1, 1])
    np.testing.assert_allclose(score_rewards(np.array([2.0, 2.0])), 0)


def test_orders_are_opposite_ids_are_new_and_names_are_hidden():
    judge = Counting()
    one(judge, group(["first text", "second text", "third text"]), canaries="none", orders=2)
    first, second = judge.sheets
    assert [s.text for s in first.shown] == [s.text for s in second.shown][::-1]
    assert set(first.labels) != set(second.labels)
    assert first.fence != second.fence
    for sheet in judge.sheets:
        assert not any(f"r{i}" in sheet.prompt for i in range(3))


def test_what_all_begin_with_is_shown_once():
    judge = Counting()
    runs = [run(f"r{i}", "x", i, ("a", "b")) for i in range(3)]
    runs = [
        replace(r, episode=replace(r.episode, events=(
            replace(r.episode.events[0], text="SAME"),
            replace(r.episode.events[1], text=f"end {i}"),
        ))) for i, r in enumerate(runs)
    ]  # fmt: skip
    from counterpoint.judge import Group

    one(judge, Group("g", "t", tuple(runs)), canaries="none")
    assert all(sheet.prompt.count("SAME") == 1 for sheet in judge.sheets)
    assert "[a] SAME" in judge.sheets[0].common


def test_a_taste_for_a_position_is_unreliable_and_void():
    found = one(LikesTheFirst(), group("abcd"), canaries="none")
    assert found.void.startswith("unreliable")
    assert not found.rewards
    assert not found.ranking
    assert found.calls == 10  # asked again, two at a time, up to the most


def test_canaries_betray_who_ranks_by_position():
    verdicts = list(rank_groups(drawn(50, 6), LikesTheFirst()))
    assert all(each.void for each in verdicts)
    assert any(each.void.startswith("compromised") for each in verdicts)


def test_one_run_is_void_and_said_so():
    found = one(Sound(), group("a"))
    assert found.void == "one run alone cannot be ranked"
    assert found.calls == 0


@pytest.mark.fault("R13")
def test_unreadable_replies_are_asked_for_again_and_then_void():
    found = one(Says(), group("ab"), canaries="none", repairs=1)
    assert found.void.startswith("unreadable")
    assert found.repaired > 0
    good = one(Programmatic(ProgrammaticSettings(accuracy=1, broken=0.3)), group("abcd"))
    assert not good.void
    assert good.ranking[0] == ("r3",)


def test_errors_of_the_judge_are_no_verdict():
    found = one(Says(*[Opinion("", None, None, "gone")] * 99), group("ab"), canaries="none")
    assert "gone" in found.void
    assert found.calls == found.lost == 2  # nobody is asked again who does not answer
    assert found.tokens is None
    assert found.cost_dollars is None


def test_reliability_shrinks_rewards_where_that_is_wanted():
    judge = Programmatic(ProgrammaticSettings(accuracy=0.75))
    shrunk = rank_groups(drawn(60, 5), judge, RankSettings(shrink=True))
    verdicts = [v for v in shrunk if not v.void]
    plain = list(rank_groups(drawn(60, 5), judge))
    by_group = {v.group: v for v in plain}
    assert any(0 < v.reliability < 1 for v in verdicts)
    for v in verdicts:
        for name, reward in v.rewards.items():
            assert reward == pytest.approx(v.reliability * by_group[v.group].rewards[name])


def test_a_better_judge_is_more_reliable_and_nearer_the_truth():
    means = []
    for accuracy in (0.6, 0.8, 0.95):
        judge = Programmatic(ProgrammaticSettings(accuracy=accuracy))
        found = list(rank_groups(drawn(80, 5), judge, RankSettings(canaries="none")))
        means.append(np.mean([v.reliability for v in found]))
    assert means == sorted(means)
    assert means[2] - means[0] > 0.3


def test_noise_gives_the_accuracy_that_was_asked_for():
    truths, rng = (0.1, 0.5, 0.6, 0.9), np.random.default_rng(0)
    for accuracy in (0.6, 0.75, 0.9):
        seen = np.array(truths) + noise_for(truths, accuracy) * rng.standard_normal((20_000, 4))
        right = [np.mean(seen[:, i] < seen[:, j]) for i in range(4) for j in range(i + 1, 4)]
        assert np.mean(right) == pytest.approx(accuracy, abs=0.005)


def test_agents_inside_each_run_can_be_ranked():
    runs = tuple(
        replace(r, episode=replace(r.episode, scores={"a": 1.0, "b": 0.0}))
        for r in (run("r0", "x", 0.0, ("a", "b")), run("r1", "y", 1.0, ("a", "b")))
    )
    from counterpoint.judge import Group

    perfect = Programmatic(ProgrammaticSettings(accuracy=1))
    both = one(perfect, Group("g", "t", runs), credit="both")
    assert both.agents == {"r0": {"a": 1, "b": -1}, "r1": {"a": 1, "b": -1}}
    assert both.rewards == {"r0": -1, "r1": 1}
    alone = one(perfect, Group("g", "t", runs), credit="agents")
    assert alone.agents == both.agents
    assert not alone.rewards
    told = msgspec.to_builtins(ranked_group(alone))
    assert "ranking" not in told
    assert "void" not in told


def test_what_is_asked_twice_is_answered_the_same_and_kept(tmp_path):
    store = Replies(tmp_path / "v.sqlite", pytest.fail)
    judge = Counting()
    first = list(rank_groups(drawn(20, 4), judge, store=store))
    asked = len(judge.sheets)
    again = list(rank_groups(drawn(20, 4), judge, store=store))
    assert len(judge.sheets) == asked
    assert again == first
    assert list(rank_groups(drawn(20, 4), Sound())) == first
    list(rank_groups(drawn(20, 4), judge, RankSettings(seed=1), store=store))
    assert len(judge.sheets) > asked


def test_all_groups_and_what_they_cost(tmp_path):
    store = Replies(tmp_path / "v.sqlite", pytest.fail)
    settings, counts = RankSettings(seed=3), []
    wanted = [*drawn(3, 4), group("a", name="alone")]
    first = rank_all(wanted, Counting(), settings, store=store, on_group=counts.append)
    assert counts == [1, 2, 3, 4]
    assert [each.group for each in first.groups] == [each.id for each in wanted]
    assert first.void == 1  # one run alone cannot be ranked
    assert first.calls == first.asked_now == 2 * 3  # two orders of each group
    assert first.settings["seed"] == 3
    again = rank_all(wanted, Counting(), settings, store=store)
    assert again == msgspec.structs.replace(first, asked_now=0)


def test_a_verdict_that_lost_replies_is_not_kept(tmp_path):
    store = Replies(tmp_path / "v.sqlite", pytest.fail)
    wanted = group("ab")
    dead = Says(*[Opinion("", None, None, "gone")] * 99)
    dead.facts = Sound.facts
    (first,) = rank_groups([wanted], dead, store=store)
    assert first.void
    (again,) = rank_groups([wanted], Sound(), store=store)
    assert again.ranking == (("r1",), ("r0",))


@pytest.mark.fault("R46")
@pytest.mark.parametrize("content", ["[]", '["first"]', '{"group": 7}', "3", '["x", "many", null]'])
def test_a_forged_opinion_or_verdict_is_asked_for_again(tmp_path, content):
    path = tmp_path / "v.sqlite"
    wanted = list(rank_groups(drawn(1, 3), Sound(), store=Replies(path, pytest.fail)))
    forged = json.dumps({"text": content, "prompt_tokens": None, "completion_tokens": None})
    with closing(sqlite3.connect(path)) as database, database:
        keys = [key for (key,) in database.execute("SELECT key FROM replies")]
        rows = [(forged, _seal(key, forged), key) for key in keys]
        database.executemany("UPDATE replies SET said = ?, seal = ? WHERE key = ?", rows)
    told = []
    assert list(rank_groups(drawn(1, 3), Sound(), store=Replies(path, told.append))) == wanted
    assert len(told) == 2  # of the verdict, and of the opinions
    assert all("damaged answers" in line for line in told)


def test_groups_side_by_side_do_not_change_each_other():
    judge = Programmatic(ProgrammaticSettings(accuracy=0.7))
    wanted = list(rank_groups(drawn(30, 4), judge))
    for at_once in (1, 2, 7):
        judge.at_once = at_once
        assert list(rank_groups(drawn(30, 4), judge)) == wanted


def test_clean_groups_are_hardly_ever_void_for_a_good_judge():
    judge = Programmatic(ProgrammaticSettings(accuracy=0.9))
    for n in (2, 4, 8):
        void = [v.void for v in rank_groups(drawn(250, n, seed=n), judge)]
        assert sum(map(bool, void)) < 0.02 * 250, n


@pytest.mark.fault("R12", cases=6)
@pytest.mark.parametrize("family", ATTACKS)
def test_attacks_move_nobody_or_make_the_group_void(family):
    assert len(ATTACKS[family]) == 6
    fooled = 0
    for i, attack in enumerate(ATTACKS[family]):
        texts = [f"an honest answer, number {k}" for k in range(4)] + [attack]
        wanted = group(texts, [0.9, 0.7, 0.5, 0.3, 0.1], f"{family} {i}")
        sound = one(Sound(), wanted)
        assert not sound.void
        assert sound.ranking[-1] == ("r4",)
        found = one(Gullible(family), wanted)
        fooled += bool(found.void)
        if not found.void:
            assert found.ranking[-1] == ("r4",)
            assert found.rewards["r4"] == -1
    assert fooled == 6


def test_without_canaries_the_attacks_would_have_worked():
    wanted = group(["honest", "also honest", ATTACKS["instructions"][0]], [0.9, 0.5, 0.1])
    found = one(Gullible("instructions"), wanted, canaries="none")
    assert found.ranking[0] == ("r2",)


@pytest.mark.parametrize("text", ["a\x00b", "a\u200bb", "a\u202eb", "a\x1b[31mb", "a\u2066b"])
def test_what_cannot_be_seen_is_not_shown(text):
    judge = Counting()
    one(judge, group([text, "other"]), canaries="none")
    for sheet in judge.sheets:
        assert all(each.isprintable() or each in "\n\t" for each in sheet.prompt)


def test_long_texts_are_cut_with_a_mark():
    judge = Counting()
    one(judge, group(["start" + "x" * 99_990 + "final", "short"]), longest=1000)
    long = max((s.text for s in judge.sheets[0].shown), key=len)
    assert long.startswith("start")
    assert long.endswith("final")
    assert "[99000 characters cut]" in long
    assert len(long) < 1100


def test_settings_out_of_range_are_refused():
    for wrong in ({"orders": 0}, {"mode": "best"}, {"least": 2.0}, {"calls": 1}, {"repairs": -1}):
        with pytest.raises(SettingError):
            RankSettings(**wrong)
    with pytest.raises(SettingError):
        ProgrammaticSettings(accuracy=0.4)
    with pytest.raises(JudgeError):
        one(Programmatic(), group("ab", [None, None]))


def test_a_verdict_as_json():
    told = msgspec.to_builtins(ranked_group(one(Sound(), group("ab"))))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["ranking"] == [["r1"], ["r0"]]
    assert "void" not in told
    void = msgspec.to_builtins(ranked_group(one(Sound(), group("a"))))
    assert "ranking" not in void
    assert void["void"]
    assert void["rewards"] == {}
