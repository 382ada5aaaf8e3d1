"""A judge's ranking in place of the world's reward."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import CounterpointError, SettingError, UnknownNameError
from counterpoint.train.loop import train_to_end
from counterpoint.train.lora.episodes import JudgedRewards
from counterpoint.train.lora.plan import LanguagePlan
from counterpoint.train.lora.settings import LanguageSettings


def plan(**told):
    language = LanguageSettings(prompts=3, rollouts=8, diagnose_every=0, **told)
    return LanguagePlan("lewis", "grpo", 0, 3, None, {}, language, model="tiny", episodes=16)


@pytest.fixture(scope="module")
def played():
    learner = plan().learner()
    return learner.play(np.random.default_rng(0))


def test_a_perfect_judge_ranks_by_success_and_equal_episodes_alike(played):
    judged = JudgedRewards("programmatic", "accuracy:1,canaries:none", "signal", 0)
    rewards, told = judged.rewards(played, 0)
    prompt = np.zeros(len(played.tasks), dtype=int)
    prompt[played.episode] = played.columns["prompt"]
    by_episode = np.zeros(len(played.tasks))
    by_episode[played.episode] = rewards
    for p in range(3):
        mine, success = by_episode[prompt == p], played.success[prompt == p]
        for a, b in zip(success, mine, strict=True):
            for c, d in zip(success, mine, strict=True):
                assert (a > c) == (b > d)
    assert told["judge.void"] == 0
    assert told["judge.reliability"] == 1


def test_void_groups_carry_no_gradient_and_are_counted(played):
    judged = JudgedRewards("programmatic", "accuracy:.5", "signal", 0)
    rewards, told = judged.rewards(played, 0)
    lost = np.isnan(rewards)
    assert told["judge.void"] > 0
    assert lost.any()
    credit = advantages(rewards[:, None], played.columns, catalogue()["grpo"])
    assert not credit.values[lost].any()
    assert credit.tally.missing == lost.sum()


def test_each_update_has_chance_of_its_own_and_can_be_repeated(played):
    judged = JudgedRewards("programmatic", "accuracy:.7,canaries:none", "signal", 0)
    first, again = judged.rewards(played, 0)[0], judged.rewards(played, 0)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, judged.rewards(played, 1)[0], equal_nan=True)


def test_a_training_is_told_what_its_judge_did():
    done = train_to_end(plan(judge="programmatic", judge_set="accuracy:.9"))
    assert all(0 <= row.metrics["judge.void"] <= 1 for row in done.rows)
    assert sum(row.metrics["judge.calls"] for row in done.rows) > 0
    assert (
        train_to_end(plan(judge="programmatic", judge_set="accuracy:.9")).rows[-1].returned
        == done.rows[-1].returned
    )


@pytest.mark.parametrize(
    ("judge", "told", "error"),
    [
        ("nobody", "", UnknownNameError),
        ("programmatic", "acuracy:1", UnknownNameError),
        ("programmatic", "accuracy:2", SettingError),
        ("programmatic", "accuracy", SettingError),
        ("programmatic", "seed:1", SettingError),
    ],
)
def test_what_cannot_judge_is_refused(judge, told, error):
    with pytest.raises(error) as met:
        plan(judge=judge, judge_set=told).learner()
    assert isinstance(met.value, CounterpointError)
