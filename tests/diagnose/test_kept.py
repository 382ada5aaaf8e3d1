"""Signal kept, task noise and collapse: by hand, as laws, and on planted evidence with twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.diagnose import collapsed_updates, kept_in_windows, signal_kept, task_noise
from counterpoint.diagnose.evidence import (
    FAMILY,
    Evidence,
    bonus_noise,
    competing_noise,
    family,
    from_numbers,
    joined_trainings,
    signal_power,
    stacked,
    to_numbers,
    z_scores,
)
from counterpoint.diagnose.kept import FEWEST, WINDOW, kept_in_each, noise_in_each
from counterpoint.errors import StatisticsError


def evidence(rng, snr, seeds=10, updates=60, size=20, micro=8, shared=()):
    """Evidence [S, T, V, 1] of candidates whose batch has these SNRs, from the same samples.

    `shared`: candidate to the one whose gradients it is a multiple of.
    """
    noise = rng.normal(size=(seeds, updates, micro, 1, size))
    parts = []
    for value in snr:
        signal = np.zeros(size)
        signal[0] = np.sqrt(value * size / micro)
        gradients = noise + signal
        power = signal_power(gradients)
        each = np.einsum("stmad,stmad->sta", gradients, gradients)
        parts.append((power, np.maximum(each / micro - power / micro, 0.0)))
    signal, level = (np.stack(part, axis=2) for part in zip(*parts, strict=True))
    return Evidence(signal, level, level, signal)


def could(found):
    s, t, _, a = found.signal.shape
    return np.ones((s, t, a), dtype=bool)


def exact(*columns, updates=20):
    """Evidence [1, T, V, 1] that is the same at every update but for a little alternation."""
    wave = 1 + 0.01 * (-1.0) ** np.arange(updates)
    signal = np.stack([value * wave for value, _ in columns], axis=1)[None, :, :, None]
    noise = np.stack([np.full(updates, value) for _, value in columns], axis=1)[None, :, :, None]
    return Evidence(signal, noise, noise, signal)


def test_the_ratio_of_two_ratios_by_hand():
    found = exact((1.0, 4.0), (1.0, 2.0))  # SNR 1/4 under the scheme, 1/2 at best
    kept, noise = signal_kept(found, could(found)), task_noise(found, could(found))
    assert kept.value == pytest.approx(0.5)
    assert kept.low <= 0.5 <= kept.high
    assert noise.value == pytest.approx(1 / 1.5)


def test_a_scheme_that_is_the_best_itself_keeps_everything():
    found = exact((1.0, 1.0), (1.0, 2.0))
    kept = signal_kept(found, could(found))
    assert kept.value == kept.low == kept.high == 1


def test_dead_updates_keep_nothing_where_others_have_signal_and_are_unknown_where_none_has():
    dead = exact((0.0, 0.0), (1.0, 1.0))
    kept = signal_kept(dead, could(dead))
    assert kept.value == kept.low == kept.high == 0
    assert collapsed_updates(dead, could(dead)).all()
    empty = exact((0.0, 0.0), (0.0, 0.0))
    assert np.isnan(signal_kept(empty, could(empty)).value).all()
    assert not collapsed_updates(empty, could(empty)).any()


def test_half_of_the_updates_dead_is_half_of_the_signal():
    found = exact((1.0, 1.0), (1.0, 1.0), updates=40)
    live = (np.arange(40) % 4 < 2)[None, :, None]
    for array in (found.signal, found.noise):
        array[:, :, 0] *= live
    assert signal_kept(found, could(found)).value == pytest.approx(0.5, abs=0.01)


def test_updates_at_which_the_agent_could_not_improve_say_nothing():
    found = exact((0.0, 1.0), (1.0, 1.0), updates=40)
    late = np.arange(40) >= 20
    found.signal[0, late, 0] = 1.0  # the scheme loses everything, then nothing
    early = could(found) & ~late[None, :, None]
    assert signal_kept(found, early).value == 0
    assert signal_kept(found, could(found) & late[None, :, None]).value == pytest.approx(1)
    assert np.isnan(signal_kept(found, np.zeros_like(early)).value).all()
    few = could(found) & (np.arange(40) < FEWEST - 1)[None, :, None]
    assert np.isnan(signal_kept(found, few).value).all()


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1])
def test_the_share_is_met_in_samples(ratio):
    """2,000 teams of one training each: the mean share, and how often the interval holds it."""
    rng = np.random.default_rng(0)
    found = evidence(rng, (0.5 * ratio, 0.5), seeds=2000)
    kept = kept_in_each(found, could(found))
    known = np.isfinite(kept.value)
    assert known.mean() > 0.95
    assert np.nanmedian(kept.value) == pytest.approx(ratio, abs=0.05)
    inside = (kept.low <= ratio + 1e-9) & (kept.high >= ratio - 1e-9)
    assert inside[known].mean() >= 0.93
    noise = noise_in_each(found, could(found))
    assert np.median(noise.value) == pytest.approx(1 / 1.5, abs=0.05)


def test_over_trainings_the_share_is_sharper():
    rng = np.random.default_rng(1)
    found = evidence(rng, (0.05, 0.5), seeds=10)
    kept = signal_kept(found, could(found))
    assert kept.low <= 0.1 <= kept.high < 0.25
    pooled = task_noise(found, could(found))
    assert pooled.low <= 1 / 1.5 <= pooled.high


def test_pure_noise_is_unknown_or_everything_and_never_a_collapse():
    """400 trainings of pure noise under five candidates: there is no signal to keep."""
    rng = np.random.default_rng(2)
    found = evidence(rng, (0.0,) * 5, seeds=400)
    kept = kept_in_each(found, could(found))
    assert np.isnan(kept.value).mean() > 0.9
    assert not (kept.high < 0.25).any()
    assert collapsed_updates(found, could(found)).any(axis=1).mean() < 0.01


def test_healthy_agents_are_not_collapsed_and_planted_ones_are():
    rng = np.random.default_rng(3)
    healthy = evidence(rng, (0.5, 0.5, 0.4), seeds=200)
    assert collapsed_updates(healthy, could(healthy)).any(axis=1).mean() <= 0.01
    lost = evidence(rng, (0.02, 1.0), seeds=100)
    assert collapsed_updates(lost, could(lost)).mean() > 0.8


def test_a_collapse_covers_its_window_and_no_more():
    found = exact((1.0, 1.0), (1.0, 1.0), updates=40)
    found.signal[0, 10:25, 0] = 0.0
    seen = collapsed_updates(found, could(found))[0, :, 0]
    assert seen[10:25].all()
    assert not seen[:8].any()
    assert not seen[27:].any()
    halves = kept_in_windows(found, could(found))[:, 0]
    assert np.isnan(halves[: WINDOW - 1]).all()
    assert halves[WINDOW - 1] == pytest.approx(1, abs=0.01)
    assert halves[24] == 0


def test_a_window_in_which_the_agent_finished_learning_is_no_collapse():
    found = exact((0.0, 1.0), (1.0, 1.0), updates=WINDOW)
    there = could(found)
    assert collapsed_updates(found, there).all()
    there[0, -1] = False
    assert not collapsed_updates(found, there).any()
    assert not collapsed_updates(found, there, WINDOW + 1).any()
    with pytest.raises(StatisticsError, match="window of 1"):
        collapsed_updates(found, there, 1)


def test_an_unmeasured_update_breaks_the_window():
    found = exact((0.0, 1.0), (1.0, 1.0), updates=WINDOW)
    found.signal[0, 3] = np.nan
    assert not collapsed_updates(found, could(found)).any()
    assert signal_kept(found, could(found)).value == 0


def test_the_noise_that_is_heard_by_hand():
    own = np.array([[1.0, 3.0], [4.0, 4.0]])
    assert competing_noise(own, together=False).tolist() == own.tolist()
    assert competing_noise(own, together=True).tolist() == [[2.0, 3.0], [4.0, 4.0]]
    # a bonus of .01 is as strong as advantages of .1: of size 1 it is 1% of their noise
    pull = bonus_noise(np.array([2.0, 2.0, 2.0]), np.array([1.0, 0.01, np.nan]), 0.01)
    np.testing.assert_allclose(pull, [0.02, 2.0, 0.0])


def test_signal_power_by_hand():
    """Micro-batches 1, 2, 3: products of pairs 2, 3, 6, their mean 11/3, times 3 micro-batches."""
    gradients = np.array([1.0, 2.0, 3.0])[:, None, None]
    assert signal_power(gradients) == pytest.approx(11.0)


def test_a_scheme_is_held_against_all_but_itself():
    assert family(Scheme()) == (("agent",), ("prompt",), ("prompt", "agent"))
    assert len(family(catalogue()["grpo"])) == 4  # weighted by trajectory: not one of them
    assert family(catalogue()["mappo_per_agent"], prompts=False) == ((),)


REWARDS = st.sampled_from([0.0, 1.0, 1e8, 1e8 + 1, -3.5, np.nan])


@given(
    rewards=st.lists(REWARDS, min_size=1, max_size=30),
    by=st.sampled_from(list(FAMILY.values())),
    data=st.data(),
)
def test_z_scores_are_the_kernels(rewards, by, data):
    n = len(rewards)
    ids = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    columns = {name: np.array(data.draw(ids)) for name in ("batch", "prompt", "agent")}
    columns["rollout"] = np.arange(n)
    values = np.array(rewards)
    found = z_scores(values, columns, by)
    wanted = np.zeros(n)
    for batch in range(3):
        rows = columns["batch"] == batch
        if np.isfinite(values[rows]).any():
            own = {name: column[rows] for name, column in columns.items()}
            wanted[rows] = advantages(values[rows], own, Scheme(center_by=by)).values
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_evidence_goes_into_rows_and_comes_back():
    rng = np.random.default_rng(4)
    one = Evidence(*(rng.random((3, 2)) for _ in range(4)), known=True)
    rows = [[[to_numbers(one, k) for k in range(2)]]]
    back = from_numbers(rows, 2)
    assert back.known
    for name in ("signal", "noise", "competing", "power"):
        np.testing.assert_array_equal(getattr(back, name)[0, 0], getattr(one, name))
    nobody = from_numbers([[[{}, {}]]], 2)
    assert np.isnan(nobody.signal).all()
    assert np.isnan(signal_kept(nobody, np.ones((1, 1, 2), dtype=bool)).value).all()


def test_updates_and_trainings_are_joined_along_their_axes():
    one = Evidence(*(np.full((2, 3, 4), float(i)) for i in range(4)))
    series = stacked([one, one])
    assert series.signal.shape == (2, 2, 3, 4)
    assert joined_trainings([series, series]).noise.shape == (4, 2, 3, 4)
    assert (series.of_agents([3, 1]).competing.shape, series.known) == ((2, 2, 3, 2), False)
