"""The page of a comparison of topologies: what matters, drawings, scores, and the synergy gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from counterpoint.report.pages.definitions import Definition
from counterpoint.report.pages.topology_drawing import topology_picture
from counterpoint.report.pages.verdicts import Fact, Verdict
from counterpoint.report.toolkit.document import Document
from counterpoint.report.toolkit.intervals import Dot, interval_panel
from counterpoint.report.toolkit.settings import flatten, short_first
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table
from counterpoint.topology.topology import Decision, Topology

AGAINST = {
    "mean": "mean member alone",
    "best_member": "best member alone",
    "oracle": "oracle over members",
    "single_agent": "one agent with all",
}
"""What a team is measured against, as the page calls it."""


def topology_page(document: Document, prefix: str) -> dict[str, Any]:
    """What the template `topology.html` is filled with."""
    scores: Mapping[str, Any] = document["scores"]
    ranked = sorted(scores, key=lambda told: -scores[told]["iqm"])
    dots = [
        Dot(told, scores[told]["iqm"], scores[told]["low"], scores[told]["high"], "s1",
            f"{scores[told]['iqm']:.3f}")
        for told in ranked
    ]  # fmt: skip
    return {
        "title": f"{document['world']}: who hears whom",
        "kind": "Topologies",
        "subject": str(document["world"]),
        "details": [str(document["summary"])],
        "version": str(document.get("version", "")),
        "verdict": _verdict(document),
        "shares": _shares(document, prefix),
        "drawings": [
            (told, topology_picture(_drawn(scores[told]["shape"]["topology"]), f"topology-{i}"))
            for i, told in enumerate(scores)
        ],
        "panel": interval_panel("scores-panel", "Score by topology", str(document["scale"]), dots),
        "scores": _scores(document, ranked, prefix),
        "gaps": _gaps(document, ranked, prefix),
        "definitions": DEFINITIONS,
        "settings": short_first(
            list(
                flatten({k: document[k] for k in ("settings", "guards", "prompts", "ways")}).items()
            )
        ),
    }


def _drawn(told: Mapping[str, Any]) -> Topology:
    edges = tuple((int(a), int(b)) for a, b in told["edges"])
    order = tuple(tuple(int(one) for one in turn) for turn in told["order"])
    decides: Decision = next((d for d in get_args(Decision) if d == told["decides"]), "vote")
    decider = int(told["decider"]) if decides == "member" else None
    return Topology(
        str(told["name"]), int(told["members"]), edges, order, int(told["rounds"]), decides, decider
    )


def headline(document: Mapping[str, Any]) -> str:
    """The verdict in one sentence."""
    shares = document["shares"]
    if shares is None:
        return f"Shares are not computable because of this: {document['why_no_shares']}."
    named = {"topology": "who hears whom", "prompt": "how members behave",
             "order": "who sits where", "interaction": "the combination of the two"}  # fmt: skip
    order = sorted(named, key=lambda name: -shares[name]["value"])
    first, second = order[0], order[1]
    a, b = shares[first], shares[second]
    told = f"{named[first]} explains {a['value']:.0%} of the variance"
    sure = "more than" if a["low"] > b["high"] else "about as much as"
    return f"{told[0].upper()}{told[1:]}, {sure} {named[second]} ({b['value']:.0%})."


def _verdict(document: Document) -> Verdict:
    best, gap = document["best"], document["gap"]
    facts = tuple(
        Fact(f"Against {AGAINST[name]}", f"{gap[name]['value']:+.3f}",
             f"{gap[name]['low']:+.3f} to {gap[name]['high']:+.3f}")
        for name in AGAINST
    )  # fmt: skip
    told = (
        f"The best is {best['topology']} with {best['prompt']}: {best['value']:.3f} "
        f"[{best['low']:.3f}, {best['high']:.3f}], chosen on one half of the seeds and measured on "
        "the other. The share depends on which topologies and prompts are compared."
    )
    return Verdict(headline(document), told, facts)


def _shares(document: Document, prefix: str) -> Table | None:
    if document["shares"] is None:
        return None
    columns = (
        Column("Varies with", ("source",), numeric=False),
        Column("Share", ("share", "low", "high")),
        Column("By chance", ("chance",)),
    )
    rows = [
        Row((Cell(name, (name,)),
             Cell(f"{s['value']:.3f}", (s["value"], s["low"], s["high"]),
                  below=f"{s['low']:.3f} to {s['high']:.3f}"),
             Cell(f"{s['chance']:.3f}", (s["chance"],))))
        for name, s in document["shares"].items()
    ]  # fmt: skip
    caption = f"Sums of squares over their total; intervals over {document['seeds']} seeds."
    return Table("shares", caption, columns, tuple(rows), f"{prefix}-shares.csv")


def _scores(document: Document, ranked: list[str], prefix: str) -> Table:
    prompts = list(document["prompts"])
    columns = (
        Column("Topology", ("topology",), numeric=False),
        Column("Score", ("iqm", "low", "high")),
        *(Column(prompt, (prompt,)) for prompt in prompts),
        Column("Orders", ("orders",)),
        Column("Worst to best order", ("worst", "best")),
        Column("Calls", ("calls",)),
        Column("Depth", ("depth",)),
        Column("Path", ("path",), missing="what the first member knows cannot get to who decides"),
    )
    rows = []
    for told in ranked:
        s = document["scores"][told]
        ends = min(s["order_scores"]), max(s["order_scores"])
        path = s["shape"]["path"]
        rows.append(
            Row((
                Cell(told, (told,)),
                Cell(f"{s['iqm']:.3f}", (s["iqm"], s["low"], s["high"]),
                     below=f"{s['low']:.3f} to {s['high']:.3f}"),
                *(Cell(f"{s['by_prompt'][p]['iqm']:.3f}", (s["by_prompt"][p]["iqm"],))
                  for p in prompts),
                Cell(str(s["orders"]), (s["orders"],)),
                Cell(f"{ends[0]:.3f} to {ends[1]:.3f}" if s["orders"] > 1 else "–", ends),
                Cell(f"{s['calls']:.3g}", (s["calls"],)),
                Cell(str(s["shape"]["depth"]), (s["shape"]["depth"],)),
                Cell("–" if path is None else f"{path:.3g}", (path,)),
            ))
        )  # fmt: skip
    caption = (
        "Interquartile means over seeds, mean over prompts and orders. Calls are turns and answers "
        "an item; depth is turns that wait for each other; path is messages from the first member "
        "to those who decide."
    )
    return Table("scores", caption, columns, tuple(rows), f"{prefix}-scores.csv")


def _gaps(document: Document, ranked: list[str], prefix: str) -> Table:
    columns = (
        Column("Topology", ("topology",), numeric=False),
        *(Column(title, (name, f"{name}_low", f"{name}_high")) for name, title in AGAINST.items()),
    )
    rows = [
        Row((
            Cell(told, (told,)),
            *(Cell(f"{g['value']:+.3f}", (g["value"], g["low"], g["high"]),
                   below=f"{g['low']:+.3f} to {g['high']:+.3f}")
              for name in AGAINST for g in [document["scores"][told]["gap"][name]]),
        ))
        for told in ranked
    ]  # fmt: skip
    caption = "The team less what it is measured against, on the same items; 95% over seeds."
    return Table("gaps", caption, columns, tuple(rows), f"{prefix}-gaps.csv")


DEFINITIONS = (
    Definition(
        "share", "Share of the variance",
        "Sum of squares of a factor over the total, in a balanced design of topology and prompt; "
        "order is a factor within each topology that has several. It says what mattered among the "
        "topologies and prompts that were compared, and nothing of others.",
    ),
    Definition(
        "chance", "By chance",
        "The mean share where scores are shuffled over the cells of each seed.",
    ),
    Definition(
        "gap", "Synergy gap",
        "Score of the team less that of its members alone (on average; the best of them, chosen on "
        "other items; whoever was right, item by item), and less that of one agent that has all "
        "that the team has, and as many calls.",
    ),
)  # fmt: skip
