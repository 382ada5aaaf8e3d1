"""`audit --serve`: the pages on demand, and another audit when the log grows."""

from __future__ import annotations

import http.client
import json
import threading
from functools import partial

from counterpoint.audits import audit_logs
from counterpoint.cli.main import main
from counterpoint.viewer import AuditPages
from counterpoint.viewer.audit_pages import signature
from counterpoint.viewer.server import PageServer

SAME = "I try to open the file once more and read its first line as planned"


def line(name, turns):
    texts = [SAME] * turns if turns > 3 else ["one apple", "two pears"]
    messages = [{"role": "assistant", "name": "ann", "content": text} for text in texts]
    return json.dumps({"id": name, "messages": [{"role": "user", "content": "go"}, *messages]})


def pages(path, watch, errors):
    return AuditPages(path, lambda sink: audit_logs(path, on_transcript=sink), watch, errors.append)


def body(site, path):
    answer = site.page(path)
    return None if answer is None else answer.body.decode()


def test_pages_are_there_by_number_and_nothing_else_is(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text(line("a", 2) + "\n" + line("b", 9) + "\n")
    site = pages(log, False, [])
    try:
        assert "./episodes/2.html" in body(site, "/")
        assert body(site, "/report.html") == body(site, "/")
        assert SAME in body(site, "/episodes/2.html")
        for path in ("/episodes/3.html", "/episodes/../results.json", "/episodes/1.html/",
                     "/episodes/%31.html", "/log.jsonl", "/episodes/"):  # fmt: skip
            assert site.page(path) is None
    finally:
        site.close()


def test_a_log_that_grows_is_audited_again(tmp_path):
    log, errors = tmp_path / "log.jsonl", []
    log.write_text(line("a", 2) + "\n")
    site = pages(log, True, errors)
    try:
        first = site.changed()
        assert first == site.changed()
        assert site.result.episodes == 1
        with log.open("a") as file:
            file.write(line("b", 9) + "\n")
        assert site.changed() != first
        assert site.result.episodes == 2
        assert SAME in body(site, "/")
        assert errors == []
    finally:
        site.close()


def test_a_log_that_breaks_leaves_the_earlier_page(tmp_path):
    log, errors = tmp_path / "log.jsonl", []
    log.write_text(line("a", 9) + "\n")
    site = pages(log, True, errors)
    try:
        log.write_text("{}\n")
        site.changed()
        assert SAME in body(site, "/")
        assert SAME in body(site, "/episodes/1.html")
        assert len(errors) == 1
        assert "the page shows the audit before it" in errors[0]
        assert "\n" not in errors[0]
    finally:
        site.close()


def test_without_watch_nothing_changes(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text(line("a", 2) + "\n")
    site = pages(log, False, [])
    try:
        before = site.changed()
        log.write_text(line("a", 9) + "\n")
        assert site.changed() == before
    finally:
        site.close()


def test_the_signature_sees_new_longer_and_removed_files(tmp_path):
    seen = {signature(tmp_path)}
    (tmp_path / "deep").mkdir()
    for step in (
        lambda: (tmp_path / "deep" / "a.jsonl").write_text("1"),
        lambda: (tmp_path / "deep" / "a.jsonl").write_text("12"),
        lambda: (tmp_path / "b.jsonl").write_text(""),
        lambda: (tmp_path / "deep" / "a.jsonl").unlink(),
    ):
        step()
        assert signature(tmp_path) not in seen
        seen.add(signature(tmp_path))


def test_it_is_served_with_the_script_that_updates_it(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text(line("a", 9) + "\n")
    site = pages(log, True, [])
    with PageServer(site.page, site.changed, 0) as server:
        thread = threading.Thread(target=partial(server.serve_forever, 0.05))
        thread.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            for path, wanted in (("/", "/live.js"), ("/episodes/1.html", SAME)):
                connection.request("GET", path)
                answer = connection.getresponse()
                assert answer.status == 200
                assert wanted in answer.read().decode()
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
            site.close()


def test_options_that_exclude_each_other_are_errors(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text(line("a", 2) + "\n")
    for words in (["--watch"], ["--serve", "--out", str(tmp_path / "o")],
                  ["--export", "audit.pdf"]):  # fmt: skip
        assert main(["audit", str(log), *words]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_out_and_exports_are_written_by_the_command(tmp_path, capsys):
    log, out = tmp_path / "log.jsonl", tmp_path / "out"
    log.write_text(line("a", 2) + "\n" + line("b", 9) + "\n")
    export = tmp_path / "audit.sarif"
    assert main(["audit", str(log), "--out", str(out), "--export", str(export)]) == 0
    assert f"exported: {export}" in capsys.readouterr().err
    assert json.loads(export.read_text())["version"] == "2.1.0"
    names = sorted(file.name for file in out.iterdir())
    assert names == ["episodes", "report.html", "results.json", "run.json", "seal.json"]
    assert sorted(file.name for file in (out / "episodes").iterdir()) == ["1.html", "2.html"]
    page = (out / "report.html").read_text()
    assert main(["report", str(out), "--out", str(out / "report.html")]) == 0
    assert (out / "report.html").read_text() == page
    assert main(["report", str(out), "--out", str(tmp_path / "elsewhere.html")]) == 0
    assert "episodes/" not in (tmp_path / "elsewhere.html").read_text()
