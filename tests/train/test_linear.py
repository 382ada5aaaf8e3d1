"""The training loop: pairing of seeds, the null control, what collapses, what is measured."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import Scheme, catalogue, entries
from counterpoint.diagnose import CAUSES, signal_kept
from counterpoint.errors import SchemeError, SettingError, UnknownNameError
from counterpoint.train import Training, joined, train
from counterpoint.train.tabular.learner import single_precision
from counterpoint.train.tabular.telemetry import improvable_at
from counterpoint.worlds import Kind, find_world, worlds


def short(scheme: str | Scheme, seeds: tuple[int, ...] = (0, 1), **settings: str) -> Training:
    return train(find_world("regions").make({"updates": "12", **settings}), scheme, seeds)


def test_the_arrays_have_the_shapes_that_they_promise() -> None:
    found = short("mappo_pooled")
    assert found.returns.shape == found.weighted_returns.shape == (2, 13)
    assert found.accuracy.shape == found.regret.shape == (2, 13, 4)
    assert found.collapsed.shape == found.causes.shape == (2, 12, 4)
    team = {"participation_ratio", "effective_rank"}
    for name, values in found.gradients.items():
        assert values.shape == ((2, 12) if name in team else (2, 12, 4)), name
    for name, values in found.rewards.items():
        assert values.shape == (2, 12, 4), name
        assert np.isfinite(values).mean() > 0.9, name
    assert found.tally["rows"] == 2 * 12 * 64 * 2  # seeds, updates, rollouts, acting agents
    np.testing.assert_allclose(found.returns[:, 0], 0.25)


def test_a_seed_gives_the_same_result_in_any_company() -> None:
    for scheme in ("grpo", "group_reward_decoupled"):
        together, alone = short(scheme, (4, 7)), short(scheme, (7,))
        np.testing.assert_allclose(together.returns[1:], alone.returns, rtol=1e-12)
        np.testing.assert_allclose(together.accuracy[1:], alone.accuracy, rtol=1e-12)


def test_single_precision_keeps_the_signal_and_drops_what_summing_left() -> None:
    values = np.array([1.0, 0.1, 1e-17, 1e-17, -2e-17])
    found = single_precision(values, np.array([0, 0, 0, 1, 1]), 2)
    assert found[2] == 0.0  # beside 1.0 it is nothing
    np.testing.assert_allclose(found[[0, 1, 3, 4]], values[[0, 1, 3, 4]], rtol=6e-8)
    assert found[1] == np.float32(0.1)


def test_parts_join_to_what_one_call_gives() -> None:
    whole, parts = short("grpo", (4, 7, 9)), [short("grpo", (4, 7)), short("grpo", (9,))]
    found = joined(parts)
    assert found.seeds == whole.seeds
    assert found.tally == whole.tally
    np.testing.assert_allclose(found.returns, whole.returns, rtol=1e-12)
    np.testing.assert_allclose(found.gradients["snr"], whole.gradients["snr"], rtol=1e-6)
    with pytest.raises(SettingError, match="different integers"):
        joined([parts[0], parts[0]])


def test_seeds_are_paired_across_schemes() -> None:
    """Before the first update nothing differs, the rewards of the first batch included."""
    one, two = short("none"), short("agent_mean")
    first = {name: (one.rewards[name][:, 0], two.rewards[name][:, 0]) for name in one.rewards}
    np.testing.assert_array_equal(*first["participation"])
    np.testing.assert_array_equal(*first["influence"])
    assert not np.allclose(one.returns[:, -1], two.returns[:, -1])


@pytest.mark.parametrize("agents", ["2", "4", "8"])
@pytest.mark.parametrize("parameters", ["shared", "separate"])
def test_with_everybody_present_decoupling_is_a_no_op(agents: str, parameters: str) -> None:
    """No branch makes them equal: the same numbers enter, so that the same numbers come out."""
    settings = {"participation": "everyone", "agents": agents, "parameters": parameters}
    pooled = short("mappo_pooled", updates="60", **settings)
    own = short("mappo_per_agent", updates="60", **settings)
    assert abs(pooled.returns[:, -1] - 0.25).max() > 0.01
    np.testing.assert_allclose(pooled.returns, own.returns, atol=1e-9)
    np.testing.assert_allclose(pooled.accuracy, own.accuracy, atol=1e-9)


@pytest.mark.few(2)
@pytest.mark.parametrize("world", ["homogeneous", "unequal_stakes"])
@pytest.mark.parametrize("agents", [3, 5, 7, 8])
def test_curves_agree_to_the_end_where_rounding_would_be_amplified(world: str, agents: int) -> None:
    """Shared parameters and rewards without noise: in double precision these end up 1e-3 apart."""
    everyone = find_world(world).make({"agents": agents, "updates": 200})
    pooled, own = (train(everyone, name, (0, 1)) for name in ("mappo_pooled", "mappo_per_agent"))
    assert (pooled.returns[:, -1] > 0.5).all()
    np.testing.assert_allclose(pooled.returns, own.returns, atol=1e-9)


def test_pooling_drowns_the_quiet_pair_and_an_own_scale_does_not() -> None:
    world, seeds = find_world("regions").make(), range(6)
    pooled, own = (train(world, name, seeds) for name in ("mappo_pooled", "mappo_per_agent"))
    quiet = slice(0, 2)
    assert pooled.accuracy[:, -1, quiet].mean() < 0.7
    assert own.accuracy[:, -1, quiet].mean() > 0.9
    kept, all_kept = (signal_kept(t.evidence, improvable_at(t.accuracy)) for t in (pooled, own))
    assert (kept.high[quiet] < 0.2).all()
    assert (all_kept.value[quiet] > 0.75).all()
    assert not (all_kept.high < 0.5).any()
    assert pooled.collapsed[..., quiet].mean() > 0.3
    assert not pooled.collapsed[..., 2:].any()
    assert own.collapsed.mean() < 0.01
    named = pooled.causes[..., quiet][pooled.collapsed[..., quiet]]
    assert (named == CAUSES.index("DROWNED")).mean() > 0.9
    assert not pooled.causes[~pooled.collapsed].any()


def test_what_is_measured_from_rewards_by_arithmetic() -> None:
    found = short("mappo_per_agent", drawn="in_rollout")
    np.testing.assert_allclose(found.rewards["net_mass"], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.rewards["norm_inflation"], 1.0)
    stable, volatile = (
        found.rewards["participation"][..., 0],
        found.rewards["participation"][..., 2],
    )
    np.testing.assert_allclose(stable + volatile, 1.0)
    np.testing.assert_allclose(found.rewards["entropy"][:, 0], np.log(4))
    np.testing.assert_allclose(found.gradients["share"].sum(axis=-1), 1.0)
    assert (found.gradients["participation_ratio"] <= 4 + 1e-9).all()


def test_an_own_mean_with_the_scale_of_all_leaves_no_offset_to_blame() -> None:
    """Where center and scale have groups of their own, so have the offsets and the shares."""
    found = short("agent_mean", (0, 1, 2))
    np.testing.assert_allclose(found.rewards["inflation"], 1.0)
    quiet, loud = found.rewards["signal_share"][..., 0], found.rewards["signal_share"][..., 2]
    assert quiet.max() < 0.1 < loud.min()
    np.testing.assert_allclose(found.rewards["norm_inflation"], found.rewards["signal_share"])


def test_gradients_of_separate_tables_are_orthogonal() -> None:
    """Two equal, two absent: the effective rank counts agents, not coordinates in common."""
    found = short("mappo_per_agent", parameters="separate")
    norm = found.gradients["norm"]
    share = norm / norm.sum(axis=-1, keepdims=True)
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=-1)
    np.testing.assert_allclose(found.gradients["effective_rank"], np.exp(entropy))


@pytest.mark.few(6)
@pytest.mark.parametrize("name", [entry.name for entry in worlds(Kind.EXACT)])
@pytest.mark.parametrize("parameters", ["shared", "separate"])
def test_every_world_trains_under_every_scheme(name: str, parameters: str) -> None:
    world = find_world(name).make({"updates": "2", "parameters": parameters})
    plain = [name for name, entry in entries().items() if not entry.needs]
    for scheme in [*plain, *world.baselines]:
        found = train(world, scheme, (0,))
        assert found.scheme == scheme
        assert np.isfinite(found.returns).all()
        assert np.isfinite(found.gradients["norm"]).all()


def test_decoupling_hurts_a_reserve_that_idled() -> None:
    """The losing case: a deviation of its own blows the idle noise up to superstition."""
    world, seeds = find_world("idle_then_needed").make(), range(6)
    reserve = {
        scheme: train(world, scheme, seeds).accuracy[:, -1, 2].mean()
        for scheme in ("mappo_pooled", "mappo_per_agent")
    }
    assert reserve["mappo_pooled"] > 0.98
    assert reserve["mappo_per_agent"] < reserve["mappo_pooled"] - 0.03


def test_statistics_by_agent_and_group_hurt_workers_who_are_called() -> None:
    world, seeds = find_world("planner_worker").make(), range(4)
    wide, narrow = (train(world, name, seeds) for name in ("mappo_per_agent", "agent_wise"))
    assert wide.returns[:, -1].mean() > 0.97
    assert narrow.returns[:, -1].mean() < 0.9
    assert narrow.tally["singletons"] > 0


def test_components_save_the_small_stakes() -> None:
    world, seeds = (
        find_world("unequal_stakes").make({"parameters": "separate", "updates": "100"}),
        range(4),
    )
    summed, each = (train(world, name, seeds) for name in ("mappo_pooled", "gdpo"))
    assert summed.accuracy[:, -1, 0].mean() < 0.85
    assert each.accuracy[:, -1, 0].mean() > 0.95


def test_counterfactuals_are_not_diluted() -> None:
    world, seeds = (
        find_world("homogeneous").make({"parameters": "separate", "updates": "12"}),
        range(4),
    )
    pooled, coma = (train(world, name, seeds) for name in ("mappo_pooled", "counterfactual"))
    assert pooled.returns[:, -1].mean() < 0.85
    assert coma.returns[:, -1].mean() > 0.93


def test_a_scheme_object_is_named_if_the_catalogue_knows_it() -> None:
    assert short(catalogue()["rloo"]).scheme == "rloo"
    assert short(Scheme(floor=0.25)).scheme == "mappo_pooled,floor=0.25"


def test_progress_is_reported_after_each_update() -> None:
    seen: list[int] = []
    train(find_world("regions").make({"updates": "3"}), "grpo", (0,), on_update=seen.append)
    assert seen == [1, 2, 3]


def test_an_unknown_scheme_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="got scheme 'grop'; did you mean grpo"):
        short("grop")


def test_a_baseline_that_a_world_does_not_know_is_a_clear_error() -> None:
    with pytest.raises(SchemeError, match=r"'own_component' for world 'regions'.*counterfactual"):
        short("own_component")


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_bad_seeds_are_refused(seeds: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="different integers >= 0"):
        short("grpo", seeds)


@pytest.mark.parametrize("scheme", ["none", "mappo_pooled", "counterfactual"])
def test_extreme_scales_stay_finite(scheme: str) -> None:
    assert np.isfinite(short(scheme, scale="1e6").returns).all()
    assert np.isfinite(short(scheme, scale="1e-6").returns).all()
