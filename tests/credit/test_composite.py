"""`Mix` and `PerRole`: sums of schemes, and a scheme for each role."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from array_kinds import KINDS, credit_of

from counterpoint.credit import Mix, PerRole, RunningState, Scheme, advantages, catalogue
from counterpoint.credit.memory import JointState
from counterpoint.errors import LabelError, SchemeError, StateError

GRPO, CENTER, OWN = (catalogue()[n] for n in ("grpo_rows", "center", "group_reward_decoupled"))
PROMPTS = {"prompt": [0, 0, 1, 1], "agent": ["p", "w", "p", "w"]}
TEAM = {"agent": ["p", "w", "p", "w", "p", "w"], "prompt": [0, 0, 0, 1, 1, 1]}
REWARDS = np.array([1.0, 10.0, 3.0, 30.0, 8.0, 20.0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_mix_is_the_weighted_sum(kind: str) -> None:
    """Prompts 4 0 and 1 3: z-scores 1 -1 -1 1; batch mean 2: 2 -2 -1 1. Twice one minus half."""
    mix = Mix(((2.0, GRPO), (-0.5, CENTER)))
    got = credit_of(kind, np.array([4.0, 0.0, 1.0, 3.0]), PROMPTS, mix).values
    np.testing.assert_allclose(got, [1, -1, -1.5, 1.5], rtol=1e-12)


def test_a_mix_counts_rows_once_and_groups_in_each_part() -> None:
    first = replace(CENTER, weights=(1.0, 0.0))
    second = replace(GRPO, weights=(0.0, 1.0))
    rewards = [[4.0, None], [0.0, 1.0], [None, 1.0], [2.0, 3.0]]
    done = advantages(rewards, PROMPTS, Mix(((1.0, first), (1.0, second))))
    np.testing.assert_allclose(done.values, [2, -2, -1, 1])
    tally = done.tally
    assert (tally.rows, tally.missing, tally.left_out) == (4, 2, 0)  # each row counts somewhere
    assert (tally.groups, tally.singletons) == (3, 1)  # the batch; prompts of one row and of two
    assert done.state is None


def test_a_row_that_some_part_uses_is_not_left_out() -> None:
    zero = replace(CENTER, missing="as_zero")
    both = Mix(((1.0, CENTER), (1.0, zero)))
    done = advantages([1.0, None, 3.0, 0.0], PROMPTS, both).tally
    assert (done.missing, done.left_out) == (1, 0)
    done = advantages([1.0, None, 3.0, 0.0], PROMPTS, Mix(((1.0, CENTER), (1.0, GRPO)))).tally
    assert (done.missing, done.left_out) == (1, 1)


def test_what_a_mix_says_of_its_parts() -> None:
    mix = Mix([[1, GRPO], (2, OWN)])
    assert mix.parts == ((1.0, GRPO), (2.0, OWN))
    assert mix.schemes == (GRPO, OWN)
    assert mix.keeps_state
    assert mix.groups_by_agent
    assert not Mix(((1.0, GRPO),)).keeps_state
    assert not Mix(((1.0, GRPO),)).groups_by_agent
    assert mix.decoupled() == Mix(((1.0, GRPO.decoupled()), (2.0, OWN)))
    assert mix.coupled() == Mix(((1.0, GRPO), (2.0, OWN.coupled())))


@pytest.mark.parametrize("kind", KINDS)
def test_each_role_is_normalized_as_if_it_were_alone(kind: str) -> None:
    """Planner 1 3 | 8 in its prompts: center none; worker 10 | 30 20: minus its mean 20."""
    roles = PerRole({"w": CENTER}, default=GRPO)
    done = credit_of(kind, REWARDS, TEAM, roles)
    np.testing.assert_allclose(done.values, [-1, -10, 1, 10, 0, 0], atol=1e-12)
    assert (done.tally.rows, done.tally.groups, done.tally.singletons) == (6, 3, 1)


@pytest.mark.parametrize("components", [1, 2])
def test_roles_with_gaps_and_several_components(components: int) -> None:
    rng = np.random.default_rng(0)
    rewards = rng.integers(0, 4, (6, components)).astype(float)
    rewards[3, 0] = np.nan
    given = [[None if np.isnan(x) else float(x) for x in row] for row in rewards]
    done = advantages(given, TEAM, PerRole({"p": GRPO, "w": CENTER}))
    for role, scheme in (("p", GRPO), ("w", CENTER)):
        rows = np.array(TEAM["agent"]) == role
        alone = {name: np.array(column)[rows] for name, column in TEAM.items()}
        np.testing.assert_array_equal(
            done.values[rows], advantages(rewards[rows], alone, scheme).values
        )
    assert done.tally.missing == 1


def test_role_comes_before_agent_and_agent_stands_in_for_it() -> None:
    roles = PerRole({"planner": GRPO, "worker": CENTER})
    named = {**TEAM, "role": ["planner", "worker"] * 3, "agent": range(6)}
    by_agent = PerRole({"p": GRPO, "w": CENTER})
    np.testing.assert_array_equal(
        advantages(REWARDS, named, roles).values, advantages(REWARDS, TEAM, by_agent).values
    )


def test_what_a_scheme_for_each_role_says_of_itself() -> None:
    pairs = (("p", GRPO), ("w", OWN))
    roles = PerRole({"p": GRPO, "w": OWN})
    assert roles == PerRole(pairs) == PerRole([list(pair) for pair in pairs])
    assert roles.schemes == pairs
    assert roles.keeps_state
    assert not PerRole({"p": GRPO}, default=CENTER).keeps_state
    assert PerRole({"p": GRPO}, default=OWN).keeps_state
    assert PerRole({"p": GRPO}).groups_by_agent
    assert roles.decoupled() == PerRole({"p": GRPO.decoupled(), "w": OWN})
    whole = PerRole({"p": OWN}, default=OWN)
    assert whole.coupled() == PerRole({"p": OWN.coupled()}, default=OWN.coupled())
    assert PerRole((), default=GRPO).decoupled() == PerRole((), default=GRPO.decoupled())
    assert whole.of("p") == whole.of("anybody") == OWN


def test_an_empty_batch_has_no_roles() -> None:
    for roles in (PerRole({"p": GRPO}), PerRole((), default=GRPO)):
        done = advantages([], {"agent": [], "prompt": []}, roles)
        assert done.values.shape == (0,)
        assert done.tally.rows == 0


def test_parts_keep_their_own_memory() -> None:
    """Calls 0 2 and 4 6 of agent a: OWN has mean 1, deviation 1 after the first."""
    labels = {"agent": ["a", "a"]}
    mix = Mix(((1.0, CENTER), (10.0, OWN)))
    first = advantages([0.0, 2.0], labels, mix)
    assert isinstance(first.state, JointState)
    assert first.state.of(0) is None
    assert first.state.of(1) is not None
    then = advantages([4.0, 6.0], labels, mix, state=first.state)
    np.testing.assert_allclose(then.values, [-1 + 10 * 3, 1 + 10 * 5])
    back = RunningState.from_dict(then.state.to_dict())
    assert back.to_dict() == then.state.to_dict()
    assert then.state.to_dict()["schema"] == "counterpoint.joint_state/1"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mix(()), "got parts=(); wanted at least one pair (weight up to 1e100, Scheme)"),
        (lambda: Mix(((1.0,),)), "got parts=((1.0,),); wanted pairs (weight, Scheme)"),
        (lambda: Mix(((1e308, GRPO),)), "wanted at least one pair (weight up to 1e100, Scheme)"),
        (
            lambda: Mix(((float("inf"), GRPO), (1.0, GRPO))),
            "wanted at least one pair (weight up to 1e100, Scheme)",
        ),
        (lambda: PerRole(3), "got schemes=3; wanted role to Scheme"),
        (
            lambda: PerRole({"a": 1}, default=GRPO),
            "got schemes={'a': 1} and default=" + repr(GRPO) + "; wanted a Scheme for at least one "
            "role",
        ),
        (
            lambda: PerRole((("a", GRPO), ("a", GRPO))),
            "got roles ['a', 'a']; wanted each of them once",
        ),
        (
            lambda: PerRole({"a": GRPO, "b": GRPO}).of("c"),
            "got role 'c'; wanted one of 'a', 'b', or a default scheme",
        ),
    ],
)
def test_what_is_no_composite_is_said(make: Any, said: str) -> None:
    with pytest.raises(SchemeError) as refused:
        make()
    assert str(refused.value).endswith(said)


def test_roles_must_be_told_apart() -> None:
    with pytest.raises(LabelError) as refused:
        advantages([1.0], {"prompt": [0]}, PerRole({"p": GRPO}))
    assert str(refused.value) == (
        "got labels ['prompt']; wanted labels['role'] (or 'agent') as known values, one for each "
        "row: PerRole has a scheme for each role"
    )


@pytest.mark.parametrize("scheme", [Mix(((1.0, OWN),)), PerRole({"p": OWN, "w": OWN})])
def test_a_state_of_another_kind_is_refused(scheme: Any) -> None:
    one = advantages([0.0, 1.0, 2.0, 3.0], PROMPTS, OWN).state
    with pytest.raises(StateError) as refused:
        advantages([0.0, 1.0, 2.0, 3.0], PROMPTS, scheme, state=one)
    assert str(refused.value) == (
        "got state of type SchemeState for a scheme made of schemes; wanted the JointState that it "
        "returned, or None"
    )
    joint = advantages([0.0, 1.0, 2.0, 3.0], PROMPTS, scheme).state
    with pytest.raises(StateError, match="JointState"):
        advantages([0.0, 1.0, 2.0, 3.0], PROMPTS, Scheme(), state=joint)
