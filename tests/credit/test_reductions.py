"""What each scheme is when there is one agent, one component, one row a rollout, or one call."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from array_kinds import KINDS, credit_of, few_shapes
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from random_teams import NEAR_ZERO, Team, everybody, rewards, scheme, uneven

from counterpoint.credit import Scheme, catalogue

SEEDS = st.integers(0, 2**32 - 1)
LAW = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


def variant(name: str, **changes: object) -> Scheme:
    return dataclasses.replace(catalogue()[name], **changes)


ONE_AGENT = (
    ("agent_wise", variant("grpo_rows")),
    ("hierarchical_grpo", variant("grpo")),
    ("rllm", variant("grpo", epsilon=1e-6, singleton="raw")),
    ("mappo_per_agent", variant("mappo_pooled")),
    ("agent_mean", variant("mappo_pooled")),
    ("group_reward_decoupled", variant("group_reward_decoupled", center_by=(), scale_by=())),
    ("marshal_style", variant("marshal_style", center_by=(), scale_by=())),
)
ONE_COMPONENT = (
    ("gdpo", variant("grpo", whiten="batch")),
    ("agent_x_component", variant("mappo_per_agent")),
)
ONE_PROMPT = (
    ("grpo", variant("reinforce_plus_plus")),
    ("agent_wise", variant("mappo_per_agent")),
    ("lite_ppo", variant("reinforce_plus_plus")),
)


def assert_equal_advantages(
    kind: str, team: Team, r: np.ndarray, one: Scheme, other: Scheme
) -> None:
    a, b = (credit_of(kind, r, team.labels, s).values for s in (one, other))
    top = max(1.0, np.abs(a).max(initial=0.0))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * top)


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, st.sampled_from(ONE_AGENT))
def test_one_agent(kind: str, structure: int, values: int, pair: tuple[str, Scheme]) -> None:
    team = uneven(few_shapes(kind, structure), agents=1)
    r = rewards(values, len(team), NEAR_ZERO)
    assert_equal_advantages(kind, team, r, catalogue()[pair[0]], pair[1])


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, st.sampled_from(ONE_COMPONENT))
def test_one_component(kind: str, structure: int, values: int, pair: tuple[str, Scheme]) -> None:
    team = uneven(few_shapes(kind, structure))
    r = rewards(values, len(team), NEAR_ZERO)
    assert_equal_advantages(kind, team, r, catalogue()[pair[0]], pair[1])


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, st.sampled_from(ONE_PROMPT))
def test_one_prompt(kind: str, structure: int, values: int, pair: tuple[str, Scheme]) -> None:
    team = uneven(few_shapes(kind, structure))
    team = team.take(np.flatnonzero(team.labels["prompt"] == team.labels["prompt"][0]))
    r = rewards(values, len(team), NEAR_ZERO)
    assert_equal_advantages(kind, team, r, catalogue()[pair[0]], pair[1])


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, SEEDS)
def test_one_component_sums_first_or_last(
    kind: str, structure: int, values: int, point: int
) -> None:
    team, any_scheme = uneven(few_shapes(kind, structure)), scheme(point, memory="batch")
    if any_scheme.transform == "identity" and {any_scheme.center, any_scheme.scale} == {"none"}:
        return  # normalize_first would normalize nothing: the scheme is refused
    first = dataclasses.replace(any_scheme, components="sum_first")
    last = dataclasses.replace(any_scheme, components="normalize_first")
    r = rewards(values, len(team), NEAR_ZERO)
    assert_equal_advantages(kind, team, r, first, last)


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, SEEDS)
def test_one_row_a_rollout_weighs_the_same_either_way(
    kind: str, structure: int, values: int, point: int
) -> None:
    team, any_scheme = everybody(few_shapes(kind, structure), 1), scheme(point, memory="batch")
    team = team.take(np.flatnonzero(team.labels["turn"] == 0))
    step = dataclasses.replace(any_scheme, weighting="step")
    trajectory = dataclasses.replace(any_scheme, weighting="trajectory")
    r = rewards(values, len(team), NEAR_ZERO)
    assert_equal_advantages(kind, team, r, step, trajectory)


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS)
def test_components_add_up(kind: str, structure: int, values: int) -> None:
    """gdpo before whitening is the weighted sum of grpo of each component."""
    team = uneven(few_shapes(kind, structure))
    r = np.stack([rewards(values + k, len(team), NEAR_ZERO) for k in range(3)], axis=1)
    weights = (1.0, -0.5, 2.0)
    gdpo = variant("gdpo", whiten="none", weights=weights)
    each = [credit_of(kind, r[:, k], team.labels, catalogue()["grpo"]).values for k in range(3)]
    got = credit_of(kind, r, team.labels, gdpo).values
    np.testing.assert_allclose(got, np.stack(each, axis=1) @ weights, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS, st.integers(2, 9))
def test_rloo_is_dr_grpo_stretched(kind: str, structure: int, values: int, g: int) -> None:
    """r - mean of the other G - 1 = (r - mean of all G) G / (G - 1)."""
    g = 2 + g % 3 if kind == "jax" else g
    prompts = 1 + few_shapes(kind, structure) % 4
    labels = {"prompt": np.repeat(np.arange(prompts), g), "rollout": np.tile(range(g), prompts)}
    r = rewards(values, g * prompts, NEAR_ZERO)
    rloo = credit_of(kind, r, labels, catalogue()["rloo"]).values
    mean = credit_of(kind, r, labels, catalogue()["dr_grpo"]).values
    atol = 1e-13 * (1 + np.abs(r).max())
    np.testing.assert_allclose(rloo, mean * g / (g - 1), rtol=0, atol=atol)


@pytest.mark.parametrize("kind", KINDS)
@LAW
@given(SEEDS, SEEDS)
def test_a_first_call_uses_its_own_statistics(kind: str, structure: int, values: int) -> None:
    """Cold groups: the running scheme is the batch scheme, whatever the decay."""
    team = uneven(few_shapes(kind, structure))
    team = team.take(np.flatnonzero(np.isin(team.labels["agent"], _acts_twice(team))))
    r = rewards(values, len(team), (0,))
    batch = credit_of(kind, r, team.labels, catalogue()["mappo_per_agent"]).values
    running = variant("group_reward_decoupled", decay=0.5 + values % 40 / 100)
    for cold in (running, catalogue()["marshal_style"]):
        got = credit_of(kind, r, team.labels, cold)
        np.testing.assert_allclose(got.values, batch, rtol=0, atol=1e-12 * len(team))
        assert got.tally.cold == len(np.unique(team.labels["agent"]))


def _acts_twice(team: Team) -> np.ndarray:
    agents, counts = np.unique(team.labels["agent"], return_counts=True)
    return agents[counts > 1]


def test_none_is_the_summed_reward() -> None:
    got = credit_of("numpy", np.array([[1.0, 2.0], [3.0, -5.0]]), {}, catalogue()["none"])
    np.testing.assert_array_equal(got.values, [3.0, -2.0])
