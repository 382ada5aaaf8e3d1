"""NeMo-RL: against its published interface, with stand-ins; the package was not run."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.errors import LabelError, RewardError
from counterpoint.integrations.nemo_rl import AdvantageEstimator

torch = pytest.importorskip("torch")
NAN = float("nan")


def computed(columns, prompts=None, scheme="agent_wise", rewards=None, mask=None, **options):
    n = len(next(iter(columns.values()))) if columns else len(rewards)
    batch = {k: v if isinstance(v, list) and isinstance(v[0], str) else torch.tensor(v)
             for k, v in columns.items()}  # fmt: skip
    ids = torch.tensor(prompts or [[7, 8]] * n)
    mask = torch.ones(n, 3) if mask is None else mask
    total = torch.zeros(n) if rewards is None else torch.tensor(rewards)
    valid, agents = options.pop("valid", None), options.pop("agents", ())
    result = AdvantageEstimator(scheme, agents=agents).compute_advantage(
        ids,
        total,
        mask,
        batch,
        valid_mask=None if valid is None else torch.tensor(valid),
        **options,
    )
    assert result.shape == mask.shape
    assert result.dtype == total.dtype
    return result[:, 0].tolist()


def test_a_row_for_each_agent():
    columns = {"reward/a": [0.0, 1.0, NAN, NAN], "reward/b": [NAN, NAN, 100.0, 102.0]}
    assert computed(columns) == [-1, 1, -1, 1]


def test_zeros_in_the_columns_of_others_do_not_vote_where_the_batch_says_who():
    columns = {"reward/a": [0.0, 1.0, 0.0, 0.0], "reward/b": [0.0, 0.0, 100.0, 102.0],
               "agent": ["a", "a", "b", "b"]}  # fmt: skip
    assert computed(columns) == [-1, 1, -1, 1]


def test_a_row_of_all_agents_has_the_sum():
    columns = {"reward/a": [0.0, 1.0], "reward/b": [102.0, 100.0]}
    assert computed(columns) == [0, 0]  # -1 and +1, +1 and -1
    assert computed(columns, agents=("a",)) == [-1, 1]


def test_agents_by_name_and_one_reward():
    columns = {"agent": ["a", "a", "b", "b"]}
    assert computed(columns, rewards=[0.0, 1.0, 100.0, 102.0]) == [-1, 1, -1, 1]
    assert computed({}, rewards=[0.0, 1.0], scheme="grpo") == [-1, 1]


def test_prompts_are_rows_of_equal_tokens():
    prompts = [[1, 2], [1, 2], [1, 3], [1, 3]]
    assert computed({"reward/a": [0.0, 1.0, 5.0, 9.0]}, prompts) == [-1, 1, -1, 1]


@pytest.mark.parametrize("rewards", [[0.7] * 7, [1000.1] * 3, [1000000.7] * 7, [5.0]])
def test_constant_groups_and_singletons_are_exactly_zero(rewards):
    assert computed({"reward/a": rewards}) == [0.0] * len(rewards)


def test_missing_invalid_and_masked_rows_are_in_no_statistic():
    assert computed({"reward/a": [1.0, NAN, 0.0]}) == [1, 0, -1]
    assert computed({"reward/a": [1.0, 50.0, 0.0]}, valid=[1.0, 0.0, 1.0]) == [1, 0, -1]
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert computed({"reward/a": [1.0, 50.0, 0.0]}, mask=mask) == [1, 0, -1]
    assert computed({"reward/a": [1.0, 2.0]}, valid=[0.0, 0.0]) == [0, 0]


def test_uneven_agents_equal_the_kernel():
    a, b = [0.0, 1.0] + [NAN] * 4, [NAN] * 2 + [10.0, 12.0, 14.0, 11.0]
    result = computed({"reward/a": a, "reward/b": b})
    wanted = [-1, 1, -1.1832159566, 0.1690308509, 1.5212776585, -0.5070925528]
    assert np.allclose(result, wanted, atol=1e-6)


def test_what_lacks_is_said():
    with pytest.raises(LabelError, match="reward/<agent>"):
        computed({}, rewards=[1.0, 0.0])
    with pytest.raises(LabelError, match="without reward/c"):
        computed({"reward/a": [1.0]}, agents=("a", "c"))
    with pytest.raises(RewardError, match="infinite"):
        computed({"reward/a": [1.0, float("inf")]})
