"""The live pages in a real browser: they update by themselves, and stay where the reader is."""

from __future__ import annotations

import json
import threading

import pytest
from viewer_folders import make_run, row, save_comparison, save_game

from browser_tabs import WatchedTab
from counterpoint.audits import audit_logs
from counterpoint.viewer import AuditPages, FolderPages
from counterpoint.viewer.server import PageServer

pytestmark = pytest.mark.browser


class Shown(WatchedTab):
    """Pages on a server, and a tab that shows them."""

    def __init__(self, pages, browser):
        self.server = PageServer(pages.page, pages.changed, 0)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        super().__init__(browser, self.server.url, viewport={"width": 1280, "height": 800})

    def open(self, path=""):
        self.tab.goto(self.server.url + path)
        self.tab.wait_for_function("document.getElementById('live').textContent === 'Live'")

    def wait(self, text):
        self.tab.get_by_text(text).first.wait_for(timeout=15_000)

    def close(self):
        super().close()
        self.end()

    def end(self):
        self.server.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def shown(tmp_path, browser):
    folder = tmp_path / "out"
    folder.mkdir()
    one = Shown(FolderPages(folder), browser)
    one.folder = folder
    yield one
    one.close()


@pytest.mark.slow
def test_the_list_and_a_page_follow_a_run_without_a_click(shown):
    shown.open()
    shown.wait("There is no result and no run here yet.")
    make_run(shown.folder / "a run", steps=(10, 20), end="killed")
    shown.wait("1 run needs attention, of 1 run.")
    shown.tab.get_by_role("link", name="spread").first.click()
    shown.tab.wait_for_url("**/a%20run/report.html")
    shown.wait("(stopped at 20 of 40 steps)")
    shown.tab.wait_for_function("document.getElementById('live').textContent === 'Live'")
    with (shown.folder / "a run" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row(30, -1.0)) + "\n")
    shown.wait("(stopped at 30 of 40 steps)")
    shown.tab.get_by_role("link", name="Counterpoint").click()
    shown.wait("(stopped at 30 of 40 steps)")
    assert shown.events == []


def test_an_update_keeps_scroll_focus_and_open_details(shown):
    save_comparison(shown.folder / "compared")
    for seed in range(4):
        make_run(shown.folder / "compared" / "runs" / f"grpo-{seed}", end="killed")
        save_game(shown.folder / f"game {seed}")
    shown.tab.set_viewport_size({"width": 1280, "height": 300})
    shown.open()
    shown.tab.evaluate("document.querySelector('#h-parts + details').open = true")
    shown.tab.evaluate("document.querySelector('#h-parts + details summary').focus()")
    shown.tab.evaluate("scrollTo(0, 500)")
    shown.tab.evaluate("window.kept = true")  # a page that was loaded anew has none
    with (shown.folder / "compared" / "runs" / "grpo-3" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row(30, 0.0)) + "\n")
    shown.tab.get_by_text("(stopped at 30 of 40 steps)").first.wait_for(
        state="attached", timeout=15_000
    )
    state = shown.tab.evaluate(
        "[scrollY, document.querySelector('#h-parts + details').open,"
        " document.activeElement.localName, window.kept]"
    )
    assert state == [500, True, "summary", True]
    assert shown.events == []


def test_an_update_keeps_the_order_of_a_table(browser, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text(conversation("a", 3) + conversation("b", 5))
    pages = AuditPages(log, lambda sink: audit_logs(log, on_transcript=sink), True, print)
    shown = Shown(pages, browser)
    try:
        shown.open()
        turns = shown.tab.get_by_role("button", name="Turns").first
        turns.click()
        turns.click()
        with log.open("a") as file:
            file.write(conversation("c", 1))
        shown.wait("in 3 episodes")
        names = shown.tab.locator("#episodes tbody th").all_text_contents()
        assert names == ["c", "a", "b"]
        assert shown.tab.evaluate("document.activeElement.textContent") == "Turns"
        assert shown.events == []
    finally:
        shown.close()
        pages.close()


def conversation(name, turns):
    messages = [
        {"role": "assistant", "name": "ann", "content": f"item {i} of {i * i}"}
        for i in range(turns)
    ]
    return json.dumps({"id": name, "messages": messages}) + "\n"


@pytest.mark.slow
def test_text_that_is_selected_stays_until_it_was_copied(shown):
    save_game(shown.folder / "first")
    shown.open()
    shown.tab.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    save_game(shown.folder / "second")
    shown.tab.wait_for_timeout(3000)
    assert shown.tab.evaluate("getSelection().toString()").startswith("1 result")
    shown.tab.evaluate("getSelection().empty()")
    shown.wait("2 results: none needs attention.")


@pytest.mark.slow
def test_a_page_says_that_its_server_has_ended(shown):
    save_game(shown.folder / "first")
    shown.open()
    shown.end()
    shown.wait("Not connected: the page no longer updates")
    shown.wait("1 result: none needs attention.")


def test_it_fits_a_phone_can_be_read_and_reached_by_keys(shown):
    name = '"><img src=x onerror=alert(1)> #1 & two'
    save_game(shown.folder / name)
    make_run(shown.folder / ("long_name_" * 12), end="failed")
    (shown.folder / "damaged").mkdir()
    (shown.folder / "damaged" / "results.json").write_text("x" * 300)
    for path in ("", "long_name_" * 12 + "/report.html"):
        shown.open(path)
        for width in (360, 390, 768, 1280):
            shown.tab.set_viewport_size({"width": width, "height": 800})
            assert shown.tab.evaluate("document.documentElement.scrollWidth") <= width
        smallest = shown.tab.evaluate(
            "Math.min(...[...document.querySelectorAll('body *')]"
            ".filter(e => !e.closest('svg') && e.getClientRects().length"
            " && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert smallest >= 12
    shown.open()
    reached = []
    for _ in range(20):
        shown.tab.keyboard.press("Tab")
        reached.append(shown.tab.evaluate("document.activeElement.getAttribute('href')"))
    assert any("onerror" in (address or "") for address in reached)
    shown.tab.locator("a[href*=onerror]").last.click()
    shown.wait("3 equilibria")
    assert shown.events == []
