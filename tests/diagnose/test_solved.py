"""A solved prompt is not dead, whatever it pays: by hand, and as laws with planted twins."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planted import EXAMPLES, causes, judged, made, numbers

from counterpoint.diagnose.agents import at_best
from counterpoint.diagnose.log import Log

SHARED = ("mappo_pooled", "mappo_per_agent", "group_reward_decoupled", "agent_mean", "grpo", "rloo")
OWN = ("mappo_pooled", "mappo_per_agent", "grpo", "grpo_rows", "agent_wise")


def best_of(prompts, agent=0):
    """`at_best` of each prompt's rollouts, given as {prompt: rewards}, for one agent."""
    rewards = np.concatenate([np.array(r, float) for r in prompts.values()])
    labels = {
        "prompt": np.repeat(list(prompts), [len(r) for r in prompts.values()]),
        "rollout": np.concatenate([np.arange(len(r)) for r in prompts.values()]),
        "agent": np.full(len(rewards), agent),
    }
    best = at_best(Log.of(made(rewards, labels)), rewards)
    ends = np.cumsum([len(r) for r in prompts.values()])[:-1]
    return dict(zip(prompts, np.split(best, ends), strict=True))


def flags(text):
    return [letter == "x" for letter in text]


NAN = np.nan


@pytest.mark.parametrize(
    ("prompts", "best"),
    [
        # One pay-off: what is solved and what is hopeless shows by the value alone.
        ({"open": [0, 1, 1], "solved": [1, 1], "hopeless": [0, 0]},
         {"open": ".xx", "solved": "xx", "hopeless": ".."}),
        # Each prompt pays its own: the best of the prompt counts, not that of the log.
        ({"a": [0, 1, 1], "b": [100, 101, 101]}, {"a": ".xx", "b": ".xx"}),
        # Prompts that never vary, of an agent that has learned: solved, also below the log's best.
        ({"a": [0, 1, 1], "flat": [301, 301], "low": [-7, -7]},
         {"a": ".xx", "flat": "xx", "low": "xx"}),
        # Nothing shows that prompts pay differently: what pays less than the best is hopeless.
        ({"a": [0.5, 1, 1, 1], "flat": [1, 1], "low": [0, 0]},
         {"a": ".xxx", "flat": "xx", "low": ".."}),
        # Of one that fails: hopeless; only the log's best is nothing to improve on.
        ({"a": [0, 0, 1], "flat": [301, 301], "low": [-7, -7]},
         {"a": "..x", "flat": "xx", "low": ".."}),
        # As many at the top as below it, as in groups of two: nobody knows, and nothing is excused.
        ({"a": [0, 1], "low": [-7, -7]}, {"a": ".x", "low": ".."}),
        # A reward that prompts improve on is hopeless, although the agent has learned elsewhere.
        ({"a": [1, 2, 2, 2, 2], "b": [0, 1, 2, 2, 2], "flat": [1, 1]},
         {"a": ".xxxx", "b": "..xxx", "flat": ".."}),
        # One rollout cannot vary, so it says nothing.
        ({"a": [0, 1, 1], "once": [0.5]}, {"a": ".xx", "once": "."}),
        # What is missing is no reward, and a reward that is always the same has no best.
        ({"a": [0, NAN, 1, 1], "b": [NAN, 5, 5]}, {"a": "..xx", "b": ".xx"}),
        ({"a": [1, 1], "b": [1, NAN]}, {"a": "..", "b": ".."}),
        # Rounding is no difference, in prompts of different sizes.
        ({"a": [0.1 + 0.2, 0.3, 0.0], "b": [1e9, 1e9 + 500]}, {"a": "xx.", "b": ".x"}),
    ],
)  # fmt: skip
def test_what_is_solved_by_hand(prompts, best):
    for agent in ("x", 7):
        rows = best_of(prompts, agent)
        assert {name: row.tolist() for name, row in rows.items()} == {
            name: flags(text) for name, text in best.items()
        }


def test_without_a_reward_nothing_is_solved():
    assert not best_of({"a": [NAN, NAN]})["a"].any()


def team(success, offset, seed, group, *, own=False, fresh=False):
    """0/1 rewards plus an offset times the prompt's number, and what was won [T, P, G, A]."""
    shape = (30, 4, group, 3)
    step, prompt, rollout, agent = (a.ravel() for a in np.indices(shape))
    won = np.random.default_rng(seed).random(shape) < success
    won = won if own else np.repeat(won[..., :1], 3, axis=3)
    prompt = prompt + 4 * step * fresh
    labels = {"prompt": prompt, "rollout": rollout, "agent": agent}
    return made(won.ravel() + offset * prompt, labels, step), won


def mostly(won, fresh, offset=0.0):
    """[A] share of what is won in the prompts in which an agent's rewards vary; NaN if there are
    none, or none but the one that pays best: then nothing shows that prompts pay differently."""
    by_prompt = won.reshape(-1, *won.shape[2:]) if fresh else won.swapaxes(0, 1).reshape(
        won.shape[1], -1, won.shape[3]
    )  # fmt: skip
    varying = np.ptp(by_prompt.astype(int), axis=1) > 0
    count = varying.sum(axis=0)
    if offset:
        count = count * (varying[1:] if offset < 0 else varying[:-1]).any(axis=0)
    sums = (by_prompt.mean(axis=1) * varying).sum(axis=0)
    return np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)


def flat(won):
    """[A] share of the decisions in groups of equal rewards of the agent."""
    return (np.ptp(won.astype(int), axis=2) == 0).mean(axis=(0, 1))


teams = given(
    seed=st.integers(0, 2**32 - 1), rate=st.floats(0.005, 0.1), group=st.integers(3, 8),
    offset=st.sampled_from([0.0, 0.3, -7.0, 100.0]), fresh=st.booleans(), data=st.data(),
)  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@teams
def test_a_team_that_has_finished_is_not_accused(seed, rate, group, offset, fresh, data):
    own = data.draw(st.booleans())
    scheme = data.draw(st.sampled_from(OWN if own else SHARED))
    decisions, won = team(1 - rate, offset, seed, group, own=own, fresh=fresh)
    assume((mostly(won, fresh, offset) > 0.5).all())
    diagnosis = judged(decisions, scheme)
    assert set(causes(diagnosis)) == {""}
    assert "DEAD" not in diagnosis.why


@settings(max_examples=EXAMPLES, deadline=None)
@teams
def test_its_twin_that_fails_is_dead(seed, rate, group, offset, fresh, data):
    own = data.draw(st.booleans())
    scheme = data.draw(st.sampled_from(("grpo_rows", "agent_wise") if own else SHARED))
    decisions, won = team(rate / 3, offset, seed, group, own=own, fresh=fresh)
    dead = flat(won)
    assume((mostly(won, fresh) < 0.5).all())
    assume(dead.min() > 0.85 and not won.all(axis=2).any())
    diagnosis = judged(decisions, scheme)
    assert set(causes(diagnosis)) == {"DEAD"}
    if offset == 0:  # otherwise a prompt that is never won may pay the log's best all the same
        assert numbers(diagnosis, "stuck_rate") == pytest.approx(dead, abs=1e-9)


def half(offset, seed=0):
    """Two prompts that are nearly always solved and two that never are."""
    decisions, won = team(0.98, offset, seed, 6)
    hopeless = np.asarray(decisions.labels["prompt"]) < 2
    rewards = decisions.rewards[:, 0] - won.ravel() * hopeless
    return made(rewards, decisions.labels, decisions.step)


@pytest.mark.parametrize("scheme", SHARED)
def test_hopeless_prompts_beside_solved_ones_are_named_where_pay_offs_can_be_compared(scheme):
    assert set(causes(judged(half(0.0), scheme))) == {"DEAD"}
    # If each prompt pays its own, one that never varies may as well be solved: no accusation.
    assert set(causes(judged(half(100.0), scheme))) == {""}
