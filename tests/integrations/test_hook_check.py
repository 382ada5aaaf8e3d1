"""`HookCheck`: a training whose hook is never reached stops at its first optimizer step."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from peer_python import run_peer

from counterpoint.errors import HookError, SettingError
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.comlrl import attach
from counterpoint.integrations.hook_check import HookCheck

LABELS = {"prompt": [0, 0, 0, 0], "agent": list("aabb"), "rollout": [0, 1, 0, 1]}


def made(scheme="agent_wise"):
    credit = TeamCredit(scheme, check_every=0)
    return credit, HookCheck(credit, "the hook", "write this line")


def test_a_step_without_our_advantages_is_an_error():
    credit, check = made()
    with pytest.raises(HookError, match=r"before the hook was called.*wanted.*write this line"):
        check.before_step()
    credit([1.0, 0.0, 5.0, 7.0], LABELS, learning=False)  # an evaluation trains nothing
    with pytest.raises(HookError):
        check.before_step()
    credit([1.0, 0.0, 5.0, 7.0], LABELS)
    check.before_step()
    assert check.proved


def test_a_checkpoint_is_no_proof():
    credit, _ = made()
    credit([1.0, 0.0, 5.0, 7.0], LABELS)
    again, check = made()
    again.load_state_dict(credit.state_dict())
    assert again.updates == 1
    with pytest.raises(HookError):
        check.before_step()


def test_advantages_that_something_replaced_are_an_error():
    credit, check = made()
    credit([1.0, 0.0, 5.0, 7.0], LABELS)  # 1, -1, -1, 1
    with pytest.raises(HookError, match=r"2 rows .* the first 0\.5: something replaces them"):
        check.before_step([1.0, 0.5, -0.5])
    with pytest.raises(HookError, match="1 rows"):
        check.before_step([float("nan"), 1.0])
    check.before_step([-1.0, -1.0, 1.0, 1.0])  # in any order
    check.before_step([99.0])  # it was proved, and costs nothing from now on


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_rounding_of_a_trainer_is_none(dtype):
    credit, check = made("mappo_pooled")
    values = np.asarray(credit([1.0, 0.3, 5.0, 7.7], LABELS))
    check.before_step(values.astype(dtype))
    assert check.proved


def test_absent_rows_have_the_advantage_0():
    credit, check = made()
    credit([1.0, 0.0, 5.0, 7.0], LABELS, absent=np.array([False, False, True, True]))
    check.before_step([1.0, -1.0, 0.0, 0.0])


def test_bfloat16_and_an_optimizer():
    torch = pytest.importorskip("torch")
    credit, check = made("mappo_pooled")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    check.watch(optimizer)
    weight.sum().backward()
    with pytest.raises(HookError):
        optimizer.step()
    assert weight.tolist() == [1, 1]  # nothing was trained
    values = credit(torch.tensor([1.0, 0.3, 5.0, 7.7]), LABELS)
    check.before_step(values.bfloat16())
    optimizer.step()
    assert weight.tolist() == [0, 0]


def test_a_trainer_of_comlrl_that_makes_its_advantages_elsewhere_is_refused():
    class IACTrainer(SimpleNamespace):
        pass

    with pytest.raises(SettingError, match="got IACTrainer without _drain_ready_buffers"):
        attach(IACTrainer(num_agents=2, reward_func=None))


@pytest.mark.slow
def test_real_trainers_stop_before_their_first_step(tmp_path):
    printed = run_peer("peers-language", "hooks_check.py", tmp_path)
    assert printed["trl"] == ["trained", True]
    assert printed["comlrl"] == ["trained", True]
    for name, found in (
        ("replaces", "rows with advantages that Counterpoint did not compute"),
        ("skips", "before _generate_and_score_completions of with_credit(...) was called"),
        ("elsewhere", "rewards _calculate_rewards did not compute"),
        ("comlrl, replaced", "before the advantages that attach(...) set"),
    ):
        said, moved = printed[name]
        assert said.startswith("HookError"), name
        assert found in said
        assert not moved, name
    (nameless,) = printed["nameless"]
    assert "name them in the dataset's column 'who'" in nameless
    assert "got AsyncGRPOTrainer without _calculate_rewards" in printed["async"]
