"""The rules that adapters share."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from counterpoint.credit import catalogue
from counterpoint.errors import LabelError, SchemeError, SettingError
from counterpoint.integrations.guards import (
    nameless_rows,
    refuse_rollouts,
    refuse_second_normalization,
    require_agents,
    reward_value,
)


def test_none_is_missing_and_never_0():
    assert math.isnan(reward_value(None))
    assert reward_value(0) == 0.0


def test_agents_that_a_scheme_needs():
    known = catalogue()
    require_agents({"agent": ["a"]}, known["agent_wise"], "x")
    require_agents({"role": ["a"]}, known["agent_wise"], "x")
    require_agents({}, known["grpo"], "x")
    with pytest.raises(LabelError, match="agent_wise has per-agent statistics; wanted a column"):
        require_agents({}, known["agent_wise"], "a column")
    assert nameless_rows(known["grpo"], "x") == {}
    assert "name them in a column" in nameless_rows(known["agent_wise"], "a column")["agents"]


def test_schemes_of_whole_rollouts_where_steps_have_advantages():
    refuse_rollouts(catalogue()["mappo_per_agent"])
    with pytest.raises(SchemeError, match=r"got grpo, .* wanted a scheme with weighting='step'"):
        refuse_rollouts(catalogue()["grpo"])


@pytest.mark.parametrize("setting", [{"normalize_advantage": True}, {"advantage_norm": "module"}])
def test_a_loss_that_would_normalize_again(setting):
    refuse_second_normalization(SimpleNamespace(normalize_advantage=False, advantage_norm=None))
    with pytest.raises(SettingError, match="wanted normalize_advantage=False"):
        refuse_second_normalization(SimpleNamespace(**setting))
