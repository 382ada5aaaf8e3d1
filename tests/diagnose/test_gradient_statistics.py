import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.diagnose import gradient_statistics
from counterpoint.errors import StatisticsError


def one_agent(*rows):
    """Micro-batch gradients of one agent as [M, 1, D]."""
    return np.array(rows, dtype=float)[:, None, :]


def test_signal_to_noise_by_hand():
    # Gradients 1..8 in one parameter: mean 4.5, sample variance 6, F = 8 * 4.5^2 / 6 = 27.
    found = gradient_statistics(one_agent(*[[i] for i in range(1, 9)]))
    assert found.snr[0] == pytest.approx(26)
    assert found.cosine[0] == pytest.approx(26 / 28)
    assert found.norm[0] == pytest.approx(4.5)
    # Of 128 sign patterns, the fourth largest |sum| is 36 - 2 * 3 = 30 (signs of {}, {1}, {2} and
    # {3} or {1, 2} flipped): mean 3.75, sum of squares 204, variance (204 - 8 * 3.75^2) / 7.
    high = 8 * 3.75**2 / ((204 - 8 * 3.75**2) / 7)
    assert found.snr_low[0] == pytest.approx(27 / high - 1)


def test_cosine_is_the_average_over_all_half_splits():
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(8, 1, 5)) + 0.4
    over = under = 0.0
    for half in itertools.combinations(range(8), 4):
        a = gradients[list(half), 0].mean(axis=0)
        b = gradients[[m for m in range(8) if m not in half], 0].mean(axis=0)
        over, under = over + a @ b, under + (a @ a + b @ b) / 2
    assert gradient_statistics(gradients).cosine[0] == pytest.approx(over / under, rel=1e-12)


@pytest.mark.parametrize("noise", ["normal", "sparse", "heavy"])
@pytest.mark.parametrize("parameters", [1, 3, 64])
def test_pure_noise_is_inside_the_interval_95_times_in_100(noise, parameters):
    rng = np.random.default_rng(2)
    shape = (2000, 8, 1, parameters)
    draws = {
        "normal": rng.normal(size=shape),
        "sparse": rng.normal(size=shape) * (rng.random((2000, 8, 1, 1)) < 0.7),
        "heavy": rng.standard_t(3, size=shape),
    }[noise]
    found = gradient_statistics(draws)
    outside = ((found.cosine_low > 0) | (found.cosine_high < 0)).mean()
    # 6 of the 128 patterns are outside where none tie: 4.7%, and 4 standard errors of .47%.
    assert outside < 0.047 + 4 * 0.0047
    if noise == "normal":
        assert outside > 0.047 - 4 * 0.0047


def test_planted_signal_is_found_and_its_clean_twin_is_not():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(500, 8, 1, 32))
    direction = np.full(32, 1 / np.sqrt(32))
    # SNR = M |mu|^2 / tr(Sigma) = 8 * |mu|^2 / 32, so |mu| = 4 plants an SNR of 4.
    planted = gradient_statistics(noise + 4 * direction)
    assert (planted.cosine_low > 0).mean() > 0.99
    assert planted.snr.mean() == pytest.approx(4, abs=0.25)
    assert ((planted.snr_low <= 4) & (planted.snr_high >= 4)).mean() > 0.95
    assert (gradient_statistics(noise).cosine_low > 0).mean() < 0.05


def test_team_numbers_by_hand():
    # Gradients (2, 0) and (0, 1): |g|^2 = 4 and 1, shares .8 and .2, (4 + 1)^2 / (16 + 1) = 25/17;
    # singular values 2 and 1, so p = 2/3, 1/3 and the rank is exp(2/3 ln 3/2 + 1/3 ln 3).
    gradients = np.broadcast_to([[2.0, 0.0], [0.0, 1.0]], (8, 2, 2))
    found = gradient_statistics(gradients)
    assert found.share == pytest.approx([0.8, 0.2])
    assert found.participation_ratio == pytest.approx(25 / 17)
    assert found.effective_rank == pytest.approx(1.5 ** (2 / 3) * 3 ** (1 / 3))


def test_equal_micro_batches_are_all_signal_and_stay_finite():
    found = gradient_statistics(np.ones((8, 2, 3)))
    assert (found.snr > 1e12).all()
    assert np.isfinite(found.snr_high).all()
    assert found.cosine == pytest.approx(1)
    assert (found.cosine_low > 0).all()


def test_zero_gradients_have_defined_results():
    gradients = np.zeros((8, 2, 3))
    found = gradient_statistics(gradients)
    assert (found.snr == 0).all()
    assert (found.cosine_low == -1).all()
    assert found.cosine_high == pytest.approx(1)
    assert (found.share == 0).all()
    assert found.participation_ratio == 0
    assert found.effective_rank == 0
    gradients[:, 0, 0] = 1  # one of two agents speaks: it carries everything
    found = gradient_statistics(gradients)
    assert found.share.tolist() == [1, 0]
    assert found.participation_ratio == 1
    assert found.effective_rank == pytest.approx(1)


def test_one_active_micro_batch_tells_nothing():
    gradients = np.zeros((8, 1, 4))
    gradients[3] = 2.5
    found = gradient_statistics(gradients)
    assert found.snr[0] == pytest.approx(0)
    assert found.cosine_low[0] <= 0 <= found.cosine_high[0]


def test_more_than_ten_micro_batches_use_a_fixed_design():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(1000, 16, 1, 8))
    found, again = gradient_statistics(noise), gradient_statistics(noise)
    assert (found.cosine_low == again.cosine_low).all()
    outside = ((found.cosine_low > 0) | (found.cosine_high < 0)).mean()
    assert outside == pytest.approx(0.047, abs=4 * 0.0067)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_scale_and_order_of_micro_batches_do_not_matter(seed, scale):
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(8, 3, 4)) + 0.3
    found = gradient_statistics(gradients)
    other = gradient_statistics(scale * gradients[rng.permutation(8)])
    for name in ("snr", "snr_low", "snr_high", "cosine", "cosine_low", "share", "effective_rank"):
        assert getattr(other, name) == pytest.approx(getattr(found, name), rel=1e-6, abs=1e-9)
    assert other.norm == pytest.approx(scale * found.norm)


def test_leading_axes_are_independent():
    gradients = np.random.default_rng(5).normal(size=(2, 3, 8, 4, 5))
    found = gradient_statistics(gradients)
    alone = gradient_statistics(gradients[1, 2])
    assert found.snr.shape == (2, 3, 4)
    assert found.effective_rank.shape == (2, 3)
    assert found.cosine_low[1, 2] == pytest.approx(alone.cosine_low)
    assert found.participation_ratio[1, 2] == pytest.approx(alone.participation_ratio)


@pytest.mark.parametrize(
    ("gradients", "words"),
    [
        (np.zeros((8, 3)), "shape"),
        (np.zeros((8, 0, 3)), "shape"),
        (np.zeros((6, 2, 3)), "micro-batches"),
        (np.full((8, 2, 3), np.nan), "finite"),
    ],
)
def test_bad_gradients_are_refused(gradients, words):
    with pytest.raises(StatisticsError, match=words):
        gradient_statistics(gradients)
