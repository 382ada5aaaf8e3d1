"""Collapse over ten measurements together: planted, with clean twins, and where it abstains."""

from __future__ import annotations

import pytest

from counterpoint.train.series import LEARNED, WINDOW, CollapseMonitor, CollapseVerdict

AGENTS = ("loud", "quiet")
DEAD = {"dead_rate": 0.9}


def numbers(kept, **more):
    """An agent whose signal the scheme keeps to this share of what the best statistics keep."""
    evidence = {}
    if kept is not None:
        evidence = {
            "kept.signal": [kept, 1.0], "kept.noise": [1.0, 1.0], "kept.heard": [1.0, 1.0],
            "kept.power": [kept / 4, 0.25],
        }  # fmt: skip
    return {"entropy": 1.0, "dead_rate": 0.0, "participation": 1.0, **evidence, **more}


def judged(series, score=0.2, more=None, **kind):
    """The verdicts after each of a series of (loud's, quiet's) shares; `more` is the quiet's."""
    watch = CollapseMonitor(AGENTS, **kind)
    return [
        watch.judge({"loud": numbers(loud), "quiet": numbers(quiet, **(more or {}))}, score)
        for loud, quiet in series
    ]


def planted(n=WINDOW):
    """The scheme keeps all of the first agent's signal, and next to nothing of the second's."""
    return [(1.0, 0.02 + 0.01 * (-1) ** i) for i in range(n)]


def test_a_planted_collapse_is_found_and_its_clean_twins_are_silent():
    last = judged(planted(), more=DEAD)[-1]
    assert (last["quiet"].collapsed, last["quiet"].cause) == (True, "DEAD")
    assert last["quiet"].signal_kept == pytest.approx(0.02)
    assert last["quiet"].signal_kept_high < 0.25
    assert last["quiet"].task_noise == pytest.approx(1 / 1.25)
    assert (last["loud"].collapsed, last["loud"].cause) == (False, None)
    assert last["loud"].signal_kept == 1
    clean = judged([(1.0, 0.6 + 0.1 * (-1) ** i) for i in range(WINDOW)])[-1]
    assert not any(verdict.collapsed for verdict in clean.values())
    assert clean["quiet"].signal_kept == pytest.approx(0.6)


def test_a_collapse_that_nothing_explains_is_one_all_the_same():
    last = judged(planted())[-1]["quiet"]
    assert (last.collapsed, last.cause, last.expected) == (True, None, None)


def test_a_cause_without_a_loss_is_no_collapse():
    last = judged([(1.0, 1.0)] * WINDOW, more=DEAD)[-1]["quiet"]
    assert (last.collapsed, last.cause, last.expected) == (False, None, "DEAD")


def test_there_is_no_verdict_before_the_window_is_full():
    unknown = CollapseVerdict(None, None, None, None, collapsed=False, cause=None, expected="DEAD")
    found = judged(planted(WINDOW), more=DEAD)
    assert [verdict["quiet"] for verdict in found[:-1]] == [unknown] * (WINDOW - 1)
    assert found[-1]["quiet"].collapsed


def test_what_is_to_be_expected_is_judged_from_the_first_measurement_on():
    found = judged(planted(3), more=DEAD)
    assert [verdict["quiet"].expected for verdict in found] == ["DEAD"] * 3
    drowned = {"signal_share": 0.001, "participation": 1.0}
    watch = CollapseMonitor(AGENTS)
    loud = numbers(1.0, signal_share=1.999)
    now = watch.judge({"loud": loud, "quiet": numbers(0.5, **drowned)}, 0.2)
    assert (now["loud"].expected, now["quiet"].expected) == (None, "DROWNED")
    even = {a: numbers(1.0, signal_share=1.0) for a in AGENTS}
    assert all(
        verdict.expected is None for verdict in CollapseMonitor(AGENTS).judge(even, 0.2).values()
    )


def test_a_verdict_forgets_what_lies_before_the_window():
    found = judged(planted() + [(1.0, 1.0)] * WINDOW)
    assert found[WINDOW - 1]["quiet"].collapsed
    assert not found[-1]["quiet"].collapsed
    assert found[-1]["quiet"].signal_kept == 1


def test_a_team_that_has_learned_has_not_collapsed():
    learned = judged(planted(), score=LEARNED, more=DEAD)[-1]["quiet"]
    assert (learned.collapsed, learned.cause, learned.expected) == (False, None, None)
    assert learned.signal_kept is None  # no measurement at which it could improve
    assert judged(planted(), score=LEARNED - 0.01, more=DEAD)[-1]["quiet"].collapsed
    assert judged(planted(), score=None, more=DEAD)[-1]["quiet"].collapsed


def test_it_abstains_where_something_was_not_measured():
    series = planted()
    series[4] = (1.0, None)
    assert not judged(series, more=DEAD)[-1]["quiet"].collapsed
    assert judged(series + planted(5))[-1]["quiet"].collapsed  # it has left the window
    nothing = judged([(1.0, None)] * WINDOW)[-1]["quiet"]
    assert (nothing.signal_kept, nothing.task_noise, nothing.collapsed) == (None, None, False)


@pytest.mark.parametrize(
    ("more", "cause"),
    [({"dead_rate": 0.9}, "DEAD"), ({"entropy": 0.01}, "LAZY"), ({"spike_rate": 0.01}, "SPIKY")],
)
def test_a_collapse_is_given_the_cause_that_was_measured(more, cause):
    last = judged(planted(), more=more)[-1]
    assert (last["quiet"].collapsed, last["quiet"].cause) == (True, cause)
    assert last["loud"].cause is None


def test_the_entropy_of_a_density_makes_nobody_lazy():
    last = judged(planted(), more={"entropy": -3.0}, continuous=AGENTS)[-1]["quiet"]
    assert (last.collapsed, last.cause, last.expected) == (True, None, None)


def test_an_agent_that_chooses_beside_numbers_can_be_lazy():
    last = judged(planted(), more={"entropy": 0.0}, continuous=("loud",))[-1]["quiet"]
    assert (last.collapsed, last.cause) == (True, "LAZY")


def test_a_watch_that_reads_the_rows_again_says_the_same():
    series = planted(14)
    rows = [
        {
            a: numbers(share) | {"collapsed": False, "cause": None}
            for a, share in zip(AGENTS, pair, strict=True)
        }
        for pair in series
    ]
    straight = judged(series)
    again = CollapseMonitor(AGENTS)
    for row in rows[:11]:
        again.judge(row, 0.2)
    assert [again.judge(row, 0.2) for row in rows[11:]] == straight[11:]
