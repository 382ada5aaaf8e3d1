"""Advantages that are nothing but the offset of a prompt: dead under every scheme, by hand."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from planted import EXAMPLES, by_agent, causes, numbers

from counterpoint.credit import catalogue
from counterpoint.diagnose import diagnose
from counterpoint.diagnose.recommend import changed
from counterpoint.records import Decisions

POOLED = (
    "mappo_pooled", "mappo_per_agent", "reinforce_plus_plus", "agent_mean",
    "group_reward_decoupled", "center",
)  # fmt: skip


def judged(decisions, scheme):
    return diagnose(decisions, scheme, rng=np.random.default_rng(0))


def shared(success, offset, seed=0, steps=10, prompts=4, group=6, agents=3):
    """All agents share the 0/1 reward of a rollout, plus an offset times the prompt's number."""
    step, prompt, rollout, agent = (a.ravel() for a in np.indices((steps, prompts, group, agents)))
    won = np.random.default_rng(seed).random((steps, prompts, group)) < success
    rewards = won[step, prompt, rollout] + offset * prompt
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    return Decisions(rewards[:, None].astype(float), ("reward",), labels, step), flat(won)


def flat(won):
    """Share of the decisions in groups of equal rewards."""
    return float((np.ptp(won.astype(int), axis=2) == 0).mean())


@pytest.mark.parametrize("scheme", POOLED)
def test_offsets_of_prompts_hide_one_shared_reward_and_grpo_finds_it(scheme):
    decisions, dead = shared(0.3, 100.0)
    diagnosis = judged(decisions, scheme)
    assert diagnosis.recommended == "grpo"
    assert (numbers(diagnosis, "signal_kept") < 1e-4).all()
    assert by_agent(diagnosis.recommendation.signal_kept) == pytest.approx([1.0] * 3)
    # 6 of 40 groups have equal rewards: they are dead under both, whatever numbers pooling gives.
    assert dead == pytest.approx(0.15)
    assert numbers(diagnosis, "dead_rate") == pytest.approx([dead] * 3)
    assert by_agent(diagnosis.recommendation.dead_rate) == pytest.approx([dead] * 3)
    assert judged(decisions, "grpo").recommended is None


@pytest.mark.parametrize("scheme", POOLED)
def test_without_offsets_the_clean_twin_keeps_its_scheme(scheme):
    decisions, dead = shared(0.3, 0.0)
    diagnosis = judged(decisions, scheme)
    assert diagnosis.recommended is None
    assert (numbers(diagnosis, "signal_kept") > 0.75).all()
    assert numbers(diagnosis, "dead_rate") == pytest.approx([dead] * 3)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.floats(0.03, 0.97), st.integers(2, 6), st.integers(2, 8),
    st.sampled_from(POOLED),
)  # fmt: skip
@example(1, 0.03, 4, 6, "mappo_pooled")  # most groups are dead, so that DEAD is named beside it
@example(1, 0.97, 4, 6, "mappo_pooled")  # the same for a team that has learned
def test_whatever_the_success_rate_advice_brings_the_signal_back(
    seed, success, prompts, group, scheme
):
    decisions, dead = shared(success, 100.0, seed, steps=30, prompts=prompts, group=group)
    assume(dead < 1.0)
    diagnosis = judged(decisions, scheme)
    assert numbers(diagnosis, "dead_rate") == pytest.approx([dead] * 3)
    if 30 * prompts * group < 64:  # fewer rollouts are too few for advice without a cause
        return
    assert diagnosis.recommended is not None
    assert (by_agent(diagnosis.recommendation.signal_kept) >= 0.99).all()
    dead_then = by_agent(diagnosis.recommendation.dead_rate)
    assert dead_then == pytest.approx(numbers(diagnosis, "dead_rate"))
    assert judged(decisions, diagnosis.recommended).recommended is None


def test_dead_groups_are_named_under_pooled_statistics_too():
    """Nine of ten groups fail together: no scheme changes that, and pooling must not hide it."""
    decisions, dead = shared(0.02, 100.0, steps=60)
    assert dead > 0.8
    for scheme in ("mappo_pooled", "grpo"):
        diagnosis = judged(decisions, scheme)
        assert set(causes(diagnosis)) == {"DEAD"}
        assert numbers(diagnosis, "stuck_rate") == pytest.approx([dead] * 3)
    solved, dead = shared(0.98, 0.0, steps=60)  # the twin: nothing is left to learn
    assert dead > 0.8
    for scheme in ("mappo_pooled", "grpo"):
        assert set(causes(judged(solved, scheme))) == {""}


def test_own_rewards_of_one_task_in_many_prompts_are_not_dead_where_they_are_pooled():
    """Each agent succeeds once in 25, for itself, and prompts do not differ: unlucky draws."""
    step, prompt, rollout, agent = (a.ravel() for a in np.indices((30, 8, 4, 2)))
    rng = np.random.default_rng(0)
    rare = (rng.random(len(step)) < 0.04).astype(float)
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    decisions = Decisions(rare[:, None], ("reward",), labels, step)
    apart = Decisions((rare + 100.0 * prompt)[:, None], ("reward",), labels, step)
    one_task, many = (
        numbers(judged(d, "mappo_per_agent"), "dead_rate") for d in (decisions, apart)
    )
    assert (one_task < 0.3).all()
    assert (many > 0.8).all()


def test_a_no_op_beside_advice_says_what_changes_nothing_and_what_does():
    decisions, _ = shared(0.3, 100.0)
    diagnosis = judged(decisions, "mappo_pooled")
    assert diagnosis.decoupling.verdict == "no-op"
    assert diagnosis.why.startswith(
        "Splitting statistics by agent alone changes nothing here; splitting by prompt does."
    )
    assert "Use grpo: it keeps 1.00" in diagnosis.why
    assert diagnosis.recommendation.change == "splitting by prompt"
    clean, _ = shared(0.3, 0.0)
    assert judged(clean, "mappo_pooled").why.startswith("Decoupling is a no-op: ")


@pytest.mark.parametrize(
    ("now", "new", "change"),
    [
        ("mappo_pooled", "grpo", "splitting by prompt"),
        ("mappo_pooled", "agent_wise", "splitting by prompt and agent"),
        ("mappo_pooled", "mappo_per_agent", "splitting by agent"),
        ("grpo", "mappo_per_agent", "pooling prompts by agent"),
        ("grpo", "mappo_pooled", "pooling prompts"),
        ("agent_wise", "grpo_rows", "pooling agents"),
        ("group_reward_decoupled", "grpo", "normalizing each batch"),
        ("none", "agent_wise", "normalizing by prompt and agent"),
        ("none", "mappo_pooled", "normalizing"),
        ("grpo", "gdpo", "normalizing components"),
        ("grpo_rows", "grpo", "weighting by trajectory"),
        ("dr_grpo", "grpo", "another normalization"),
    ],
)
def test_what_a_scheme_does_differently_in_words(now, new, change):
    known = catalogue()
    assert changed(known[now], known[new]) == change
