"""Where networks are: everything that meets them is placed there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from step_worlds import small

from counterpoint.errors import SettingError
from counterpoint.train.device import device_of
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.plan import PolicyTrainer, TrainPlan
from counterpoint.worlds import find_world

GPU = next((x for x in ("cuda", "mps") if device_of("auto").type == x), None)


def test_auto_is_what_there_is_and_the_plan_names_it(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto").type == "cuda"
    assert device_of("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto").type == "cpu"
    plan = TrainPlan.of("spread", "none", 100, {"device": "auto"}, None)
    assert plan.policy.device == "cpu"
    with pytest.raises(SettingError, match=r"got device=cuda, .* wanted cpu"):
        TrainPlan.of("spread", "none", 100, {"device": "cuda"}, None)


@pytest.mark.skipif(GPU is None, reason="there is no GPU")
@pytest.mark.parametrize(
    ("scheme", "given"),
    [
        ("mappo_pooled", {"observations": "normalized"}),
        ("happo_per_agent", {"memory": "gru", "critic": "central", "parameters": "separate"}),
        ("counterfactual", {}),
    ],
)
def test_a_gpu_learns_what_the_processor_learns(scheme, given):
    weights = []
    for device in ("cpu", GPU):
        settings = small(device=device, diagnose_every=1, **given)
        world = find_world("spread").make(copies=8, seed=1)
        team = PolicyTrainer(None, Learner(world, scheme, settings, 0))
        team.update(None)
        weights.append(team.learner.adam.capture()["weights"])
    np.testing.assert_allclose(*weights, rtol=1e-3, atol=1e-4)
