"""The page of a comparison of topologies: what matters, drawings, scores, and the synergy gap."""

from __future__ import annotations

from msgspec.structs import asdict

from counterpoint.errors import LogError, SettingError
from counterpoint.report.pages.topology_drawing import topology_picture
from counterpoint.report.toolkit.frame import Definition, Fact, Page, Verdict, setting_rows
from counterpoint.report.toolkit.intervals import Dot, interval_panel
from counterpoint.report.toolkit.tables import Cell, Column, Row, Table, text_columns
from counterpoint.results.topology import TopologyPart, TopologyResult, TopologyScore
from counterpoint.topology.topology import Topology

AGAINST = {
    "mean": "mean member alone",
    "best_member": "best member alone",
    "oracle": "oracle over members",
    "single_agent": "one agent with all",
}
"""What a team is measured against, as the page calls it."""


def topology_page(result: TopologyResult) -> Page:
    """Returns the page of a comparison of topologies.

    Raises:
        LogError: edges, turns and decision of a topology do not fit together.
    """
    best, gap = result.best, result.gap
    facts = tuple(
        Fact(f"Against {title}", f"{gap[name].value:+.3f}",
             f"{gap[name].low:+.3f} to {gap[name].high:+.3f}")
        for name, title in AGAINST.items()
    )  # fmt: skip
    why = (
        f"The best is {best.topology} with {best.prompt}: {best.value:.3f} "
        f"[{best.low:.3f}, {best.high:.3f}], chosen on one half of the seeds and measured on "
        "the other. The share depends on which topologies and prompts are compared."
    )
    dots = [Dot(name, score.value, score.low, score.high, "s1", f"{score.value:.3f}")
            for name, score in _ranked(result)]  # fmt: skip
    drawings = [
        (name, topology_picture(_topology(score.shape.topology), f"topology-{i}"))
        for i, (name, score) in enumerate(result.scores.items())
    ]
    settings = {"settings": result.settings, "guards": result.guards, "prompts": result.prompts,
                "ways": result.ways}  # fmt: skip
    return Page(
        template="topology.html",
        title=f"{result.world}: who hears whom",
        kind="Topologies",
        subject=result.world,
        details=[result.summary],
        version=result.version,
        verdict=Verdict(topology_headline(result), why, facts),
        definitions=DEFINITIONS,
        settings=setting_rows(settings),
        contents={
            "shares": share_table(result),
            "drawings": drawings,
            "panel": interval_panel("scores-panel", "Score by topology", result.scale, dots),
            "scores": score_table(result),
            "gaps": gap_table(result),
        },
    )


def _ranked(result: TopologyResult) -> list[tuple[str, TopologyScore]]:
    """Returns the topologies, the best first."""
    return sorted(result.scores.items(), key=lambda item: -item[1].value)


def _topology(part: TopologyPart) -> Topology:
    try:
        return Topology(**asdict(part))
    except SettingError as error:
        raise LogError(f"got a result with a topology that cannot be: {error}") from None


def topology_headline(result: TopologyResult) -> str:
    """Returns the verdict in one sentence."""
    shares = result.shares
    if shares is None:
        return f"Shares are not computable because of this: {result.why_no_shares}."
    named = {"topology": "who hears whom", "prompt": "how members behave",
             "order": "who sits where", "interaction": "the combination of the two"}  # fmt: skip
    first, second, *_ = sorted(named, key=lambda name: -shares[name].value)
    a, b = shares[first], shares[second]
    sentence = f"{named[first]} explains {a.value:.0%} of the variance"
    sure = "more than" if a.low > b.high else "about as much as"
    return f"{sentence[0].upper()}{sentence[1:]}, {sure} {named[second]} ({b.value:.0%})."


def share_table(result: TopologyResult) -> Table | None:
    """Returns a row for each source of variance, or None if the shares are not computable."""
    if result.shares is None:
        return None
    columns = (
        Column("Varies with", ("source",), numeric=False),
        Column("Share", ("share", "low", "high")),
        Column("By chance", ("chance",)),
    )
    rows = [
        Row((Cell(name),
             Cell(f"{s.value:.3f}", (s.value, s.low, s.high),
                  below=f"{s.low:.3f} to {s.high:.3f}"),
             Cell(f"{s.chance:.3f}", (s.chance,))))
        for name, s in result.shares.items()
    ]  # fmt: skip
    caption = f"Sums of squares over their total; intervals over {result.seeds} seeds."
    return Table("shares", caption, columns, rows)


def score_table(result: TopologyResult) -> Table:
    """Returns a row for each topology, the best first."""
    columns = (
        *text_columns("Topology"),
        Column("Score", ("iqm", "low", "high")),
        *(Column(prompt, (prompt,)) for prompt in result.prompts),
        Column("Orders"),
        Column("Worst to best order", ("worst", "best")),
        Column("Calls"),
        Column("Depth"),
        Column("Path", missing="what the first member knows cannot get to who decides"),
    )
    rows = []
    for name, s in _ranked(result):
        ends = min(s.order_scores), max(s.order_scores)
        path = s.shape.path
        rows.append(
            Row((
                Cell(name),
                Cell(f"{s.value:.3f}", (s.value, s.low, s.high),
                     below=f"{s.low:.3f} to {s.high:.3f}"),
                *(Cell(f"{s.by_prompt[p].value:.3f}", (s.by_prompt[p].value,))
                  for p in result.prompts),
                Cell(str(s.orders), (s.orders,)),
                Cell(f"{ends[0]:.3f} to {ends[1]:.3f}" if s.orders > 1 else "–", ends),
                Cell(f"{s.calls:.3g}", (s.calls,)),
                Cell(str(s.shape.depth), (s.shape.depth,)),
                Cell("–" if path is None else f"{path:.3g}", (path,)),
            ))
        )  # fmt: skip
    caption = (
        "Interquartile means over seeds, mean over prompts and orders. Calls are turns and answers "
        "an item; depth is turns that wait for each other; path is messages from the first member "
        "to those who decide."
    )
    return Table("scores", caption, columns, rows)


def gap_table(result: TopologyResult) -> Table:
    """Returns a row for each topology, the best first, with what it gains over each reference."""
    columns = (
        *text_columns("Topology"),
        *(Column(title, (name, f"{name}_low", f"{name}_high")) for name, title in AGAINST.items()),
    )
    rows = [
        Row((
            Cell(name),
            *(Cell(f"{gap.value:+.3f}", (gap.value, gap.low, gap.high),
                   below=f"{gap.low:+.3f} to {gap.high:+.3f}")
              for gap in (score.gap[reference] for reference in AGAINST)),
        ))
        for name, score in _ranked(result)
    ]  # fmt: skip
    caption = "The team less what it is measured against, on the same items; 95% over seeds."
    return Table("gaps", caption, columns, rows)


DEFINITIONS = (
    Definition("share", "Share of the variance",
        "Sum of squares of a factor over the total, in a balanced design of topology and prompt; "
        "order is a factor within each topology that has several. It says what mattered among the "
        "topologies and prompts that were compared, and nothing of others."),
    Definition("chance", "By chance",
        "The mean share where scores are shuffled over the cells of each seed."),
    Definition("gap", "Synergy gap",
        "Score of the team less that of its members alone (on average; the best of them, chosen "
        "on other items; whoever was right, item by item), and less that of one agent that has "
        "all that the team has, and as many calls."),
)  # fmt: skip
