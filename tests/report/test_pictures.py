"""Curves, intervals and maps: what is drawn follows from the numbers, and is well formed."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from counterpoint.diagnose import CAUSES
from counterpoint.report.toolkit.charts import (
    POINTS,
    Chart,
    Dot,
    Line,
    interval_panel,
    narrow_chart,
    panel_chart,
    style_of,
    wide_chart,
)
from counterpoint.report.toolkit.heatmap import CODES, Strip, code_of, columns_of, heat_map
from counterpoint.report.toolkit.svg import area, element, shorten, trace

SIZES = (wide_chart, narrow_chart, panel_chart)


def chart(*lines: Line, **extra: object) -> Chart:
    return Chart("k", "a title", "a description", "update", "return", lines, **extra)  # type: ignore[arg-type]


def test_elements_escape_text_and_attributes() -> None:
    made = element("text", "<b>&", class_='a"b', font_size=1.5, fill=None)
    assert made == Markup('<text class="a&#34;b" font-size="1.5">&lt;b&gt;&amp;</text>')


def test_a_gap_lifts_the_pen_and_a_lone_point_is_a_dot() -> None:
    assert trace([(0, 1), (2, 3), None, (4, 5)]) == "M0 1L2 3M4 5L4 5"
    assert trace([None, None]) == ""
    assert area([(0, 1), (2, 1)], [(0, 9), (2, 9)]) == "M0 1L2 1L2 9L0 9Z"
    assert area([(0, 1), None], [(0, 9), (2, 9)]) == "M0 1L0 9Z"


def test_shorten_says_that_something_is_gone() -> None:
    assert shorten("mappo", 100) == "mappo"
    assert shorten("a" * 40, 64) == "a" * 9 + "…"


@pytest.mark.parametrize("draw", SIZES)
def test_a_curve_goes_through_its_values(draw: object) -> None:
    """On axes from 0 to 1 over updates 0 to 2, 0.5 lies half way up and update 1 half way along."""
    ln = Line("a", [0, 1, 2], [0.0, 0.5, 1.0], "s0 d0", [0.0] * 3, [1.0] * 3)
    root = ElementTree.fromstring(draw(chart(ln)))  # type: ignore[operator]
    path = next(e.get("d") for e in root.iter("path") if "curve s0" in str(e.get("class")))
    (x0, y0), (x1, y1), (x2, y2) = [map(float, p.split()) for p in re.split("[ML]", str(path))[1:]]
    assert (x1, y1) == (pytest.approx((x0 + x2) / 2), pytest.approx((y0 + y2) / 2))
    assert x0 < x2
    assert y0 > y2  # upwards on a screen
    assert any("band s0" in str(e.get("class")) for e in root.iter("path"))


@pytest.mark.parametrize("draw", SIZES)
def test_pictures_name_and_describe_themselves(draw: object) -> None:
    root = ElementTree.fromstring(draw(chart(Line("a", [0], [1.0], "s0 d0"))))  # type: ignore[operator]
    ids = {e.get("id"): e.text for e in root if e.get("id")}
    assert root.get("role") == "img"
    assert [ids[i] for i in str(root.get("aria-labelledby")).split()] == [
        "a title",
        "a description",
    ]


@pytest.mark.parametrize("draw", SIZES)
@pytest.mark.parametrize("values", [[None, None], [float("1e308"), -1e308], [5e-324, 0.0], [0.3]])
def test_hard_values_are_drawn_without_nan(draw: object, values: list[float | None]) -> None:
    ln = Line("a", [0.0, 1.0], values, "s0 d0", values, values)
    drawn = draw(chart(ln, log=True))  # type: ignore[operator]
    drawn += draw(chart(ln))  # type: ignore[operator]
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_covered_line_shows_on_both_sides_of_the_one_above() -> None:
    x, y = [0.0, 1.0, 2.0], [0.1, None, 0.3]
    above = Line("b", x, [0.1, 0.2, 0.3], "s1 d0")
    lines = [Line("a", x, y, "s0 d0"), above, Line("c", x, y, "s2 d0")]
    root = ElementTree.fromstring(panel_chart(chart(*lines)))
    curves = [e.get("class") for e in root.iter("path")]
    assert curves == ["curve s0 d0 under", "curve s1 d0", "curve s2 d0"]


def test_long_lines_are_thinned_and_keep_their_end() -> None:
    x = [float(i) for i in range(10_001)]
    drawn = panel_chart(chart(Line("a", x, x, "s0 d0")))
    path = re.search(r'<path d="([^"]*)" class="curve', drawn)
    assert path is not None
    assert path[1].count("L") <= POINTS + 1
    right = ElementTree.fromstring(panel_chart(chart(Line("a", [0, 10_000.0], [0, 1e4], "s0 d0"))))
    end = next(e.get("d") for e in right.iter("path") if "curve" in str(e.get("class")))
    assert path[1].rsplit("L", 1)[1] == str(end).rsplit("L", 1)[1]


def test_wide_charts_name_lines_apart_where_they_end() -> None:
    lines = [Line(f"scheme_{i}", [0, 1], [0, 0.9], style_of(i), strong=i == 2) for i in range(6)]
    root = ElementTree.fromstring(wide_chart(chart(*lines, references=(("random", 0.1),))))
    named = {
        e.text: float(str(e.get("y"))) for e in root.iter("text") if "name" in str(e.get("class"))
    }
    assert sorted(named) == [f"scheme_{i}" for i in range(6)]
    heights = sorted(named.values())
    assert min(b - a for a, b in pairwise(heights)) >= 16 - 1e-6


def test_colours_then_dashes() -> None:
    assert [style_of(i) for i in (0, 6, 7, 20, 21)] == ["s0 d0", "s6 d0", "s0 d1", "s6 d2", "s0 d0"]


def test_intervals_are_centred_where_the_value_is() -> None:
    dots = [Dot("a", 0.5, 0.4, 0.6, "s0 d0", "0.500"), Dot("b", 0.9, None, None, "s1 d0", "0.900")]
    root = ElementTree.fromstring(interval_panel("k", "Return", "unit", dots))
    whiskers = [e for e in root.iter("line") if "whisker" in str(e.get("class"))]
    circles = [float(str(e.get("cx"))) for e in root.iter("circle")]
    assert len(whiskers) == 1  # b has no interval, and none is invented
    ends = [float(str(whiskers[0].get(k))) for k in ("x1", "x2")]
    assert circles[0] == pytest.approx(sum(ends) / 2, abs=0.01)
    assert circles[1] > ends[1]


def test_every_cause_has_letters_of_its_own() -> None:
    assert set(CODES) == set(CAUSES) - {""}
    assert len(set(CODES.values())) == len(CODES)
    assert code_of("DROWNED") == ("c-drowned", "Dr", "DROWNED")
    assert code_of("<script>") == ("c-none", "?", "<script>")


def test_columns_cover_every_update_once() -> None:
    for count in (0, 1, 59, 60, 61, 201, 10_000):
        columns = columns_of(count)
        assert [i for a, b in columns for i in range(a, b)] == list(range(count))
        assert len(columns) <= 60


def test_a_map_shows_share_as_strength_and_cause_as_colour_and_letters() -> None:
    """Ten updates: four without collapse, three at half the seeds, three at all of them."""
    shares = [0.0] * 4 + [0.5] * 3 + [1.0] * 3
    causes = [None] * 4 + ["DROWNED"] * 6
    strips = [Strip("quiet", shares, causes), Strip("loud", [0.0] * 10, [None] * 10)]
    root = ElementTree.fromstring(heat_map("k", "pooled", "update", list(range(10)), strips))
    (gradient,) = root.iter("linearGradient")  # the loud agent never collapsed and has none
    stops = [(e.get("offset"), e.get("class"), float(str(e.get("stop-opacity")))) for e in gradient]
    assert stops == [
        ("0.00000", "c-none", 0.0), ("0.40000", "c-none", 0.0),
        ("0.40000", "c-drowned", pytest.approx(0.12 + 0.73 * 0.5, abs=0.006)),
        ("0.70000", "c-drowned", pytest.approx(0.12 + 0.73 * 0.5, abs=0.006)),
        ("0.70000", "c-drowned", 0.85), ("1.00000", "c-drowned", 0.85),
    ]  # fmt: skip
    assert [e.get("fill") for e in root.iter("rect")] == [None, f"url(#{gradient.get('id')})", None]
    assert [e.text for e in root.iter("text") if e.get("class") == "code"] == ["Dr"]
    said = next(e.text for e in root.iter("desc"))
    assert "quiet: collapsed in 45% of updates and seeds, most often DROWNED" in str(said)
    assert "loud: collapsed in 0%" in str(said)


def test_a_map_of_nothing_is_still_a_picture() -> None:
    root = ElementTree.fromstring(heat_map("k", "h", "update", [], [Strip("a", [], [])]))
    assert root.get("role") == "img"
