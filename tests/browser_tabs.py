"""A Chromium without a window, and a tab that notes whatever should not happen in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from counterpoint.report.page import sort_script

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
ALIEN = """own => [...document.querySelectorAll('*')].flatMap(e => [
  ...(/^(script|iframe|object|embed|form|base|img|video|input|button|foreignobject|animate)$/i
      .test(e.localName) && !(e.localName === 'script' && e.textContent === own)
      && !e.matches('table.sortable > thead > tr > th > button') ? [e.localName] : []),
  ...[...e.attributes].filter(a => /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value))
      .map(a => a.name)])"""
"""Elements and attributes that no page has; the script that sorts tables is ours."""
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
"""Small, pale, overlapping or cut text, a page that scrolls sideways, places without a key."""
FOCUSABLE = """() => [...document.querySelectorAll('a[href], summary, button, [tabindex="0"]')]
  .filter(e => e.getClientRects().length).length"""


@contextmanager
def launched() -> Iterator[Browser]:
    """A running Chromium; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install it to test pages in a browser")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


class WatchedTab:
    """A tab, and everything that should not happen in it.

    Args:
        browser: a running one.
        home: the start of the addresses that the page may ask for.
        options: those of a new page, such as its size.
    """

    def __init__(self, browser: Browser, home: str, **options: Any) -> None:
        self.tab = browser.new_page(**options)
        self.home = home
        self.events: list[str] = []
        self.tab.on("dialog", self._dialog)
        self.tab.on("console", lambda message: self.events.append(f"console: {message.text}"))
        self.tab.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        self.tab.on("request", self._request)

    def open(self, file: Path) -> None:
        """Opens a page, and all that is folded on it."""
        self.tab.goto(file.as_uri())
        self.tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    def faults(self) -> list[str]:
        """What somebody could not read or reach."""
        found: list[str] = self.tab.evaluate(FAULTS)
        return found

    def aliens(self) -> list[str]:
        """What got into the page and should not be there."""
        found: list[str] = self.tab.evaluate(ALIEN, sort_script().decode())
        return found

    def close(self) -> None:
        """Closes the tab."""
        self.tab.close()

    def _dialog(self, dialog: Any) -> None:
        self.events.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:")):
            self.events.append(f"request: {request.url}")
