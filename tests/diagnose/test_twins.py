import numpy as np
import pytest
from planted import log, sometimes

from counterpoint.credit import Scheme, advantages, catalogue, entries
from counterpoint.diagnose.log import Log, decoupling_difference, logged_advantages


@pytest.mark.parametrize("name", [n for n, e in entries().items() if not e.needs])
def test_twins_differ_from_a_scheme_only_in_who_shares(name):
    scheme = catalogue()[name]
    one, two = scheme.coupled(), scheme.decoupled()
    assert not one.groups_by_agent
    assert "agent" in two.center_by
    assert "agent" in (two.scale_by or ())
    for twin in (one, two):
        for field in ("center", "scale", "transform", "components", "memory", "weighting"):
            assert getattr(twin, field) == getattr(scheme, field)


def test_twins_by_name():
    named = catalogue()
    assert named["mappo_per_agent"].coupled() == named["mappo_pooled"]
    assert named["mappo_pooled"].decoupled() == named["mappo_per_agent"]
    assert named["agent_mean"].coupled() == named["mappo_pooled"]
    assert named["agent_wise"].decoupled() == named["agent_wise"]


def test_what_other_groups_cancel_is_taken_out():
    whitened = Scheme(center_by=("agent",), whiten="batch")
    assert whitened.coupled() == Scheme()
    raw = Scheme(center_by=("agent",), scale_by=(), scale_of="raw")
    assert raw.coupled() == Scheme()


def test_each_step_is_a_call():
    decisions = log(0, steps=3, acts=sometimes)
    values = logged_advantages(Log.of(decisions), Scheme())
    here = decisions.step == 1
    labels = {name: column[here] for name, column in decisions.labels.items()}
    alone = advantages(decisions.rewards[here], labels, Scheme()).values
    assert values[here] == pytest.approx(alone)


def test_running_statistics_go_from_step_to_step():
    scheme = catalogue()["marshal_style"]
    decisions = log(0, steps=3, acts=sometimes)
    values, state = logged_advantages(Log.of(decisions), scheme), None
    for step in range(3):
        here = decisions.step == step
        labels = {name: column[here] for name, column in decisions.labels.items()}
        credit = advantages(decisions.rewards[here], labels, scheme, state=state)
        state = credit.state
        assert values[here] == pytest.approx(credit.values)


def test_difference_by_hand():
    # Pooled z-scores of {0, 1} and {5, 6} are (-3, -2, 2, 3) - nothing like the own (-1, 1, -1, 1).
    decisions = log(0, steps=1, prompts=1, rollouts=2, agents=2)
    decisions.rewards[:, 0] = [0, 5, 1, 6]
    pooled = np.array([-3, 2, -2, 3]) / np.sqrt(6.5)
    own = np.array([-1, -1, 1, 1])
    found = decoupling_difference(Log.of(decisions), Scheme())
    assert found == pytest.approx(abs(pooled - own).max() / abs(pooled).max())


def test_rewards_that_are_all_equal_do_not_differ():
    decisions = log(0, steps=1)
    decisions.rewards[:] = 3.0
    assert decoupling_difference(Log.of(decisions), Scheme()) == 0
