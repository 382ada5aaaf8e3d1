"""Which two schemes answer whether decoupling helps."""

from counterpoint.comparison.decoupling import pair_of
from counterpoint.credit import catalogue


def test_the_exact_twin_is_preferred():
    pair = pair_of(["counterfactual", "agent_wise", "mappo_per_agent", "mappo_pooled"])
    assert (pair.name, pair.decoupled_name) == ("mappo_pooled", "mappo_per_agent")
    assert pair.schemes == (catalogue()["mappo_pooled"], catalogue()["mappo_per_agent"])


def test_without_mappo_the_first_shared_scheme_is_the_reference():
    pair = pair_of(["agent_wise", "grpo", "dr_grpo"])
    assert (pair.name, pair.decoupled_name) == ("grpo", "agent_wise")
    assert pair.reference.decoupled().center_by == ("prompt", "agent")


def test_without_any_shared_scheme_the_reference_is_still_pooled():
    pair = pair_of(["mappo_per_agent", "counterfactual"])
    assert (pair.name, pair.decoupled_name) == ("mappo_pooled", "mappo_per_agent")


def test_without_a_decoupled_scheme_there_is_no_counterpart():
    assert pair_of(["grpo", "rloo", "own_component"]).decoupled_name is None
