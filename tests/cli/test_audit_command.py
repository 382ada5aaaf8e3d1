"""`counterpoint import`, `audit`, `compare-outcomes`: the real commands on real files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from counterpoint.cli.main import main
from counterpoint.readers import read_logs

sys.path.insert(0, str(Path(__file__).parents[1] / "audits"))
from planted_logs import write

REAL = Path(__file__).parents[1] / "data" / "who_and_when"
KEYS = {
    "audit",
    "name",
    "value",
    "low",
    "high",
    "n",
    "null",
    "verdict",
    "reason",
    "cases",
    "cases_total",
}


def ask(capsys, *words):
    capsys.readouterr()
    status = main([*map(str, words)])
    return status, *capsys.readouterr()


def test_real_transcripts_are_audited(capsys):
    status, out, err = ask(capsys, "audit", REAL, "--json")
    assert status == 0
    told = json.loads(out)
    assert told["episodes"] == 12
    assert told["format"] == "who_and_when"
    assert told["agents"] > 12
    for finding in told["findings"]:
        assert set(finding) >= KEYS
        assert finding["verdict"] in ("found", "not found", "cannot tell", "not_computable")
        assert (finding["value"] is None) == (finding["verdict"] == "not_computable")
    assert "LICENSE: got no JSON; wanted a log; skipped" in err


def test_members_that_cannot_be_told_apart_are_said_first(tmp_path, capsys):
    """Two nodes of a LangGraph graph, whose messages have no names; the twin has them."""

    def state(named):
        said = [{"type": "ai", "content": f"part {i}", "name": who if named else None}
                for i, who in enumerate(("researcher", "writer") * 2)]  # fmt: skip
        return {"messages": [{"type": "human", "content": "go"}, *said]}

    log, named = tmp_path / "log.json", tmp_path / "named.json"
    log.write_text(json.dumps(state(False)), "utf-8")
    named.write_text(json.dumps(state(True)), "utf-8")
    status, out, _ = ask(capsys, "audit", log, "--out", tmp_path / "page")
    assert status == 0
    assert out.startswith("Messages carry no name")
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    assert page.index("Messages carry no name") < page.index("Findings</h2>")
    assert "no name" not in "".join(ask(capsys, "audit", named)[1:])
    assert json.loads(ask(capsys, "audit", named, "--json")[1])["warning"] is None
    _, _, err = ask(capsys, "import", log, "-o", tmp_path / "runs.jsonl")
    assert "Messages carry no name" in err
    assert "Messages carry no name" in ask(capsys, "audit", tmp_path / "runs.jsonl")[1]
    mapping = tmp_path / "names.toml"
    mapping.write_text('agents = ["assistant"]', "utf-8")
    assert "no name" not in ask(capsys, "audit", log, "--mapping", mapping)[1]


def test_it_fails_on_what_it_is_told_to(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", "autogen", 1, "loop")
    assert ask(capsys, "audit", log)[0] == 0
    assert ask(capsys, "audit", log, "--fail-on", "stuck")[0] == 1
    assert ask(capsys, "audit", log, "--fail-on", "stuck.loop", "--json")[0] == 1
    assert ask(capsys, "audit", log, "--fail-on", "stuck.waiting")[0] == 0
    assert ask(capsys, "audit", log, "--fail-on", "idleness:team")[0] == 0
    assert ask(capsys, "audit", log, "--fail-on", "stuck.loop:team")[0] == 1
    status, _, err = ask(capsys, "audit", log, "--fail-on", "stuck.luck")
    assert status == 2
    assert "wanted one of stuck.loop" in err
    status, _, err = ask(capsys, "audit", log, "--fail-on", "luck")
    assert status == 2
    assert "wanted one of" in err


def test_the_terminal_opens_with_what_to_look_at_first(tmp_path, capsys):
    """Three of a hundred runs loop in the same words: the longest is named, and their number."""

    def run(i):
        words = ("oak", "elm", "ash", "fir")
        texts = [f"The {w} stands at {i * 7919 + j * 104729} and is counted" for j, w in
                 enumerate(words)]  # fmt: skip
        if i in (17, 42, 80):
            texts = ["Once more I try to open the file and read the line."] * (6 + i)
        said = [{"role": "assistant", "name": "ab"[j % 2], "content": text}
                for j, text in enumerate(texts)]  # fmt: skip
        return json.dumps({"id": f"run-{i}", "messages": said})

    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(map(run, range(100))), "utf-8")
    status, out, _ = ask(capsys, "audit", log)
    assert status == 0
    headline, *lines = out.splitlines()
    assert headline.strip() == "3 cases in 100 episodes to look at."
    assert len(headline.split()) <= 15
    assert "stuck.loop (the worst of 3; in 3 episodes)" in out
    assert out.index("run-80, events") < out.index("Verdict")  # the findings come after it
    (folded,) = [line for line in lines if "could not be computed" in line]
    assert "--json" in folded
    found = {f["name"]: f for f in json.loads(ask(capsys, "audit", log, "--json")[1])["findings"]}
    assert found["loop"]["verdict"] == "cannot tell"  # 3 of 100: from 0.010 to 0.085
    assert [case["episode"] for case in found["loop"]["cases"]] == ["run-80", "run-42", "run-17"]
    assert ask(capsys, "audit", log, "--fail-on", "stuck.loop")[0] == 1
    assert ask(capsys, "audit", log, "--fail-on", "stuck.loop:team")[0] == 0
    assert ask(capsys, "audit", log, "--fail-on", "stuck.deadlock")[0] == 0


def test_a_page_is_written_and_text_of_the_log_stays_text(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", "openai", 1, "loop")
    log.write_text(log.read_text("utf-8").replace("ann", "<script>alert(1)</script>"), "utf-8")
    status, out, err = ask(capsys, "audit", log, "--out", tmp_path / "page")
    assert status == 0
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script" in page
    assert "Content-Security-Policy" in page
    assert (tmp_path / "page" / "results.json").exists()
    assert "stuck, loop" in out
    assert str(tmp_path / "page") in err


def test_a_finding_leads_to_its_place_and_the_place_to_its_mark(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", "openai", 1, "loop", episodes=30)
    ask(capsys, "audit", log, "--out", tmp_path / "page")
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    leads = set(re.findall(r'href="#(seen-[^"]*)"', page))
    names = re.findall(r'id="([^"]*)"', page)
    assert leads <= set(names)
    assert len(names) == len(set(names))
    assert "seen-stuck-loop" in leads
    assert len(set(re.findall(r'href="\./episodes/[0-9]+\.html#t[0-9]+"', page))) >= 5


def test_one_audit_alone(tmp_path, capsys):
    log = write(tmp_path / "log.jsonl", "ours", 1)
    told = json.loads(ask(capsys, "audit", log, "--only", "idleness", "--json")[1])
    assert {finding["audit"] for finding in told["findings"]} == {"idleness"}
    for name in ("audit", "audits"):
        assert set(json.loads(ask(capsys, name, "--json")[1])) >= {"idleness", "worth", "stuck"}
    status, _, err = ask(capsys, "audit", "--fail-on", "stuck")  # a forgotten log
    assert (status, "options and no log" in err) == (2, True)


def test_the_next_command_has_the_path_of_the_log(tmp_path, capsys):
    folder = tmp_path / "our logs"
    folder.mkdir()
    log = write(folder / "log.jsonl", "ours", 1, "stuck")
    _, _, err = ask(capsys, "audit", log)
    line = err.splitlines()[-1].removeprefix("next: ")
    assert shlex.split(line.rpartition(", then ")[2])[:3] == ["counterpoint", "audit", str(log)]


def test_what_is_imported_is_what_was_read(tmp_path, capsys):
    out = tmp_path / "runs.jsonl"
    status, said, _ = ask(capsys, "import", REAL, "-o", out, "--json")
    assert status == 0
    told = json.loads(said)
    assert told["episodes"] == 12
    assert told["formats"] == {"who_and_when": 12}
    ours, theirs = list(read_logs(out)), list(read_logs(REAL))
    assert [e.events for e in ours] == [e.events for e in theirs]
    assert [e.agents for e in ours] == [e.agents for e in theirs]
    first = json.loads(ask(capsys, "audit", out, "--json")[1])
    second = json.loads(ask(capsys, "audit", REAL, "--json")[1])
    for finding in (*first["findings"], *second["findings"]):
        for case in finding["cases"]:
            assert case.pop("location")["file"]  # the files differ, and nothing else
    assert first["findings"] == second["findings"]


def test_what_is_broken_writes_nothing(tmp_path, capsys):
    broken = tmp_path / "x.json"
    broken.write_text('{"messages": [{"role": "user", "content": 7}]}', "utf-8")
    out = tmp_path / "runs.jsonl"
    out.write_text("before", "utf-8")
    status, _, err = ask(capsys, "import", broken, "-o", out)
    assert status == 2
    assert "content" in err
    assert out.read_text("utf-8") == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs.jsonl", "x.json"]
    status, _, err = ask(capsys, "import", out, "-o", out)
    assert status == 2
    assert "two files" in err


def test_outcomes_alone(tmp_path, capsys):
    rows = ["task,setting,score,members,budget"]
    for i in range(10):
        rows += [f"t{i},team,0,a;b,10", f"t{i},isolated,1,a,5", f"t{i},isolated,0,b,5",
                 f"t{i},solo,1,s,10"]  # fmt: skip
    table = tmp_path / "o.csv"
    table.write_text("\n".join(rows) + "\n", "utf-8")
    status, out, _ = ask(capsys, "compare-outcomes", table, "--json")
    assert status == 0
    against = {one["against"]: one for one in json.loads(out)["compared"]}
    assert (against["the best member"]["difference"], against["one agent"]["decision"]) == (
        -1, "worse",
    )  # fmt: skip
    assert against["the mean member"]["difference"] == -0.5
    assert ask(capsys, "compare-outcomes", tmp_path / "nowhere.csv")[0] == 2


@pytest.mark.parametrize("content", ["", "hello", "{}"])
def test_what_is_no_log_is_a_line(tmp_path, capsys, content):
    path = tmp_path / "x.json"
    path.write_text(content, "utf-8")
    status, out, err = ask(capsys, "audit", path)
    assert status == 2
    assert not out
    assert len(err.strip().splitlines()) == 1


def test_an_import_into_the_folder_that_is_read_does_not_read_itself(tmp_path, capsys):
    folder = tmp_path / "logs"
    folder.mkdir()
    shutil.copy(next(iter(sorted(REAL.rglob("*.json")))), folder / "one.json")
    for _ in range(3):
        status, said, err = ask(capsys, "import", folder, "-o", folder / "out.jsonl", "--json")
        assert (status, json.loads(said)["episodes"]) == (0, 1)
        assert "out.jsonl" not in err
    assert ask(capsys, "import", folder, "-o", "-")[0] == 2
