"""What is measured at an update, by hand: two agents, one seed, a few decisions."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.credit import Scheme, catalogue
from counterpoint.diagnose import CAUSES
from counterpoint.diagnose.evidence import Evidence
from counterpoint.diagnose.kept import WINDOW
from counterpoint.train import train
from counterpoint.train.tabular.telemetry import EVERY, Telemetry
from counterpoint.worlds import find_world
from counterpoint.worlds.exact.world import Evaluation


def recorded(scheme: Scheme, rewards: list[float], agents: list[int], values: list[float]):  # type: ignore[no-untyped-def]
    log = Telemetry(seeds=1, updates=1, agents=2, scheme=scheme)
    columns = {"batch": np.zeros(len(agents), dtype=np.int64), "agent": np.array(agents)}
    log.record_rewards(0, columns, np.array(rewards), np.array(values))
    return {name: found[0, 0] for name, found in log.rewards.items()}


def test_rewards_by_hand() -> None:
    """Agent 0 has rewards 0 and 2 (mean 1, variance 1), agent 1 has 4 and 4; all: mean 2.5."""
    found = recorded(Scheme(), [0, 2, 4, 4], [0, 0, 1, 1], [-1.5, 0.0, 1.0, 1.0])
    variance = (2.5**2 + 0.5**2 + 1.5**2 + 1.5**2) / 4
    np.testing.assert_allclose(found["inflation"], [1 + 1.5**2, np.nan])
    np.testing.assert_allclose(found["signal_share"], [1 / variance, 0.0])
    np.testing.assert_allclose(found["norm_inflation"], [(1 + 1.5**2) / variance, 2.25 / variance])
    np.testing.assert_allclose(found["dead_rate"], [0.5, 0.0])
    np.testing.assert_allclose(found["net_mass"], [-0.75, 1.0])


def test_under_a_scheme_by_agent_nobody_is_offset() -> None:
    found = recorded(catalogue()["mappo_per_agent"], [0, 2, 4, 5], [0, 0, 1, 1], [0.0] * 4)
    np.testing.assert_allclose(found["inflation"], [1.0, 1.0])
    np.testing.assert_allclose(found["signal_share"], [1.0, 1.0])


def test_an_agent_that_never_acted_has_no_numbers() -> None:
    found = recorded(Scheme(), [0, 2], [0, 0], [-1.0, 1.0])
    for name in ("inflation", "signal_share", "dead_rate", "net_mass", "spike_rate"):
        assert np.isnan(found[name][1]), name


def test_a_spike_is_what_a_group_of_that_size_cannot_give() -> None:
    agents = [0] * 50 + [1] * 50
    calm = [1.0, -1.0] * 50
    assert recorded(Scheme(), calm, agents, calm)["spike_rate"].tolist() == [0.0, 0.0]
    spiky = [46.0, *calm[1:]]
    assert recorded(Scheme(), calm, agents, spiky)["spike_rate"].tolist() == [0.02, 0.0]
    unscaled = Scheme(scale="none")  # its advantages have the rewards' unit: nothing is large
    assert recorded(unscaled, calm, agents, spiky)["spike_rate"].tolist() == [0.0, 0.0]


def test_an_agent_that_is_rarely_there_is_not_measured_rather_than_collapsed() -> None:
    found = train(
        find_world("on_call").make({"rate": "0.002", "updates": "40"}), "mappo_pooled", (0, 1)
    )
    assert found.rewards["participation"][..., 3].max() < 0.05
    assert np.isnan(found.gradients["cosine"][..., 3]).all()
    assert np.isfinite(found.gradients["cosine"][..., :3]).all()
    assert not found.collapsed[..., 3].any()
    assert np.isfinite(found.gradients["norm"]).all()


def planted(signal: list[float], heard: list[float]) -> Evidence:
    """One update, one seed, two candidates, agents 0 and 1 alike: [1, 2, 2]."""
    shape = (1, 2, 2)
    powers = (np.broadcast_to(np.array(values)[None, :, None], shape) for values in (signal, heard))
    found, noise = powers
    return Evidence(found, noise, noise, found)


@pytest.mark.parametrize(("accuracy", "expected"), [(0.3, True), (0.99, False)])
def test_a_dead_scheme_is_a_collapse_only_while_the_agent_could_improve(
    accuracy: float, expected: bool
) -> None:
    updates = EVERY * WINDOW + 2
    log = Telemetry(seeds=1, updates=updates, agents=2, scheme=Scheme())
    one = np.ones((1, 1))
    columns = {"batch": np.zeros(4, dtype=np.int64), "agent": np.array([0, 0, 1, 1])}
    for update in range(updates):
        worth = Evaluation(one[0], one[0], np.full((1, 2), accuracy), np.zeros((1, 2)))
        log.record_policy(update, worth)
        log.record_rewards(update, columns, np.array([0.0, 1, 2, 2]), np.zeros(4))
        if update % EVERY == 0:
            log.record_evidence(planted([0.0, 1.0 + 0.1 * (-1) ** update], [0.0, 1.0]))
    found, causes = log.collapse()
    assert found.all() == expected
    assert (causes == (CAUSES.index("DEAD") if expected else 0)).all()
