"""Which settings are the world's and which the policies', and what happens with others."""

from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec

import pytest

from counterpoint import optional
from counterpoint.errors import MissingPackageError, SettingError, UnknownNameError
from counterpoint.train.ppo.plan import TrainPlan, discount_of
from counterpoint.train.ppo.settings import (
    POLICY,
    PolicySettings,
    make_with_hints,
    split_settings,
)
from counterpoint.train.value.settings import VALUE
from counterpoint.worlds import Kind, find_world, worlds
from counterpoint.worlds.foreign.world import ForeignEntry

SPREAD = find_world("spread", Kind.SEQUENTIAL)


@pytest.mark.parametrize("entry", worlds(Kind.SEQUENTIAL), ids=lambda entry: entry.name)
def test_no_setting_of_a_world_is_called_like_one_of_the_policies(entry):
    own = {spec.name for spec in fields(entry.settings_type)}
    assert own & {*POLICY, *VALUE} == set()


def test_settings_are_split_and_converted():
    own, policy = split_settings(SPREAD, {"agents": "4", "hidden": "8", "lr": 0.1}, PolicySettings)
    assert own == {"agents": "4"}
    assert policy == PolicySettings(hidden=8, lr=0.1)


def test_other_names_of_foreign_worlds_are_their_constructors():
    own, policy = split_settings(
        ForeignEntry("package.module:Class"), {"anything": "1", "hidden": "8"}, PolicySettings
    )
    assert own == {"anything": "1"}
    assert policy.hidden == 8


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"hiden": 8}, UnknownNameError, "did you mean hidden"),
        ({"agentss": 8}, UnknownNameError, "did you mean agents"),
        ({"hidden": "many"}, SettingError, "many"),
        ({"critic": "none"}, SettingError, "critic"),
    ],
)
def test_what_cannot_be_is_said(given, error, said):
    with pytest.raises(error, match=said):
        split_settings(SPREAD, given, PolicySettings)


def test_what_a_foreign_world_refuses_may_be_meant_for_the_policies():
    pytest.importorskip("mpe2")
    with pytest.raises(SettingError, match="did you mean hidden"):
        make_with_hints(ForeignEntry("mpe2:simple_spread_v3"), {"hiden": 3}, POLICY)


def test_a_pass_has_no_more_parts_than_sequences():
    assert PolicySettings().filled(python=False).minibatches == 4
    assert PolicySettings(copies=2, memory="gru").filled(python=False).minibatches == 2
    assert PolicySettings(copies=1, steps=1).filled(python=True).minibatches == 1
    assert PolicySettings(minibatches=32, memory="gru", copies=32).minibatches == 32
    with pytest.raises(SettingError, match="minibatches=33; wanted at most 32, the copies"):
        PolicySettings(minibatches=33, memory="gru", copies=32).filled(python=False)
    with pytest.raises(SettingError, match="minibatches=65; wanted at most 64"):
        PolicySettings(minibatches=65, memory="gru").filled(python=True)
    with pytest.raises(SettingError, match="max_norm=0"):
        PolicySettings(max_norm=0.0)


def test_short_trainings_are_measured_more_often():
    def plan(budget, world="spread", **given):
        return TrainPlan.of(world, "none", budget, given, None)

    assert plan(100_000).policy.diagnose_every == 1
    assert plan(1_000_000).policy.diagnose_every == 5
    assert plan(100_000, diagnose_every=0).policy.diagnose_every == 0
    assert plan(None).budget == 100_000
    assert plan(7).budget == 7
    with pytest.raises(SettingError, match="budget=0"):
        plan(0)
    pytest.importorskip("mpe2")
    assert plan(None, "mpe2:simple_spread_v3").budget == 20_000


@pytest.mark.parametrize(
    ("ask", "package", "extra"),
    [
        (optional.require_torch, "torch", "torch"),
        (optional.require_torch, "safetensors", "torch"),
        (optional.require_language, "gguf", "language"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(ask, package, extra, monkeypatch):
    def without(name):
        return None if name == package else find_spec(name)

    monkeypatch.setattr(optional, "find_spec", without)
    with pytest.raises(MissingPackageError, match=rf"{package}.*pip install .*\[{extra}\]"):
        ask()
    line = optional.pip_line(extra)
    with pytest.raises(
        MissingPackageError, match=rf"it needs {package}.*pip install .*\[{extra}\]"
    ):
        optional.require_packages("it", ("numpy", package), line)
    with (
        pytest.raises(MissingPackageError, match=r"it needs nowhere_to_be.*\[torch\]"),
        optional.needs("it", optional.pip_line("torch")),
    ):
        import_module("nowhere_to_be")
    with pytest.raises(ImportError), optional.needs("it", line):
        raise ImportError("ours", name="counterpoint.nowhere")


@pytest.mark.parametrize(
    ("horizon", "wanted"), [(10, 0.95), (25, 0.95), (50, 0.975), (100, 0.9875), (1000, 0.995)]
)
def test_the_default_discount_follows_the_horizon(horizon, wanted):
    plan = TrainPlan.of("spread", "none", 100, {"horizon": horizon}, None)
    assert plan.policy.gamma == pytest.approx(wanted)
    given = TrainPlan.of("spread", "none", 100, {"horizon": horizon, "gamma": "0.9"}, None)
    assert given.policy.gamma == 0.9


def test_without_a_horizon_the_discount_stays():
    world = SPREAD.make()
    world.horizon = None
    assert discount_of(world, PolicySettings()) == 0.95
    rivals = {"sides": "agent_0/agent_1+agent_2"}
    assert discount_of(world, PolicySettings(**rivals, scoring="match")) == 0.95
    assert discount_of(world, PolicySettings(**rivals, scoring="game")) == 0.99


@pytest.mark.parametrize(
    ("world", "budget", "copies"),
    [
        ("spread", 100_000, 128), ("spread", 96_000, 128), ("spread", 95_999, 64),
        ("spread", 12_000, 16), ("spread", 749, 1), ("spread", 1, 1),
    ],
)  # fmt: skip
def test_a_small_budget_has_thirty_updates(world, budget, copies):
    plan = TrainPlan.of(world, "none", budget, {}, None)
    assert plan.policy.copies == copies
    assert plan.policy.minibatches == 4
    assert budget < 750 or budget // plan.batch_steps >= 30
    assert TrainPlan.of(world, "none", budget, {"copies": 100}, None).policy.copies == 100


def test_given_minibatches_stay_and_copies_that_fill_them():
    given = {"memory": "gru", "minibatches": 32}
    policy = TrainPlan.of("spread", "none", 12_000, given, None).policy
    assert (policy.copies, policy.minibatches) == (32, 32)
    policy = TrainPlan.of("spread", "none", 749, {"memory": "gru"}, None).policy
    assert (policy.copies, policy.minibatches) == (1, 1)
