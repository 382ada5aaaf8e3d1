"""Write the tables of measurements into the pages, between their marks; `--check` only compares.

The numbers are in bench/data: sizes of environments by bench/wheel.py, command lines and packages
of peers by bench/front_door.py, what ran of adapters by bench/integrations.py and
bench/trainers.py, cases of faults by bench/trust.py. This script measures nothing.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA = ROOT / "bench" / "data"
PURPOSES = {
    "core": "diagnose, audits, small exact worlds, reports",
    "torch": "teams of networks",
    "worlds": "PettingZoo, mpe2, foraging, warehouse",
    "language": "teams of small language models",
    "llm": "asking language servers",
    "logs": "newer logs of inspect_ai",
    "graphs": "topologies as networkx graphs",
    "games": "equilibria of three players, correlated ones",
    "ray": "tasks over a cluster",
    "tensorboard": "runs in TensorBoard",
    "wandb": "runs in Weights & Biases",
    "mlflow": "runs in MLflow",
    "trackio": "runs in Trackio",
    "sweep": "a search for settings",
    "jax": "JAX arrays",
}
"""Extra to what it is for."""
PEERS = ("counterpoint", "llm", "inspect_ai", "trl", "pettingzoo")


def environments() -> str:
    """Returns the table of the extras: what each is for, and the size of its environment."""
    document = json.loads((DATA / "environments.json").read_text("utf-8"))
    lines = ["| extra | for | MB | Python |", "|---|---|---|---|"]
    for extra, purpose in PURPOSES.items():
        if one := document["environments"].get(extra):
            python = ", ".join(one["python"])
            lines.append(f"| `{extra}` | {purpose} | {one['megabytes']:,} | {python} |")
    about = f"{document['date']}, {document['machine']}"
    peers = json.loads((DATA / "front_door.json").read_text("utf-8"))["packages"]
    gigabytes = peers["trl"]["torch_mb"] / 1e3
    return "\n".join(
        [
            *lines,
            "",
            f"Measured on {about}, without pip. Extras with torch have its build for CPUs.",
            "The build for GPUs, which is pip's default on Linux, takes "
            f"{gigabytes:.1f} GB with its libraries.",
        ]
    )


Row = tuple[str, Callable[[Mapping[str, Any]], str]]
ROWS: tuple[Row, ...] = (
    ("version", lambda one: one["version"]),
    ("Python", lambda one: _versions(one["requires_python"])),
    ("commands", lambda one: str(one.get("commands", "none"))),
    ("`--help`, CPU seconds", lambda one: _seconds(one, "help_seconds")),
    ("`COMMAND --help`, mean", lambda one: _seconds(one, "mean_seconds_of_command_help")),
    ("`--version`", lambda one: _seconds(one, "version_seconds")),
    ("widest line of `--help` in 60 columns", lambda one: _count(one, "widest_help_line_at_60")),
    ("a misspelled command", lambda one: one.get("typo", "–")),
    ("commands with `--json`", lambda one: _count(one, "commands_with_json")),
    ("completion for bash", lambda one: _yes(one.get("completion"))),
    ("`import`, CPU seconds", lambda one: f"{one['import_seconds']:.2f}"),
    ("wheel, KB", lambda one: f"{one['wheel_kb']:,}"),
    ("installed, MB", lambda one: f"{one['install_mb']:,}"),
    ("typed (`py.typed`)", lambda one: _yes(one["typed"])),
    ("links in its metadata", lambda one: _yes(one["links"])),
)
"""Name of a row to what it shows of a package."""


def _versions(specifier: str) -> str:
    words = {">=": "from ", "<": "below "}
    parts = (re.sub("^(>=|<)", lambda sign: words[sign[1]], p) for p in specifier.split(","))
    return ", ".join(sorted(parts, reverse=True))


def _seconds(one: Mapping[str, Any], key: str) -> str:
    value = one.get(key)
    return f"{value:.2f}" if value is not None else "–"


def _count(one: Mapping[str, Any], key: str) -> str:
    return str(one.get(key, "–"))


def _yes(value: object) -> str:
    return "–" if value is None else "yes" if value else "no"


def front_door() -> str:
    """Returns the table of command lines and packages beside ours."""
    document = json.loads((DATA / "front_door.json").read_text("utf-8"))
    packages = document["packages"]
    known = [name for name in PEERS if name in packages]
    lines = [f"| | {' | '.join(known)} |", "|---" * (len(known) + 1) + "|"]
    lines += [f"| {row} | {' | '.join(show(packages[n]) for n in known)} |" for row, show in ROWS]
    return "\n".join([*lines, "", f"Measured on {document['date']}, {document['machine']}."])


def integrations() -> str:
    """Returns the index of adapters: what ran of each, with which versions, and when."""
    document = json.loads((DATA / "integrations.json").read_text("utf-8"))
    trained = json.loads((DATA / "trainers.json").read_text("utf-8"))["trainers"]
    lines = ["| trainer | one line | what ran | versions | when |", "|---|---|---|---|---|"]
    for one in document.values():
        training = trained.get(one.get("trained"))
        packages, date = one.get("packages", {}), one.get("date", "")
        what = one.get("interface") or ("conformance" if packages else "nothing since a change")
        if training:
            what = f"{what}; [trained](../discussion/trainers.md)"
            date = max(date, training["date"])
        named = ", ".join(f"{name} {version}" for name, version in packages.items())
        what = "**not run**: " + what if "interface" in one else what
        lines.append(
            f"| {one['title']} | {one['line']} | {what} | {named or '–'} | {date or '–'} |"
        )
    return "\n".join(lines)


SHARES = ("pooled", "per agent", "adaptive", "own")
"""The schemes of bench/trainers.py."""


def trainers() -> str:
    """Returns the table of one team's shares in other trainers, by scheme."""
    trained = json.loads((DATA / "trainers.json").read_text("utf-8"))["trainers"]
    lines = [
        "| trainer | agent | pooled | per agent | adaptive | its own way |",
        "|---|---|---|---|---|---|",
    ]
    for one in trained.values():
        for role, about in (("teller", "quiet"), ("writer", "loud")):
            shares = " | ".join(_interval(one["ends"][scheme][role]) for scheme in SHARES)
            lines.append(f"| {one['title']} | {about} | {shares} |")
    lines += [
        "",
        "| trainer | quiet: per agent − pooled | p | its own way |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one['title']} | {_interval(one['gained'])} | {_p(one['gained']['p'])} | {one['own']} |"
        for one in trained.values()
    ]
    return "\n".join(lines)


def overhead() -> str:
    """Returns the table of what our part of a step takes, and of what a resume restores."""
    trained = json.loads((DATA / "trainers.json").read_text("utf-8"))["trainers"]
    lines = [
        "| trainer | versions | updates | a step, ms | ours | a diagnosis, ms | state restored |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in trained.values():
        named = ", ".join(f"{name} {version}" for name, version in one["packages"].items())
        cells = (
            f"{one['title']} ({one['date']})",
            named,
            f"{one['updates']} × {len(one['seeds'])} seeds",
            f"{one['milliseconds']:.0f}",
            f"{100 * one['overhead']:.1f}%",
            f"{one['diagnosis_milliseconds']:.0f}",
            "every bit" if one["restored"] else "**no**",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def faults() -> str:
    """Returns the table of faults: how each is made, and how many cases passed and failed."""
    document = tomllib.loads((ROOT / "bench" / "faults.toml").read_text("utf-8"))
    counts = json.loads((DATA / "trust.json").read_text("utf-8"))
    untested = document.pop("untested")
    lines = [
        "| | fault | how it is made | survived if | cases, fast | cases, all | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in document.items():
        one = counts.get(name, {})
        kinds = [one[kind] for kind in ("fast", "all") if kind in one]
        cells = [_cases(one.get("fast")), _cases(one.get("all"))]
        cells.append(str(sum(kind.get("failed", 0) for kind in kinds)) if kinds else "–")
        if name in untested or "script" in row:
            by = f"by {row['script']}" if "script" in row else "**not tested**"
            cells = [by, by, "–"]
        lacks = f" Not shown: {row['lacks']}." if "lacks" in row else ""
        told = [text for kind in kinds for text in kind.get("measured", ())]
        how = " ".join([f"{row['how']}.{lacks}", *(f"Measured: {text}." for text in told)])
        lines.append(f"| {name} | {row['fault']} | {how} | {row['line']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cases(counts: Mapping[str, Any] | None) -> str:
    if counts is None:
        return "–"
    skipped = f", {counts['skipped']} skipped" if counts.get("skipped") else ""
    return f"{counts.get('passed', 0):,}{skipped} ({counts['date']})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _interval(estimate: Mapping[str, Any]) -> str:
    rounded = (round(estimate[key], 2) + 0.0 for key in ("value", "low", "high"))  # no -0.00
    shown = (f"{one:.2f}".replace("-", "−") for one in rounded)
    return "{} [{}, {}]".format(*shown)


def claims() -> str:
    """Returns the table of the claims, as `counterpoint claims --all` settled them."""
    lines = [
        "| claim | verdict | effect | control | holds when | fails when | what helps | price |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in _settled().values():
        measures = [f"{_interval(one[name])} {one[name]['what']}"
                    for name in ("effect", "control", "price")]  # fmt: skip
        helps = f"{one['remedy_is']} {_interval(one['remedy'])} {one['remedy']['what']}"
        cells = (
            f"`{one['name']}`: {one['claim']}",
            one["verdict"] + _border(one),
            *measures[:2],
            one["holds_when"],
            one["fails_when"],
            helps,
            measures[2],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


CLAIMS = {
    "credit": "credit", "agreement": "agreement", "idleness": "idleness",
    "coordination": "coordination", "topology": "topology", "planning": "teams",
    "hacking": "hacking", "population": "population", "judging": "judge", "equilibria": "games",
    "worth": "worth",
}  # fmt: skip
"""Claim to the page of its capability."""


def detection() -> str:
    """Returns how often an audit sees the failure of each claim that has one."""
    lines = ["| claim | command | found, where the failure grew | blamed, where it did not |",
             "|---|---|---|---|"]  # fmt: skip
    for name, one in _settled().items():
        if seen := one["detection"]:
            finding = f", `{seen['finding']}`" if seen.get("finding") else ""
            command = f"`{seen['audit']}`{finding}"
            lines.append(f"| `{name}` | {command} | {seen['found']} of {seen['failed']} | "
                         f"{seen['blamed']} of {seen['healthy']} |")  # fmt: skip
    return "\n".join(lines)


def claims_in_short() -> str:
    """Returns a row for each claim: the sentence, the verdict, the effect and its control."""
    lines = ["| claim | verdict | effect | the same in the control |", "|---|---|---|---|"]
    for one in _settled().values():
        effect, control = (_interval(one[name]) for name in ("effect", "control"))
        cells = (one["claim"], one["verdict"], f"{effect} {one['effect']['what']}", control)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def claim(name: str) -> str:
    """Returns what a claim's measurement says, in sentences; nothing if it is not settled."""
    one = _settled().get(name)
    if one is None:
        return "Not settled yet."
    effect, control, price = (f"{_interval(one[key])} {one[key]['what']}"
                              for key in ("effect", "control", "price"))  # fmt: skip
    return "\n".join((
        f"**The claim, measured** (`counterpoint claims {name}`, {len(one['seeds'])} seeds): "
        f"{one['verdict']}{_border(one)}.",
        "",
        f"- Effect: {effect}.",
        f"- Control: {control}.",
        f"- What helps: {one['remedy_is']} {_interval(one['remedy'])} {one['remedy']['what']}.",
        f"- Its price: {price}.",
    ))  # fmt: skip


def _settled() -> dict[str, Any]:
    document = json.loads((DATA / "claims.json").read_text("utf-8"))
    return {one["name"]: one for one in document["claims"]}


def _border(one: Mapping[str, Any]) -> str:
    """Returns where a claim turns false; nothing if it does so nowhere."""
    border = one["boundary"]
    if border["value"] is None:
        return ""
    ends = ", ".join(f"{border[key]:.3g}" for key in ("low", "high"))
    return f": {border['setting']} {border['holds']} {border['value']:.3g} [{ends}]"


TABLES: Mapping[str, tuple[Path, Callable[[], str]]] = {
    "environments": (ROOT / "docs" / "how-to" / "install.md", environments),
    "front door": (ROOT / "docs" / "compared.md", front_door),
    "integrations": (ROOT / "docs" / "integrations" / "index.md", integrations),
    "trainers": (ROOT / "docs" / "discussion" / "trainers.md", trainers),
    "claims": (ROOT / "docs" / "discussion" / "claims.md", claims),
    "detection": (ROOT / "docs" / "discussion" / "claims.md", detection),
    "claims in short": (ROOT / "README.md", claims_in_short),
    **{
        f"claim {name}": (ROOT / "docs" / "capabilities" / f"{page}.md", partial(claim, name))
        for name, page in CLAIMS.items()
    },
    "overhead": (ROOT / "docs" / "discussion" / "trainers.md", overhead),
    "faults": (ROOT / "docs" / "discussion" / "trust.md", faults),
}
"""Name of the marks to the page that has them and the function that makes the table."""


def filled(page: str, name: str, table: str) -> str:
    """Returns a page with the table between its two marks."""
    return re.sub(
        rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
        lambda marks: f"{marks[1]}{table}\n{marks[2]}",
        page,
        flags=re.DOTALL,
    )


def main(arguments: Sequence[str]) -> int:
    """Writes the tables, or says which pages are out of date."""
    stale = False
    for name, (path, table) in TABLES.items():
        page = path.read_text(encoding="utf-8")
        wanted = filled(page, name, table())
        if page == wanted:
            continue
        stale = True
        if "--check" in arguments:
            sys.stdout.write(f"{path.relative_to(ROOT)} is out of date: run make docs\n")
        else:
            path.write_text(wanted, encoding="utf-8")
    return int(stale and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
