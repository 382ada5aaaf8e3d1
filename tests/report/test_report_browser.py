"""The page in a real browser: hostile text stays text, and nothing runs off the side."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_text import PAYLOADS, hostile
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab
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

from counterpoint.report import render
from counterpoint.report.toolkit.safe_text import visible

pytestmark = pytest.mark.browser

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install it to test the report in a browser")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class Watched:
    """One tab, and everything in it that should not happen."""

    def __init__(self, browser: Browser, folder: Path, **options: Any) -> None:
        self.tab: Tab = browser.new_page(**options)
        self.file = folder / "report.html"
        self.events: list[str] = []
        self.tab.on("dialog", self._dialog)
        self.tab.on("console", lambda message: self.events.append(f"console: {message.text}"))
        self.tab.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        self.tab.on("request", self._request)

    def show(self, html: str) -> list[str]:
        """What happened while the page was loaded and every element was touched."""
        self.events.clear()
        self.file.write_text(html, encoding="utf-8")
        self.tab.goto(self.file.as_uri())
        self.tab.keyboard.press("Tab")
        self.tab.mouse.move(200, 200)
        self.tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return self.events

    def _dialog(self, dialog: Any) -> None:
        self.events.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if request.url.split("#")[0] != self.file.as_uri() and not request.url.startswith("data:"):
            self.events.append(f"request: {request.url}")


@pytest.fixture(scope="module")
def watched(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(browser, tmp_path_factory.mktemp("pages"))


ALIEN = """() => [...document.querySelectorAll('*')].flatMap(e => [
  ...(/^(script|iframe|object|embed|form|base|img|video|input|button|foreignobject|animate)$/i
      .test(e.localName) ? [e.localName] : []),
  ...[...e.attributes].filter(a => /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value))
      .map(a => a.name)])"""


def test_there_are_forty_payloads() -> None:
    assert len(set(PAYLOADS)) == 40


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
    assert watched.tab.evaluate(ALIEN) == []
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


@pytest.mark.parametrize("name", list(WIDE))
def test_the_page_never_scrolls_sideways(watched: Watched, name: str) -> None:
    assert watched.show(render(WIDE[name])) == []
    for width in (360, 390, 768, 1280):
        watched.tab.set_viewport_size({"width": width, "height": 800})
        assert watched.tab.evaluate("document.documentElement.scrollWidth") <= width


SMALLEST = """() => Math.min(...[...document.querySelectorAll('svg text')]
  .filter(t => t.getClientRects().length)
  .map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().d))"""


@pytest.mark.parametrize("width", [360, 768, 820, 1280])
def test_labels_of_pictures_can_be_read(browser: Browser, tmp_path: Path, width: int) -> None:
    shown = Watched(browser, tmp_path, viewport={"width": width, "height": 800})
    shown.show(render(WIDE["comparison"]))
    assert shown.tab.evaluate(SMALLEST) >= 9.5
    drawn = [shown.tab.locator(f".{size}").first.is_visible() for size in ("wide", "narrow")]
    assert drawn == ([True, False] if width >= 820 else [False, True])
    shown.tab.close()


COLLIDING = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].filter(t => t.getClientRects().length)
    .map(t => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
    .filter(([, q]) => p.left < q.right - 1 && q.left < p.right - 1
      && p.top < q.bottom - 3 && q.top < p.bottom - 3)
    .map(([b]) => a + ' | ' + b));
})"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["comparison", "diagnosis"])
def test_labels_of_pictures_do_not_collide(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    shown = Watched(browser, tmp_path, viewport={"width": width, "height": 800})
    shown.show(render(WIDE[name]))
    assert shown.tab.evaluate(COLLIDING) == []
    shown.tab.close()


def test_a_table_is_downloaded_with_a_click(watched: Watched, tmp_path: Path) -> None:
    watched.show(render(SMALL["comparison"]))
    with watched.tab.expect_download() as waiting:
        watched.tab.locator("a[download='counterpoint-regions-schemes.csv']").click()
    waiting.value.save_as(tmp_path / "table.csv")
    head, first, *_ = (tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert head.startswith("scheme,title,kind,return_iqm,return_low,return_high")
    assert first.startswith("counterfactual,")


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
        shown.tab.close()
    assert shades == {"light": "rgb(253, 252, 249)", "dark": "rgb(21, 23, 26)"}
