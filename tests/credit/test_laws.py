"""The laws of credit, for any scheme, team and reward: P0, P1, P4 and every permutation.

NumPy always; torch and JAX with `-m slow`. A seed decides everything, so an example that fails is
reproduced by its numbers alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from array_kinds import KINDS, credit_of, few_shapes
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import (
    NEAR_ZERO,
    by_agent,
    everybody,
    for_all_agents,
    rewards,
    scheme,
    uneven,
    with_gaps,
)

from counterpoint.credit import Scheme, catalogue

pytestmark = pytest.mark.fault("R8")

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
POLICIES = {"singleton": "zero", "constant": "zero"}
UNGUARDED = {"floor": 0.0, "shrink": 0.0, "min_count": 0}


def largest(*values: np.ndarray) -> float:
    return max((float(np.abs(v).max()) for v in values if v.size), default=0.0)


def assert_same(one: np.ndarray, other: np.ndarray, given: Scheme, *r: np.ndarray) -> None:
    """Equal to 1e-12, relative to the largest advantage of the batch.

    Where all advantages cancel it is relative to what they are made of: a deviation, or without
    one the range of the rewards `r`. Where center and scale have groups of their own, values can
    be M deviations from zero, and the deviation itself is then known to M roundings only.
    """
    scaled = given.scale != "none" or given.whiten == "batch"
    known = [x[~np.isnan(x)] for x in r]
    unit = 1.0 if scaled else max((float(np.ptp(x)) for x in known if x.size), default=0.0)
    top = largest(one, other)
    far = 8 * np.finfo(float).eps * top**2 if given.center_by != given.scale_by else 0.0
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * max(unit, top) + far * scaled)


def far_from_zero_if_centered(given: Scheme) -> tuple[int, ...] | None:
    """Rewards of 1e8 + {0, 1} keep their digits unless they stay at 1e8, or are mixed with 0."""
    return NEAR_ZERO if given.center == "none" or given.missing == "as_zero" else None


class TestP0Identity:
    """Everybody present and one reward: decoupling by agent changes nothing, by arithmetic."""

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS, st.integers(2, 8))
    def test_any_batch_scheme(
        self, kind: str, structure: int, values: int, point: int, agents: int
    ) -> None:
        pooled = for_all_agents(scheme(point, memory="batch", transform="identity", **POLICIES))
        team = everybody(few_shapes(kind, structure), agents)
        n, regimes = 1 + team.moments.max(), far_from_zero_if_centered(pooled)
        columns = [rewards(values + k, n, regimes) for k in range(1 + values % 3)]
        shared = np.stack(columns, axis=1)[team.moments]  # what happened is the same for all
        one = credit_of(kind, shared, team.labels, pooled)
        own = credit_of(kind, shared, team.labels, by_agent(pooled))
        assert_same(one.values, own.values, pooled, shared)

    @pytest.mark.fault("R40")
    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS, st.integers(2, 8))
    def test_with_missing_rewards(
        self, kind: str, structure: int, values: int, point: int, agents: int
    ) -> None:
        fixed = {"memory": "batch", "transform": "identity", **POLICIES, **UNGUARDED}
        pooled = for_all_agents(scheme(point, **fixed))
        team = everybody(few_shapes(kind, structure), agents)
        n, regimes = 1 + team.moments.max(), far_from_zero_if_centered(pooled)
        some = rewards(values, 2 * n, regimes).reshape(-1, 2)
        shared = with_gaps(values, some, share=0.2)[team.moments]
        one = credit_of(kind, shared, team.labels, pooled)
        own = credit_of(kind, shared, team.labels, by_agent(pooled))
        assert_same(one.values, own.values, pooled, shared)
        assert one.tally.missing == own.tally.missing == np.isnan(shared).any(axis=1).sum()

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS, st.integers(2, 8), st.sampled_from(["ema", "welford"]))
    def test_running_memory_over_three_calls(
        self, kind: str, structure: int, values: int, point: int, agents: int, memory: str
    ) -> None:
        fixed = {"memory": memory, "center": "running_mean", "transform": "identity", **POLICIES}
        pooled = for_all_agents(scheme(point, **fixed))
        team, states = everybody(few_shapes(kind, structure), agents), (None, None)
        for call in range(3):
            r = rewards(values + call, 1 + team.moments.max(), NEAR_ZERO)[team.moments]
            one = credit_of(kind, r, team.labels, pooled, states[0])
            own = credit_of(kind, r, team.labels, by_agent(pooled), states[1])
            assert_same(one.values, own.values, pooled, r)
            states = (one.state, own.state)

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS, st.integers(2, 8), st.sampled_from(["center", "scale"]))
    def test_center_or_scale_alone(
        self, kind: str, structure: int, values: int, point: int, agents: int, which: str
    ) -> None:
        fixed = {"memory": "batch", "transform": "identity", "center": "mean", **POLICIES}
        pooled = for_all_agents(scheme(point, **fixed, **UNGUARDED))
        team = everybody(few_shapes(kind, structure), agents)
        r = rewards(values, 1 + team.rollouts.max())[team.rollouts]
        one = credit_of(kind, r, team.labels, pooled)
        own = credit_of(kind, r, team.labels, by_agent(pooled, which))
        assert_same(one.values, own.values, pooled, r)

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, st.integers(2, 8))
    def test_ranks_within_a_prompt(
        self, kind: str, structure: int, values: int, agents: int
    ) -> None:
        team = everybody(few_shapes(kind, structure), agents)
        r = rewards(values, 1 + team.moments.max())[team.moments]
        for weighting in ("step", "trajectory"):
            pooled = Scheme(center_by=("prompt",), transform="rank", weighting=weighting)
            one = credit_of(kind, r, team.labels, pooled).values
            assert_same(one, credit_of(kind, r, team.labels, by_agent(pooled)).values, pooled)

    def test_is_not_a_branch_on_everybody_present(self) -> None:
        """One row less and the identity is gone, so nothing special-cases full presence."""
        team = everybody(3, agents=4)
        r = rewards(0, 1 + team.moments.max(), (0,))[team.moments]
        pooled, own = catalogue()["mappo_pooled"], catalogue()["mappo_per_agent"]
        rows = np.arange(1, len(team))
        left = team.take(rows)
        one = credit_of("numpy", r[rows], left.labels, pooled).values
        assert largest(one - credit_of("numpy", r[rows], left.labels, own).values) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS)
def test_p1_affine_law(kind: str, structure: int, values: int) -> None:
    """A_dec = a_k A_glob + b_k with a_k = sigma / sigma_k and b_k = (mu - mu_k) / sigma_k."""
    team = uneven(few_shapes(kind, structure))
    r = rewards(values, len(team), NEAR_ZERO) + 0.1 * team.labels["agent"]
    pooled = credit_of(kind, r, team.labels, catalogue()["mappo_pooled"]).values
    own = credit_of(kind, r, team.labels, catalogue()["mappo_per_agent"]).values
    for agent in np.unique(team.labels["agent"]):
        rows = team.labels["agent"] == agent
        if np.ptp(r[rows]) < 1e-9:  # a constant agent: the law would divide by 0, we say 0
            np.testing.assert_array_equal(own[rows], 0.0)
            continue
        a = r.std() / r[rows].std()
        b = (r.mean() - r[rows].mean()) / r[rows].std()
        atol = 1e-12 * (1 + a * largest(pooled) + abs(b))
        np.testing.assert_allclose(own[rows], a * pooled[rows] + b, rtol=0, atol=atol)


class TestP4Bounds:
    """Statistics of the call itself cannot explode."""

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS)
    def test_group_z_score(self, kind: str, structure: int, values: int, point: int) -> None:
        fixed = {"memory": "batch", "center": "mean", "scale": "std", "scale_of": "centered"}
        fixed |= {"components": "sum_first", "whiten": "none", **POLICIES, **UNGUARDED}
        drawn = scheme(point, **fixed)
        team = uneven(few_shapes(kind, structure))
        grouped = dataclasses.replace(drawn, scale_by=drawn.center_by)
        a = credit_of(kind, rewards(values, len(team)), team.labels, grouped).values
        labels = [team.labels[name] for name in grouped.center_by] or [np.zeros(len(team))]
        group = np.unique(np.stack(labels), axis=1, return_inverse=True)[1].ravel()
        for g in range(1 + group.max()):
            mine = group == g
            samples = mine if grouped.weighting == "step" else team.rollouts[mine]
            size = mine.sum() if grouped.weighting == "step" else len(np.unique(samples))
            assert np.all(a[mine] ** 2 <= (size - 1) * (1 + 1e-9))

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, st.sampled_from(["mappo_pooled", "agent_mean", "lite_ppo", "gdpo"]))
    def test_batch_scale(self, kind: str, structure: int, values: int, name: str) -> None:
        team = uneven(few_shapes(kind, structure))
        r = rewards(values, 2 * len(team)).reshape(-1, 2)
        a = credit_of(kind, r, team.labels, catalogue()[name]).values
        by_rollout = catalogue()[name].weighting == "trajectory"
        size = 1 + team.rollouts.max() if by_rollout else len(team)
        assert np.all(a**2 <= (size - 1) * (1 + 1e-9))

    def test_the_bound_is_reached_by_one_among_equals(self) -> None:
        # r = (1, 0, 0, 0): mean .25, deviation sqrt(3)/4, so A = .75 / (sqrt(3)/4) = sqrt(3).
        labels = {"prompt": [0] * 4, "rollout": range(4)}
        a = credit_of("numpy", np.array([1.0, 0, 0, 0]), labels, catalogue()["grpo"]).values
        np.testing.assert_allclose(a[0] ** 2, 3.0, rtol=1e-14)

    def test_running_statistics_do_spike(self) -> None:
        own = catalogue()["group_reward_decoupled"]
        labels = {"agent": np.zeros(4, dtype=int)}
        state = credit_of("numpy", np.array([0.0, 1.0, 0.0, 1.0]), labels, own).state
        got = credit_of("numpy", np.array([25.5, 25.5, 25.5, 25.5]), labels, own, state)
        np.testing.assert_allclose(got.values, 50.0)  # (25.5 - .5) / .5, while G - 1 = 3


class TestPermutations:
    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS)
    def test_shuffled_rows(self, kind: str, structure: int, values: int, point: int) -> None:
        """Rows carry explicit turns; running memory must not care either, over two calls."""
        any_scheme, team = scheme(point), uneven(few_shapes(kind, structure))
        order, states = np.random.default_rng(values).permutation(len(team)), (None, None)
        for call in range(2):
            r = rewards(values + call, 2 * len(team), NEAR_ZERO).reshape(-1, 2)
            r = with_gaps(values + call, r, share=0.1)
            one = credit_of(kind, r, team.labels, any_scheme, states[0])
            other = credit_of(kind, r[order], team.take(order).labels, any_scheme, states[1])
            assert_same(one.values[order], other.values, any_scheme, r)
            assert one.tally == other.tally
            states = (one.state, other.state)

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS, st.sampled_from(["agent", "role", "prompt", "rollout", "context"]))
    def test_renamed_labels(
        self, kind: str, structure: int, values: int, point: int, label: str
    ) -> None:
        """Names carry no order and no size, be they integers, large ones, text or objects."""
        any_scheme, team = scheme(point), uneven(few_shapes(kind, structure))
        rng, ids = np.random.default_rng(values), team.labels[label]
        fresh = rng.permutation(10 * (1 + ids.max()))[: 1 + ids.max()]
        kinds = (fresh, fresh * 10**12, fresh.astype(str), fresh.astype(str).astype(object))
        renamed = team.renamed(**{label: kinds[values % 4][ids]})
        states = (None, None)
        for call in range(2):
            r = rewards(values + call, len(team))
            one = credit_of(kind, r, team.labels, any_scheme, states[0])
            other = credit_of(kind, r, renamed.labels, any_scheme, states[1])
            assert_same(one.values, other.values, any_scheme, r)
            assert one.tally == other.tally
            states = (one.state, other.state)

    @pytest.mark.parametrize("kind", KINDS)
    @LAW
    @given(SEEDS, SEEDS, SEEDS)
    def test_side_by_side_is_one_after_the_other(
        self, kind: str, structure: int, values: int, point: int
    ) -> None:
        """Batches in one call share nothing, running memory included."""
        any_scheme = scheme(point)
        teams = [uneven(few_shapes(kind, structure + i)) for i in range(2)]
        both = {k: np.concatenate([t.labels[k] for t in teams]) for k in teams[0].labels}
        both["batch"] = np.repeat([7, 3], [len(t) for t in teams])
        states: list = [None, None, None]
        for call in range(2):
            rs = [rewards(values + 2 * call + i, len(t), NEAR_ZERO) for i, t in enumerate(teams)]
            rs = [with_gaps(values + call, r, share=0.1) for r in rs]
            alone = [
                credit_of(kind, r, t.labels, any_scheme, state)
                for r, t, state in zip(rs, teams, states[:2], strict=True)
            ]
            got = credit_of(kind, np.concatenate(rs), both, any_scheme, states[2])
            one_by_one = np.concatenate([credit.values for credit in alone])
            assert_same(got.values, one_by_one, any_scheme, *rs)
            assert got.tally == alone[0].tally + alone[1].tally
            states = [alone[0].state, alone[1].state, got.state]


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, SEEDS)
def test_z_scores_ignore_unit_and_origin(
    kind: str, structure: int, values: int, point: int
) -> None:
    """A(c r + d) = A(r) for c > 0, and -A(r) for c < 0.

    c is a power of two and r, d are multiples of 2^-20, so that c r + d itself has no rounding.
    """
    fixed = {"memory": "batch", "center": "mean", "scale": "std", "scale_of": "centered"}
    fixed |= {"missing": "leave_out", **POLICIES, **UNGUARDED}
    fixed |= {"rollout_reward": "last" if values % 3 else "mean"}  # a sum moves with its length
    invariant, team = scheme(point, **fixed), uneven(few_shapes(kind, structure))
    r = np.round(rewards(values, len(team), NEAR_ZERO) * 2**20) / 2**20
    r = with_gaps(values, r, share=0.1)
    sign = -1.0 if values % 2 else 1.0
    moved = sign * 2.0 ** (values % 7 - 3) * r + (values % 1001 - 500)
    one = credit_of(kind, r, team.labels, invariant)
    other = credit_of(kind, moved, team.labels, invariant)
    assert_same(one.values, sign * other.values, invariant, r)
    assert one.tally == other.tally
