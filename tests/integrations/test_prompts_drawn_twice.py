"""Every adapter whose trainer may draw one prompt twice in a batch: each draw is a group.

Rollouts are numbered alike in both draws. The advantages are those of each draw alone; what was
wrong once is that rollout 0 of the first draw and rollout 0 of the second were averaged.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_art import Group, Run

from counterpoint.credit import advantages, catalogue
from counterpoint.integrations import TeamCredit
from counterpoint.integrations.art import credited
from counterpoint.integrations.rllm import advantages_of
from counterpoint.integrations.slime import sample_labels as slime_labels
from counterpoint.integrations.tinker import batch_advantages
from counterpoint.integrations.trl import COLUMNS, row_labels
from counterpoint.integrations.verl import batch_labels as verl_labels
from counterpoint.integrations.verl_trainer import output_columns


def quiet(scheme):
    return TeamCredit(scheme, check_every=0, warn=lambda _: None)


def by_rllm(draws, scheme):
    groups = [
        SimpleNamespace(
            group_id="q:a",
            metadata=[{"rollout_idx": i} for i in range(len(draw))],
            trajectories=[SimpleNamespace(reward=r, steps=[]) for r in draw],
        )
        for draw in draws
    ]
    return np.concatenate(advantages_of(groups, quiet(scheme)))


def by_art(draws, scheme):
    groups = [
        Group([Run(reward=r, metadata={"agent": "a", "rollout": i}) for i, r in enumerate(draw)],
              {"prompt": "q"})
        for draw in draws
    ]  # fmt: skip
    return [one.reward for group in credited(groups, quiet(scheme)) for one in group]


def by_trl(draws, scheme):
    rows = [{"prompt": "q", "agent": "a"} for draw in draws for _ in draw]
    return quiet(scheme)(np.concatenate(draws), row_labels(rows, COLUMNS, len(draws[0])))


def by_slime(draws, scheme):  # its group_index counts draws
    samples = [
        SimpleNamespace(group_index=g, metadata={"agent": "a", "rollout": i})
        for g, draw in enumerate(draws)
        for i in range(len(draw))
    ]
    return quiet(scheme)(np.concatenate(draws), slime_labels(samples))


def by_tinker(draws, scheme):
    run = SimpleNamespace(transitions=[SimpleNamespace(reward=0.0, logs={"agent": "a"})])
    groups = [
        SimpleNamespace(
            trajectories_G=[run] * len(draw), get_total_rewards=lambda d=draw: d.tolist()
        )
        for draw in draws
    ]
    return np.concatenate(batch_advantages(groups, quiet(scheme)))


def by_verl(draws, scheme):  # it gives each draw a uid of its own
    keys = [f"uid{g}_{i}_0" for g, draw in enumerate(draws) for i in range(len(draw))]
    columns = output_columns([{"agent": "a"}] * len(keys), keys)
    uids = [key.split("_")[0] for key in keys]
    labels = verl_labels(uids, columns, np.arange(len(keys)), catalogue()[scheme])
    return quiet(scheme)(np.concatenate(draws), labels)


ADAPTERS = [by_rllm, by_art, by_trl, by_slime, by_tinker, by_verl]
rewards = st.lists(st.integers(-2, 2).map(float), min_size=4, max_size=4).map(np.array)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("scheme", ["grpo", "agent_wise", "rloo"])
@given(st.lists(rewards, min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_each_draw_is_a_group_of_its_own(adapter, scheme, draws):
    labels = {"prompt": ["q"] * 4, "rollout": [0, 1, 2, 3], "agent": ["a"] * 4}
    wanted = [advantages(draw, labels, catalogue()[scheme]).values for draw in draws]
    assert np.allclose(adapter(draws, scheme), np.concatenate(wanted), atol=1e-12)


def test_outputs_of_an_agent_in_one_session_of_verl_are_turns():
    keys = ["u_0_2", "u_0_0", "u_0_1", "u_1_0", "u_0_10"]
    extra = [{"agent": who} for who in ("a", "a", "b", "a", "a")]
    assert output_columns(extra, keys)["turn"] == [1, 0, 0, 0, 2]
    given_turns = [{"agent": "a", "turn": 7}] * 5
    assert output_columns(given_turns, keys)["turn"] == [7] * 5
