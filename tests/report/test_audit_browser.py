"""The pages of an audit and of its episodes in a real browser, at two widths and in both themes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audit_episodes import STUCK, looping, many, sound, timed
from hostile_text import PAYLOADS
from playwright.sync_api import Browser, sync_playwright
from test_report_browser import ALIEN, CHROMIUM, FAULTS, FLAGS, FOCUSABLE

from counterpoint.audits import audit
from counterpoint.records import Episode, Event
from counterpoint.report import write_report
from counterpoint.report.transcripts import TranscriptWriter

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install it to test the report in a browser")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


def written(folder: Path, episodes: Any, source: str = "log.jsonl") -> Path:
    with TranscriptWriter(folder) as writer:
        result = audit(episodes, source=source, on_transcript=writer)
    return write_report(result, folder)


def crowd(names: int) -> Episode:
    """Each member speaks to the next, twice around; their names are long."""
    members = tuple(f"a_member_with_the_long_name_{i}" for i in range(names))
    events = tuple(
        Event(t, members[t % names], "message", f"item {t} of {t * t}", (members[(t + 1) % names],))
        for t in range(2 * names)
    )
    return Episode("crowd", events, members)


class Opened:
    """A tab, and what happened in it that should not."""

    def __init__(self, browser: Browser, folder: Path, **options: Any) -> None:
        self.tab, self.events = browser.new_page(**options), list[str]()
        self.tab.on("dialog", lambda dialog: self.events.append(f"dialog: {dialog.message}"))
        self.tab.on("console", lambda message: self.events.append(f"console: {message.text}"))
        self.tab.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        home = folder.as_uri()
        self.tab.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((home, "data:"))
                else self.events.append(f"request: {request.url}")
            ),
        )

    def open(self, file: Path) -> None:
        self.tab.goto(file.as_uri())
        self.tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["mixed", "crowd", "one"])
def test_every_page_can_be_read(browser: Browser, tmp_path: Path, kind: str, scheme: str) -> None:
    episodes = {
        "mixed": [timed(), looping("stuck", 70), sound("fine")],
        "crowd": [crowd(11), crowd(30)],
        "one": [sound("alone")],
    }[kind]
    page = written(tmp_path, episodes)
    shown = Opened(browser, tmp_path, color_scheme=scheme)
    for file in (page, *sorted((tmp_path / "episodes").iterdir())):
        for width in (1400, 390):
            shown.tab.set_viewport_size({"width": width, "height": 900})
            shown.open(file)
            assert shown.tab.evaluate(FAULTS) == [], (file.name, width)
            assert shown.tab.evaluate(ALIEN) == []
    assert shown.events == []
    shown.tab.close()


def test_the_keyboard_leads_from_the_worst_case_to_its_event_and_back(
    browser: Browser, tmp_path: Path
) -> None:
    page = written(tmp_path, [sound("fine"), looping("stuck", 30)])
    shown = Opened(browser, tmp_path, viewport={"width": 1000, "height": 700})
    shown.tab.goto(page.as_uri())
    shown.tab.keyboard.press("Tab")  # the skip link
    shown.tab.keyboard.press("Tab")
    assert "events 0 to 29" in shown.tab.evaluate("document.activeElement.textContent")
    shown.tab.keyboard.press("Enter")
    shown.tab.wait_for_url("**/episodes/2.html#t29")
    assert STUCK in shown.tab.evaluate("document.querySelector(':target').textContent")
    top = shown.tab.evaluate("document.querySelector(':target').getBoundingClientRect().top")
    assert 0 <= top < 700
    wanted = shown.tab.evaluate(FOCUSABLE)
    assert wanted < 30  # marks of events without a case are no stops on the way
    shown.tab.click("text=All episodes")
    shown.tab.wait_for_url("**/report.html")
    assert shown.events == []
    shown.tab.close()


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=() if n % 8 == 0 else pytest.mark.slow) for n in range(40)]
)
def test_hostile_text_stays_text(browser: Browser, tmp_path: Path, number: int) -> None:
    payload = PAYLOADS[number]
    events = tuple(
        Event(t, payload, "action" if t % 2 else "message", f"{payload} {STUCK}", (payload,),
              tool=payload, error=payload)
        for t in range(9)
    )  # fmt: skip
    episode = Episode(payload, events, (payload,), task=payload, ending=payload)
    page = written(tmp_path, [episode, looping("stuck")], source=payload)
    shown = Opened(browser, tmp_path)
    for file in (page, tmp_path / "episodes" / "1.html"):
        shown.open(file)
        assert shown.tab.evaluate(ALIEN) == []
    assert shown.events == []
    shown.tab.close()


@pytest.mark.parametrize("count", [80, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_page_and_the_first_transcript_open_fast(
    browser: Browser, tmp_path: Path, count: int
) -> None:
    page = written(tmp_path, many(count))
    shown = Opened(browser, tmp_path)
    begun = time.monotonic()
    shown.tab.goto(page.as_uri())
    shown.tab.evaluate("document.body.offsetHeight")
    opened = time.monotonic()
    shown.tab.click(".places a >> nth=0")
    shown.tab.wait_for_selector(".events")
    assert opened - begun < 4.0  # 2 s on a machine that does nothing else
    assert time.monotonic() - opened < 2.0
    shown.tab.close()
