"""Other statistics from one batch of a network: by hand, and against measured gradients."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.diagnose import signal_kept
from counterpoint.diagnose.evidence import signal_power, stacked
from counterpoint.train.ppo.probe import affine_candidates, affine_evidence


def scores(rng, agents=2, micro=8, each=50, size=6):
    """Scores of decisions [A, M, n, D], as a policy that has just played gives them."""
    return rng.normal(size=(agents, micro, each, size))


def gradients(score, advantages):
    """[M, A, D] mean of A times score; advantages [A, M, n]."""
    return np.swapaxes((advantages[..., None] * score).mean(axis=2), 0, 1)


def measured(given, score, scheme, together=((0,), (1,)), entropy=0.0):
    values = scheme(given)
    micro, plain = gradients(score, values), gradients(score, np.ones_like(values))
    rows = ([x.ravel() for x in part] for part in (values, given))
    return affine_evidence(micro, plain, *rows, together, entropy), values


def pooled(given):
    return (given - given.mean()) / given.std()


def own(given):
    flat = given.reshape(len(given), -1)
    return (given - flat.mean(axis=1)[:, None, None]) / flat.std(axis=1)[:, None, None]


def test_what_each_candidate_multiplies_and_adds_by_hand():
    # pooled: mean 3, variance (4 + 0 + 4 + 0) / 4
    given = [np.array([1.0, 3.0]), np.array([5.0, 3.0])]
    a, b = affine_candidates(
        [x - 3.0 for x in given], given
    )  # the scheme subtracts 3 and divides by 1
    deviation = np.sqrt((4 + 0 + 4 + 0) / 4)
    np.testing.assert_allclose(a, [[1, 1], [1 / deviation] * 2, [1, 1]])
    np.testing.assert_allclose(b, [[0, 0], [0, 0], [1, -1]])  # own means of A are -1 and 1


@pytest.mark.parametrize("scheme", [pooled, own, lambda given: given])
def test_signal_and_noise_are_those_of_gradients_under_the_other_advantages(scheme):
    rng = np.random.default_rng(0)
    score = scores(rng)
    given = rng.normal(size=score.shape[:-1]) * np.array([1.0, 20.0])[:, None, None] + 3.0
    evidence, values = measured(given, score, scheme)
    for v, advantages in enumerate((values, pooled(given), own(given))):
        wanted = gradients(score, advantages)
        lengths = np.einsum("mad,mad->a", wanted, wanted)
        power = signal_power(wanted)
        np.testing.assert_allclose(evidence.power[v], power, rtol=1e-8, atol=1e-10)
        noise = np.maximum(lengths / 8 - power / 8, 0.0)
        np.testing.assert_allclose(evidence.noise[v], noise, rtol=1e-8)


def test_a_quiet_agent_keeps_nothing_beside_a_loud_one_in_the_same_parameters():
    """Deviations 1 and 20: pooled noise is 401 / 2 on average, its own scale has a 401st / 2."""
    rng, updates = np.random.default_rng(1), []
    for _ in range(10):
        score = scores(rng)
        given = rng.normal(size=score.shape[:-1]) * np.array([1.0, 20.0])[:, None, None]
        together, _ = measured(given, score, pooled, together=((0, 1),))
        updates.append(together)
    evidence = stacked([type(e)(*(x[None] for x in parts(e)), known=True) for e in updates])
    kept = signal_kept(evidence, np.ones((1, 10, 2), dtype=bool))
    assert kept.value[0] == pytest.approx(2 / 401, rel=0.3)
    assert kept.value[1] > 0.9


def parts(evidence):
    return evidence.signal, evidence.noise, evidence.competing, evidence.power


def test_an_entropy_bonus_drowns_small_advantages_in_parameters_of_ones_own():
    rng = np.random.default_rng(2)
    score = scores(rng)
    given = own(rng.normal(size=score.shape[:-1])) * np.array([1.0, 100.0])[:, None, None]
    free, _ = measured(given, score, pooled)
    bound, _ = measured(given, score, pooled, entropy=0.01)
    share = (free.signal / free.competing)[0] / (free.signal / free.competing)[2]
    assert share == pytest.approx([1, 1], rel=0.1)
    share = (bound.signal / bound.competing)[0] / (bound.signal / bound.competing)[2]
    assert share[0] < 0.05
    assert share[1] > 0.95


def test_a_dead_agent_has_no_signal_under_any_candidate():
    rng = np.random.default_rng(3)
    score = scores(rng)
    given = rng.normal(size=score.shape[:-1])
    evidence, _ = measured(given, score, lambda x: x * np.array([0.0, 1.0])[:, None, None])
    assert evidence.signal[0, 0] == evidence.noise[0, 0] == 0
    assert (evidence.signal[:, 1] > 0).all()
