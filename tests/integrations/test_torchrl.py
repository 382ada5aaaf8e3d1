"""TorchRL and BenchMARL: what needs neither of them, and what is said where they are missing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from counterpoint.credit import advantages, catalogue
from counterpoint.errors import LabelError, MissingPackageError, RewardError, SchemeError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.torchrl import AgentAdvantages
from counterpoint.integrations.warnings import check_updates
from counterpoint.readers import read_decisions

torch = pytest.importorskip("torch")


def rows(*shape, seed=0):
    scales = torch.tensor([100.0, 1.0, 0.01])[: shape[-1], None]
    result = torch.randn(*shape, 1, generator=torch.Generator().manual_seed(seed))
    return result * scales


# --- without the peers --------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["torchrl", "benchmarl"])
def test_doors_need_no_peer(module):
    script = (
        f"import sys, counterpoint.integrations.{module}\n"
        "print(sorted({'torch', 'torchrl', 'benchmarl', 'tensordict'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.skipif(find_spec("torchrl") is not None, reason="torchrl is installed here")
@pytest.mark.parametrize("name", ["NormalizeAdvantage", "NormalizeOnExtend", "WorldEnv"])
def test_a_missing_torchrl_is_named_with_the_remedy(name):
    door = importlib.import_module("counterpoint.integrations.torchrl")
    with pytest.raises(MissingPackageError, match=rf"{name}.*pip install torchrl"):
        getattr(door, name)


@pytest.mark.skipif(find_spec("benchmarl") is not None, reason="benchmarl is installed here")
def test_a_missing_benchmarl_is_named_with_the_remedy():
    door = importlib.import_module("counterpoint.integrations.benchmarl")
    with pytest.raises(MissingPackageError, match="pip install benchmarl"):
        door.credit_callback()
    with pytest.raises(MissingPackageError, match="pip install benchmarl"):
        door.world_task("spread")
    with pytest.raises(ImportError, match="pip install benchmarl"):
        from counterpoint.integrations.benchmarl import IppoCredit  # noqa: F401


@pytest.mark.parametrize("module", ["torchrl", "benchmarl"])
def test_other_names_are_no_attributes(module):
    door = importlib.import_module(f"counterpoint.integrations.{module}")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = door.Nothing


# --- the mechanism ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 3), (2, 2, 2, 3)])
@pytest.mark.parametrize("scheme", ["mappo_per_agent", "mappo_pooled", "agent_mean", "none"])
def test_it_is_the_kernel(shape, scheme):
    given = rows(*shape)
    kept = given.clone()
    result = AgentAdvantages(TeamCredit(scheme))(given)
    agents = np.tile(np.arange(3), given.numel() // 3)
    wanted = advantages(
        given.double().numpy().reshape(-1), {"agent": agents}, catalogue()[scheme]
    ).values
    assert result.shape == given.shape
    assert result.dtype == torch.float32
    assert np.allclose(result.numpy().reshape(-1), wanted, rtol=1e-5, atol=1e-6)
    assert torch.equal(given, kept)


def test_by_hand():
    given = torch.tensor([[1.0, 10.0], [3.0, 50.0]])[..., None]
    result = AgentAdvantages(TeamCredit("mappo_per_agent"), ("a", "b"))(given)
    assert result[..., 0].tolist() == [[-1, -1], [1, 1]]  # means 2 and 30, deviations 1 and 20


def test_one_agent_alone_is_the_pooled_scheme():
    given = rows(40, 1)
    own = AgentAdvantages(TeamCredit("mappo_per_agent"))(given)
    assert torch.equal(own, AgentAdvantages(TeamCredit("mappo_pooled"))(given))


def test_the_scale_of_one_agent_touches_no_other():
    given, credit = rows(50, 3), TeamCredit("mappo_per_agent")
    loud = given * torch.tensor([1000.0, 1.0, 1.0])[:, None]
    first, second = AgentAdvantages(credit)(given), AgentAdvantages(credit)(loud)
    assert torch.equal(first[:, 1:], second[:, 1:])
    assert torch.allclose(first[:, 0], second[:, 0], atol=1e-5)


def test_agents_that_were_not_there_have_no_part():
    given = rows(20, 3)
    present = torch.ones(20, 3, dtype=torch.bool)
    present[:5, 1] = False
    given[:5, 1] = float("nan")  # means nothing
    credit = AgentAdvantages(TeamCredit("mappo_per_agent"))
    result = credit(given, present)
    alone = AgentAdvantages(TeamCredit("mappo_per_agent"))(given[5:])
    assert result[:5, 1].abs().max() == 0
    assert torch.allclose(result[5:, 1], alone[:, 1])
    assert credit.credit.tally.rows == 55  # what is absent on purpose is not missing
    again = AgentAdvantages(TeamCredit("mappo_per_agent"))(given, present[..., None])
    assert torch.equal(result, again)


def test_one_step_is_zero_and_not_nan():
    credit = AgentAdvantages(TeamCredit("mappo_per_agent"))
    assert credit(rows(1, 3)).abs().max() == 0
    assert credit.credit.tally.singletons == 3


def test_running_statistics_move_in_learning_only():
    credit = TeamCredit("group_reward_decoupled")
    work = AgentAdvantages(credit, ("a", "b", "c"))
    work(rows(30, 3))
    before = credit.state_dict()
    work(rows(30, 3, seed=1), learning=False)
    assert credit.state_dict() == before
    work(rows(30, 3, seed=1))
    assert credit.state_dict() != before
    assert credit.state_dict()["state"]["center"][0]["keys"] == [["a"], ["b"], ["c"]]


def test_batches_of_changing_length():
    work, state = AgentAdvantages(TeamCredit("group_reward_decoupled")), None
    for steps in (10, 7, 10, 1):
        given = rows(steps, 3, seed=steps)
        labels = {"agent": np.tile(np.arange(3), steps)}
        flat = given.reshape(-1)
        wanted = advantages(flat, labels, catalogue()["group_reward_decoupled"], state=state)
        state = wanted.state
        assert torch.equal(work(given).reshape(-1), wanted.values)


def test_the_log_names_agents_and_pairs_their_rows(tmp_path):
    work = AgentAdvantages(TeamCredit(record=tmp_path / "log.jsonl"), ("a", "b"))
    given = rows(2, 5, 2)
    work(given)
    log = read_decisions(tmp_path / "log.jsonl")
    assert log.labels["agent"].tolist() == ["a", "b"] * 10
    assert log.labels["rollout"].tolist() == np.arange(10).repeat(2).tolist()
    assert np.array_equal(log.rewards[:, 0], given.double().numpy().reshape(-1))


def test_what_is_refused():
    with pytest.raises(SchemeError, match="takes the steps of a rollout together"):
        AgentAdvantages(TeamCredit("grpo"))
    work = AgentAdvantages(TeamCredit("mappo_per_agent"), ("a", "b"))
    for shape in ((3,), (3, 2), (3, 2, 2)):
        with pytest.raises(RewardError, match="wanted"):
            work(torch.zeros(shape))
    with pytest.raises(LabelError, match="2 names for 3 agents"):
        work(rows(4, 3))
    with pytest.raises(RewardError, match="mask"):
        work(rows(4, 2), torch.zeros(4, 3, dtype=torch.bool))
    for broken in (float("nan"), float("inf")):
        given = rows(4, 2)
        given[0, 0] = broken
        with pytest.raises(RewardError, match="diverged"):
            work(given)


def test_spiky_is_a_memory_that_lags_and_no_heavy_tail():
    rng = np.random.default_rng(0)
    labels = {"agent": np.tile(["a", "b"], 200), "rollout": np.arange(200).repeat(2),
              "prompt": np.zeros(400, dtype=int)}  # fmt: skip
    running, batch = catalogue()["group_reward_decoupled"], catalogue()["mappo_per_agent"]

    def spiky(rewards, scheme):
        updates = [(step, one, labels) for step, one in enumerate(rewards)]
        return [key for key in check_updates(updates, scheme).sentences if key.startswith("SPIKY")]

    tails = rng.standard_t(2, size=(10, 400, 1))
    assert spiky(tails, running) == spiky(tails, batch) == []
    jump = rng.normal(size=(10, 400, 1)) * np.repeat([1.0, 50.0], [8, 2])[:, None, None]
    assert spiky(jump, running) == ["SPIKY a", "SPIKY b"]
    assert spiky(jump, batch) == []
