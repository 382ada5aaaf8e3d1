"""The page: well formed, complete, and with the document's own numbers in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from report_reading import Page
from report_samples import (
    AGENTS,
    SCHEMES,
    comparison,
    diagnosis,
    language_training,
    spoken,
    stepwise,
    training,
)

from counterpoint.errors import LogError
from counterpoint.report import render
from counterpoint.results.saved import KINDS

SAMPLES = {
    "comparison": comparison(6, 30),
    "stepwise": stepwise(6, 30),
    "diagnosis": diagnosis(30),
    "training": training(30),
    "spoken": spoken(6, 30),
    "language": language_training(30),
}
PAGES = {name: render(document) for name, document in SAMPLES.items()}


@pytest.fixture(scope="module", params=list(PAGES))
def page(request: pytest.FixtureRequest) -> Page:
    return Page(PAGES[request.param])


def test_the_page_is_well_formed_and_its_ids_are_unique(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert page.problems == []
    assert len(ids) == len(set(ids))


def test_every_reference_inside_the_page_leads_somewhere(page: Page) -> None:
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    inner = {str(a["href"])[1:] for a in page.all("a") if str(a.get("href")).startswith("#")}
    named = {i for _, a in page.elements for i in str(a.get("aria-labelledby") or "").split()}
    assert inner | named <= ids
    assert len(inner) > 5


def test_nothing_is_fetched_and_no_script_runs(page: Page) -> None:
    assert not {"script", "iframe", "object", "embed", "form", "img"} & {
        t for t, _ in page.elements
    }
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], tag
        for name in ("href", "src"):
            assert str(attrs.get(name) or "#").startswith(("#", "data:")), tag


@pytest.mark.parametrize("name", list(PAGES))
def test_the_policy_allows_this_style_sheet_and_nothing_else(name: str) -> None:
    sheet = re.search(r"<style>(.*?)</style>", PAGES[name], re.DOTALL)
    assert sheet is not None
    digest = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
    policy = next(a for a in Page(PAGES[name]).all("meta") if "http-equiv" in a)["content"]
    assert str(policy).startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:")
    assert "url(" not in sheet[1]
    assert "@import" not in sheet[1]


def test_scrolling_tables_can_be_reached_and_are_named(page: Page) -> None:
    boxes = [attrs for _, attrs in page.elements if attrs.get("class") == "scroll"]
    assert boxes
    for box in boxes:
        assert (box["tabindex"], box["role"], bool(box["aria-label"])) == ("0", "region", True)
    assert all(cell.get("scope") in {"row", "col"} for cell in page.all("th"))


def test_the_verdict_comes_first_and_the_sections_follow_in_order(page: Page) -> None:
    heads = [str(a["id"]) for tag, a in page.elements if tag in {"h1", "h2"}]
    heads = [head for head in heads if head not in ("h-next", "h-words")]
    compared = ["results", "curves", "weighted", "collapse", "remedies", "method", "settings"]
    without_accuracy = [head for head in compared if head != "curves"]
    diagnosed = ["conditions", "agents", "remedies", "timeline", "method", "settings"]
    trained = ["collapse", "remedies", "updates", "method", "settings"]
    talked = ["said", *trained]
    orders = (compared, without_accuracy, diagnosed, trained, talked)
    assert heads in (["verdict", *(f"h-{n}" for n in o)] for o in orders)


def test_every_table_and_picture_can_be_downloaded(page: Page) -> None:
    figures, tables = page.all("figure"), [a for _, a in page.elements if a.get("class") == "table"]
    assert len(page.files) == len(figures) + len(tables)
    assert all(rows for rows in page.files.values())


def test_numbers_of_the_scheme_table_are_the_documents() -> None:
    page, document = Page(PAGES["comparison"]), SAMPLES["comparison"]
    for name, scheme in document["schemes"].items():
        row = page.row("schemes", name)
        for column, key in ((1, "return"), (2, "weighted_return")):
            found = scheme[key]
            assert row[column]["value"] == found["iqm"]
            assert f"{found['iqm']:.3f}" in row[column]["text"]
            assert f"[{found['low']:.3f}, {found['high']:.3f}]" in row[column]["text"]
        worst = min(scheme["agents"].values(), key=lambda agent: agent["accuracy"])
        assert row[4]["value"] == worst["accuracy"]
        difference = document["differences"].get(name)
        assert row[3]["value"] == (difference["iqm"] if difference else None)
    order = sorted(SCHEMES, key=lambda n: -document["schemes"][n]["return"]["iqm"])
    for name, row in zip(order, page.tables["schemes"], strict=False):
        assert row[0]["text"].startswith(name)


def test_the_recommended_scheme_is_marked_and_what_loses_is_too() -> None:
    document = deepcopy(SAMPLES["comparison"])
    document["schemes"]["group_reward_decoupled"]["return"]["iqm"] = 0.88
    document["differences"]["grpo"].update(iqm=-0.1, low=-0.2, high=-0.05)
    document["differences"]["counterfactual"].update(iqm=0.01, low=-0.2, high=0.2)
    page = Page(render(document))
    assert "use this" in page.row("schemes", "mappo_per_agent")[0]["text"]
    assert "use this" not in page.row("schemes", "mappo_pooled")[0]["text"]
    assert "lower" in page.row("schemes", "grpo")[3]["text"]
    assert "higher" in page.row("schemes", "mappo_per_agent")[3]["text"]
    assert "indistinguishable from 0" in page.row("schemes", "counterfactual")[3]["text"]


def test_each_agents_cell_has_accuracy_collapse_and_cause() -> None:
    page, document = Page(PAGES["comparison"]), SAMPLES["comparison"]
    order = sorted(SCHEMES, key=lambda n: -document["schemes"][n]["return"]["iqm"])
    for agent in AGENTS:
        row = page.row("agents", agent)
        for name, cell in zip(order, row[1:], strict=True):
            found = document["schemes"][name]["agents"][agent]
            assert cell["value"] == found["accuracy"]
            assert ("DROWNED" in cell["text"]) == (found["cause"] == "DROWNED")
            assert f"kept {found['signal_kept']['iqm']:.2f}" in cell["text"]
            assert f"noise {found['task_noise']['iqm']:.2f}" in cell["text"]
            assert ("DILUTED" in cell["text"]) == (found["difficulty"] == "DILUTED")


def test_csv_files_hold_the_curves_exactly() -> None:
    page, document = Page(PAGES["comparison"]), SAMPLES["comparison"]
    rows = page.files["counterpoint-regions-curves.csv"]
    for name, scheme in document["schemes"].items():
        mine = [r for r in rows if r["scheme"] == name]
        curve = scheme["curves"]["return"]
        for key in ("iqm", "low", "high"):
            assert [float(r[key]) for r in mine] == curve[key]
    rows = page.files["counterpoint-regions-collapse.csv"]
    found = document["schemes"]["mappo_pooled"]["curves"]["agents"]["stable_0"]
    mine = [r for r in rows if (r["scheme"], r["agent"]) == ("mappo_pooled", "stable_0")]
    assert [float(r["collapsed_seeds"]) for r in mine] == found["collapsed"]
    kept = [float(r["signal_kept"]) if r["signal_kept"] else None for r in mine]
    assert kept == found["signal_kept"]
    assert [r["cause"] or None for r in mine] == found["cause"]


def test_the_weighted_return_and_the_control_stand_beside_the_win() -> None:
    text = Page(PAGES["comparison"]).text
    difference = SAMPLES["comparison"]["differences"]["mappo_per_agent"]
    facts = text[: text.index("Results")]
    assert f"+{difference['iqm']:.3f}" in facts
    assert f"−{-difference['weighted_return']['iqm']:.3f}" in facts
    assert "per-agent statistics change advantages by at most 3.3e−16" in facts
    assert "no-op" in facts


def test_diagnosis_tables_hold_the_documents_numbers() -> None:
    page, document = Page(PAGES["diagnosis"]), SAMPLES["diagnosis"]
    for name, found in document["agents"].items():
        row = page.row("agents", name)
        measures = ("signal_kept", "inflation", "signal_share", "dead_rate", "net_mass")
        assert [cell["value"] for cell in row[2:7]] == [found[m] for m in measures]
        assert "OFFSET" in row[1]["text"]
        assert found["evidence"] in page.text
    rows = {
        row[0]["text"][:2]: [c["text"].strip() for c in row] for row in page.tables["conditions"]
    }
    assert list(rows) == [f"C{i}" for i in range(1, 8)]
    assert rows["C3"][1:] == ["found", "< 0.001", "< 0.001", "0.840", "describer"]
    assert rows["C1"][1:3] == ["not found", "0.620"]
    assert rows["C4"][1].startswith("not readable")
    assert document["decoupling"]["not_readable"]["C4"] in rows["C4"][1]


def test_a_wide_span_is_drawn_on_a_log_axis_and_says_so() -> None:
    page = Page(PAGES["diagnosis"])
    assert "factor lost in signal-to-noise (1 = none), log" in page.text
    assert "share of decisions with advantage 0, log" not in page.text


def test_one_seed_has_no_interval_and_says_why() -> None:
    text = Page(render(comparison(1, 6))).text
    assert "one seed: no interval" in text
    assert "One seed, so there is no interval." in text
    assert "[" not in text.split("Results")[0]


def test_empty_cells_say_why() -> None:
    document = comparison(3, 6)
    for scheme in document["schemes"].values():
        del scheme["weighted_return"]
    page = Page(render(document))
    assert "– in “Reward-weighted”: this world does not measure it." in page.text
    assert page.row("schemes", "grpo")[2] == {"text": "–", "value": None}


def test_what_was_not_run_is_said_and_not_hidden() -> None:
    document = {**comparison(3, 6), "control": None}
    text = Page(render(document)).text
    assert "not run for this comparison" in text.split("Results")[0]
    for scheme in document["schemes"].values():
        scheme["curves"]["agents"] = {}
    assert (
        "Gradients were not measured in this comparison, or too few" in Page(render(document)).text
    )
    assert "no training updates to distinguish" in Page(render(diagnosis(1))).text


def test_remedies_name_whom_they_are_for() -> None:
    text = Page(PAGES["comparison"]).text
    assert "stable_0, stable_1 under mappo_pooled" in text
    assert "weigh that against the cost" in text
    healthy = deepcopy(SAMPLES["comparison"])
    for scheme in healthy["schemes"].values():
        for agent in scheme["agents"].values():
            agent["cause"] = None
    assert "nothing that was measured explains it" in Page(render(healthy)).text
    for scheme in healthy["schemes"].values():
        for agent in scheme["agents"].values():
            agent["collapsed"] = False
    assert "nothing to remedy" in Page(render(healthy)).text


def test_settings_are_shown_by_their_own_names_with_a_command_safe_to_paste() -> None:
    settings = {"scale": 10.0, "drawn": "$(rm -rf ~); x", "clip": None}
    config = {"world": "regions", "schemes": ["a", "b"], "seeds": 3, "settings": settings}
    document = {**comparison(3, 4), "config": config}
    text = Page(render(document)).text
    assert "seeds 3 (0–2) scale 10 drawn $(rm -rf ~); x clip null version 0.1.0" in text
    assert (
        "counterpoint compare regions \\ --schemes a,b --seeds 3 \\ "
        "--set scale=10 'drawn=$(rm -rf ~); x' clip=null" in text
    )
    assert "--no-control" in render({**document, "config": {**config, "control": False}})
    assert "counterpoint compare" not in render(comparison(3, 4))  # its parts are not all known


def test_many_agents_and_schemes_stay_one_page() -> None:
    document = comparison(2, 6)
    for scheme in document["schemes"].values():
        scheme["agents"] = {f"agent_{i}": scheme["agents"]["stable_0"] for i in range(32)}
        curves = scheme["curves"]
        curves["agents"] = {f"agent_{i}": curves["agents"]["stable_0"] for i in range(32)}
    document["agents"] = [f"agent_{i}" for i in range(32)]
    document["schemes"] |= {f"scheme_{i}": document["schemes"]["grpo"] for i in range(16)}
    page = Page(render(document))
    assert page.problems == []
    assert "The picture shows the 9 of 32 agents" in page.text
    assert len(page.tables["agents"]) == 32


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key of a document, one child of each long mapping or list."""
    if path:
        yield path
    if isinstance(value, dict):
        children: list[Any] = list(value)
        if path and path[-1] in {"schemes", "agents", "differences"}:
            children = children[:1]
        for key in children:
            yield from paths(value[key], (*path, key))
    if isinstance(value, list) and value:
        yield from paths(value[0], (*path, 0))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy in which one thing is another; `...` takes it away."""
    copy = deepcopy(document)
    at = copy
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return copy


SMALL = {
    "comparison": comparison(2, 3),
    "stepwise": stepwise(2, 3),
    "training": training(12),
    "spoken": spoken(2, 3),
    "language": language_training(12),
}

OTHERS = (..., None, "text", [], {}, -1e308, float("nan"))


@pytest.mark.slow  # tests/results changes every value of every saved file
@pytest.mark.parametrize("name", [*SMALL])
def test_any_part_may_be_absent_or_of_another_kind(name: str) -> None:
    """No page fails for one bad value, wherever it is; a typed result says where it is."""
    for i, path in enumerate(optional_paths(name)):
        for value in (..., OTHERS[1 + i % 6]):
            assert problems(changed(small(name), path, value)) == [], (path, value)


@pytest.mark.slow
@pytest.mark.parametrize("value", OTHERS, ids=repr)
@pytest.mark.parametrize("name", [*SMALL])
def test_every_part_may_be_of_every_other_kind(name: str, value: Any) -> None:
    for path in optional_paths(name):
        assert problems(changed(small(name), path, value)) == [], path


def problems(document: dict[str, Any]) -> list[str]:
    """What is wrong with the page of a document; nothing where a typed result is refused."""
    refused = ""
    try:
        return Page(render(document)).problems
    except LogError as error:
        refused = str(error)
    assert document["schema"] in KINDS
    assert re.search(r"`; wanted a results.json as it was written$", refused)
    return []


def small(name: str) -> dict[str, Any]:
    return SMALL[name]


def optional_paths(name: str) -> list[tuple[Any, ...]]:
    return [path for path in paths(small(name)) if path != ("schema",)]


def colours(theme: str) -> dict[str, str]:
    sheet = re.search(r"<style>(.*?)</style>", PAGES["comparison"], re.DOTALL)
    assert sheet is not None
    blocks = re.findall(r":root \{(.*?)\}", sheet[1], re.DOTALL)
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", blocks[0]))
    return (
        {**light, **dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", blocks[1]))}
        if theme == "dark"
        else light
    )


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rgb(code: str) -> tuple[float, ...]:
    return tuple(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_the_guideline_does() -> None:
    assert contrast(rgb("#ffffff"), rgb("#000000")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.01)


def test_paper_has_every_colour_of_its_own() -> None:
    """Who prints from the dark theme gets dark ink, for whatever a later theme may add."""
    sheet = re.search(r"<style>(.*?)</style>", PAGES["comparison"], re.DOTALL)
    assert sheet is not None
    light, dark, paper = (
        set(re.findall(r"--([\w-]+):", block))
        for block in re.findall(r":root \{(.*?)\}", sheet[1], re.DOTALL)
    )
    assert light == dark == paper


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_lines_can_be_seen(theme: str) -> None:
    """WCAG AA: 4.5 for text, 3 for what a picture needs, in both themes."""
    known = {name: rgb(code) for name, code in colours(theme).items()}
    for ground in ("paper", "tint"):
        for text in ("ink", "soft", "link", "good", "bad"):
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)
    for i in range(7):
        assert contrast(known[f"s{i}"], known["paper"]) >= 3, f"s{i}"
    for cause in ("dead", "drowned", "diluted", "offset", "spiky", "lazy", "none"):
        chip = tuple(0.45 * c + 0.55 * p for c, p in zip(known[cause], known["paper"], strict=True))
        assert contrast(known["ink"], chip) >= 4.5, cause
