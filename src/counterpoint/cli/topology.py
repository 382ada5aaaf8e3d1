"""`counterpoint topology`: who hears whom x how members behave, and which of the two matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as evolve
from pathlib import Path
from typing import Annotated

import tyro
from msgspec.structs import replace
from rich.console import RenderableType
from rich.text import Text

from counterpoint.cli.exits import Exit
from counterpoint.cli.messages import say
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import command_line, demand_writable, finish, prepare, save
from counterpoint.errors import SettingError
from counterpoint.report.pages.topology import sketch
from counterpoint.report.terminal.parts import search_parts, topology_parts
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.numerals import counted
from counterpoint.results import document_of
from counterpoint.results.topology import TopologyResult, TopologySearchResult
from counterpoint.settings import settings_from, split_list, split_pairs
from counterpoint.topology import TOPOLOGIES, make_topology, measures
from counterpoint.topology.design import (
    DEFAULT,
    TopologyPlan,
    compare_topologies,
    lay_out,
)
from counterpoint.topology.duration import expected_duration
from counterpoint.topology.play import Guards
from counterpoint.topology.records import write_logs
from counterpoint.topology.search import search_topologies
from counterpoint.worlds.message.task_file import TASKS, read_task_file, sizes_of


@dataclass(frozen=True)
class TopologyCommand:
    """Compare who hears whom with how members behave, and the team with its members.

    Every topology is played with every prompt on the same items, in every order if the topology has
    one. The result says what share of the variance each factor explains. It compares the scores
    with those of the members alone, the best of them, an oracle over them, and one agent that has
    all information of the team and as many calls.

    WORLD is hidden_profile, idea_search, or tasks:PATH for a file of hidden profiles in words, as
    HiddenBench writes them (then with --model). Its tasks are for teams of different sizes: each
    size is played and reported by itself, or one alone with --members.

    Examples:
      counterpoint topology --members 6
      counterpoint topology hidden_profile
      counterpoint topology hidden_profile --set bits=6 --out lever
      counterpoint topology idea_search --topologies best_of_n,complete:rounds=20
      counterpoint topology hidden_profile --prompts trained,optimal --search 50000
      counterpoint topology hidden_profile --model smollm2 --seeds 2 --items 10
      counterpoint topology tasks:benchmark.json --model NAME --base-url http://127.0.0.1:8000/v1
    """

    world: Annotated[str | None, tyro.conf.Positional] = None
    """hidden_profile, idea_search, or tasks:PATH. Without it, the topologies are listed, for a team
    of --members (default 4)."""
    topologies: str = ",".join(DEFAULT)
    """Names, separated by commas (`counterpoint topology` lists them); options follow a colon, as
    in debate:rounds=5."""
    prompts: str = ""
    """Names of the world's prompts, separated by commas; `trained` is a prompt that is searched for
    each topology. Default: all prompts that the world names."""
    members: int | None = None
    """Size of the team; default: that of the world, or each size that a file of tasks has."""
    seeds: int = 30
    """Number of batches, each with its own items."""
    items: int = 100
    """Number of items in a batch."""
    orders: int = 6
    """Maximum number of orders of a topology; if there are more, a random choice of them is
    played."""
    guard: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A rule of talk that is on in all topologies, may be repeated: isolated_drafts, dissenter,
    fresh_context, heartbeat, outside_judge, or most_rounds=N."""
    search: int | None = None
    """Instead of the whole design: find the best topology, order and prompt with so many items, and
    measure it again on fresh ones."""
    model: str | None = None
    """A model that reads and speaks for the members: of this machine, or behind --base-url."""
    base_url: str | None = None
    """URL of an OpenAI-compatible server."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting of the world, key=value; may be repeated."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    log: Path | None = None
    """Folder for the transcripts: for each topology and prompt the episodes of the first batch, and
    what members answered alone. `counterpoint audit` reads both."""
    workers: int | None = None
    """Number of processes; default: one for each processor."""
    json: bool = False
    """Print the results as JSON alone."""

    def run(self) -> int:
        """Plays, saves and prints."""
        if self.world is None:
            if self != TopologyCommand(members=self.members, json=self.json):
                raise SettingError("got options and no world; wanted counterpoint topology WORLD")
            return list_topologies(4 if self.members is None else self.members, self.json)
        if self.search is not None and (self.log or self.workers is not None):
            raise SettingError("got --search with --log or --workers, which it does not use")
        plans = self.plans(self.world)
        for plan in plans[1:]:  # each is played in its turn, which may cost money
            lay_out(plan)
        if self.out:
            prepare(self.out)
        if self.log:
            demand_writable(self.log)
        if len(plans) == 1:
            result = self.played(plans[0])
            parts = search_parts if isinstance(result, TopologySearchResult) else topology_parts
            finish(result, parts, self.out, self.json)  # type: ignore[arg-type]
            self.write_logs(plans[0], self.log)
            return lost_status([result])
        results = {}
        for plan in plans:
            name = f"members_{plan.settings['members']}"
            results[name] = self.played(plan)
            if self.out:
                save(results[name], self.out / name)
            self.write_logs(plan, self.log and self.log / name)
        documents = {name: document_of(result) for name, result in results.items()}
        then = command_line("report", self.out) if self.out else ""
        finish(documents, lambda _: sized_parts(results), None, self.json, then)
        return lost_status([*results.values()])

    def played(self, plan: TopologyPlan) -> TopologyResult | TopologySearchResult:
        """Plays a plan."""
        if self.search is not None:
            with Bar("halving") as report:
                return search_topologies(plan, self.search, on_progress=report)
        if plan.model:
            duration = expected_duration(plan)
            if duration.seconds is not None:
                say(f"counterpoint: {duration.requests:,} requests to {plan.model}, "
                    f"about {spelled(duration.seconds)}")  # fmt: skip
        with Bar(f"playing {plan.world}") as report:
            result = compare_topologies(plan, workers=self.workers, on_progress=report)
        config = {"world": plan.world, "settings": dict(plan.settings)}
        return replace(result, config=config)

    def write_logs(self, plan: TopologyPlan, folder: Path | None) -> None:
        """Writes the transcripts of a plan where `--log` says so."""
        if folder is None:
            return
        written = write_logs(plan, folder)
        episodes, outcomes = written[0] / "episodes.jsonl", written[0] / "outcomes.jsonl"
        line = command_line("audit", episodes, "--outcomes", outcomes)
        say(f"logs: {folder}; {line}")

    def plans(self, world: str) -> list[TopologyPlan]:
        """Returns what to compare in a world: a file of tasks for teams of several sizes is played
        once for each size, if none is chosen."""
        plan = self.plan(world)
        if not world.startswith(TASKS) or "members" in plan.settings:
            return [plan]
        sizes = sizes_of(read_task_file(world.removeprefix(TASKS)))
        if len(sizes) == 1:
            return [plan]
        return [evolve(plan, settings={**plan.settings, "members": size}) for size in sizes]

    def plan(self, world: str) -> TopologyPlan:
        """Returns what to compare in a world."""
        members = {} if self.members is None else {"members": self.members}
        settings = {**split_pairs(self.set, "--set"), **members}
        topologies, prompts = split_list(self.topologies), split_list(self.prompts)
        guards = split_pairs((w if "=" in w else f"{w}=true" for w in self.guard), "--guard")
        return TopologyPlan(
            world, topologies, prompts, self.seeds, self.items, self.orders, settings,
            settings_from(guards, Guards, "--guard"), self.model, self.base_url,
        )  # fmt: skip


def sized_parts(
    results: Mapping[str, TopologyResult | TopologySearchResult],
) -> Iterator[RenderableType]:
    """Yields what a terminal shows of the results for teams of each size."""
    for name, result in results.items():
        yield Text(f"Tasks for teams of {name.removeprefix('members_')}", style="bold")
        if isinstance(result, TopologySearchResult):
            yield from search_parts(result)
        else:
            yield from topology_parts(result)


def spelled(seconds: float) -> str:
    """Returns a duration in words: seconds below two minutes, minutes below two hours."""
    if seconds < 120:
        return counted(max(1, round(seconds)), "second")
    if seconds < 7200:
        return counted(round(seconds / 60), "minute")
    return counted(round(seconds / 3600), "hour")


def lost_status(results: Sequence[TopologyResult | TopologySearchResult]) -> Exit:
    """Says how many requests got no reply; returns the exit status."""
    lost = sum(result.lost for result in results)
    if not lost:
        return Exit.DONE
    why = next(result.why_lost for result in results if result.lost)
    say(f"counterpoint: {counted(lost, 'request')} without a reply, which count as silence or as "
        f"no answer: {why}")  # fmt: skip
    return Exit.PART


def list_topologies(members: int, json: bool) -> int:
    """Prints the list of topologies for a team of that size; returns the exit status."""
    facts, rows = {}, []
    for name, entry in TOPOLOGIES.items():
        topology = make_topology(name, members)
        order, known = sketch(topology), measures(topology)
        facts[name] = {
            "summary": entry.summary, "source": entry.source,
            "options": ["rounds", *entry.options], "order": order, **asdict(known),
        }  # fmt: skip
        path = "–" if known.path is None else f"{known.path:g}"
        numbers = (f"{known.density:.2f}", str(known.messages), str(known.depth), path)
        rows.append((name, entry.summary, order, *numbers, entry.source))
    columns = ("topology", "who hears whom", "turns, whom each hears", "density", "messages",
               "depth", "path", "source")  # fmt: skip
    title = f"Topologies of {members} members"
    table = text_table(columns, rows, title=title, numeric=columns[3:7])
    note = (
        "depth: turns that wait for each other; path: messages from the first member to those "
        "who decide."
    )
    finish(facts, lambda _: [table, note], None, json, "counterpoint topology hidden_profile")
    return 0
