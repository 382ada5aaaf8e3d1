"""The page of a team at work: each worker's attempts, their cost, and the tasks that are not
done."""

from __future__ import annotations

from markupsafe import Markup
from msgspec.structs import asdict, replace

from counterpoint.report.toolkit.frame import Definition, Fact, Headline, Page, setting_rows
from counterpoint.report.toolkit.numerals import ABSENT, counted, significant
from counterpoint.report.toolkit.safe_text import cut
from counterpoint.report.toolkit.svg import element, label, line, picture, shorten
from counterpoint.report.toolkit.tables import Cell, Column, Figure, Table, TableRow, text_columns
from counterpoint.results.team import AttemptPart, TeamResult

STYLES = {"merged": "s2", "needless": "s2", "failed": "s3", "conflict": "s1", "lost": "s4"}
"""Status of an attempt to its colour; an attempt under way has the first colour."""
ROW, TOP, LEFT = 22.0, 18.0, 92.0
LONGEST_REASON = 100
"""Characters of a reason in the table of attempts; its CSV file and its log have all of it."""

MOST_LOGS = 100
"""Logs on the page: those of the newest attempts."""


def team_page(whole: TeamResult) -> Page:
    """Returns the page of a team, with the logs of its newest attempts."""
    team, without = newest_logs(whole)
    size = f"{counted(team.workers, 'worker')}"
    limits = {f"budget of {name}": value for name, value in asdict(team.budget).items() if value}
    settings = {
        "topology": team.topology, "workers": team.workers, "seed": team.seed,
        **(limits or {"budget": "no limit"}),
        "repository of the result": team.repository, "commit of the result": team.head,
    }  # fmt: skip
    return Page(
        template="team.html",
        title=f"{team.name}: {size}, {team.topology}",
        kind="Team at work",
        subject=team.name,
        details=[f"{team.topology}, {size}"],
        verdict=_verdict(team),
        definitions=DEFINITIONS,
        settings=setting_rows(settings),
        picture="figure",
        contents={
            "figure": _figure(team),
            "tasks": _tasks(team),
            "attempts": _attempts(team),
            "logs": [
                (f"log-{a.id}", f"Attempt {a.id}, {a.task}, {a.worker}", "\n".join(a.log))
                for a in team.history
                if a.log
            ],
            "without": counted(without, "earlier attempt") if without else "",
        },
    )


def newest_logs(team: TeamResult) -> tuple[TeamResult, int]:
    """Returns the team with the logs of its newest attempts, and the number of logs that are left
    out.

    A page with thousands of logs is too large for a browser. All logs are in the folder of the run.
    """
    logged = [a.id for a in team.history if a.log]
    left = set(logged[:-MOST_LOGS])
    history = [replace(a, log=[]) if a.id in left else a for a in team.history]
    return replace(team, history=history), len(left)


def team_headline(team: TeamResult) -> str:
    """Returns the verdict in a sentence, without the reason that follows its colon."""
    share = (
        f"{team.done} of {counted(team.tasks, 'task')} {'is' if team.tasks == 1 else 'are'} done"
    )
    if team.verdict in ("", "done"):
        return f"{share}{'' if team.verdict else ' so far'}."
    return f"{share}: {team.verdict.partition(': ')[0]}."


def _verdict(team: TeamResult) -> Headline:
    lost = [counted(number, name) for number, name in (
        (team.conflicts, "conflict"), (team.failed, "failed attempt"), (team.lost, "lost attempt"),
    ) if number]  # fmt: skip
    bad = ", ".join(lost) or "no failed attempt, conflict or lost attempt"
    reason = team.verdict.partition(": ")[2]
    why = (
        f"{counted(team.attempts, 'attempt')} in {team.seconds:.0f} s, with {bad}. "
        + (f"The reason was: {reason}. " if reason else "")
        + "All merged work passes the test of its task and every test that passed before."
    )
    unknown = team.unknown.dollars
    below = f"{counted(unknown, 'attempt')} did not report it" if unknown else "as reported"
    dollars = ABSENT if team.dollars is None else f"${team.dollars:.2f}"
    tokens = ABSENT if team.tokens is None else f"{team.tokens:,}"
    facts = (
        Fact("Tries", f"{team.tries:,}", "edits, replies or runs of a command"),
        Fact("Tokens", tokens, "read and written"),
        Fact("Cost", dollars, below),
    )
    return Headline(team_headline(team), why, facts)


def _figure(team: TeamResult) -> Figure:
    """Returns the timeline of the work: a row for each worker, a bar for each attempt."""
    rows = [(a.worker, a.id, a.task, a.status, a.started, a.ended) for a in team.history]
    used = list(dict.fromkeys(STYLES.get(a.status, "s0") for a in team.history))
    names = {"s2": "merged or needless", "s3": "failed", "s1": "conflict", "s4": "lost",
             "s0": "under way"}  # fmt: skip
    caption = "Each bar is an attempt, from its start to its end. It is linked to its row below."
    if team.topology == "planner_workers":
        caption += " Bars of a worker overlap while the merger has its earlier work."
    return Figure(
        "timeline", caption, ("worker", "attempt", "task", "status", "started", "ended"), rows,
        _timeline(team, 900.0, "wide"), _timeline(team, 340.0, "narrow"),
        keys=[(style, names[style]) for style in used],
    )  # fmt: skip


def _timeline(team: TeamResult, width: float, key: str) -> Markup:
    workers = sorted({a.worker for a in team.history}, key=lambda name: (len(name), name))
    end = max((a.ended or a.started for a in team.history), default=0.0) or 1.0
    height = TOP + ROW * len(workers) + 30

    def x(seconds: float) -> float:
        return LEFT + (width - LEFT - 12) * seconds / end

    places = {worker: TOP + ROW * i for i, worker in enumerate(workers)}
    parts = [label(shorten(w, LEFT - 6), 0, top + 14, "tick") for w, top in places.items()]
    for share in (0.0, 0.5, 1.0):
        base = height - 26
        parts.append(line((x(share * end), TOP), (x(share * end), base), "grid"))
        anchor = "end" if share == 1 else "middle"
        text = f"{significant(share * end)} s"
        parts.append(label(text, x(share * end), base + 16, "tick", anchor))
    for attempt in team.history:
        start, stop = x(attempt.started), x(attempt.ended or end)
        class_ = f"cell {STYLES.get(attempt.status, 's0')}"
        bar = element("rect", element("title", f"{attempt.id}: {attempt.task}, {attempt.status}"),
                      x=start, y=places[attempt.worker] + 3, width=max(1.5, stop - start - 1),
                      height=ROW - 6, class_=class_)  # fmt: skip
        parts.append(element("a", bar, href=f"#attempt-{attempt.id}"))
    description = f"{counted(len(team.history), 'attempt')} of {counted(len(workers), 'worker')}."
    return picture(f"timeline-{key}", (width, height), "Who worked when", description, *parts)


def _tasks(team: TeamResult) -> Table:
    reasons = {row.task: row.reason for row in team.unfinished}
    columns = (*text_columns("Task", "State"), Column("Attempts"))
    if reasons:
        columns = (*columns, Column("Why it is not done", ("reason",), numeric=False))
    rows = []
    for task in dict.fromkeys((*reasons, *(a.task for a in team.history))):
        tried = sum(a.task == task for a in team.history)
        state = "not done" if task in reasons else "done"
        cells = (Cell(task), Cell(state), Cell(str(tried), (tried,)), Cell(reasons.get(task, "")))
        rows.append(TableRow(cells[: len(columns)]))
    return Table("tasks", "All tasks. Those that are not done come first.", columns, rows)


def _attempts(team: TeamResult) -> Table:
    columns = (
        *text_columns("Attempt", "Status", "Task", "Worker"),
        Column("Seconds", missing="the attempt is under way"),
        Column("Tries"),
        Column("Tokens", missing="not reported"),
        Column("Dollars", missing="not reported"),
        Column("Files and reason", ("files", "note"), numeric=False),
    )
    rows = [TableRow(_cells(a), "quiet" if a.status in ("failed", "lost") else "")
            for a in team.history]  # fmt: skip
    caption = "All attempts, by their start. The number of an attempt is linked to its log."
    return Table("attempts", caption, columns, rows)


def _cells(a: AttemptPart) -> tuple[Cell, ...]:
    seconds = None if a.ended is None else a.ended - a.started
    files = ", ".join(a.files[:8]) + (f" and {len(a.files) - 8} more" if len(a.files) > 8 else "")
    note = (cut(a.note, LONGEST_REASON),) if a.note else ()
    return (
        Cell(str(a.id), (a.id,), link=f"log-{a.id}" if a.log else "", name=f"attempt-{a.id}"),
        Cell(a.status), Cell(a.task), Cell(a.worker), _optional(seconds, ".1f"),
        Cell(str(a.cost), (a.cost,)), _optional(a.tokens, ",d"), _optional(a.dollars, ".3f"),
        Cell(files or "no files", (files, a.note), lines=note),
    )  # fmt: skip


def _optional(value: float | int | None, form: str) -> Cell:
    return Cell(ABSENT if value is None else f"{value:{form}}", (value,))


DEFINITIONS = (
    Definition("merged", "Merged",
        "The attempt is part of the result: the test of its task passes, and so does every test "
        "that passed before."),
    Definition("needless", "Needless",
        "The test of the task passed already when the attempt began, so no work was done."),
    Definition("failed", "Failed",
        "The attempt changed nothing, the test of its task still fails, or a test that passed now "
        "fails."),
    Definition("conflict", "Conflict",
        "Another worker changed the same files or lines first. The task is open again, and this "
        "does not count against it."),
    Definition("lost", "Lost",
        "The worker was killed, or its lease expired. Its task is open again."),
    Definition("tries", "Tries",
        "Edits that a search tried, replies of a model, or runs of a command."),
)  # fmt: skip
"""The meanings of the words of the page."""
