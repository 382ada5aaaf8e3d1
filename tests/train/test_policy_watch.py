"""Collapse over ten measurements together: its level, its power, and where it abstains."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.diagnose import flat_together, gradient_statistics
from counterpoint.errors import StatisticsError
from counterpoint.train.watch import LEARNED, WINDOW, Verdict, Watch

AGENTS = ("loud", "quiet")


def numbers(cosine, **more):
    return {"cosine": cosine, "entropy": 1.0, "dead_rate": 0.0, "participation": 1.0, **more}


def judged(series, score=0.2, more=None, **kind):
    """The verdicts after each of a series of (loud's, quiet's) cosines; `more` is the quiet's."""
    watch = Watch(AGENTS, **kind)
    return [
        watch.judge({"loud": numbers(loud), "quiet": numbers(quiet, **(more or {}))}, score)
        for loud, quiet in series
    ]


DEAD = {"dead_rate": 0.9}
HEALTHY = Verdict(flat=False, collapsed=False, cause=None, expected=None)


def planted(n=WINDOW):
    """The first agent's gradients agree; the second's do and do not by turns: mean 0."""
    return [(0.5 + 0.1 * (-1) ** i, 0.2 * (-1) ** i) for i in range(n)]


def test_a_planted_collapse_is_found_and_its_clean_twins_are_silent():
    last = judged(planted(), more=DEAD)[-1]
    assert last["quiet"] == Verdict(flat=True, collapsed=True, cause="DEAD", expected="DEAD")
    assert last["loud"] == HEALTHY
    clean = [(0.5, 0.4 + 0.2 * (-1) ** i) for i in range(WINDOW)]
    assert judged(clean)[-1] == {"loud": HEALTHY, "quiet": HEALTHY}


def test_flat_alone_is_no_collapse():
    last = judged(planted())[-1]["quiet"]
    assert last == Verdict(flat=True, collapsed=False, cause=None, expected=None)


def test_there_is_no_verdict_before_the_window_is_full():
    found = judged(planted(WINDOW), more=DEAD)
    assert all(told["quiet"][:3] == (None, False, None) for told in found[:-1])
    assert found[-1]["quiet"].collapsed


def test_what_is_to_be_expected_is_told_from_the_first_measurement_on():
    assert [told["quiet"].expected for told in judged(planted(3), more=DEAD)] == ["DEAD"] * 3
    drowned = {"signal_share": 0.001, "participation": 1.0}
    watch = Watch(AGENTS)
    loud = numbers(0.5, signal_share=1.999)
    found = watch.judge({"loud": loud, "quiet": numbers(0.5, **drowned)}, 0.2)
    assert (found["loud"].expected, found["quiet"].expected) == (None, "DROWNED")
    even = {a: numbers(0.5, signal_share=1.0) for a in AGENTS}
    assert all(told.expected is None for told in Watch(AGENTS).judge(even, 0.2).values())


def test_a_verdict_forgets_what_lies_before_the_window():
    recovered = planted() + [(0.5, 0.4 + 0.01 * i) for i in range(WINDOW)]
    found = judged(recovered)
    assert found[WINDOW - 1]["quiet"].flat
    assert not found[-1]["quiet"].flat


def test_a_team_that_has_learned_has_not_collapsed():
    learned = judged(planted(), score=LEARNED, more=DEAD)[-1]["quiet"]
    assert learned == Verdict(flat=True, collapsed=False, cause=None, expected=None)
    assert judged(planted(), score=LEARNED - 0.01, more=DEAD)[-1]["quiet"].collapsed
    assert judged(planted(), score=None, more=DEAD)[-1]["quiet"].collapsed


def test_it_abstains_where_something_was_not_measured():
    series = planted()
    series[4] = (0.5, None)
    assert judged(series, more=DEAD)[-1]["quiet"][:3] == (None, False, None)
    assert judged(series + planted(4), more=DEAD)[-1]["quiet"][:3] == (None, False, None)
    assert judged(series + planted(5))[-1]["quiet"].flat  # it has left the window


@pytest.mark.parametrize(
    ("told", "cause"),
    [({"dead_rate": 0.9}, "DEAD"), ({"entropy": 0.01}, "LAZY"), ({"spike_rate": 0.01}, "SPIKY")],
)
def test_a_collapse_is_given_the_cause_that_was_measured(told, cause):
    last = judged(planted(), more=told)[-1]
    assert last["loud"] == HEALTHY
    assert last["quiet"][:3] == (True, True, cause)


def test_the_entropy_of_a_density_makes_nobody_lazy():
    last = judged(planted(), more={"entropy": -3.0}, continuous=True)[-1]["quiet"]
    assert last == Verdict(flat=True, collapsed=False, cause=None, expected=None)


def test_a_watch_that_reads_the_rows_again_says_the_same():
    series = planted(14)
    rows = [
        {
            a: numbers(c) | {"collapsed": False, "cause": None}
            for a, c in zip(AGENTS, p, strict=True)
        }
        for p in series
    ]
    straight = judged(series)
    again = Watch(AGENTS)
    for row in rows[:11]:
        again.judge(row, 0.2)
    assert [again.judge(row, 0.2) for row in rows[11:]] == straight[11:]


def simulated(rng, snr, runs, size=40):
    """[10, runs] half-batch cosines of gradients whose batch has this signal-to-noise ratio."""
    # 8 micro-batches: SNR = 8 |mu|^2 / (size * 1), so |mu| is
    signal = np.zeros(size)
    signal[0] = np.sqrt(snr * size / 8)
    micro = signal + rng.normal(size=(WINDOW, runs, 8, 1, size))
    return gradient_statistics(micro).cosine[..., 0]


def test_pure_noise_is_flat_and_a_healthy_agent_is_not():
    """4,000 agents each. Noise is called flat in 97.5% (one side of 95%); of agents whose batch
    has an SNR of 1, hardly any; of .25, some: they lie in between."""
    rng = np.random.default_rng(0)
    rates = {snr: flat_together(simulated(rng, snr, 4000)).mean() for snr in (0.0, 0.25, 1.0)}
    assert 0.95 <= rates[0.0] <= 0.985
    assert rates[1.0] <= 0.005
    assert rates[1.0] < rates[0.25] < rates[0.0]


def test_noise_in_few_directions_keeps_the_level():
    rng = np.random.default_rng(1)
    flat = flat_together(simulated(rng, 0.0, 2000, size=3)).mean()
    assert 0.94 <= flat <= 1.0


def test_flat_together_by_hand():
    # mean .2, deviation .1 * sqrt(10 / 9): t = .2 / .10541 * sqrt(10) = 6.0 > 2.262
    told = np.array([0.1, 0.3] * 5)
    # mean .05, deviation .2 * sqrt(10 / 9): t = .05 / .2108 * sqrt(10) = .75 < 2.262
    flat = np.array([-0.15, 0.25] * 5)
    below = -told  # below zero is no signal, however surely
    exact, dead = np.full(10, 0.3), np.zeros(10)
    found = flat_together(np.stack([told, flat, below, exact, dead], axis=1))
    assert found.tolist() == [False, True, True, False, True]
    with pytest.raises(StatisticsError, match="W >= 2"):
        flat_together(np.zeros((1, 3)))


def test_a_measurement_that_is_missing_is_no_verdict():
    values = np.zeros((10, 2))
    values[3, 1] = np.nan
    assert flat_together(values).tolist() == [True, False]
