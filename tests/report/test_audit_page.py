"""The page of an audit and of its episodes: what is listed, linked, folded and left out."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from audit_episodes import STUCK, looping, many, sound, timed
from hostile_text import PAYLOADS
from page_kinds import documents

from counterpoint.audits import audit
from counterpoint.audits.transcript import MOST_LINES, MOST_ROWS, MOST_TEXT
from counterpoint.errors import OutputError
from counterpoint.records import FOUND, NOT_FOUND, Case, Episode, Event, Finding
from counterpoint.report import render, write_report
from counterpoint.report.page import sort_script
from counterpoint.report.pages.audit import among_words, finding_table, look_first
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
    assert "the log has no price" in page
    assert "the log has no times" in page


def test_seconds_stand_by_themselves_and_not_under_the_tokens(tmp_path: Path) -> None:
    written(tmp_path, [timed(), sound("quiet")])
    assert "Tokens 1,100 0.03 dollars Time 40 s" in text_of(tmp_path / "episodes" / "1.html")
    quiet = text_of(tmp_path / "episodes" / "2.html")
    assert "Tokens not known the log has no price Time not known the log has no times" in quiet


def test_the_axis_of_long_lanes_has_a_number_on_every_part_of_a_phone(tmp_path: Path) -> None:
    written(tmp_path, [looping("stuck", 200)])
    page = (tmp_path / "episodes" / "1.html").read_text("utf-8")
    at = [
        float(x)
        for x in re.findall(r'<text x="([\d.]+)" [^>]*"tick"[^>]*>(?:event )?[\d,]+<', page)
    ]
    assert at[0] == 150.0
    assert max(b - a for a, b in pairwise([*at, 940.0])) < 358 / 2  # two numbers on a phone


def handed(name: str, turns: int = 10) -> Episode:
    """Two members who hand the turn to each other, with calls without arguments."""
    pair = ("ann", "bob")
    events = tuple(
        Event(t, pair[t % 2], "handoff", "{}", (pair[(t + 1) % 2],),
              tool=f"transfer_to_{pair[(t + 1) % 2]}")
        for t in range(turns)
    )  # fmt: skip
    return Episode(name, events, pair, success=0.0, ending="limit")


def test_the_same_case_in_many_episodes_is_looked_at_once(tmp_path: Path) -> None:
    loops = [looping(f"loop-{i}", 8 + i) for i in range(3)]
    result = written(tmp_path, [*(handed(f"e{i}") for i in range(12)), *loops])
    places = [(each.finding.name, each.episodes) for each in look_first(result.findings, 5)]
    assert places.count(("handoff_ping_pong", 12)) == 1
    assert places.count(("loop", 3)) == 1
    assert "(the worst of 12; in 12 episodes)" in text_of(tmp_path / "report.html")


def test_cases_that_were_not_kept_make_the_number_of_episodes_a_least_one() -> None:
    result = audit([looping(f"e{i}") for i in range(60)], (), ("stuck",))
    worst = look_first(result.findings, 1)[0]
    assert among_words(worst) == " (the worst of 60; in at least 50 episodes)"


def test_a_handoff_without_words_is_quoted_by_its_names(tmp_path: Path) -> None:
    result = written(tmp_path, [handed("e")])
    case = next(f for f in result.findings if f.name == "handoff_ping_pong").cases[0]
    assert case.quote == "transfer_to_ann, bob to ann"
    assert "hands over with transfer_to_ann" in text_of(tmp_path / "episodes" / "1.html")


def test_a_verdict_that_is_not_found_says_that_cases_are_listed_all_the_same() -> None:
    finding = Finding("idleness", "idle_run", 0.01, 9, 0.0, 0.02, 0.0, NOT_FOUND, "why",
                      cases=(Case("e", 3, "ann", "ok", 4.0),), cases_total=1)  # fmt: skip
    cell = finding_table([finding]).rows[0].cells[1]
    assert (cell.shown, cell.below) == ("not found", "1 single case is listed all the same")
    assert finding_table([replace(finding, verdict=FOUND)]).rows[0].cells[1].below == ""


def test_the_policy_of_a_file_allows_the_script_that_sorts_and_no_other(tmp_path: Path) -> None:
    written(tmp_path, [sound("fine")])
    script = sort_script().decode()
    page = (tmp_path / "report.html").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(iter(re.findall(r'Security-Policy" content="([^"]*)"', page)))
    assert re.findall(r"script-src [^;]*", unescape(policy)) == [f"script-src 'sha256-{digest}'"]
    assert f"<script>{script}</script>" in page
    assert "<" not in script  # what a page shows is read by its brackets
    assert len(script.splitlines()) < 60
    assert "script-src" not in (tmp_path / "episodes" / "1.html").read_text("utf-8")


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


@pytest.mark.timed
@pytest.mark.parametrize(
    ("count", "seconds", "most"),
    [(60, 5.0, 150_000), pytest.param(2000, 60.0, 1_500_000, marks=pytest.mark.slow)],
)
def test_the_main_page_stays_small(tmp_path: Path, count: int, seconds: float, most: int) -> None:
    begun = time.monotonic()
    result = written(tmp_path, many(count))
    assert time.monotonic() - begun < 4 * seconds
    assert len(list((tmp_path / "episodes").iterdir())) == len(result.episode_rows) == count
    assert (tmp_path / "report.html").stat().st_size < most
    assert max(f.stat().st_size for f in (tmp_path / "episodes").iterdir()) < 100_000
