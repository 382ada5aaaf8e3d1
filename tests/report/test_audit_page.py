"""The page of an audit and of its episodes: what is listed, linked, folded and left out."""

from __future__ import annotations

import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from audit_episodes import STUCK, looping, many, sound, timed
from hostile_text import PAYLOADS
from page_kinds import documents

from counterpoint.audits import audit
from counterpoint.audits.transcript import MOST_LINES, MOST_ROWS, MOST_TEXT
from counterpoint.errors import OutputError
from counterpoint.records import Episode, Event
from counterpoint.report import render, write_report
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.report.transcripts import TranscriptWriter
from counterpoint.results.audit import AuditResult
from counterpoint.results.transcript import Transcript

ADDRESSES = re.compile(r'href="([^"]*)"')


def written(folder: Path, episodes: Any, source: str = "log.jsonl") -> AuditResult:
    with TranscriptWriter(folder) as writer:
        result = audit(episodes, source=source, on_transcript=writer)
    write_report(result, folder)
    return result


def transcripts(*episodes: Episode) -> list[Transcript]:
    got: list[Transcript] = []
    audit(episodes, on_transcript=got.append)
    return got


def text_of(file: Path) -> str:
    html = re.sub(r"<style>.*?</style>", "", file.read_text("utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^<>]*>", " ", html)).split())


def test_a_row_has_what_the_log_says_and_nothing_else() -> None:
    row = audit([timed(), sound("quiet")]).episode_rows[-1]
    rows = {each.episode: each for each in audit([timed(), sound("quiet")]).episode_rows}
    ledger, quiet = rows["ledger"], rows["quiet"]
    assert (ledger.turns, ledger.events, ledger.agents) == (3, 5, 2)
    assert (ledger.tokens, ledger.dollars, ledger.seconds) == (1100, pytest.approx(0.03), 40.0)
    assert (ledger.success, ledger.ending) == (1.0, "stop")
    assert (quiet.tokens, quiet.dollars, quiet.seconds) == (None, None, None)
    assert not row.has_page


def test_members_and_who_turns_to_whom() -> None:
    result = audit([timed()])
    each = {one.agent: one for one in result.costs}
    assert (each["ann"].turns, each["ann"].cost.calls, each["ann"].errors) == (2, 1, 0)
    assert (each["read"].errors, each["read"].is_member) == (1, False)
    assert each["bob"].cost.tokens_out == 200
    talks = {(t.sender, t.receiver): (t.messages, t.handoffs, t.follows) for t in result.talks}
    assert talks == {("ann", "bob"): (0, 1, 1), ("bob", "ann"): (1, 0, 0)}


def test_the_worst_episode_comes_first() -> None:
    rows = audit([sound("a"), looping("short", 6), sound("b"), looping("long", 20)]).episode_rows
    assert [row.episode for row in rows] == ["long", "short", "a", "b"]
    assert "stuck.loop" in rows[0].findings
    assert rows[0].in_cases > rows[1].in_cases > rows[2].in_cases == 0


def test_every_link_leads_to_a_page_and_a_place_on_it(tmp_path: Path) -> None:
    written(tmp_path, [timed(), looping("stuck"), sound("fine")])
    main = (tmp_path / "report.html").read_text("utf-8")
    links = {unescape(a) for a in ADDRESSES.findall(main) if a.startswith("./")}
    assert {link.partition("#")[0] for link in links} == {
        f"./episodes/{number}.html" for number in (1, 2, 3)
    }
    for link in links:
        file, _, name = link.partition("#")
        page = (tmp_path / file).read_text("utf-8")
        assert not name or f'id="{name}"' in page, link
        assert 'href="./../report.html"' in page
        for inside in ADDRESSES.findall(page):
            assert not inside.startswith("#") or f'id="{inside[1:]}"' in page, inside


def test_the_page_opens_on_the_worst_case(tmp_path: Path) -> None:
    written(tmp_path, [sound("fine"), looping("stuck")])
    text = text_of(tmp_path / "report.html")
    assert text.index("Look at this first") < text.index(STUCK) < text.index("Members")
    page = text_of(tmp_path / "episodes" / "2.html")
    assert "stuck, loop: ann repeats itself" in page


def test_a_transcript_says_times_calls_errors_and_costs(tmp_path: Path) -> None:
    written(tmp_path, [timed()])
    page = (tmp_path / "episodes" / "1.html").read_text("utf-8")
    text = text_of(tmp_path / "episodes" / "1.html")
    assert "calls read, at 5 s, 2 s long, 500 tokens, 0.01 dollars" in text
    assert "error: FileNotFoundError" in text
    assert "handoff, to bob" in text
    assert '{"path": "ledger.csv",\n "rows": 3}' in unescape(page)  # its lines stay lines
    assert page.count("<details>") == 1  # the call is folded, one-line texts are open
    assert ">0 s<" in page  # the axis has seconds
    assert ">40 s<" in page


def test_a_log_without_times_has_an_axis_of_events(tmp_path: Path) -> None:
    written(tmp_path, [sound("fine")])
    page = (tmp_path / "episodes" / "1.html").read_text("utf-8")
    assert ">event 0<" in page
    assert "the log has no price and no times" in page


def test_what_a_transcript_leaves_out_is_counted(tmp_path: Path) -> None:
    long = Event(0, "ann", "message", "x" * (MOST_TEXT + 17))
    rest = (Event(t, "ann", "message", f"step {t} of the plan") for t in range(1, 2000))
    episode = Episode("long", (long, *rest), ("ann",))
    (one,) = transcripts(episode)
    assert len(one.lines) <= MOST_LINES
    assert one.lines[0].left_out == 17
    written(tmp_path, [episode])
    text = text_of(tmp_path / "episodes" / "1.html")
    assert "17 more characters in the log" in text
    gaps = re.findall(r"([\d,]+) (?:later )?events? not shown", text)
    assert sum(int(gap.replace(",", "")) for gap in gaps) + len(one.lines) == 2000


def test_the_events_of_a_late_case_are_shown() -> None:
    words = [f"row {t} has the number {t * t}" for t in range(700)]
    words[650:670] = [STUCK] * 20
    events = tuple(Event(t, "ann", "message", text) for t, text in enumerate(words))
    (one,) = transcripts(Episode("late", events, ("ann",)))
    shown = {line.t for line in one.lines}
    case = next(sight for sight in one.sights if sight.finding == "stuck.loop")
    assert {case.first, case.event} <= shown


def test_a_page_without_pages_beside_it_links_none_and_draws_timelines(tmp_path: Path) -> None:
    result = written(tmp_path, [looping("stuck")])
    assert "episodes/" not in render(result)
    assert "Timelines" in render(result)
    assert "Timelines" not in render(result, beside=tmp_path)


@pytest.mark.parametrize("name", ["audit", "audit_cases", "audit_outcomes"])
def test_an_old_result_is_still_drawn(name: str) -> None:
    document = documents()[name]
    document.pop("episode_rows", None)
    page = render(document)
    assert "Findings" in page
    assert "episodes/" not in page


def test_old_pages_stay_until_the_new_ones_are_whole(tmp_path: Path) -> None:
    written(tmp_path, [sound(f"e{i}") for i in range(3)])
    (tmp_path / "episodes" / "mine.html").write_text("not ours")
    before = (tmp_path / "episodes" / "1.html").read_text("utf-8")

    def broken() -> Any:
        yield looping("new")
        raise OutputError("torn")

    with pytest.raises(OutputError):
        written(tmp_path, broken())
    assert (tmp_path / "episodes" / "1.html").read_text("utf-8") == before
    written(tmp_path, [looping("new")])
    names = sorted(file.name for file in (tmp_path / "episodes").iterdir())
    assert names == ["1.html", "mine.html"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["episodes", "report.html"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to"):
        TranscriptWriter(tmp_path / "file")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_names_and_texts_stay_text_and_name_no_file(tmp_path: Path, payload: str) -> None:
    name = f"../../{payload}"
    events = tuple(
        Event(t, payload, "action" if t % 2 else "message", payload, (payload,), tool=payload,
              error=payload)
        for t in range(8)
    )  # fmt: skip
    hostile = Episode(name, events, (payload,), (f"x{payload}",), task=payload, ending=payload,
                      doubts=(payload,))  # fmt: skip
    written(tmp_path / "out", [hostile], source=name)
    assert [file.name for file in (tmp_path / "out" / "episodes").iterdir()] == ["1.html"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    page = (tmp_path / "out" / "episodes" / "1.html").read_text("utf-8")
    tags = set(re.findall(r"<([a-zA-Z]+)", re.sub(r"<style>.*?</style>", "", page, flags=re.S)))
    assert not tags & {"script", "iframe", "img", "form", "base", "object", "embed", "video"}
    assert visible(payload).split()[0] in text_of(tmp_path / "out" / "episodes" / "1.html")


def test_more_episodes_than_are_listed_are_counted(tmp_path: Path) -> None:
    calm = (sound(f"e{i}") for i in range(MOST_ROWS + 3))
    got: list[int] = []

    def late() -> Any:
        yield from calm
        yield looping("late")

    result = audit(late(), (), ("stuck",), on_transcript=lambda t: got.append(1))
    assert len(got) == len(result.episode_rows) == MOST_ROWS + 1
    assert result.episode_rows[0].episode == "late"
    assert "3 later episodes without a listed case are counted" in render(result)


@pytest.mark.parametrize(
    ("count", "seconds"), [(60, 5.0), pytest.param(2000, 60.0, marks=pytest.mark.slow)]
)
def test_the_main_page_stays_small(tmp_path: Path, count: int, seconds: float) -> None:
    begun = time.monotonic()
    result = written(tmp_path, many(count))
    assert time.monotonic() - begun < 4 * seconds
    assert len(list((tmp_path / "episodes").iterdir())) == len(result.episode_rows) == count
    assert (tmp_path / "report.html").stat().st_size < 600_000
    assert max(f.stat().st_size for f in (tmp_path / "episodes").iterdir()) < 100_000
