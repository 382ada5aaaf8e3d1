"""Advice never goes in a circle, never changes nothing and is never as dead: laws and cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planted import (
    EXAMPLES,
    by_agent,
    by_prompt,
    causes,
    cube,
    judged,
    log,
    made,
    numbers,
    sometimes,
)

from counterpoint.credit import Scheme, advantages, catalogue, entries
from counterpoint.diagnose.diagnosis import FIXABLE
from counterpoint.records import Decisions
from counterpoint.worlds import find_world

SCHEMES = tuple(name for name, entry in entries().items() if not entry.needs)


def any_log(seed):
    """Teams in which nearly everything may be wrong, several things at a time."""
    rng = np.random.default_rng(seed)
    steps, prompts, group, agents = (
        int(rng.integers(*b)) for b in ((3, 9), (1, 7), (2, 9), (1, 4))
    )
    step, prompt, rollout, agent = cube(steps, prompts, group, agents)
    team = rng.normal(size=(steps, prompts, group))
    if rng.random() < 0.4:
        team = (team > rng.choice([0.0, 1.0, 1.8])) * 1.0
    team = team + rng.choice([0, 0, 3.0]) * rng.normal(size=(1, prompts, 1))
    team = team * np.exp(rng.choice([0, 0, 2.0]) * rng.normal(size=(1, prompts, 1)))
    rewards = team[step, prompt, rollout]
    if rng.random() < 0.5:
        own = rng.normal(size=len(step)) > rng.choice([-1.0, 1.5])
        rewards = np.where(agent == 0, own, rng.choice([1, 10]) * rewards)
    rewards = rewards + rng.choice([0, 0, 9.0]) * (agent == 0)
    keep = (agent > 0) | (rng.random(len(step)) < rng.choice([0.3, 1.0]))
    columns = rewards[:, None]
    if rng.random() < 0.3:
        columns = np.c_[rewards, rng.choice([0.1, 1.0]) * rng.normal(size=len(step))]
    keep[-1] = True  # a log has a row
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent, "role": agent}
    return made(columns[keep], {n: c[keep] for n, c in labels.items()}, step[keep])


def assert_better(after, before):
    """The recommended scheme, judged on the log itself: no agent is more dead, and more is kept on
    average, of one agent half as much again. Of an agent that loses enough remains, and the reader
    is told."""
    kept, had = (np.nan_to_num(numbers(d, "signal_kept")) for d in (after, before))
    assert (numbers(after, "dead_rate") <= numbers(before, "dead_rate") + 1e-9).all()
    assert kept.mean() > had.mean()
    assert ((kept >= 1.5 * had) & (kept > had)).any()
    assert (kept >= np.minimum(0.3, had / 1.5)).all()
    assert (" falls from " in before.why) == (kept < np.exp(-0.1) * had).any()
    ill = np.isin(causes(before), FIXABLE)
    assert (kept >= had)[ill].all()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SCHEMES))
@example(74, "agent_mean")  # one agent keeps 1 instead of nothing, the other .37 instead of 1
def test_advice_is_better_on_the_same_log_and_never_goes_in_a_circle(seed, scheme):
    decisions, seen = any_log(seed), [scheme]
    diagnosis = judged(decisions, scheme)
    while diagnosis.recommended is not None:
        after = judged(decisions, diagnosis.recommended)
        assert after.recommended not in seen
        assert_better(after, diagnosis)
        kept, dead = diagnosis.recommendation.signal_kept, diagnosis.recommendation.dead_rate
        assert numbers(after, "signal_kept") == pytest.approx(by_agent(kept), nan_ok=True)
        assert numbers(after, "dead_rate") == pytest.approx(by_agent(dead))
        seen.append(diagnosis.recommended)
        diagnosis = after


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_kept_is_a_share_of_the_best_grouping(seed):
    diagnosis = judged(any_log(seed), "mappo_pooled")
    if not diagnosis.groupings:
        return
    kept = np.stack([by_agent(g.signal_kept) for g in diagnosis.groupings.values()])
    known = np.isfinite(kept).all(axis=0)
    assert (np.isfinite(kept).any(axis=0) == known).all()
    assert kept[:, known].max(axis=0) == pytest.approx(np.ones(known.sum()))
    assert (kept[:, known] >= 0).all()
    pooled = by_agent(diagnosis.groupings["pooled"].signal_kept)
    assert numbers(diagnosis, "signal_kept") == pytest.approx(pooled, nan_ok=True)


def dead_shared():
    """One reward for both: 29 successes of 1,440, in groups of 6."""
    step, prompt, rollout, agent = cube(30, 8, 6, 2)
    won = np.random.default_rng(0).choice(1440, 29, replace=False)
    rewards = np.isin((step * 8 + prompt) * 6 + rollout, won)
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.array(["x", "y"])[agent]}
    return made(rewards, labels, step)


@pytest.mark.parametrize("scheme", ["agent_wise", "grpo"])
def test_dead_groups_of_one_shared_reward_get_no_scheme_that_is_the_same_numbers(scheme):
    diagnosis = judged(dead_shared(), scheme)
    assert causes(diagnosis) == ["DEAD", "DEAD"]
    assert (diagnosis.decoupling.verdict, diagnosis.recommended) == ("no-op", None)


def own_and_rare(seed=0, contexts=1):
    """Each agent its own reward: a succeeds once in 25, its partner pays loudly."""
    rng = np.random.default_rng(seed)
    step, prompt, rollout, agent = cube(30, 8, 4, 2)
    rare = rng.random(len(step)) < 0.04
    rewards = np.where(agent == 0, rare, 3 * rng.normal(size=len(step)))
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.array(["a", "b"])[agent]}
    return made(rewards, labels, step)


@pytest.mark.parametrize("scheme", ["agent_wise", "grpo"])
def test_an_agent_that_is_dead_in_its_own_reward_is_not_pooled_with_its_partner(scheme):
    diagnosis = judged(own_and_rare(), scheme)
    assert causes(diagnosis)[0] == "DEAD"
    assert diagnosis.agents["a"].dead_rate > 0.8
    assert diagnosis.recommended == "mappo_per_agent"
    assert diagnosis.recommendation.dead_rate["a"] < 0.5
    before = diagnosis.agents["b"].signal_kept
    assert f"The signal of b falls from {before:.2f} to 0.32." in diagnosis.why
    # What the partner's reward gives it is no signal of its own: as dead under grpo.
    grpo = judged(own_and_rare(), "grpo")
    apart = judged(own_and_rare(), "agent_wise")
    assert grpo.agents["a"].dead_rate == apart.agents["a"].dead_rate


def test_the_scheme_that_chooses_says_where_a_fixed_one_is_as_good():
    rare = judged(own_and_rare(), "adaptive")
    assert rare.recommended is None
    assert "No scheme with one choice of statistics keeps as much of every agent" in rare.why
    alike = judged(from_regions("by_region", scale=1.0), "adaptive")
    assert alike.recommended is None
    assert "mappo_per_agent is simpler and at least as good here" in alike.why


def learns(scheme, seed):
    """Accuracy of two bandits of 16 actions after 150 updates, each with a reward of its own."""
    rng, contexts, actions = np.random.default_rng(seed), 8, 16
    logits, targets = np.zeros((2, contexts, actions)), rng.integers(actions, size=(2, contexts))
    prompt = np.repeat(np.arange(8), 4)
    labels = {"prompt": np.repeat(prompt, 2), "rollout": np.repeat(np.arange(32), 2),
              "agent": np.tile(["a", "b"], 32)}  # fmt: skip
    row = np.arange(32)
    for _ in range(150):
        context = rng.integers(contexts, size=8)[prompt]
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        chance = rng.random((32, 2, 1))
        action = (p[:, context].cumsum(-1).transpose(1, 0, 2) < chance).sum(-1).clip(0, actions - 1)
        right = action == targets[:, context].T
        rewards = np.stack([right[:, 0], 3 * right[:, 1] + rng.normal(size=32)], axis=1)
        a = advantages(rewards.ravel(), labels, catalogue()[scheme]).values.reshape(32, 2)
        for k in (0, 1):
            step = -p[k, context] * a[:, [k]]
            step[row, action[:, k]] += a[:, k]
            np.add.at(logits[k], context, 0.5 * step / 32)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return np.take_along_axis(p, targets[..., None], axis=-1).mean(axis=(1, 2))


def test_that_advice_followed_in_a_training_is_better_for_both():
    grpo, own = (
        np.mean([learns(s, seed) for seed in range(3)], axis=0) for s in ("grpo", "mappo_per_agent")
    )
    assert own[0] > grpo[0] + 0.3
    assert own[1] > grpo[1]


def test_planner_and_worker_are_told_of_the_constant_reward_and_sent_in_no_circle():
    step, rollout, agent = cube(12, 4, 2)
    drop = ((step % 4 == 0) & (rollout == 3)) * -0.01
    rewards = np.float32(np.where(agent == 0, 0.16 + drop, 0.0))
    labels = {
        "prompt": np.array(["sort a list", "find a bug"])[step % 2],
        "rollout": rollout,
        "agent": np.array(["planner", "worker"])[agent],
    }
    decisions = made(rewards, labels, step)
    for scheme in ("agent_wise", "grpo"):
        diagnosis = judged(decisions, scheme)
        assert [(f.code, f.agent) for f in diagnosis.log_faults] == [("agent_constant", "worker")]
        assert diagnosis.recommended is None
        assert causes(diagnosis) == ["", "DEAD"]
    pooled = judged(decisions, "mappo_pooled")
    assert causes(pooled) == ["OFFSET", "DEAD"]
    assert pooled.recommended == "mappo_per_agent"
    assert judged(decisions, "mappo_per_agent").recommended is None


def from_regions(participation, drawn="per_prompt", updates=30, scale=10.0):
    """The log of a team in the regions world that chooses uniformly."""
    world = find_world("regions").make(
        {"participation": participation, "drawn": drawn, "scale": scale}
    )
    rng, rows = np.random.default_rng(0), []
    tasks = {name: np.asarray(value)[None] for name, value in world.tasks(rng).items()}
    for update in range(updates):
        chance = {n: np.asarray(v)[None] for n, v in world.draw(rng, update).items()}
        play = world.play(tasks, chance, world.uniform(1))
        for p, g, a in np.argwhere(np.asarray(play.active)[0] > 0):
            rows.append((update, p, g, world.agents[a], play.reward[0, p, g, a]))
    step, prompt, rollout, agent, rewards = (np.array(c) for c in zip(*rows, strict=True))
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    return made(rewards.astype(float), labels, step.astype(int))


def test_all_groupings_are_looked_at_where_decoupling_changes_nothing():
    """Everybody present: pooled ends at .45, grpo at .95: loud prompts drown quiet ones."""
    diagnosis = judged(from_regions("everyone"), "mappo_pooled")
    assert diagnosis.decoupling.verdict == "no-op"
    assert diagnosis.best_grouping == "by prompt"
    assert diagnosis.recommended == "grpo"
    assert (numbers(diagnosis, "signal_kept") < 0.75).all()
    assert (by_agent(diagnosis.recommendation.signal_kept) > 0.95).all()
    calm = judged(from_regions("everyone", scale=0.1), "mappo_pooled")
    assert calm.recommended is None
    assert (numbers(calm, "signal_kept") > 0.85).all()


def test_quiet_agents_that_never_meet_the_loud_ones():
    diagnosis = judged(from_regions("by_region"), "mappo_pooled")
    assert causes(diagnosis) == ["DROWNED", "DROWNED", "", ""]
    assert (numbers(diagnosis, "signal_kept")[:2] < 0.02).all()
    assert (numbers(diagnosis, "signal_kept")[2:] > 0.9).all()
    assert diagnosis.recommended == "mappo_per_agent"
    assert (by_agent(diagnosis.recommendation.signal_kept) > 0.9).all()
    assert diagnosis.best_grouping == "by agent"


def test_rows_with_own_rewards_under_grpo_are_said_to_be_averaged():
    step, prompt, rollout, agent = cube(20, 4, 8, 2)
    rewards = np.random.default_rng(0).normal(size=len(step))
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    diagnosis = judged(made(rewards, labels, step), "grpo")
    assert "averages a rollout over its agents first" in diagnosis.why
    assert "grpo_rows" in diagnosis.why
    kept = numbers(diagnosis, "signal_kept")
    assert kept == pytest.approx([0.5, 0.5], abs=0.1)  # half of it is the partner's
    assert "averages" not in judged(log(0), "grpo").why


def with_actions():
    """A worker whose choice decides, and a sleeper that always passes."""
    rng = np.random.default_rng(0)
    step, prompt, rollout, agent = cube(40, 6, 8, 2)
    choice = rng.integers(0, 4, 1920).repeat(2)
    action = np.where(agent == 0, choice.astype(str), "pass")
    labels = {"prompt": prompt, "rollout": rollout, "agent": np.array(["worker", "sleeper"])[agent]}
    return made(choice == 2, labels, step, action)


def of_many(contributors, noise=0.05):
    """A reward that is the mean of so many agents' choices."""
    rng = np.random.default_rng(1)
    choices = rng.integers(0, 2, (960, contributors))
    value = choices.mean(axis=1) + noise * rng.normal(size=960)
    step, rollout, agent = cube(20, 48, contributors)
    labels = {"prompt": 0 * step, "rollout": rollout, "agent": agent}
    return made(value.repeat(contributors), labels, step, choices.ravel())


def test_an_agent_that_always_does_the_same_is_lazy():
    diagnosis = judged(with_actions(), "grpo")
    assert causes(diagnosis) == ["", "LAZY"]
    assert diagnosis.recommended is None
    sleeper = diagnosis.agents["sleeper"]
    assert sleeper.entropy == 0
    assert "entropy of 0.000 nats" in sleeper.evidence
    log_without = with_actions()
    without = made(log_without.rewards, log_without.labels, log_without.step)
    assert causes(judged(without, "grpo")) == ["", ""]


def test_a_team_that_has_learned_is_not_lazy():
    decisions = with_actions()
    done = made(
        np.where(np.arange(len(decisions)) // 2 % 40 > 0, 1.0, 0.0), decisions.labels,
        decisions.step, np.where(decisions.labels["agent"] == "worker", "right", "pass"),
    )  # fmt: skip
    assert "LAZY" not in causes(judged(done, "mappo_pooled"))


@pytest.mark.parametrize(("contributors", "cause"), [(16, "DILUTED"), (4, ""), (2, "")])
def test_one_of_sixteen_is_diluted_and_one_of_four_is_not(contributors, cause):
    diagnosis = judged(of_many(contributors), "mappo_pooled")
    assert set(causes(diagnosis)) == {cause}
    assert diagnosis.recommended is None


def test_a_reward_that_is_mostly_noise_dilutes_as_many_hands_do():
    assert set(causes(judged(of_many(4, noise=2.0), "mappo_pooled"))) == {"DILUTED"}
    assert set(causes(judged(of_many(4, noise=0.1), "mappo_pooled"))) == {""}


def test_one_decision_in_each_prompt_says_nothing_of_entropy():
    decisions = with_actions()
    labels = {**decisions.labels, "prompt": np.arange(len(decisions)) // 2}
    alone = made(decisions.rewards, labels, decisions.step, decisions.action)
    assert causes(judged(alone, "mappo_pooled")) == ["", ""]


@pytest.mark.parametrize("scheme", ["mappo_pooled", "mappo_per_agent", "group_reward_decoupled"])
@pytest.mark.parametrize("success", [0.005, 0.02, 0.1])
def test_rare_successes_are_no_spikes(scheme, success):
    rng = np.random.default_rng(0)
    step, rollout, agent = cube(40, 64, 2)
    won = (rng.random((40, 64)) < success)[step, rollout]
    diagnosis = judged(made(won, {"rollout": rollout, "agent": agent}, step), scheme)
    assert "SPIKY" not in causes(diagnosis)
    assert (numbers(diagnosis, "spike_rate") == 0).all()


def test_components_of_a_weight_of_zero_are_only_logged():
    decisions = log(0)
    odd = np.full(len(decisions), np.nan)
    both = Decisions(np.c_[decisions.rewards, odd], ("x", "y"), decisions.labels, decisions.step)
    diagnosis = judged(both, Scheme(weights=(1.0, 0.0)))
    plain = judged(decisions, Scheme())
    assert numbers(diagnosis, "dead_rate").tolist() == numbers(plain, "dead_rate").tolist()
    assert numbers(diagnosis, "signal_kept") == pytest.approx(numbers(plain, "signal_kept"))


HEALTHY = {
    "one reward": {},
    "absent now and then": {"acts": sometimes},
    "absent from prompts": {"acts": by_prompt},
    "half succeed": {"reward": lambda r, a, s, b: (r.random(len(s)) < 0.5) * 1.0},
    "one in eight succeeds": {"reward": lambda r, a, s, b: (r.random(len(s)) < 0.125) * 1.0},
    "heavy tails": {"reward": lambda r, a, s, b: r.standard_t(3, len(s))},
    "easy and hard prompts": {"reward": lambda r, a, s, b: r.normal(size=len(s)) + 0.7 * (b % 4)},
    "a curriculum": {"reward": lambda r, a, s, b: r.normal(size=len(s)) + 2.0 * (s > 9)},
}


@pytest.mark.parametrize("scheme", ["mappo_pooled", "mappo_per_agent", "grpo", "agent_wise"])
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_logs_are_left_alone(name, scheme):
    diagnosis = judged(log(3, **HEALTHY[name]), scheme)
    assert set(causes(diagnosis)) == {""}
    assert (diagnosis.recommended, diagnosis.log_faults) == (None, [])
