"""An audit for other tools: the shapes that they read, and texts that their formats forbid."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from audit_episodes import STUCK, looping, sound, timed
from hostile_text import PAYLOADS
from msgspec.structs import replace

from counterpoint.audits import audit
from counterpoint.errors import SettingError
from counterpoint.records import FOUND, Case, Episode, Event
from counterpoint.report.exports import export, junit, langfuse, phoenix, sarif

RESULT = audit([looping("trace-1"), sound("trace-2"), timed()], source="my log.jsonl")
CASES = [(f, case) for f in RESULT.findings for case in f.cases]
LEVELS = ("none", "note", "warning", "error")


def check_sarif(text: str) -> list[dict]:
    """Checks what the schema of SARIF 2.1.0 requires; returns the results."""
    document = json.loads(text)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "Counterpoint"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)  # uniqueItems
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in LEVELS
        assert ids[result["ruleIndex"]] == result["ruleId"]
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert uri
            assert uri.isascii()
            assert " " not in uri
            region = location["physicalLocation"].get("region", {"startLine": 1})
            assert set(region) == {"startLine"}
            assert region["startLine"] >= 1
            for logical in location.get("logicalLocations", []):
                assert logical["fullyQualifiedName"]
    return run["results"]


def test_sarif_has_a_result_for_each_case() -> None:
    results = check_sarif(sarif(RESULT))
    assert len([r for r in results if "partialFingerprints" in r]) == len(CASES) > 0
    loop = next(r for r in results if r["ruleId"] == "stuck.loop")
    (place,) = loop["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "my%20log.jsonl"
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "trace-1/11"
    assert STUCK in loop["message"]["text"]


def test_a_finding_of_the_team_alone_is_a_result_too() -> None:
    finding = next(f for f in RESULT.findings if f.name == "waiting")
    team = replace(RESULT, findings=[_with(finding, verdict=FOUND)])
    (result,) = check_sarif(sarif(team))
    assert result["ruleId"] == "stuck.waiting"
    assert check_sarif(sarif(replace(RESULT, findings=[finding]))) == []


def _with(finding, **changes):
    from dataclasses import replace as changed

    return changed(finding, **changes)


def test_junit_has_a_test_for_each_finding() -> None:
    root = ElementTree.fromstring(junit(RESULT))
    assert root.tag == "testsuites"
    (suite,) = root
    tests = {(t.get("classname"), t.get("name")): t for t in suite}
    assert len(tests) == len(RESULT.findings) == int(suite.get("tests", ""))
    assert int(suite.get("failures", "")) == len(root.findall(".//failure"))
    assert int(suite.get("skipped", "")) == len(root.findall(".//skipped"))
    loop = tests["counterpoint.audit.stuck", "loop"].find("failure")
    assert loop is not None
    assert STUCK in (loop.text or "")
    assert tests["counterpoint.audit.stuck", "waiting"].find("failure") is None


def test_junit_fails_for_what_is_watched_alone() -> None:
    root = ElementTree.fromstring(junit(RESULT, lambda finding: finding.name == "waiting"))
    assert len(root.findall(".//failure")) == 1
    loop = next(t for t in root.iter("testcase") if t.get("name") == "loop")
    assert STUCK in (loop.findtext("system-out") or "")


def test_langfuse_scores_have_what_its_interface_requires() -> None:
    scores = json.loads(langfuse(RESULT))
    assert len(scores) == len(CASES)
    for score in scores:
        assert score["traceId"] in {"trace-1", "trace-2", "ledger"}
        assert score["dataType"] == "BOOLEAN"
        assert score["value"] in (0, 1)
        assert score["name"]
        assert score["comment"]
    ids = [score["id"] for score in scores]
    assert len(set(ids)) == len(ids)
    assert ids == [score["id"] for score in json.loads(langfuse(RESULT))]  # sent twice, kept once


def test_phoenix_annotations_have_what_its_interface_requires() -> None:
    document = json.loads(phoenix(RESULT))
    assert set(document) == {"data"}
    for each in document["data"]:
        assert {"name", "trace_id", "annotator_kind", "result", "identifier"} <= set(each)
        assert each["annotator_kind"] == "CODE"
        assert each["result"]["explanation"]
    keys = [(e["trace_id"], e["name"], e["identifier"]) for e in document["data"]]
    assert len(set(keys)) == len(keys) == len(CASES)


@pytest.mark.parametrize("payload", [*PAYLOADS, "a\ufffeb\x0b]]>&amp;\ud800"])
def test_hostile_texts_leave_every_file_whole(tmp_path: Path, payload: str) -> None:
    text = f"{STUCK} {payload}"
    events = tuple(Event(t, payload, "message", text) for t in range(9))
    result = audit([Episode(payload, events, (payload,))], source=payload)
    assert any(f.cases for f in result.findings)
    for name in ("a.sarif", "a.xml", "a.langfuse.json", "a.phoenix.json"):
        export(result, tmp_path / name)
    check_sarif((tmp_path / "a.sarif").read_text("utf-8"))
    root = ElementTree.fromstring((tmp_path / "a.xml").read_text("utf-8"))
    assert {each.tag for each in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "skipped", "system-out"
    }  # fmt: skip
    json.loads((tmp_path / "a.langfuse.json").read_text("utf-8"))
    json.loads((tmp_path / "a.phoenix.json").read_text("utf-8"))


def test_cases_that_are_not_kept_are_counted(tmp_path: Path) -> None:
    finding = next(f for f in RESULT.findings if f.name == "loop")
    case = Case("e", 3, "ann", "q", 1.0)
    cut = replace(RESULT, findings=[_with(finding, cases=(case,), cases_total=8)])
    assert export(cut, tmp_path / "a.SARIF") == 7
    assert len(check_sarif((tmp_path / "a.SARIF").read_text("utf-8"))) == 1


def test_an_ending_that_no_format_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"wanted a file that ends in \.sarif"):
        export(RESULT, tmp_path / "audit.html")
    assert list(tmp_path.iterdir()) == []
