"""The page in a real browser: hostile text stays text, and nothing runs off the side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile_text import PAYLOADS, hostile
from page_kinds import documents
from playwright.sync_api import Browser
from report_samples import (
    audited,
    comparison,
    diagnosis,
    language_training,
    listed,
    spoken,
    stepwise,
    topologies,
    training,
)

from browser_tabs import FOCUSABLE, WatchedTab
from counterpoint.report import render
from counterpoint.report.toolkit.safe_text import visible

pytestmark = pytest.mark.browser

SMALL = {
    "comparison": comparison(2, 4),
    "stepwise": stepwise(2, 4),
    "diagnosis": diagnosis(6),
    "training": training(12),
    "spoken": spoken(2, 4),
    "language": language_training(12),
    "audit": audited(),
    "folder": listed(),
    "topology": topologies(),
}


class Watched(WatchedTab):
    """A tab that shows one file."""

    def __init__(self, browser: Browser, folder: Path, **options: Any) -> None:
        self.file = folder / "report.html"
        super().__init__(browser, self.file.as_uri(), **options)

    def show(self, html: str) -> list[str]:
        """What happened while the page was loaded and every element was touched."""
        self.events.clear()
        self.file.write_text(html, encoding="utf-8")
        self.open(self.file)
        self.tab.keyboard.press("Tab")
        self.tab.mouse.move(200, 200)
        return self.events


@pytest.fixture(scope="module")
def watched(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(browser, tmp_path_factory.mktemp("pages"))


def test_there_are_forty_payloads() -> None:
    assert len(set(PAYLOADS)) == 40


@pytest.mark.fault("R16")
@pytest.mark.few(24)
@pytest.mark.parametrize(
    ("kind", "number"),
    [  # each payload on two kinds of page, each kind with ten payloads; the others are slow
        pytest.param(kind, number, marks=() if (place + number) % 4 == 0 else pytest.mark.slow)
        for place, kind in enumerate(SMALL)
        for number in range(len(PAYLOADS))
    ],
)
def test_hostile_text_stays_text(watched: Watched, kind: str, number: int) -> None:
    document = hostile(SMALL[kind], PAYLOADS[number])
    assert watched.show(render(document)) == []
    assert watched.aliens() == []
    shown = watched.tab.evaluate("document.body.textContent")
    assert " ".join(visible(PAYLOADS[number]).split()) in " ".join(shown.split())
    metas = watched.tab.evaluate(
        "[...document.querySelectorAll('meta[http-equiv]')].map(m => m.httpEquiv)"
    )
    assert metas == ["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        ("<img src=x onerror=alert(1)>", "dialog: 1"),
        ("<script>alert(1)</script>", "dialog: 1"),
        ("<script>throw Error('planted')</script>", "error: planted"),
        ("<img src=http://127.0.0.1:9/x.png>", "request: http://127.0.0.1:9/x.png"),
    ],
)
def test_the_watch_sees_a_page_that_does_not_escape(
    watched: Watched, payload: str, event: str
) -> None:
    """The same detectors on a page into which the text was pasted raw and without a policy."""
    html = render(SMALL["comparison"]).replace("<meta http-equiv", "<meta data-was")
    found = watched.show(html.replace("<main", payload + "<main"))
    watched.tab.wait_for_timeout(100)
    assert event in found


@pytest.mark.fault("R16")
def test_the_policy_stops_what_escaping_would_have_let_through(watched: Watched) -> None:
    html = render(SMALL["comparison"])
    pasted = "<script>alert(1)</script><img src=http://127.0.0.1:9/x.png onerror=alert(2)>"
    found = list(watched.show(html.replace("<main", pasted + "<main")))
    watched.tab.wait_for_timeout(100)
    assert not [event for event in found if event.startswith(("dialog", "error"))]
    assert any("Content Security Policy" in event for event in found)


def long_names() -> dict[str, Any]:
    document = hostile(comparison(3, 20), "a_rather_long_name_" * 6)
    return {**document, "seeds": list(range(0, 400, 2))}


WIDE = {
    "comparison": comparison(3, 40),
    "diagnosis": diagnosis(40),
    "language": language_training(12),
    "long words": hostile(language_training(12), "x" * 300),
    "long names": long_names(),
    "unbroken": hostile(diagnosis(5), "x" * 300),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", list(WIDE))
def test_the_page_never_scrolls_sideways(watched: Watched, name: str) -> None:
    assert watched.show(render(WIDE[name])) == []
    for width in (360, 390, 768, 1280):
        watched.tab.set_viewport_size({"width": width, "height": 800})
        assert watched.tab.evaluate("document.documentElement.scrollWidth") <= width


NARROW, WIDTHS = 390, (1400, 390)
EVERY = documents()


@pytest.mark.few(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    [  # one page of each kind of drawing is fast
        pytest.param(name, marks=() if name in ("topology", "judge_check") else pytest.mark.slow)
        for name in EVERY
    ],
)
def test_every_page_can_be_read(browser: Browser, tmp_path: Path, name: str, scheme: str) -> None:
    """No small, pale, overlapping or cut text, no sideways scroll, no place without a key."""
    shown = Watched(browser, tmp_path, color_scheme=scheme)
    html = render(EVERY[name])
    for width in WIDTHS:
        shown.tab.set_viewport_size({"width": width, "height": 900})
        assert shown.show(html) == []
        assert shown.faults() == [], width
    shown.close()


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("svg text {", "svg text { font-size: 9px !important;", "small"),
        ("--soft: #56595f", "--soft: #b0b0b0", "contrast"),
        ("svg text {", "svg text { transform: translateX(-30px);", "cut"),
        (".scroll {", ".scroll { width: 500px;", "page is"),
        ('role="region" tabindex="0"', 'role="region"', "no key reaches"),
        ("<text ", '<text class="tick" x="90" y="60">planted planted</text><text ', "overlap"),
    ],
)
def test_what_cannot_be_read_is_seen(
    browser: Browser, tmp_path: Path, before: str, after: str, fault: str
) -> None:
    """The same detectors on pages that were spoiled, without the policy that fixes the sheet."""
    html = render(EVERY["topology"]).replace("<meta http-equiv", "<meta data-was")
    assert before in html
    shown = Watched(browser, tmp_path, viewport={"width": NARROW, "height": 900})
    shown.show(html.replace(before, after))
    assert any(found.startswith(fault) for found in shown.faults())
    shown.close()


@pytest.mark.parametrize("width", [360, 1000])
def test_a_chart_is_drawn_for_the_width_of_the_page(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    shown = Watched(browser, tmp_path, viewport={"width": width, "height": 800})
    shown.show(render(WIDE["comparison"]))
    assert [f for f in shown.faults() if not f.startswith("contrast")] == []
    drawn = [shown.tab.locator(f".{size}").first.is_visible() for size in ("wide", "narrow")]
    assert drawn == ([True, False] if width >= 976 else [False, True])
    shown.close()


def test_a_table_is_downloaded_with_a_click(watched: Watched, tmp_path: Path) -> None:
    watched.show(render(SMALL["comparison"]))
    with watched.tab.expect_download() as waiting:
        watched.tab.locator("a[download='counterpoint-regions-schemes.csv']").click()
    waiting.value.save_as(tmp_path / "table.csv")
    head, first, *_ = (tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert head.startswith("scheme,title,kind,return_iqm,return_low,return_high")
    assert first.startswith("counterfactual,")


@pytest.mark.parametrize("name", ["diagnosis", "ranking"])
def test_the_keyboard_reaches_everything_on_its_way(watched: Watched, name: str) -> None:
    watched.show(render(EVERY[name]))
    wanted, reached = watched.tab.evaluate(FOCUSABLE), 0
    watched.tab.evaluate("document.activeElement.dataset.seen = 1")
    for _ in range(wanted + 5):
        watched.tab.keyboard.press("Tab")
        watched.tab.evaluate("document.activeElement.dataset.seen = 1")
    reached = watched.tab.evaluate(
        "[...document.querySelectorAll('[data-seen]')].filter(e => e !== document.body).length"
    )
    assert reached == wanted


def test_the_keyboard_reaches_the_skip_link_first_and_then_everything(watched: Watched) -> None:
    watched.show(render(SMALL["diagnosis"]))
    assert watched.tab.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(40):
        watched.tab.keyboard.press("Tab")
        reached.add(
            watched.tab.evaluate(
                "document.activeElement.className || document.activeElement.localName"
            )
        )
    assert {"a", "scroll", "csv", "summary"} <= reached


def test_dark_is_dark_and_paper_is_white(browser: Browser, tmp_path: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    shades = {}
    for scheme in ("light", "dark"):
        shown = Watched(browser, tmp_path, color_scheme=scheme)
        shown.show(render(SMALL["diagnosis"]))
        shades[scheme] = shown.tab.evaluate(ground)
        shown.tab.emulate_media(media="print")
        assert shown.tab.evaluate(ground) == "rgb(255, 255, 255)"
        shown.close()
    assert shades == {"light": "rgb(253, 252, 249)", "dark": "rgb(21, 23, 26)"}
