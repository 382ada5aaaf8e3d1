"""Axes: every value inside, ticks at round numbers, labels apart."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.report.toolkit.scales import (
    Scale,
    across,
    fit,
    linear_ticks,
    log_ticks,
    spans_decades,
    spread,
    tick_text,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_a_scale_maps_its_ends_and_its_middle() -> None:
    scale = Scale(0, 2, 100, 300)
    assert [scale(v) for v in (0, 1, 2)] == [100, 200, 300]
    log = Scale(1, 100, 0, 100, log=True)
    assert [log(v) for v in (1, 10, 100)] == pytest.approx([0, 50, 100])


@given(st.lists(finite, min_size=1, max_size=5))
def test_fit_holds_every_value(values: list[float]) -> None:
    scale = fit(values, 0, 100)
    slack = 1e-6 * (scale.high - scale.low)
    inside = [min(max(v, -1e300), 1e300) for v in values]
    assert scale.low - slack <= min(inside) <= max(inside) <= scale.high + slack
    assert all(math.isfinite(scale(v)) for v in values)
    assert all(scale.low - slack <= t <= scale.high + slack for t in scale.ticks())


@given(finite, finite)
def test_across_never_divides_by_nothing(a: float, b: float) -> None:
    scale = across(min(a, b), max(a, b), 0, 100)
    assert math.isfinite(scale(a))
    assert len(scale.ticks()) <= 8


@given(finite, finite)
def test_tick_labels_tell_ticks_apart(a: float, b: float) -> None:
    """Also where the values differ by rounding alone: 1e-17 around 0."""
    ticks = fit([a, b], 0, 100).ticks()
    labels = [tick_text(t, ticks) for t in ticks]
    assert len(set(labels)) == len(set(ticks)), labels


def test_fit_without_values_is_a_unit_axis() -> None:
    assert (fit([None], 0, 1).low, fit([], 0, 1).high) == (0.0, 1.0)


def test_log_axes_end_at_powers_of_ten() -> None:
    scale = fit([1.3, 2689.0, None, 0.0], 0, 100, log=True)  # 0 has no place on a log axis
    assert (scale.low, scale.high) == (1.0, 10_000.0)
    assert fit([5.0], 0, 100, log=True).high == 10.0


def test_only_what_spans_decades_wants_a_log_axis() -> None:
    assert spans_decades([1.0, 40.0])  # 1.6 decades
    assert not spans_decades([1.0, 20.0])  # 1.3 decades
    assert not spans_decades([0.0, 1000.0])
    assert not spans_decades([None])


def test_ticks_are_round() -> None:
    assert linear_ticks(0, 200, 5) == [0, 50, 100, 150, 200]
    assert linear_ticks(0.25, 0.95, 4) == [0.4, 0.6, 0.8]
    assert log_ticks(0.01, 1000, 5) == pytest.approx([0.01, 1, 100])
    assert [tick_text(t, [0.7, 0.75, 0.8]) for t in (0.7, 0.75)] == ["0.70", "0.75"]
    assert [tick_text(t, [0.01, 1, 100]) for t in (0.01, 1, 100)] == ["0.01", "1", "100"]
    assert tick_text(20_000, [0, 20_000]) == "20,000"
    assert tick_text(20_000_000, [0, 20_000_000]) == "2e7"


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12))
def test_spread_keeps_order_and_distance(wanted: list[float]) -> None:
    placed = spread(wanted, 16, 0, 300)
    assert all(-1e-9 <= p <= 300 + 1e-9 for p in placed)
    ordered = sorted(placed)
    assert all(b - a >= 16 - 1e-6 for a, b in pairwise(ordered))
    assert [p for _, p in sorted(zip(wanted, placed, strict=True))] == ordered


def test_spread_leaves_alone_what_does_not_overlap() -> None:
    assert spread([10, 100, 50], 16, 0, 300) == [10, 100, 50]
