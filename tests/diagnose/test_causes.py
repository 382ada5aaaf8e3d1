import numpy as np
import pytest

from counterpoint.diagnose import CAUSES, REMEDIES, drowning, name_causes
from counterpoint.errors import StatisticsError


def names(**evidence):
    return [CAUSES[i] for i in name_causes({k: np.array(v) for k, v in evidence.items()})]


def test_every_cause_has_a_remedy():
    assert set(REMEDIES) == set(CAUSES) - {""}


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        ({"dead_rate": 0.97}, "DEAD"),
        ({"dead_rate": 0.11}, ""),
        ({"inflation": 33.0, "signal_share": 0.03}, "OFFSET"),
        ({"inflation": 1.6, "signal_share": 1.0}, ""),
        ({"spike_rate": 0.01}, "SPIKY"),
        ({"spike_rate": 0.0}, ""),
        ({"influence": 0.03}, "DILUTED"),
        ({"influence": 0.5}, ""),
        ({"entropy": 0.001}, "LAZY"),
        ({"entropy": 1.3}, ""),
    ],
)
def test_each_cause_and_its_clean_twin(evidence, cause):
    assert names(**{name: [value, value] for name, value in evidence.items()}) == [cause, cause]


def test_a_quiet_agent_beside_a_loud_one_is_drowned_not_offset():
    # Own variances 1 and 400: the mean 200.5 is 200 times the quiet one's; offset excess is 12.
    assert names(signal_share=[0.005, 2.0], inflation=[13.0, 1.0]) == ["DROWNED", ""]


def test_the_larger_of_offset_and_drowned_is_named():
    assert names(signal_share=[0.05, 1.0], inflation=[30.0, 1.0]) == ["OFFSET", ""]


def test_dead_comes_first_and_diluted_last():
    assert names(dead_rate=[0.9], inflation=[50.0], influence=[0.01]) == ["DEAD"]
    assert names(inflation=[50.0], influence=[0.01]) == ["OFFSET"]


def test_only_collapsed_agents_get_a_cause_where_that_is_known():
    assert names(inflation=[50.0, 50.0], collapsed=[True, False]) == ["OFFSET", ""]


def test_a_small_mismatch_explains_a_collapse_that_nothing_else_does():
    # Own variances 1 and 11: their mean is 6 times the quiet one's.
    quiet = {"signal_share": [1 / 6, 11 / 6], "collapsed": [True, False]}
    assert names(**quiet) == ["DROWNED", ""]
    assert names(**quiet, influence=[0.01, 0.5]) == ["DILUTED", ""]
    assert names(signal_share=[1 / 6, 11 / 6]) == ["", ""]  # of rewards alone it is too small
    assert names(signal_share=[0.4, 1.6], collapsed=[True, False]) == ["", ""]


def test_unknown_evidence_supports_nothing():
    nothing = [np.nan, np.nan]
    assert names(dead_rate=nothing, inflation=nothing, signal_share=nothing) == ["", ""]


def test_evidence_of_unequal_rank_broadcasts():
    found = name_causes({"inflation": np.full((2, 5, 3), 9.0), "collapsed": np.array([1, 0, 1])})
    assert found.shape == (2, 5, 3)
    assert found.dtype == np.int8
    assert (found[..., 1] == 0).all()
    assert (found[..., 0] == CAUSES.index("OFFSET")).all()


def test_drowning_by_hand():
    # Variances 1 and 9 in shares of anything: mean 5, so 5 and 5/9; a third agent without samples.
    shares = np.array([0.2, 1.8, np.nan])
    assert drowning(shares)[:2] == pytest.approx([5, 5 / 9])
    assert np.isnan(drowning(shares)[2])
    # The loud agent takes part 3 times as often: (1 + 27) / 4 = 7.
    weighed = drowning(shares, np.array([1.0, 3.0, 1.0]))
    assert weighed[:2] == pytest.approx([7, 7 / 9])
    assert drowning(np.array([0.0, 1.0]))[0] == np.inf


def test_no_evidence_is_an_error():
    with pytest.raises(StatisticsError, match="no evidence"):
        name_causes({})
    with pytest.raises(StatisticsError, match="shapes"):
        name_causes({"dead_rate": np.zeros(2), "inflation": np.zeros(3)})
