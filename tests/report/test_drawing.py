"""A picture of a result stands alone: well-formed, with a style of its own and no reference."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import counterpoint as cp
from counterpoint.errors import LogError
from counterpoint.records import Episode, Event

SAVED = Path(__file__).parents[1] / "data" / "saved"
SVG = "{http://www.w3.org/2000/svg}"
DRAWN = ["comparison", "comparison_steps", "diagnosis", "audit", "game", "population", "team",
         "topology", "training"]  # fmt: skip


def saved(name):
    return json.loads((SAVED / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_an_svg_file_of_its_own(name):
    picture = cp.picture(saved(name))
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text in repr(picture)
    assert picture._repr_svg_() == picture
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (left, top) == (-12, -12)
    assert (width, height) == (float(root.get("width")), float(root.get("height")))
    assert picture.count("http") == 1  # the namespace


@pytest.mark.parametrize("name", DRAWN)
def test_its_rules_touch_nothing_else_and_use_known_colours(name):
    picture = cp.picture(saved(name))
    style = ElementTree.fromstring(picture).find(f"{SVG}style").text
    for selectors in re.findall(r"([^{}]+)\{", style):
        assert all(one.strip().startswith(".counterpoint") for one in selectors.split(","))
    defined = set(re.findall(r"(--[\w-]+):", style))
    assert set(re.findall(r"var\((--[\w-]+)\)", picture)) <= defined
    assert "--paper: #fff;" in style


def test_the_drawing_is_the_one_of_the_page():
    document = saved("comparison")
    marks = re.findall(r'<path d="[^"]+"', cp.picture(document))
    assert marks
    assert all(mark in cp.render(document) for mark in marks)


@pytest.mark.parametrize("name", ["diagnosis_faults"])
def test_a_result_without_a_drawing_is_an_error(name):
    with pytest.raises(LogError, match="without a drawing"):
        cp.picture(saved(name))


def test_text_of_a_log_cannot_leave_its_place():
    words = '</title><script>alert("x")</script>'
    events = tuple(Event(t, agent, "message", words) for t, agent in enumerate(["a<b", "c&d"]))
    picture = cp.picture(cp.audit([Episode(words, events, ("a<b", "c&d"))]))
    root = ElementTree.fromstring(picture)
    assert not list(root.iter(f"{SVG}script"))
    assert "script" not in {element.tag.removeprefix(SVG) for element in root.iter()}
