"""What a survey finds, what it leaves out and why, and what the two commands make of it."""

import json
import os
import time
from urllib.parse import quote, unquote

import pytest
from msgspec.structs import replace
from viewer_folders import make_run, row, save_comparison, save_game

from counterpoint.cli.main import main
from counterpoint.report import render
from counterpoint.results import encode
from counterpoint.runs import find
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.lock import Lock
from counterpoint.viewer import FolderPages, Survey
from counterpoint.viewer import survey as module
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.results import result_of
from counterpoint.workers.state import TeamState

ODD = ("two words", "100% #1?&x=y", '"><script>alert(1)</script>', "ü\u202e", "a\nb", b"\xff\xfe")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    return place


def named(result):
    return {entry.path: entry for entry in result.entries}


def test_results_and_runs_have_their_finding_and_their_status(folder):
    save_game(folder / "stag")
    save_comparison(folder / "compared")
    make_run(folder / "compared" / "runs" / "grpo-1")
    for end in ("finished", "failed", "killed"):
        make_run(folder / end, end=end)
    found = named(Survey(folder).result())
    assert len(found) == 6
    assert found["stag"].kind == "Game"
    assert found["stag"].headline == "3 equilibria, 2 of them pure."
    assert found["stag"].status == ""
    assert {p: found[p].status for p in ("finished", "failed", "killed")} == {
        "finished": "finished", "failed": "failed", "killed": "stopped"
    }  # fmt: skip
    assert found["finished"].returned == -3.5
    assert "the loss is <b>not</b> finite" in found["failed"].error
    assert {p for p, entry in found.items() if entry.inside} == {"compared/runs/grpo-1"}
    assert found["compared/runs/grpo-1"].inside == "compared"


def test_a_run_that_works_now_is_running(folder):
    with RunDirectory.create(folder / "run", {"world": "spread", "budget": 40}) as run:
        run.log(row(10, 1.0))
        (entry,) = Survey(folder).result().entries
        assert entry.status == "running"
        assert "so far (10 of 40 steps)" in entry.headline


def test_what_is_no_result_is_listed_and_hides_nothing(folder, monkeypatch):
    save_game(folder / "good")
    for name, text in {"json": "{", "kind": '{"schema": "x"}', "deep": '{"a":' * 9999}.items():
        (folder / name).mkdir()
        (folder / name / "results.json").write_text(text)
    (folder / "no-run").mkdir()
    (folder / "no-run" / "run.json").write_text("{}")
    (folder / "away").symlink_to(folder.parent)
    monkeypatch.setattr(module, "DEPTH", 2)
    save_game(folder / "1" / "2" / "3" / "deep down")
    result = Survey(folder).result()
    assert set(named(result)) == {"good"}
    reasons = {one.path: one.reason for one in result.left_out}
    assert set(reasons) == {"json", "kind", "deep", "no-run", "away", "1/2"}
    assert "link" in reasons["away"]
    assert "2 levels" in reasons["1/2"]


@pytest.mark.parametrize("name", ["results.json", "run.json", "metrics.jsonl", "status.json"])
def test_a_file_that_leads_elsewhere_takes_its_whole_folder_out(folder, name, tmp_path):
    make_run(folder / "run")
    make_run(tmp_path / "secret")
    save_game(tmp_path / "result")
    (folder / "run" / name).unlink(missing_ok=True)
    place = tmp_path / ("result" if name == "results.json" else "secret")
    (folder / "run" / name).symlink_to(place / name)
    result = Survey(folder).result()
    assert result.entries == []
    assert [one.path for one in result.left_out] == [f"run/{name}"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_listed(folder):
    save_game(folder / "good")
    (folder / "shut").mkdir(mode=0)
    result = Survey(folder).result()
    assert [one.path for one in result.left_out] == ["shut"]


def test_a_search_ends_though_there_is_no_end_of_folders(folder, monkeypatch):
    monkeypatch.setattr(find, "MOST_FOLDERS", 3)
    for i in range(5):
        save_game(folder / f"{i}")
    result = Survey(folder).result()
    assert set(named(result)) == {"0", "1"}
    assert "were searched" in result.left_out[0].reason


def test_only_what_changed_is_read_again(folder, monkeypatch):
    save_game(folder / "a")
    make_run(folder / "b")
    survey, read = Survey(folder), []
    original = module._read
    monkeypatch.setattr(module, "_read", lambda one: read.append(one.relative) or original(one))
    token = survey.look().token
    survey.result()
    survey.result()
    assert (read, survey.look().token) == (["a", "b"], token)
    with (folder / "b" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row(30, 0.0)) + "\n")
    assert survey.look().token != token
    survey.result()
    assert read == ["a", "b", "b"]


def test_the_token_knows_a_process_that_dies_without_a_word(folder):
    run = RunDirectory.create(folder / "run", {"world": "spread"})
    with run:
        token = Survey(folder).look().token
        os.close(run._lock._lock._handle)  # as the system does when a process is killed
        assert Survey(folder).look().token != token
        run._lock._lock._handle = None


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_links_that_lead_to_their_page(folder, name):
    path = os.path.join(os.fsencode(folder), os.fsencode(name))
    try:
        os.mkdir(path)
    except OSError:
        pytest.skip("this file system refuses the name")
    save_game(folder / os.fsdecode(os.fsencode(name)) / "x")
    pages = FolderPages(folder)
    html = pages.page("/").body.decode()
    (address,) = {p.split('"')[0] for p in html.split('href="./')[1:]}
    assert address == quote(os.fsencode(name)) + "/x/report.html"
    assert "<script>alert" not in html
    known = unquote(address, errors="surrogateescape")
    assert b"3 equilibria" in pages.page(f"/{known}").body


@pytest.mark.parametrize(
    "path",
    ["/../secret/report.html", "/good/../../secret/report.html", "//good/report.html", "/good",
     "/good/results.json", "/good/run.json", "/good/./report.html", "/good/report.html\0", "/away/",
     "/away/secret/report.html", "good/report.html", ""],
)  # fmt: skip
def test_what_is_not_listed_cannot_be_asked_for(folder, tmp_path, path):
    save_game(folder / "good")
    save_game(tmp_path / "secret")
    (folder / "away").symlink_to(tmp_path)
    pages = FolderPages(folder)
    assert pages.page("/good/report.html") is not None
    assert pages.page(path) is None
    assert pages.page(str(tmp_path / "secret" / "report.html")) is None


def test_a_result_that_is_damaged_later_is_a_sentence(folder):
    save_game(folder / "good")
    pages = FolderPages(folder)
    assert pages.page("/good/report.html").status == 200
    (folder / "good" / "results.json").write_text("{")
    answer = pages.page("/good/report.html")
    assert answer.status == 500
    assert b"results.json: is not as it was written" in answer.body


def test_the_list_on_disk_draws_what_is_missing_or_old(folder, capsys):
    save_game(folder / "new")
    make_run(folder / "run dir")
    save_game(folder / "old")
    os.utime(folder / "old" / "report.html", (0, 0))
    assert main(["report", str(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert sorted(printed["drawn"]) == ["old", "run dir"]
    html = (folder / "index.html").read_text()
    assert "<script" not in html
    assert 'href="./run%20dir/report.html"' in html
    assert (folder / "run dir" / "report.html").is_file()
    assert main(["report", str(folder), "--out", str(folder.parent / "list.html")]) == 0
    out, err = capsys.readouterr()
    assert "drawn" not in err
    assert "2 results and 1 run: none needs attention." in out
    assert 'href="./out/run%20dir/report.html"' in (folder.parent / "list.html").read_text()


def test_a_page_that_cannot_be_written_is_listed_without_a_link(folder, capsys):
    make_run(folder / "run")
    (folder / "run" / "report.html").mkdir()
    assert main(["report", str(folder), "--json"]) == 2  # the only one is left out: it is no file
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_empty_folder_says_what_to_run_first(folder, capsys):
    html = FolderPages(folder).page("/").body.decode()
    assert "There is no result and no run here yet." in html
    assert "counterpoint demo" in html
    assert main(["report", str(folder)]) == 2
    assert "run.json of a run" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["serve", "no-such-folder"], ["serve", ".", "--port", "-1"]])
def test_bad_input_is_one_line(words, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert words[-1] in err


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_results_are_listed_in_seconds_and_again_at_once(folder, count):
    save_game(folder / "first")
    files = {n: (folder / "first" / n).read_bytes() for n in ("results.json", "run.json")}
    for i in range(count - 1):
        (folder / f"r{i}").mkdir()
        for name, content in files.items():
            (folder / f"r{i}" / name).write_bytes(content)
    pages = FolderPages(folder)
    begun = time.process_time()
    first = pages.page("/")
    middle = time.process_time()
    assert pages.page("/") is first
    ended = time.process_time()
    assert first.body.count(b'href="./') == count
    assert middle - begun < count / 100  # 1 to 2 seconds for 1,000
    assert ended - middle < count / 1000  # 0.1 seconds for 1,000


def test_a_live_page_differs_from_the_file_by_its_script_alone(folder):
    save_game(folder / "good")
    live = FolderPages(folder).page("/good/report.html").body.decode()
    assert live.count("<script") == 1
    assert '<script src="/live.js" defer></script>' in live
    assert "script-src &#39;self&#39;" in live
    assert "<script" not in (folder / "good" / "report.html").read_text()
    assert "<script" not in render(Survey(folder).result())


def test_a_team_is_shown_while_it_works_and_by_its_result_when_it_has_ended(folder, tmp_path):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "a.txt").write_text("a")
    plan = WorkPlan(repository=str(tmp_path / "repo"), tests="sh tests.sh", name="menders")
    state = TeamState(folder / "team", plan, "solo", 1)
    state.create()
    survey = Survey(folder)
    (left,) = survey.result().left_out
    assert "no result.json" in left.reason
    lock = Lock(folder / "team" / "lock")
    (entry,) = survey.result().entries
    assert (entry.kind, entry.subject, entry.status) == ("Team at work", "menders", "running")
    assert b"0 of 0 tasks are done so far." in FolderPages(folder).page("/team/report.html").body
    result = result_of(state)
    lock.release()
    for over, status in ((False, "stopped"), (True, "finished")):
        (folder / "team" / "result.json").write_bytes(encode(replace(result, over=over)))
        assert [one.status for one in survey.result().entries] == [status]
    assert main(["report", str(folder / "team")]) == 0
    assert "menders" in (folder / "team" / "report.html").read_text()
