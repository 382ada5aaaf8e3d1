"""The page in a real browser: hostile text stays text, and nothing runs off the side."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_text import PAYLOADS, hostile
from page_kinds import documents
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


NARROW, WIDTHS = 390, (1400, 390)
FAULTS = """() => {
  const faults = [], box = e => e.getBoundingClientRect();
  const shown = e => { const b = box(e); return b.width > 1 && b.height > 1
    && getComputedStyle(e).visibility !== 'hidden'
    && !e.closest('.unseen, .skip, [aria-hidden]'); };
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const rgba = c => {
    const m = (c.match(/[\\d.]+/g) || []).map(Number), s = c.startsWith('color(') ? 255 : 1;
    return [m[0] * s, m[1] * s, m[2] * s, m.length > 3 ? m[3] : 1]; };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3]));
  const ground = e => { const chain = [];
    for (let at = e; at; at = at.parentElement)
      chain.push(rgba(getComputedStyle(at).backgroundColor));
    return chain.reverse().reduce((under, top) => over(top, under), [255, 255, 255]); };
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .04045 ? v / 12.92
    : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const contrast = (a, b) => { const [h, l] = [light(a), light(b)].sort((x, y) => y - x);
    return (h + .05) / (l + .05); };
  for (const e of document.querySelectorAll('body *')) {
    if (!own(e) || !shown(e) || e.closest('style, title, desc')) continue;
    const style = getComputedStyle(e), inside = e.closest('svg'), text = e.textContent.trim();
    const size = parseFloat(style.fontSize) * (inside ? e.getScreenCTM().d : 1);
    if (size < 11.95) faults.push(`small ${size.toFixed(1)}: ${text.slice(0, 40)}`);
    let under = ground(inside ? inside.parentElement : e);
    if (e.classList.contains('within')) under = rgba(getComputedStyle(
      document.querySelector('svg .s1[fill]')).getPropertyValue('--c')
      .replace(/#(..)(..)(..)/, (_, ...h) => h.slice(0, 3).map(x => parseInt(x, 16)).join(' ')));
    const ink = over(rgba(inside ? style.fill : style.color), under);
    const c = contrast(ink, under.slice(0, 3));
    if (c < 4.5) faults.push(`contrast ${c.toFixed(2)}: ${text.slice(0, 40)}`);
  }
  for (const svg of document.querySelectorAll('svg')) {
    const texts = [...svg.querySelectorAll('text')].filter(shown).map(t => [t.textContent, box(t)]);
    texts.forEach(([a, p], i) => texts.slice(i + 1).forEach(([b, q]) => {
      if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3
          && q.top < p.bottom - 3) faults.push(`overlap: ${a} | ${b}`); }));
    const page = document.documentElement.clientWidth, scrolls = svg.closest('.scroll');
    if (!scrolls) texts.forEach(([a, p]) => {
      if (p.right > page + 1 || p.left < -1) faults.push(`cut: ${a}`); });
  }
  if (document.documentElement.scrollWidth > innerWidth)
    faults.push(`page is ${document.documentElement.scrollWidth} px wide`);
  for (const e of document.querySelectorAll('body *')) {
    const css = getComputedStyle(e);
    const scrolls = /auto|scroll/.test(css.overflowX) && e.scrollWidth > e.clientWidth + 1;
    if (scrolls && e.tabIndex < 0) faults.push(`no key reaches ${e.className}`);
    if (/^(a|summary)$/.test(e.localName) && e.tabIndex < 0) faults.push('a link without focus');
  }
  return [...new Set(faults)];
}"""
EVERY = documents()


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
        assert shown.tab.evaluate(FAULTS) == [], width
    shown.tab.close()


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
    assert any(found.startswith(fault) for found in shown.tab.evaluate(FAULTS))
    shown.tab.close()


@pytest.mark.parametrize("width", [360, 1000])
def test_a_chart_is_drawn_for_the_width_of_the_page(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    shown = Watched(browser, tmp_path, viewport={"width": width, "height": 800})
    shown.show(render(WIDE["comparison"]))
    assert [f for f in shown.tab.evaluate(FAULTS) if not f.startswith("contrast")] == []
    drawn = [shown.tab.locator(f".{size}").first.is_visible() for size in ("wide", "narrow")]
    assert drawn == ([True, False] if width >= 976 else [False, True])
    shown.tab.close()


def test_a_table_is_downloaded_with_a_click(watched: Watched, tmp_path: Path) -> None:
    watched.show(render(SMALL["comparison"]))
    with watched.tab.expect_download() as waiting:
        watched.tab.locator("a[download='counterpoint-regions-schemes.csv']").click()
    waiting.value.save_as(tmp_path / "table.csv")
    head, first, *_ = (tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert head.startswith("scheme,title,kind,return_iqm,return_low,return_high")
    assert first.startswith("counterfactual,")


FOCUSABLE = """() => [...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
  .filter(e => e.getClientRects().length).length"""


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
        shown.tab.close()
    assert shades == {"light": "rgb(253, 252, 249)", "dark": "rgb(21, 23, 26)"}
