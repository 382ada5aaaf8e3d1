"""Results as sentences and tables for a terminal: one `*_parts` function for each kind.

A comparison fits 80 columns. Names go through `rich.text.Text` and never through markup, so that a
name such as `[red]` is shown as it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from counterpoint.report.glossary import CONDITIONS
from counterpoint.report.pages.answers import answer_rows
from counterpoint.report.pages.comparison.decision_words import comparison_verdict
from counterpoint.report.pages.comparison.page import comparison_cures
from counterpoint.report.pages.comparison.tables import (
    reference_levels,
    return_decimals,
    seed_count,
)
from counterpoint.report.pages.definitions import WORDS
from counterpoint.report.pages.diagnosis import (
    CAUSE_NAMES,
    diagnosis_cures,
    diagnosis_verdict,
    health_table,
)
from counterpoint.report.pages.folder import entry_table, folder_headline, left_out_table
from counterpoint.report.pages.game import (
    equilibrium_table,
    learned_table,
    reasons,
    repeated_table,
    sentences,
    sums,
)
from counterpoint.report.pages.messages import messages_rows
from counterpoint.report.pages.population import (
    arm_table,
    budget_table,
    order_of,
    population_verdict,
)
from counterpoint.report.pages.search import search_verdict
from counterpoint.report.pages.team import team_headline
from counterpoint.report.pages.topology import (
    AGAINST,
    gap_table,
    score_table,
    share_table,
    topology_headline,
)
from counterpoint.report.pages.training import collapsed_fact, column, present_state
from counterpoint.report.terminal.competition import competition_rows
from counterpoint.report.terminal.layout import FittedTable, Paragraph
from counterpoint.report.terminal.tables import sparkline, terminal_table, text_table
from counterpoint.report.toolkit.frame import Fact, Headline
from counterpoint.report.toolkit.numerals import (
    ABSENT,
    Estimate,
    counted,
    estimate_of,
    fixed,
    interval,
    probability,
    significant,
)
from counterpoint.report.toolkit.tables import Cell, Column, Cure, Table, TableRow
from counterpoint.results.comparison import AgentResult, ComparisonResult, SchemeResult
from counterpoint.results.diagnosis import Decoupling, DiagnosisResult
from counterpoint.results.folder import FolderResult
from counterpoint.results.game import GameResult
from counterpoint.results.population import PopulationArm, PopulationResult
from counterpoint.results.team import TeamResult
from counterpoint.results.topology import TopologyResult, TopologySearchResult
from counterpoint.results.training import AgentSeries, TrainingResult
from counterpoint.runs.status import learns_values


def verdict_parts(verdict: Headline) -> list[RenderableType]:
    """Returns the verdict in a sentence, its reasons, and the facts beside it."""
    facts = FittedTable(
        ("", "", ""),
        [
            [Text(one.title, style="dim"), Text(one.value, style="bold"), Text(_explained(one))]
            for one in verdict.facts
        ],
        styles=[""] * len(verdict.facts),
        is_numeric=(False, False, False),
        indent=2,
    )
    parts: list[RenderableType] = [Paragraph(Text(verdict.sentence, style="bold"))]
    if verdict.why:
        parts.append(Paragraph(Text(verdict.why)))
    return [*parts, "", facts]


def _explained(fact: Fact) -> str:
    return ". ".join(part for part in (fact.below, fact.note) if part)


def note(text: str) -> RenderableType:
    """Returns a quiet paragraph under a table."""
    return Paragraph(Text(text, style="dim"), indent=2)


def remedy_parts(cures: Iterable[Cure]) -> list[RenderableType]:
    """Returns a paragraph for each cause that has a remedy."""
    return [
        Paragraph(
            Text.assemble((f"{_named_cause(cure.code[2])}: ", "bold"), cure.remedy),
            indent=2,
            above=1,
        )
        for cure in cures
        if cure.remedy
    ]


def _named_cause(code: str) -> str:
    """Returns a cause with its words: `DROWNED (a variance mismatch)`."""
    return f"{code} ({CAUSE_NAMES[code]})" if code in CAUSE_NAMES else code


MORE_WORDS = "Words and codes: docs/reference/glossary.md, and the end of each page (--out)."
TEXTS = ("Scheme", "Return", "Collapsed")
"""Columns that stand at the left."""


def comparison_parts(result: ComparisonResult) -> list[RenderableType]:
    """Returns the verdict, a table with one row a scheme, and the remedies of the causes."""
    places = min(3, return_decimals(result))
    columns = _columns(result)
    titles = ("Scheme", "Return", *columns, "Kept", "Collapsed")
    heads = tuple(Column(head, (head,), numeric=head not in TEXTS) for head in titles)
    rows = []
    for name, scheme in result.ranked.items():
        is_best = name == result.decision.recommended
        shown = Cell(("▸ " if is_best else "  ") + name)
        cells = (shown, *_scheme_cells(scheme, places, columns))
        rows.append(TableRow(cells, "best" if is_best else ""))
    for name, value in reference_levels(result).items():
        texts = (f"  {name}", Estimate(value).shown(places), *[""] * (len(columns) + 2))
        rows.append(TableRow(tuple(map(Cell, texts)), "quiet"))
    table = terminal_table(Table("", "", heads, rows), narrow=True)
    seeds = "1 seed"
    if len(result.seeds) > 1:
        seeds = f"{seed_count(result)}; 95% bootstrap intervals"
    measures = f"Return: interquartile mean over {seeds}. " + " ".join(
        COLUMNS[c] for c in (*columns, "Kept")
    )
    verdict = verdict_parts(comparison_verdict(result))
    cures = remedy_parts(comparison_cures(result))
    return [*verdict, table, note(measures), *cures, note(MORE_WORDS)]


COLUMNS = {
    "Score": "Score: 0 random, 1 the reference team.",
    "Credit": "Credit: its correlation with agents' own rewards.",
    "Weighted": "Weighted: the return weighted by the reward paid.",
    "Worst": "Worst: the lowest accuracy of an agent.",
    "Kept": "Kept: the lowest share of an agent's signal that the scheme keeps; it does not rank "
    "the schemes, their returns do. Collapsed: the number of collapsed agents, and the causes.",
}
"""Columns that not every kind of world has, with their sentences in the note."""


def _columns(result: ComparisonResult) -> tuple[str, ...]:
    if not WORDS[result.kind].sampled:
        return "Weighted", "Worst"
    schemes = result.schemes.values()
    known = {
        "Score": any(s.normalized for s in schemes),
        "Credit": any(s.credit_correlation for s in schemes),
        "Weighted": any(s.weighted_return for s in schemes),
    }
    return tuple(name for name, there in known.items() if there)


def _scheme_cells(scheme: SchemeResult, places: int, columns: tuple[str, ...]) -> tuple[Cell, ...]:
    returns = estimate_of(scheme.returns)
    bounds = returns.bounds(places) if returns.low is not None else ""
    agents = scheme.agents.values()
    measures = {
        "Score": estimate_of(scheme.normalized).shown(3),
        "Credit": estimate_of(scheme.credit_correlation).shown(2, signed=True),
        "Weighted": estimate_of(scheme.weighted_return).shown(places),
        "Worst": _least((a.accuracy for a in agents), 3),
    }
    return (
        Cell(f"{returns.shown(places)} {bounds}".rstrip()),
        *(Cell(measures[name]) for name in columns),
        Cell(_least((a.signal_kept.iqm for a in agents), 2)),
        Cell("", (), lines=_collapsed(agents)),
    )


def _least(values: Iterable[float | None], places: int) -> str:
    known = [value for value in values if value is not None]
    return Estimate(min(known)).shown(places) if known else ABSENT


def _collapsed(agents: Iterable[AgentResult]) -> tuple[str, ...]:
    """Returns the number of agents that are collapsed from each cause: a line for each."""
    listed_agents = list(agents)
    if all(a.collapsed is None for a in listed_agents):
        return (ABSENT,)
    causes = Counter(a.cause or "unexplained" for a in listed_agents if a.collapsed)
    return tuple(f"{count} {cause}" for cause, count in causes.items()) or ("none",)


MEASURES = ("signal_kept", "inflation", "signal_share", "dead_rate", "net_mass")
"""Number of characters that fit into 80 columns."""


def diagnosis_parts(result: DiagnosisResult) -> list[RenderableType]:
    """Returns the verdict, one row an agent, the conditions, and the remedies of the causes."""
    return [
        *verdict_parts(diagnosis_verdict(result)),
        terminal_table(health_table(result, MEASURES)),
        note(_conditions(result.decoupling)),
        *remedy_parts(diagnosis_cures(result)),
        note(MORE_WORDS),
    ]


def _conditions(decoupling: Decoupling) -> str:
    """Returns `C1 no (q 0.620), C3 yes (q < 0.001), C4 not readable`."""
    parts = []
    for name in CONDITIONS:
        known = [t.q for t in decoupling.tests if t.condition == name and t.q is not None]
        q = f" (q {probability(min(known))})" if known else ""
        if name in decoupling.not_readable:
            parts.append(f"{name} not readable")
        elif name in decoupling.conditions:
            parts.append(f"{name} yes{q}")
        elif any(t.condition == name for t in decoupling.tests):
            parts.append(f"{name} no{q}")
    return "Conditions: " + (", ".join(parts) or "none tested")


RATED = 8
"""Maximum number of members whose Elo is listed."""


def population_parts(population: PopulationResult) -> list[RenderableType]:
    """Returns the verdict, a row for each arm, champions by budget, and how members meet."""
    verdict = population_verdict(population)
    meetings = [_meeting(name, arm) for name, arm in population.arms.items() if arm.against]
    optimum = "not known" if population.optimum is None else f"{population.optimum:.4g}"
    return [
        *verdict_parts(verdict),
        terminal_table(arm_table(population)),
        terminal_table(budget_table(population)),
        *map(Text, meetings),
        Text(
            f"champions are interquartile means of: {population.unit}; reference {optimum}; "
            f"{population.repeats} repeats; believed is the estimate for which a champion was "
            "chosen"
        ),
    ]


def _meeting(name: str, arm: PopulationArm) -> str:
    """Returns the ratings of members, or the payoffs of members with themselves and with others."""
    if arm.elo is not None:
        ratings = ", ".join(fixed(value, 0, signed=True) for value in arm.elo[:RATED])
        more = " ..." if len(arm.elo) > RATED else ""
        return f"{name}: Elo of members, {order_of(name)}: {ratings}{more}"
    met = arm.against or []
    diagonal = sum(row[i] for i, row in enumerate(met))
    others = (sum(map(sum, met)) - diagonal) / (len(met) * (len(met) - 1))
    own = diagonal / len(met)
    return f"{name}: members with themselves {fixed(own, 3)}, with others {fixed(others, 3)}"


def topology_parts(result: TopologyResult) -> list[RenderableType]:
    """Returns the verdict, the shares, the scores and the gaps."""
    best = result.best
    gaps = [(result.gap[name], title) for name, title in AGAINST.items()]
    against = ", ".join(
        f"{g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}] {title}" for g, title in gaps
    )
    shares = share_table(result)
    return [
        Text(topology_headline(result)),
        *([terminal_table(shares)] if shares else []),
        terminal_table(score_table(result)),
        "the score of the team minus that of each reference:",
        terminal_table(gap_table(result)),
        Text(
            f"the best, {best.topology} with {best.prompt}, measured on seeds on which it was not "
            f"chosen: {best.value:.3f} [{best.low:.3f}, {best.high:.3f}]; against {against}"
        ),
        Text(f"score: {result.scale}; {result.seeds} seeds of {result.items} items"),
    ]


def search_parts(result: TopologySearchResult) -> list[RenderableType]:
    """Returns the rounds of a search, and the winner with its score on fresh items."""
    titles = ("candidates", "items each", "best score")
    rows = [(str(each.candidates), str(each.items), f"{each.best:.3f}") for each in result.rounds]
    winner, fresh = result.winner, result.fresh
    return [
        Text(search_verdict(result).sentence, style="bold"),
        text_table(titles, rows, numeric=titles),
        Text(f"the best is {winner.topology} with {winner.prompt}, turns {winner.order}"),
        Text(
            f"{result.searched:.3f} while it was chosen; on fresh items {fresh.value:.3f} "
            f"[{fresh.low:.3f}, {fresh.high:.3f}] ({fresh.n} items)"
        ),
    ]


EQUILIBRIA_SHOWN = 20
"""Maximum number of equilibria that are listed."""


def game_parts(game: GameResult) -> list[RenderableType]:
    """Returns what is known, in words and tables."""
    parts: list[RenderableType] = [Text(line) for line in sentences(game)]
    if table := equilibrium_table(game):
        parts.append(terminal_table(table, EQUILIBRIA_SHOWN))
    more = len(game.equilibria) - EQUILIBRIA_SHOWN
    if more > 0:
        parts.append(f"and {more} more (--json has them all)")
    if game.feasible_rational:
        corners = ", ".join(f"({a:.4g}, {b:.4g})" for a, b in game.feasible_rational)
        parts.append(f"feasible and rational: {corners}")
    if known := sums(game):
        parts.append(f"sums of payoffs in correlated equilibria: {known}")
    parts += [Text(line) for line in reasons(game)]
    if learned := game.learned:
        parts += [f"{learned.seeds} teams of each:", terminal_table(learned_table(learned))]
        if learned.repeated:
            parts += ["Repeated:", terminal_table(repeated_table(learned))]
        if learned.basins:
            shares = ", ".join(
                f"{'none' if key == '-1' else key}: {share:.0%}"
                for key, share in learned.basins.shares.items()
            )
            parts.append(f"basins, share of starts that end at each equilibrium: {shares}")
    return parts


RANDOM_UNKNOWN = "not known; counterpoint.worlds.random_return(world) measures it"


def training_parts(run: TrainingResult) -> list[RenderableType]:
    """Returns the learning curve, the scores, the time taken, and a row for each agent."""
    returned = column(run, "return")
    known = [value for value in returned if value is not None]
    ends = f"{fixed(known[0], 2)} to {fixed(known[-1], 2)}" if known else "no episode ended"
    rows = [("learning curve", f"{sparkline(returned)}  {ends}")]
    if run.competition is not None:
        rows = [("points against random", rows[0][1]), *competition_rows(run)]
    elif run.returned is not None:
        rows.append(("return of fresh episodes", f"{fixed(run.returned, 3)}{run.of_tasks}"))
        if (random := run.references.random) is not None:
            rows.append(("return of a random team", fixed(random, 3)))
        elif run.axis == "step":
            rows.append(("return of a random team", RANDOM_UNKNOWN))
    if run.normalized is not None:
        rows.append(("normalized (0 random, 1 reference)", fixed(run.normalized, 3)))
    rows += messages_rows(run)
    rows.append((f"{run.axis}s", f"{run.step:,} in {run.seconds or 0.0:.0f} s, {run.status}"))
    rows += [(name, _signal_kept(agent)) for name, agent in run.agents.items()]
    rows += answer_rows(run)
    if run.agents or learns_values(run.config):
        collapsed = collapsed_fact(run)
        count = "" if collapsed.value == ABSENT else f"{collapsed.value}: "
        rows.append(("collapsed", f"{count}{collapsed.below}"))
    return [text_table(("", ""), rows)]


def _signal_kept(agent: AgentSeries) -> str:
    """Returns how much of an agent's signal the scheme keeps, by the latest measurements."""
    kept, low, high = agent.signal_kept[-1], agent.signal_kept_low[-1], agent.signal_kept_high[-1]
    if kept is None:
        return "signal kept: not known (too few measurements, or too little signal)"
    sentence = f"signal kept {fixed(kept, 2)} {interval(low, high, 2)}"
    collapsed, cause = present_state(agent)
    if not collapsed:
        return sentence
    return f"{sentence}, collapsed{f' ({cause})' if cause else ''}"


def folder_parts(folder: FolderResult) -> list[RenderableType]:
    """Returns how many results and runs there are, a row for each, and what is left out."""
    parts: list[RenderableType] = [Text(folder_headline(folder))]
    if folder.entries:
        parts.append(terminal_table(entry_table("all", "", folder.entries)))
    if folder.left_out:
        count = counted(len(folder.left_out), "path")
        parts.append(terminal_table(left_out_table(folder), title=f"{count} left out"))
    return parts


def team_parts(team: TeamResult) -> list[RenderableType]:
    """Returns the finding in a sentence, the numbers behind it, and why the rest is not done."""
    large, speed = team.large, team.throughput
    rows = {
        "team": f"{team.name}: {team.topology}, {counted(team.workers, 'worker')}",
        "reason": team.verdict.partition(": ")[2],
        "large tasks": f"{large.done} of {large.tasks} are done" if large.tasks else "",
        "attempts": f"{team.attempts} in all; "
                    f"{misses(team.failed, team.conflicts, team.lost) or 'none failed'}",
        "tries": f"{team.tries:,}",
        "seconds": f"{team.seconds:.1f}",
        "throughput": f"{significant(speed.per_1000_tries)} tasks for 1,000 tries, "
                      f"{significant(speed.per_minute)} a minute",
        "wasted": _share(team.wasted, "of the tries, by conflicts and lost attempts"),
        "tokens": _used(team, f"{team.tokens or 0:,d}", team.unknown.tokens),
        "dollars": _used(team, f"{team.dollars or 0:.2f}", team.unknown.dollars),
        "waiting for locks": _share(team.lock_wait, "of the workers' time"),
        "churn": _share(team.churn, "of added lines are gone in the end"),
    }  # fmt: skip
    table = text_table(("", ""), [row for row in rows.items() if row[1]])
    left = [Text(f"not done: {one.task} ({counted(one.attempts, 'attempt')}): {one.reason}")
            for one in team.unfinished]  # fmt: skip
    return [Text(team_headline(team)), table, *left]


def misses(failed: int, conflicts: int, lost: int) -> str:
    """Returns how many attempts failed, in words; counts of 0 are left out."""
    counts = {"failed attempt": failed, "conflict": conflicts, "lost attempt": lost}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count)


def _used(team: TeamResult, known: str, unknown: int) -> str:
    """Returns the resources that were used, and how many attempts did not report them."""
    if unknown and unknown == team.attempts:
        return "not reported"
    if not unknown:
        return known
    return f"{known}; {unknown} of {counted(team.attempts, 'attempt')} did not report"


def _share(value: float | None, of: str) -> str:
    return "not known" if value is None else f"{value:.0%} {of}"
