"""Torch and JAX: their own kind and type back, NumPy's numbers, and `jax.jit` for batch memory.

The laws, reductions and edge cases run on both as well (`-m slow`); here is what only they have.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from array_kinds import credit_of
from points import ANY, BATCH
from random_teams import rewards, scheme, uneven, with_gaps

from counterpoint.credit import Credit, PerRole, RunningState, Scheme, advantages, catalogue
from counterpoint.errors import LabelError, RewardError, SchemeError

EVERY = list(ANY)
HAND = {"prompt": [0, 0, 0, 1, 1], "rollout": [0, 1, 2, 0, 1], "agent": ["a"] * 5}
"""Rewards 1, 0, NaN, 4, 2 in them: grpo gives 1, -1, 0, 1, -1."""


def assert_same(other: Credit, one: Credit) -> None:
    """The advantages up to the rounding of doubles, and every count."""
    top = max(1.0, np.abs(one.values).max())
    np.testing.assert_allclose(other.values, one.values, rtol=0, atol=1e-12 * top)
    for field in dataclasses.fields(one.tally):
        assert int(getattr(other.tally, field.name)) == getattr(one.tally, field.name)


def test_no_array_library_is_imported_without_need() -> None:
    program = (
        "import sys, counterpoint.credit as c; c.advantages([1.0, 2.0], {}, c.Scheme()); "
        "print([m for m in ('torch', 'jax', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch", "jax"])
class TestEqualsNumpy:
    @pytest.mark.parametrize("name", EVERY)
    def test_the_catalogue_over_three_calls(self, name: str, kind: str) -> None:
        team, states = uneven(21), (None, None)
        for call in range(3):
            r = np.stack([rewards(10 * call + k, len(team), (0, 1, 6)) for k in range(2)], axis=1)
            r = with_gaps(call, r, share=0.1)
            one = advantages(r, team.labels, catalogue()[name], state=states[0])
            other = credit_of(kind, r, team.labels, catalogue()[name], states[1])
            assert_same(other, one)
            states = (one.state, other.state)

    @pytest.mark.parametrize("point", range(60))
    def test_points_of_the_algebra(self, point: int, kind: str) -> None:
        team, any_scheme = uneven(point % 6), scheme(point)
        r = with_gaps(point, rewards(point, len(team), (0, 1, 6)), share=0.1)
        one = advantages(r, team.labels, any_scheme)
        other = credit_of(kind, r, team.labels, any_scheme)
        assert_same(other, one)

    def test_state_moves_between_libraries(self, kind: str) -> None:
        own, team = catalogue()["group_reward_decoupled"], uneven(21)
        first, then = (rewards(k, len(team), (0,)) for k in range(2))
        state = credit_of(kind, first, team.labels, own).state
        assert state is not None
        restored = RunningState.from_dict(json.loads(json.dumps(state.to_dict())))
        one = advantages(then, team.labels, own, state=restored).values
        other = credit_of(kind, then, team.labels, own, state).values
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12 * np.abs(one).max())

    def test_infinite_refused_and_empty_answered(self, kind: str) -> None:
        grpo = catalogue()["grpo"]
        with pytest.raises(RewardError, match="infinite"):
            credit_of(kind, np.array([1.0, np.inf]), {"rollout": [0, 1]}, grpo)
        assert credit_of(kind, np.zeros(0), {"rollout": []}, grpo).values.shape == (0,)


@pytest.mark.slow
class TestTorch:
    @pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
    def test_kind_and_type_come_back(self, name: str) -> None:
        import torch

        dtype = getattr(torch, name)
        r = torch.tensor([1.0, 0.0, torch.nan, 4.0, 2.0], dtype=dtype)
        got = advantages(r, HAND, catalogue()["grpo"]).values
        assert isinstance(got, torch.Tensor)
        assert got.dtype == torch.promote_types(dtype, torch.float32)
        assert got.tolist() == [1.0, -1.0, 0.0, 1.0, -1.0]

    def test_integers_give_doubles(self) -> None:
        import torch

        got = advantages(torch.tensor([1, 0, 0, 4, 2]), HAND, catalogue()["dr_grpo"]).values
        assert got.dtype == torch.float64

    def test_no_gradient_flows_into_rewards(self) -> None:
        import torch

        r = torch.tensor([1.0, 0.0, 0.0, 4.0, 2.0], requires_grad=True)
        assert not advantages(r, HAND, catalogue()["grpo"]).values.requires_grad

    def test_single_precision_within_its_rounding(self) -> None:
        """Computed in double: what is left is the rounding of the input and of the result.

        A reward of size 1 is off by eps/2, so a deviation sigma of .1 or more by eps/(2 sigma).
        """
        import torch

        team = uneven(21)
        r = rewards(1, len(team), (0,))
        single = torch.as_tensor(r, dtype=torch.float32)
        for name in BATCH:
            one = advantages(r, team.labels, catalogue()[name]).values
            other = advantages(single, team.labels, catalogue()[name]).values.numpy()
            bound = 10 * np.finfo(np.float32).eps * (1 + np.abs(one).max()) * np.abs(r).max()
            np.testing.assert_allclose(other, one, rtol=0, atol=bound)

    def test_labels_may_be_tensors(self) -> None:
        import torch

        labels = {name: torch.as_tensor(HAND[name]) for name in ("prompt", "rollout")}
        got = advantages(torch.tensor([1.0, 0.0, 5.0, 4.0, 2.0]), labels, catalogue()["dr_grpo"])
        assert got.values.tolist() == [-1.0, -2.0, 3.0, 1.0, -1.0]


def jitted(labels: dict[str, Any], given: Scheme) -> Callable[[Any], Any]:
    """Labels known when it is compiled: closed over."""
    import jax

    return jax.jit(lambda r: advantages(r, labels, given))


def jitted_labels(given: Scheme) -> Callable[[Any, Any], Any]:
    """Labels traced: one compilation serves every batch of the same size."""
    import jax

    return jax.jit(lambda r, labels: advantages(r, labels, given))


@pytest.mark.slow
class TestJax:
    @pytest.mark.parametrize("wide", [True, False])
    @pytest.mark.parametrize("name", ["bfloat16", "float32", "float64"])
    def test_kind_and_type_come_back(self, name: str, wide: bool) -> None:
        import jax

        with jax.enable_x64(wide):
            if name == "float64" and not wide:
                return  # JAX has none then
            r = jax.numpy.array([1.0, 0.0, np.nan, 4.0, 2.0], dtype=name)
            got = advantages(r, HAND, catalogue()["grpo"]).values
            assert isinstance(got, jax.Array)
            assert got.dtype == ("float64" if name == "float64" else "float32")
            np.testing.assert_allclose(np.asarray(got, float), [1, -1, 0, 1, -1], rtol=1e-6)

    @pytest.mark.parametrize("name", [*BATCH, "gigpo", "mt_grpo"])
    def test_jit_with_labels_known_and_traced(self, name: str) -> None:
        import jax

        given = catalogue()[name]
        team, traced = uneven(21), jitted_labels(given)
        with jax.enable_x64(True):
            for call in range(3):  # other labels of the same shape: nothing may stay from before
                shuffled = team.take(np.random.default_rng(call).permutation(len(team)))
                r = np.stack([rewards(2 * call + k, len(team), (0, 1)) for k in range(2)], axis=1)
                r = with_gaps(call, r, share=0.1)
                one = advantages(r, shuffled.labels, given)
                labels = {k: jax.numpy.asarray(v) for k, v in shuffled.labels.items()}
                got = [traced(jax.numpy.asarray(r), labels)]
                if not call:  # labels that are known compile anew for each batch
                    got.append(jitted(shuffled.labels, given)(jax.numpy.asarray(r)))
                for other in got:
                    assert_same(other, one)

    @pytest.mark.parametrize("how", ["sum", "last", "to_go"])
    @pytest.mark.parametrize("given", [("rollout", "agent", "turn"), ("rollout", "agent")])
    def test_returns_inside_jit(self, how: str, given: tuple[str, ...]) -> None:
        """Labels known or traced, turns written down or not, rewards missing or not."""
        import jax

        bare = Scheme(center="none", scale="none", rollout_reward=how)
        bare = dataclasses.replace(bare, gamma=0.5) if how == "to_go" else bare
        rollout, agent = [0, 0, 0, 1, 1, 1, 1, 2], [0, 0, 1, 0, 0, 0, 1, 0]
        columns = {"rollout": rollout, "agent": agent, "turn": [1, 0, 0, 2, 0, 1, 0, 0]}
        labels = {name: np.array(columns[name]) for name in given}
        with jax.enable_x64(True):
            for gaps in ([], [0, 4], [3, 7], [2, 6, 7]):
                r = np.arange(1.0, 9.0)
                r[gaps] = np.nan
                one = advantages(r, labels, bare)
                for other in (
                    jitted(labels, bare)(jax.numpy.asarray(r)),
                    jitted_labels(bare)(jax.numpy.asarray(r), labels),
                ):
                    np.testing.assert_allclose(other.values, one.values, rtol=1e-12)
                    assert int(other.tally.left_out) == one.tally.left_out

    def test_roles_inside_jit(self) -> None:
        """Which rows a role has must be known when it is compiled; their rewards need not be."""
        import jax

        roles = PerRole({"p": catalogue()["grpo_rows"]}, default=catalogue()["center"])
        labels = {"agent": ["p", "w", "p", "w"]}
        got = jitted(labels, roles)(jax.numpy.array([1.0, 10.0, 3.0, 20.0]))
        np.testing.assert_allclose(got.values, [-1, -5, 1, 5])
        with pytest.raises(LabelError, match="known values"):
            jitted_labels(roles)(jax.numpy.ones(2), {"agent": jax.numpy.array([0, 1])})

    @pytest.mark.parametrize("name", ["grpo", "gdpo", "agent_wise", "lite_ppo", "mappo_pooled"])
    def test_constant_groups_are_zero_in_single_precision(self, name: str) -> None:
        """JAX computes in float32 unless told otherwise: sums of equal rewards are inexact."""
        import jax

        r = np.repeat(np.arange(1, 100) / 100, 16)
        group = np.repeat(np.arange(99), 16)
        labels = {"batch": group, "prompt": group, "rollout": np.arange(len(r)), "agent": 0 * group}
        got = advantages(jax.numpy.asarray(r, dtype="float32"), labels, catalogue()[name])
        np.testing.assert_array_equal(got.values, 0.0)
        assert got.tally.constants == got.tally.groups

    def test_default_turns_inside_jit(self) -> None:
        import jax

        labels = {"rollout": np.array([0, 1, 0, 1]), "agent": np.array([0, 0, 0, 0])}
        r = np.array([1.0, 0.0, 4.0, 8.0])
        by_turn = dataclasses.replace(catalogue()["at_grpo"], scale="none")
        got = jitted_labels(by_turn)(jax.numpy.asarray(r), labels).values
        np.testing.assert_allclose(got, [0.5, -0.5, -2.0, 2.0])

    def test_infinite_counts_as_missing_where_it_cannot_be_refused(self) -> None:
        import jax

        r = jax.numpy.array([1.0, 3.0, np.inf])
        got = jitted({"rollout": [0, 1, 2]}, catalogue()["grpo"])(r)
        np.testing.assert_array_equal(got.values, [-1.0, 1.0, 0.0])
        assert int(got.tally.missing) == 1

    @pytest.mark.parametrize("name", [name for name in EVERY if name not in BATCH])
    def test_running_memory_inside_jit_is_refused(self, name: str) -> None:
        import jax

        with pytest.raises(SchemeError, match=r"jax\.jit.*outside"):
            jitted({"agent": [0, 0]}, catalogue()[name])(jax.numpy.array([1.0, 2.0]))
        with pytest.raises(SchemeError, match=r"jax\.jit.*outside"):
            jitted_labels(catalogue()[name])(
                jax.numpy.array([1.0, 2.0]), {"agent": jax.numpy.array([0, 0])}
            )

    def test_no_gradient_flows_into_rewards(self) -> None:
        import jax

        def total(r: Any) -> Any:
            return (advantages(r, {"rollout": [0, 1, 2]}, catalogue()["grpo"]).values ** 3).sum()

        np.testing.assert_array_equal(jax.grad(total)(jax.numpy.array([1.0, 2.0, 4.0])), 0.0)
