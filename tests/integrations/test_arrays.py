"""Arrays of step-based trainers against the kernel, in NumPy, torch and JAX."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import RewardError, SchemeError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.arrays import normalized
from counterpoint.readers import read_decisions

SCHEMES = ("mappo_per_agent", "mappo_pooled", "agent_mean", "center")


def values(t=5, n=4, a=3, dtype=np.float64):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(t, n, a)) * [1, 10, 100] + [0, 5, -50]).astype(dtype)


def by_loop(x, scheme, active=None):
    """The kernel on rows that are written out one by one."""
    rows = [(t, n, a) for t in range(x.shape[0]) for n in range(x.shape[1])
            for a in range(x.shape[2]) if active is None or active[t, n, a]]  # fmt: skip
    turn, rollout, agent = (list(column) for column in zip(*rows, strict=True))
    result = advantages([float(x[row]) for row in rows],
                       {"turn": turn, "rollout": rollout, "agent": agent},
                       catalogue()[scheme]).values  # fmt: skip
    out = np.zeros(x.shape)
    for row, value in zip(rows, result, strict=True):
        out[row] = value
    return out


def test_by_hand():
    x = np.array([[[0.0, 100.0]], [[1.0, 104.0]]])  # two steps, one environment, two agents
    assert normalized(x).tolist() == [[[-1, -1]], [[1, 1]]]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_is_the_kernel(scheme):
    x = values()
    assert np.allclose(normalized(x, scheme=scheme), by_loop(x, scheme), atol=1e-12)
    assert np.array_equal(normalized(x[..., None], scheme=scheme)[..., 0],
                          normalized(x, scheme=scheme))  # fmt: skip
    single = normalized(values(dtype=np.float32), scheme=scheme)
    assert single.dtype == np.float32
    assert np.allclose(single, by_loop(x, scheme), atol=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_agents_that_are_not_active_are_left_out(scheme):
    x = values()
    active = np.random.default_rng(1).random(x.shape) < 0.6
    result = normalized(x, active, scheme)
    assert np.allclose(result, by_loop(x, scheme, active), atol=1e-12)
    assert not result[~active].any()
    assert np.array_equal(normalized(x, active[..., None].astype(np.float32), scheme), result)
    whole = np.ones(x.shape[:2], bool)
    whole[3:] = False
    wide = np.repeat(whole[..., None], 3, axis=2)
    assert np.array_equal(normalized(x, whole, scheme), normalized(x, wide, scheme))
    assert np.array_equal(normalized(x, whole[..., None], scheme), normalized(x, wide, scheme))


@pytest.mark.parametrize("value", [0.7, 1000.1, 1000000.7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_agents_are_exactly_zero(value, dtype):
    x = np.full((7, 1, 2), value, dtype)
    x[:, 0, 1] = np.arange(7)
    result = normalized(x)
    assert not result[..., 0].any()
    assert result[..., 1].std() == pytest.approx(1)


def test_singletons_and_missing_values():
    assert not normalized(np.full((1, 1, 2), 5.0)).any()
    x = np.array([1.0, np.nan, 0.0]).reshape(3, 1, 1)
    assert normalized(x).reshape(-1).tolist() == [1, 0, -1]


def test_what_does_not_fit_is_refused():
    with pytest.raises(RewardError, match=r"\[T, N, A\]"):
        normalized(np.zeros((2, 3)))
    with pytest.raises(RewardError, match=r"\[T, N, A, 1\]"):
        normalized(np.zeros((2, 3, 4, 5)))
    with pytest.raises(RewardError, match="active of shape"):
        normalized(np.zeros((2, 3, 4)), np.ones((2, 4)))
    with pytest.raises(RewardError, match="infinite"):
        normalized(np.full((1, 2, 1), np.inf))
    with pytest.raises(SchemeError, match="memory"):
        normalized(values(), scheme="group_reward_decoupled")
    for scheme in ("grpo", "reinforce_plus_plus", TeamCredit("grpo")):
        with pytest.raises(SchemeError, match="takes the steps of a rollout together"):
            normalized(values(), scheme=scheme)


def test_memory_and_a_log_with_team_credit(tmp_path):
    credit = TeamCredit("group_reward_decoupled", record=tmp_path / "c.jsonl")
    x = values()
    normalized(x, scheme=credit)
    second = normalized(x + 1, scheme=credit)
    assert second.mean() == pytest.approx(np.mean(1 / x.std(axis=(0, 1))))  # against what was
    assert len(read_decisions(tmp_path / "c.jsonl")) == 2 * x.size


def test_torch():
    torch = pytest.importorskip("torch")
    x = values(dtype=np.float32)
    active = np.random.default_rng(1).random(x.shape) < 0.6
    result = normalized(torch.tensor(x), torch.tensor(active))
    assert result.dtype == torch.float32
    assert np.allclose(result.numpy(), normalized(x, active), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_jax_and_inside_jit(scheme):
    jax = pytest.importorskip("jax")
    x = values(dtype=np.float32)
    active = np.random.default_rng(1).random(x.shape) < 0.6
    wanted = normalized(x.astype(np.float64), active, scheme)
    given = jax.numpy.asarray(x), jax.numpy.asarray(active)
    plain = normalized(*given, scheme=scheme)
    traced = jax.jit(lambda v, m: normalized(v, m, scheme))(*given)
    for result in (plain, traced):
        assert result.dtype == jax.numpy.float32
        assert np.allclose(result, wanted, atol=2e-5)
    constant = jax.numpy.full((7, 1, 1), 0.7)
    assert not jax.jit(lambda v: normalized(v, scheme=scheme))(constant).any()
