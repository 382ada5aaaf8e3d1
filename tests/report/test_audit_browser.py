"""The pages of an audit and of its episodes in a real browser, at two widths and in both themes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audit_episodes import STUCK, looping, many, sound, timed
from hostile_text import PAYLOADS
from playwright.sync_api import Browser

from browser_tabs import FOCUSABLE, WatchedTab
from counterpoint.audits import audit
from counterpoint.records import Episode, Event
from counterpoint.report import write_report
from counterpoint.report.transcripts import TranscriptWriter

pytestmark = pytest.mark.browser


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


def watched(browser: Browser, folder: Path, **options: Any) -> WatchedTab:
    return WatchedTab(browser, folder.as_uri(), **options)


@pytest.mark.few(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["mixed", "crowd", "one"])
def test_every_page_can_be_read(browser: Browser, tmp_path: Path, kind: str, scheme: str) -> None:
    episodes = {
        "mixed": [timed(), looping("stuck", 70), sound("fine")],
        "crowd": [crowd(11), crowd(30)],
        "one": [sound("alone")],
    }[kind]
    page = written(tmp_path, episodes)
    shown = watched(browser, tmp_path, color_scheme=scheme)
    for file in (page, *sorted((tmp_path / "episodes").iterdir())):
        for width in (1400, 390):
            shown.tab.set_viewport_size({"width": width, "height": 900})
            shown.open(file)
            assert shown.faults() == [], (file.name, width)
            assert shown.aliens() == []
    assert shown.events == []
    shown.close()


def test_the_keyboard_leads_from_the_worst_case_to_its_event_and_back(
    browser: Browser, tmp_path: Path
) -> None:
    page = written(tmp_path, [sound("fine"), looping("stuck", 30)])
    shown = watched(browser, tmp_path, viewport={"width": 1000, "height": 700})
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
    shown.close()


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
    shown = watched(browser, tmp_path)
    for file in (page, tmp_path / "episodes" / "1.html"):
        shown.open(file)
        assert shown.aliens() == []
    assert shown.events == []
    shown.close()


ORDER = "[...document.querySelectorAll('#episodes tbody th')].map(cell => cell.textContent)"
SORTED = """[...document.querySelectorAll('#episodes [aria-sort]')]
  .map(head => [head.textContent, head.ariaSort])"""


def test_a_key_on_a_head_sorts_the_episodes_and_what_is_unknown_stays_last(
    browser: Browser, tmp_path: Path
) -> None:
    two = replace(timed(), id="twice", events=(*timed().events, *timed().events), success=0.0)
    page = written(tmp_path, [sound("a"), timed(), looping("stuck", 30), two])
    shown = watched(browser, tmp_path)
    shown.open(page)
    worst_first = shown.tab.evaluate(ORDER)
    assert worst_first[0] == "stuck"
    tokens = shown.tab.get_by_role("button", name="Tokens", exact=True)
    tokens.focus()
    shown.tab.keyboard.press("Enter")
    assert shown.tab.evaluate(ORDER)[:2] == ["twice", "ledger"]
    assert shown.tab.evaluate(SORTED) == [["Tokens", "descending"]]
    shown.tab.keyboard.press("Space")
    assert shown.tab.evaluate(ORDER)[:2] == ["ledger", "twice"]
    assert shown.tab.evaluate(SORTED) == [["Tokens", "ascending"]]
    shown.tab.click("#episodes a >> nth=0")  # and back: the order is as it was
    shown.tab.wait_for_url("**/episodes/*.html")
    shown.tab.go_back()
    assert shown.tab.evaluate(SORTED) == [["Tokens", "ascending"]]
    assert shown.tab.evaluate(ORDER)[:2] == ["ledger", "twice"]
    tokens.click()
    assert shown.tab.evaluate(ORDER) == worst_first
    shown.tab.get_by_role("button", name="Outcome").click()  # failures first
    assert set(shown.tab.evaluate(ORDER)[:2]) == {"stuck", "twice"}
    shown.tab.get_by_role("button", name="Episode", exact=True).click()
    assert shown.tab.evaluate(ORDER) == ["a", "ledger", "stuck", "twice"]
    assert len(shown.tab.evaluate(SORTED)) == 1
    assert shown.events == []
    shown.close()


def test_without_a_script_the_table_has_every_row_and_no_button(
    browser: Browser, tmp_path: Path
) -> None:
    page = written(tmp_path, many(60))
    shown = watched(browser, tmp_path, java_script_enabled=False)
    shown.tab.goto(page.as_uri())
    assert shown.tab.locator("#episodes tbody tr").count() == 60
    assert shown.tab.locator("button").count() == 0
    shown.close()


def test_a_phone_shows_the_findings_of_an_episode_at_once(browser: Browser, tmp_path: Path) -> None:
    page = written(tmp_path, [looping("a_run_with_a_long_name_and_a_number_17", 30), sound("fine")])
    shown = watched(browser, tmp_path, viewport={"width": 390, "height": 800})
    shown.open(page)
    cell = shown.tab.locator("#episodes tbody td >> nth=0")
    assert "loop" in (cell.text_content() or "")
    box = cell.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    shown.close()


@pytest.mark.timed
@pytest.mark.parametrize("count", [80, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_page_and_the_first_transcript_open_fast(
    browser: Browser, tmp_path: Path, count: int
) -> None:
    page = written(tmp_path, many(count))
    shown = watched(browser, tmp_path)
    begun = time.monotonic()
    shown.tab.goto(page.as_uri())
    shown.tab.evaluate("document.body.offsetHeight")
    opened = time.monotonic()
    shown.tab.click(".places a >> nth=0")
    shown.tab.wait_for_selector(".events")
    assert opened - begun < 4.0  # 2 s on a machine that does nothing else
    assert time.monotonic() - opened < 2.0
    shown.close()
