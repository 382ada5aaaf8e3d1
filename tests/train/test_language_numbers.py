"""Teams whose numbers are lost: they are refused before anything is made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from language_teams import small_learner, weights

from counterpoint.errors import StatisticsError


@pytest.mark.parametrize("world", ["lewis", "relay"])
def test_a_probability_that_is_no_number_is_refused(world):
    learner = small_learner(world)
    learner.update()
    kept, agent = learner.capture(), learner.agents[0]
    with torch.no_grad():
        learner.adams[agent].weights.fill_(torch.nan)
    for play in (learner.update, lambda: learner.play(np.random.default_rng(0))):
        with pytest.raises(StatisticsError, match=f"probabilities of {agent} that are no numbers"):
            play()
    learner.restore(kept)
    learner.update()


@pytest.mark.parametrize("lost", [torch.nan, torch.inf])
def test_a_gradient_that_is_not_finite_moves_nothing(lost, monkeypatch):
    learner = small_learner("relay")
    name, learn, before = learner.agents[0], learner._learn_texts, weights(learner)

    def spoil(*given):
        learn(*given)
        learner.adams[name].gradient[3] = lost

    with monkeypatch.context() as patch:
        patch.setattr(learner, "_learn_texts", spoil)
        said = f"a gradient of {name} that is not finite, in update 1: .* smaller lr than 0.01"
        with pytest.raises(StatisticsError, match=said):
            learner.update()
    assert weights(learner) == before
    learner.update()
    assert weights(learner) != before
