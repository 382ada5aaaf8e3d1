"""`counterpoint rank`: a judge ranks groups of runs, and the ranks become rewards."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from counterpoint import __version__
from counterpoint.cli.compare import read_settings
from counterpoint.cli.messages import say
from counterpoint.cli.output import print_json, print_result, progress
from counterpoint.errors import SettingError
from counterpoint.judge.catalogue import judge_and_settings, takes
from counterpoint.judge.judges import Judge, Opinion
from counterpoint.judge.present import Sheet
from counterpoint.judge.rank import rank_groups
from counterpoint.judge.settings import RankSettings
from counterpoint.judge.verdict import Verdict
from counterpoint.readers.groups import GroupLine, read_groups
from counterpoint.readers.lines import TornLogWarning
from counterpoint.report.toolkit.document import visible
from counterpoint.runs.files import write_atomically
from counterpoint.speakers.replies import Replies

STORE = Path("counterpoint-out") / "rank" / "verdicts.sqlite"
SHOWN = 20
"""Groups in the table; all are in the JSON and in --out."""
SETTABLE = (
    "A setting, key=value; may be repeated, and may take several pairs. Of what is asked: "
    f"{', '.join(f.name for f in fields(RankSettings))}. Of a programmatic judge: accuracy, "
    "position_bias, length_bias, drift, ties, broken. regex: pattern, timeout_seconds. tests: "
    "command, timeout_seconds. likelihood: model, most_tokens. "
    f"openai: {', '.join(takes('openai'))}."
)


@dataclass(frozen=True)
class Rank:
    """Let a judge rank groups of runs, and write rewards beside the runs.

    FILE has a group a line: {"id", "task", "runs": [{"id", "messages": [...]}, ...]}; runs are
    OpenAI message lists, events, ART-style trajectories or text. The judge sees each group in at
    least two orders, without names, with canaries between the runs; agreement between the orders
    is the reliability, and a group that cannot be relied on is void: it has no rewards.

    What was asked once is kept in --store: a job that was killed goes on where it stopped.

    Examples:
      counterpoint rank groups.jsonl --judge programmatic --set accuracy=.8 --json
      counterpoint rank groups.jsonl --judge openai --base-url http://localhost:8000/v1 --model NAME
      counterpoint rank groups.jsonl --judge tests --set command='python check.py' --out
      ranked.jsonl counterpoint rank groups.jsonl --judge human --mode swiss
    """

    file: Annotated[str, tyro.conf.Positional]
    """Groups in JSON lines; `-` reads standard input."""
    judge: str
    """Who judges: `programmatic` (it knows each run's `score`, and errs as often as its settings
    say), `regex` (a regular expression), `tests` (a program), `likelihood` (under a local model),
    `openai` (a language server), `human` (you), or a judge that an installed package adds."""
    base_url: str | None = None
    """Of an OpenAI-compatible server."""
    model: str | None = None
    """The name that the server knows the model by; or the local model that measures likelihood."""
    mode: Literal["listwise", "pairwise", "swiss", "adaptive", "pointwise"] | None = None
    """The whole group at once (the default); all pairs; rounds of pairs; the least certain pair
    next; one by one. A person is asked in `swiss` rounds."""
    calls: int | None = None
    """Most calls a group, for modes that ask about pairs; default: what the mode needs."""
    orders: int | None = None
    """How often each question is asked, each second time backwards; default 2."""
    criteria: str | None = None
    """What is good, in words, for judges that read."""
    seed: int | None = None
    """Of orders, ids, canaries' places and a judge's own chance; default 0."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    out: Path | None = None
    """File for the groups with `judge_reward` in each run and the `verdict` of each group."""
    store: Path = STORE
    """Where replies and verdicts are kept."""
    json: bool = False
    """Print all verdicts as JSON alone."""

    def run(self) -> int:
        """Read, rank, save, print."""
        judge, settings = self.asked()
        counted = Counted(judge)
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always", TornLogWarning)
            ranked = list(self._ranked(counted, settings))
        for warning in met:
            say(f"counterpoint: {warning.message}")
        document = document_of([verdict for _, verdict in ranked], judge, settings, counted.calls)
        if self.out:
            lines = [json.dumps(beside(line, verdict)) + "\n" for line, verdict in ranked]
            write_atomically(self.out, "".join(lines))
        if self.json:
            print_json(document)
        else:
            print_result(*tables(document))
        if self.out:
            say(f"groups with rewards: {self.out}")
        return 0

    def asked(self) -> tuple[Judge, RankSettings]:
        """The judge, and what it is asked.

        Raises:
            UnknownNameError, SettingError: a judge, a setting or a value that is none.
        """
        given: dict[str, Any] = dict(read_settings(self.set))
        for name in ("mode", "calls", "orders", "seed", "criteria", "model", "base_url"):
            value = getattr(self, name)
            if value is not None and str(given.setdefault(name, value)) != str(value):
                raise SettingError(f"got {name} twice, with two values; wanted one")
        return judge_and_settings(self.judge, given)

    def _ranked(self, judge: Judge, settings: RankSettings) -> Iterator[tuple[GroupLine, Verdict]]:
        """Each group and its verdict, with progress."""
        total = 0
        if self.file != "-":
            with contextlib.suppress(OSError), open(self.file, "rb") as file:
                total = sum(1 for _ in file)
        self.store.parent.mkdir(parents=True, exist_ok=True)
        store = Replies(self.store, lambda line: say(f"counterpoint: {line}"))
        taken: list[GroupLine] = []

        def groups() -> Iterator[Any]:
            for line in read_groups(self.file):
                taken.append(line)
                yield line.group

        with progress("ranking") as report:
            found = rank_groups(groups(), judge, settings, store=store)
            for done, verdict in enumerate(found, 1):
                yield taken.pop(0), verdict
                report(done, max(total, done))


class Counted:
    """A judge whose calls are counted: those of this process, not those that were kept."""

    def __init__(self, judge: Judge) -> None:
        self.inner, self.calls, self.at_once = judge, 0, judge.at_once

    @property
    def facts(self) -> Mapping[str, str]:
        """The judge's own."""
        return self.inner.facts

    def judge(self, sheets: Sequence[Sheet]) -> list[Opinion]:
        """The judge's own opinions."""
        self.calls += len(sheets)
        return self.inner.judge(sheets)


def document_of(
    verdicts: Sequence[Verdict], judge: Judge, settings: RankSettings, asked: int
) -> dict[str, Any]:
    """All verdicts, and what they cost."""
    tokens = [each.tokens for each in verdicts]
    costs = [each.cost_dollars for each in verdicts]
    return {
        "schema": "counterpoint.rank/1",
        "version": __version__,
        "judge": dict(judge.facts),
        "settings": {f.name: getattr(settings, f.name) for f in fields(settings)},
        "groups": [each.to_json() for each in verdicts],
        "void": sum(bool(each.void) for each in verdicts),
        "calls": sum(each.calls for each in verdicts),
        "asked_now": asked,
        "tokens": None if None in tokens else sum(tokens),
        "cost_dollars": None if None in costs else sum(costs),
    }


def beside(line: GroupLine, verdict: Verdict) -> dict[str, Any]:
    """A group as it was read, with `judge_reward` in each run; null where the group is void."""
    runs = []
    for record, candidate in zip(line.records, line.group.candidates, strict=True):
        told = {**record, "id": candidate.id, "judge_reward": verdict.rewards.get(candidate.id)}
        if candidate.id in verdict.agents:
            told["judge_agent_rewards"] = dict(verdict.agents[candidate.id])
        runs.append(told)
    return {"id": line.group.id, "task": line.group.task, "runs": runs,
            "verdict": verdict.to_json()}  # fmt: skip


def shortened(text: str, most: int) -> str:
    """The text as it can be shown, cut where it is too long for a table."""
    seen = visible(text[: most + 1])
    return seen if len(text) <= most else f"{seen[: most - 1]}…"


def tables(document: Mapping[str, Any]) -> list[Any]:
    """The first groups, and what all cost."""
    table = Table(box=SIMPLE_HEAD)
    for name, side in (("group", "left"), ("ranking, best first", "left"),
                       ("reliability", "right"), ("calls", "right")):  # fmt: skip
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for each in document["groups"][:SHOWN]:
        order = " > ".join(" = ".join(tied) for tied in each.get("ranking", []))
        trust = each["reliability"]
        table.add_row(
            Text(shortened(each["group"], 40)),
            Text(shortened(f"void: {each['void']}" if "void" in each else order, 200)),
            "" if trust is None else f"{trust:.2f}",
            str(each["calls"]),
        )
    total, tokens, cost = len(document["groups"]), document["tokens"], document["cost_dollars"]
    more = f" ({total - SHOWN} more are not shown)" if total > SHOWN else ""
    said = f"{total} groups{more}, {document['void']} void; {document['calls']} calls, "
    said += f"{document['asked_now']} of them now; "
    said += "tokens not known" if tokens is None else f"{tokens} tokens"
    said += "" if cost in (None, 0.0) else f"; {cost:.4f} dollars"
    return [table, said]
