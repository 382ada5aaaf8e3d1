"""Known vulnerabilities and licences of the packages in constraints.txt.

    python bench/packages.py                # licences; also advisories if pip-audit is installed
    python bench/packages.py --out bench/data/packages.json

A licence is what a package says of itself: the expression of its metadata, or its classifiers, or
the field for free text. The exit status is 1 if a package has a known vulnerability, or a licence
that is not among `ALLOWED` and is not explained in `REVIEWED`; packages that are not installed here
are listed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CONSTRAINTS = PROJECT / "constraints.txt"
ALLOWED = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Python-2\.0|MPL|Mozilla|"
    r"Unlicense|HPND|Zlib|CC0|Public Domain|BSL-1\.0|CNRI)", re.IGNORECASE)  # fmt: skip
"""Licences that ask for a notice at most, or (MPL) for the source of changed files."""
REFUSED = re.compile(r"\b(A?GPL|LGPL|GNU|SSPL|Proprietary|Commercial|NVIDIA)", re.IGNORECASE)
"""Licences that are named whatever else stands beside them."""
REVIEWED: dict[str, str] = {}
"""Package to why it may stay, though its metadata is unclear."""
LONGEST_LICENCE = 80
"""Longer text in the field is the licence itself; its first line names it."""


def pinned() -> dict[str, str]:
    """Returns the packages of constraints.txt with their versions."""
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    found = (re.match(r"([\w.-]+)==([^\s;]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def licence_of(name: str) -> str | None:
    """Returns what a package says of its licence, "" if nothing, None if it is not installed."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := told.get("License-Expression"):
        return str(expression)
    kinds = [value.split(" :: ")[-1] for value in told.get_all("Classifier") or ()
             if value.startswith("License ::")]  # fmt: skip
    kinds = [kind for kind in kinds if kind != "OSI Approved"]
    text = str(told.get("License") or "").strip()
    return "; ".join(kinds) or (text.splitlines() or [""])[0][:LONGEST_LICENCE]


def is_allowed(licence: str) -> bool:
    """Returns whether a licence is allowed: of "A OR B" one has to be, of others all."""
    choices = re.split(r"\s+OR\s+", licence.strip("()"), flags=re.IGNORECASE)
    return any(ALLOWED.search(one) and not REFUSED.search(one) for one in choices)


def advisories() -> tuple[str, list[str]]:
    """Returns what came of a search for advisories, and the known vulnerabilities."""
    program = shutil.which("pip-audit")
    if program is None:
        return "not searched: pip-audit is not installed", []
    line = [program, "-r", str(CONSTRAINTS), "--no-deps", "--disable-pip", "-f", "json"]
    ran = subprocess.run([*line, "--progress-spinner", "off"], capture_output=True, text=True)
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return "not searched: no database was reached", []
    known = [f"{one['name']} {one['version']}: {bug['id']}"
             for one in packages for bug in one.get("vulns", ())]  # fmt: skip
    searched = sum("vulns" in one for one in packages)
    if not searched:
        return "not searched: the database that was reached knows none of the packages", []
    return f"{searched} of {len(packages)} packages searched", known


def main() -> int:
    parser = argparse.ArgumentParser(description="vulnerabilities and licences of the constraints")
    parser.add_argument("--out", type=Path, help="write what was found as JSON")
    options = parser.parse_args()
    licences = {name: licence_of(name) for name in pinned()}
    here = {name: licence for name, licence in licences.items() if licence is not None}
    wrong = {name: licence for name, licence in here.items()
             if not is_allowed(licence) and name not in REVIEWED}  # fmt: skip
    searched, vulnerable = advisories()
    absent = sorted(set(licences) - set(here))
    for name, licence in here.items():
        print(f"{name:<32} {licence or 'says nothing'}")
    print(f"\n{len(here)} packages, {len(here) - len(wrong)} with an allowed licence or a review")
    print(f"not installed here: {', '.join(absent) or 'none'}")
    print(f"advisories: {searched}")
    for name, licence in wrong.items():
        print(f"look at {name}: {licence or 'its metadata names no licence'}")
    for told in vulnerable:
        print(f"vulnerable: {told}")
    if options.out:
        document = {
            "date": datetime.date.today().isoformat(),
            "packages": len(here), "allowed": len(here) - len(wrong), "reviewed": REVIEWED,
            "unclear": wrong, "absent": absent, "advisories": searched, "vulnerable": vulnerable,
        }  # fmt: skip
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return int(bool(wrong or vulnerable))


if __name__ == "__main__":
    sys.exit(main())
