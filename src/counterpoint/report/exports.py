"""An audit as a file for other tools: code scanning, continuous integration, tracing.

`EXPORTS` has a function for each ending of a file name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from counterpoint.errors import SettingError
from counterpoint.records import FOUND, NOT_COMPUTABLE, Case, Finding, Json, Location
from counterpoint.report.toolkit.safe_text import visible
from counterpoint.results.audit import AuditResult
from counterpoint.runs.files import write_atomically

Fails = Callable[[Finding], bool]
"""Whether a finding is a failure of a test."""
SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def has_case(finding: Finding) -> bool:
    """Returns whether there is something to look at."""
    return finding.verdict == FOUND or finding.cases_total > 0


def export(audit: AuditResult, path: Path, fails: Fails = has_case) -> int:
    """Writes an audit in the format that the ending of the file's name says.

    Args:
        audit: the result. Code scanning looks for the log at its `source`.
        path: the file.
        fails: which findings are failures in JUnit XML.

    Returns:
        The number of cases that are counted in the result and not kept, so not in the file.

    Raises:
        SettingError: no format has that ending.
        OutputError: the file cannot be written.
    """
    write_atomically(path, EXPORTS[ending_of(path)](audit, fails))
    return sum(max(0, f.cases_total - len(f.cases)) for f in audit.findings)


def ending_of(path: Path) -> str:
    """Returns the ending of a file's name that says its format.

    Raises:
        SettingError: no format has it.
    """
    for ending in EXPORTS:
        if path.name.lower().endswith(ending):
            return ending
    raise SettingError(f"got {path}; wanted a file that ends in {', '.join(EXPORTS)}")


def sarif(audit: AuditResult, fails: Fails = has_case) -> str:
    """Returns SARIF 2.1.0: a rule for each finding that has something, a result for each case.

    A case has the line of its event, if the log is one of lines and its reader knows the line.
    """
    shown = [f for f in audit.findings if has_case(f)]
    rules: list[Json] = [
        {"id": _name(f), "shortDescription": {"text": visible(f.reason) or _name(f)}} for f in shown
    ]
    results: list[Json] = []
    for i, f in enumerate(shown):
        results += [
            {
                "ruleId": _name(f), "ruleIndex": i, "level": "warning",
                "message": {"text": _message(f, case)},
                "locations": [{
                    "physicalLocation": _physical(audit, case.location),
                    "logicalLocations": [{"fullyQualifiedName": _place(case), "kind": "object"}],
                }],
                "partialFingerprints": {"counterpointCase/v1": _key(f, case)},
            }
            for case in f.cases
        ]  # fmt: skip
        if not f.cases:
            results.append({
                "ruleId": _name(f), "ruleIndex": i, "level": "warning",
                "message": {"text": visible(f.reason) or _name(f)},
                "locations": [{"physicalLocation": _physical(audit, None)}],
            })  # fmt: skip
    driver: Json = {"name": "Counterpoint", "version": audit.version, "rules": rules}
    run: Json = {"tool": {"driver": driver}, "results": results}
    return _json({"$schema": SARIF, "version": "2.1.0", "runs": [run]})


def junit(audit: AuditResult, fails: Fails = has_case) -> str:
    """Returns JUnit XML: a test for each finding; one that is not computable is skipped."""
    failed = [f for f in audit.findings if fails(f)]
    unknown = [f for f in audit.findings if f.verdict == NOT_COMPUTABLE and f not in failed]
    counts = {"tests": str(len(audit.findings)), "failures": str(len(failed)),
              "skipped": str(len(unknown)), "errors": "0"}  # fmt: skip
    root = ElementTree.Element("testsuites", counts)
    name = f"counterpoint audit {visible(audit.source)}".strip()
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts})
    for f in audit.findings:
        names = {"classname": f"counterpoint.audit.{visible(f.audit)}", "name": visible(f.name)}
        test = ElementTree.SubElement(suite, "testcase", names)
        lines = [f"{_place(case)}: {_message(f, case)}" for case in f.cases]
        if f in failed:
            about = {"message": visible(f.reason), "type": f.verdict}
            failure = ElementTree.SubElement(test, "failure", about)
            failure.text = "\n".join(lines)
        elif f in unknown:
            ElementTree.SubElement(test, "skipped", {"message": visible(f.reason)})
        elif lines:
            ElementTree.SubElement(test, "system-out").text = "\n".join(lines)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def langfuse(audit: AuditResult, fails: Fails = has_case) -> str:
    """Returns a list of Langfuse scores, one for each case; the id of an episode is the trace's."""
    return _json([
        {
            "id": _key(f, case), "traceId": case.episode, "name": _name(f), "value": 1,
            "dataType": "BOOLEAN", "comment": _message(f, case), "metadata": _about(case),
        }
        for f, case in _cases(audit)
    ])  # fmt: skip


def phoenix(audit: AuditResult, fails: Fails = has_case) -> str:
    """Returns Phoenix trace annotations, one for each case; the id of an episode is the trace's."""
    return _json({"data": [
        {
            "trace_id": case.episode, "name": _name(f), "annotator_kind": "CODE",
            "result": {"label": "case", "score": 1.0, "explanation": _message(f, case)},
            "identifier": f"counterpoint-{_key(f, case)}", "metadata": _about(case),
        }
        for f, case in _cases(audit)
    ]})  # fmt: skip


EXPORTS: dict[str, Callable[[AuditResult, Fails], str]] = {
    ".sarif": sarif,
    ".xml": junit,
    ".langfuse.json": langfuse,
    ".phoenix.json": phoenix,
}
"""Ending of a file's name to the function that makes its text."""


def _cases(audit: AuditResult) -> Iterator[tuple[Finding, Case]]:
    for f in audit.findings:
        for case in f.cases:
            yield f, case


def _name(finding: Finding) -> str:
    return visible(f"{finding.audit}.{finding.name}")


def _place(case: Case) -> str:
    return visible(case.episode if case.event is None else f"{case.episode}/{case.event}")


def _message(finding: Finding, case: Case) -> str:
    """Returns what is seen, who did it, and the quotation."""
    words = case.what or finding.reason or _name(finding)
    who = f" ({case.agent})" if case.agent else ""
    quoted = f': "{case.quote}"' if case.quote else ""
    return visible(f"{words}{who}{quoted}")


def _about(case: Case) -> Json:
    return {"event": case.event, "first": case.first, "agent": case.agent, "weight": case.weight}


def _key(finding: Finding, case: Case) -> str:
    """Returns an id that the same case has in each audit of the same log."""
    text = json.dumps([finding.audit, finding.name, case.episode, case.first, case.event])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _physical(audit: AuditResult, location: Location | None) -> Json:
    """Returns the file of a case, or else the log, and the line if it is known."""
    path = os.path.join(os.path.dirname(audit.source), location.file) if location else audit.source
    address = quote(path.encode("utf-8", "surrogatepass")) or "log"
    physical: dict[str, Json] = {
        "artifactLocation": {"uri": f"file://{address}" if address[0] == "/" else address}
    }
    if location and location.line is not None:
        physical["region"] = {"startLine": location.line}
    return physical


def _json(value: Json) -> str:
    # in ASCII: a lone surrogate of a log is no valid UTF-8
    return json.dumps(value, indent=1, allow_nan=False) + "\n"
