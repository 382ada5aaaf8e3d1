"""Actions from uniforms: legal always, in the right proportion, and monotone in the uniform."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.worlds.exact.world import sample

WEIGHTS = st.lists(st.integers(0, 5), min_size=2, max_size=6).filter(any)


def actions(weights: list[int], uniforms: np.ndarray) -> np.ndarray:
    probs = np.array(weights, dtype=np.float64)[None, None, None] / sum(weights)
    context = np.zeros((1, len(uniforms)), dtype=np.int64)
    return sample(probs, np.array(0), context, uniforms[None])[0]


@given(WEIGHTS, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_an_action_of_probability_zero_is_never_taken(weights: list[int], u: list[float]) -> None:
    taken = actions(weights, np.array([0.0, *u, np.nextafter(1.0, 0.0)]))
    assert (np.array(weights)[taken] > 0).all()
    assert (np.diff(taken[np.argsort([0.0, *u, 1.0], kind="stable")]) >= 0).all()


@given(WEIGHTS)
def test_even_uniforms_give_the_probabilities(weights: list[int]) -> None:
    n = 60 * sum(weights)
    taken = actions(weights, (np.arange(n) + 0.5) / n)
    counts = np.bincount(taken, minlength=len(weights))
    np.testing.assert_array_equal(counts, 60 * np.array(weights))
