"""Numbers as a reader sees them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.report.toolkit.numerals import (
    counted,
    decimals_for,
    fixed,
    interval,
    percent,
    probability,
    ranges,
    significant,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "0"),
        (13.249, "13.2"),
        (2689, "2,690"),  # three digits are known, a fourth would be invented
        (0.00851, "0.00851"),
        (0.9996, "1.00"),  # rounding that gains a digit
        (999.6, "1,000"),
        (-0.4249, "−0.425"),
        (3.3e-16, "3.30e−16"),
        (1.5e9, "1.50e9"),
    ],
)
def test_significant_keeps_three_digits(value: float | None, shown: str) -> None:
    assert significant(value) == shown


def test_one_of_a_kind_is_no_plural() -> None:
    assert [counted(n, "agent") for n in (0, 1, 1480)] == ["0 agents", "1 agent", "1,480 agents"]


def test_fixed_writes_true_minus_and_never_minus_zero() -> None:
    assert fixed(-0.044, 3) == "−0.044"
    assert fixed(0.145, 3, signed=True) == "+0.145"
    assert fixed(-0.0001, 3, signed=True) == "0.000"
    assert fixed(None, 3) == "–"
    assert fixed(12345678.0, 3) == "1.23e7"


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0.59, 0.984], 3), ([1.0], 3), ([None, 12.4], 2), ([345.0], 1), ([4000.0], 0), ([0.0042], 5)],
)
def test_a_column_has_decimals_for_its_largest_number(values: list[float], decimals: int) -> None:
    assert decimals_for(values) == decimals


@given(st.floats(-1e308, 1e308))
def test_significant_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    shown = float(significant(value).replace("−", "-").replace(",", ""))
    assert abs(shown - value) <= 0.0051 * abs(value) + 5e-324


def test_intervals_shares_and_probabilities() -> None:
    assert interval(-0.064, 0.024, 3, signed=True) == "[−0.064, +0.024]"
    assert interval(None, 0.5, 3) == ""
    assert interval(0.0002, 0.083, 3, signed=True) == "[+0.0002, +0.083]"
    assert interval(-3e-17, 2e-16, 3, signed=True) == "[0.000, 0.000]"
    assert [percent(s) for s in (None, 0.0, 0.001, 0.404, 0.999, 1.0)] == [
        "–", "0%", "< 1%", "40%", "> 99%", "100%",
    ]  # fmt: skip
    assert [probability(p) for p in (None, 0.0004, 0.0312, 1.0)] == [
        "–", "< 0.001", "0.031", "1.000",
    ]  # fmt: skip


def test_runs_of_seeds_are_joined() -> None:
    assert ranges([]) == ""
    assert ranges([0, 1, 2, 3, 7, 9, 10]) == "0–3, 7, 9–10"
