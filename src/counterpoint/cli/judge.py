"""`counterpoint rank` and `counterpoint judge`: rewards from a judge, and how good a judge is."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tyro
from msgspec.structs import replace

from counterpoint.cli.exits import Exit, kept
from counterpoint.cli.messages import say, say_note
from counterpoint.cli.progress import Bar
from counterpoint.cli.results import finish, prepare
from counterpoint.errors import ServerError, SettingError
from counterpoint.judge.catalogue import judge_and_settings, setting_names
from counterpoint.judge.check import measure_judge
from counterpoint.judge.present import Group
from counterpoint.judge.rank import rank_all
from counterpoint.judge.verdict import RankSettings
from counterpoint.readers.groups import GroupLine, read_groups
from counterpoint.readers.lines import TornLogWarning
from counterpoint.report.terminal.judging import judge_check_parts, ranking_parts
from counterpoint.report.toolkit.numerals import counted
from counterpoint.results.judge_check import JudgeCheckResult
from counterpoint.results.ranking import RankedGroup, RankingResult
from counterpoint.runs.seal import require_ours
from counterpoint.settings import split_pairs
from counterpoint.speakers.cache import Replies

STORE = Path("counterpoint-out") / "rank" / "verdicts.sqlite"
RANKED = "ranked.jsonl"
"""The file of `--out` with the rewards beside the runs."""
SETTABLE = (
    "A setting, key=value; may be repeated, and may take several pairs. Settings of the questions: "
    f"{', '.join(f.name for f in fields(RankSettings))}. Settings of the judges, programmatic: "
    "accuracy, position_bias, length_bias, drift, ties, broken. regex: pattern, timeout_seconds. "
    "tests: "
    "command, timeout_seconds. likelihood: model, most_tokens. "
    f"openai: {', '.join(setting_names('openai'))}."
)


@dataclass(frozen=True)
class JudgeCommand:
    """Measure a judge on groups whose truth is known, before you train on its rewards.

    FILE has groups as `counterpoint rank` takes them, with a `score` in each run. It reports the
    accuracy of the judge, its bias for the first position, for long texts and for its own runs, its
    agreement with itself and its cost. It also reports how many orders of a group a reliability
    needs.

    Examples:
      counterpoint judge check labelled.jsonl --judge openai --base-url URL --model NAME
      counterpoint judge check labelled.jsonl --judge programmatic --set position_bias=.3 --out bias
    """

    action: Annotated[Literal["check"], tyro.conf.Positional]
    """What to do: check."""
    file: Annotated[str, tyro.conf.Positional]
    """Groups in JSON lines; `-` reads standard input."""
    judge: str
    """The judge that is measured: `programmatic`, `regex`, `tests`, `likelihood`, `openai`, or a
    judge that an installed package adds."""
    base_url: str | None = None
    """URL of an OpenAI-compatible server."""
    model: str | None = None
    """The name that the server knows the model by; or the local model that measures likelihood."""
    reliability: float = 0.8
    """The reliability to reach, between 0 and 1."""
    own: str = ""
    """The `author` whose runs are the judge's own."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    json: bool = False
    """Print the measures as JSON alone."""

    def run(self) -> int:
        """Reads, measures and prints."""
        if not 0 < self.reliability < 1:
            raise SettingError(f"got --reliability {self.reliability}; wanted between 0 and 1")
        if self.judge == "human":
            raise SettingError(
                "got --judge human; wanted a judge that can be asked hundreds of times"
            )
        given = {k: v for k in ("model", "base_url") if (v := getattr(self, k)) is not None}
        given = split_pairs(self.set, "--set") | given
        judge, settings = judge_and_settings(self.judge, given)
        if self.out:
            prepare(self.out)
        with warnings.catch_warnings(record=True) as met:
            warnings.simplefilter("always", TornLogWarning)
            result = measure_judge(
                (line.group for line in read_groups(self.file)),
                judge,
                wanted=self.reliability,
                own=self.own,
                settings=settings,
            )
        for warning in met:
            say(f"counterpoint: {warning.message}")
        config = {"file": self.file, "judge": self.judge, "settings": given}
        finish(replace(result, config=config), judge_check_parts, self.out, self.json)
        return lost_status(result, "what was measured is of the others")


@dataclass(frozen=True)
class Rank:
    """Let a judge rank groups of runs, and write rewards beside the runs.

    FILE has a group a line: {"id", "task", "runs": [{"id", "messages": [...]}, ...]}; runs are
    OpenAI message lists, events, ART-style trajectories or text. The judge sees each group in at
    least two orders, without names, with canaries between the runs; agreement between the orders is
    the reliability, and a group whose reliability is too low is void: it has no rewards.

    Replies are kept in --store: a job that was killed resumes where it stopped.

    Examples:
      counterpoint rank groups.jsonl --judge programmatic --set accuracy=.8 --json
      counterpoint rank groups.jsonl --judge openai --base-url http://localhost:8000/v1 --model NAME
      counterpoint rank groups.jsonl --judge tests --set command='python check.py'
        --out ranked
      counterpoint rank groups.jsonl --judge human --mode swiss
    """

    file: Annotated[str, tyro.conf.Positional]
    """Groups in JSON lines; `-` reads standard input."""
    judge: str
    """The judge: `programmatic` (it knows each run's `score`, and errs as often as its settings
    say), `regex` (a regular expression), `tests` (a program), `likelihood` (under a local model),
    `openai` (a language server), `human` (you), or a judge that an installed package adds."""
    base_url: str | None = None
    """URL of an OpenAI-compatible server."""
    model: str | None = None
    """The name that the server knows the model by; or the local model that measures likelihood."""
    mode: Literal["listwise", "pairwise", "swiss", "adaptive", "pointwise"] | None = None
    """The whole group at once (the default); all pairs; rounds of pairs; the least certain pair
    next; one by one. A person is asked in `swiss` rounds."""
    calls: int | None = None
    """Maximum number of calls for a group, in modes that ask about pairs; default: what the mode
    needs."""
    orders: int | None = None
    """How often each question is asked, every second time in reverse order; default 2."""
    criteria: str | None = None
    """The criteria of a good run, in words, for judges that read text."""
    seed: int | None = None
    """Seed of the orders, ids, places of canaries and a judge's own random choices; default 0."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    out: Path | None = None
    """Folder for report.html, results.json, run.json and ranked.jsonl: the groups with
    `judge_reward` in each run and the `verdict` of each group."""
    store: Path = STORE
    """Where replies and verdicts are kept."""
    json: bool = False
    """Print all verdicts as JSON alone."""

    def run(self) -> int:
        """Reads, ranks, saves and prints."""
        given = self.given()
        judge, settings = judge_and_settings(self.judge, given)
        if self.out:
            prepare(self.out)
            require_ours(self.out / RANKED)
        total = 0
        with contextlib.suppress(OSError):
            if Path(self.file).is_file():  # what stands in a pipe can be read once
                with open(self.file, "rb") as file:
                    total = sum(1 for _ in file)
        self.store.parent.mkdir(parents=True, exist_ok=True)
        store = Replies(self.store, say_note)
        lines: list[GroupLine] = []
        again = f"replies are kept in {self.store}: run the same command again to go on"
        met_warnings = warnings.catch_warnings(record=True)
        with kept(again, self.store), met_warnings as met, Bar("ranking") as report:
            warnings.simplefilter("always", TornLogWarning)
            result = rank_all(
                _groups(self.file, lines), judge, settings, store=store,
                on_group=lambda count: report(count, max(total, count)),
            )  # fmt: skip
        for warning in met:
            say(f"counterpoint: {warning.message}")
        if not lines:
            raise SettingError(f"got no group in {self.file}; wanted a group a line")
        pairs = zip(lines, result.groups, strict=True)
        texts = {RANKED: "".join(json.dumps(beside(line, ranked)) + "\n" for line, ranked in pairs)}
        config = {"file": self.file, "judge": self.judge, "settings": given}
        result = replace(result, config=config)
        finish(result, ranking_parts, self.out, self.json, texts=texts)
        if self.out:
            say(f"groups with rewards: {self.out / RANKED}")
        if result.groups and all(0 < group.calls <= group.lost for group in result.groups):
            raise ServerError(f"no group got a reply from the judge: {result.why_lost}")
        if result.groups and all(group.void.startswith("unreadable") for group in result.groups):
            raise ServerError(
                f"no group got a reply from the judge that can be read: {result.groups[0].void}"
            )
        return lost_status(result, "the same command asks them again, and no others")

    def given(self) -> dict[str, object]:
        """Returns the settings of the judge and of its questions, as the user gave them.

        Raises:
            SettingError: a setting was given twice, with two values.
        """
        given: dict[str, object] = {**split_pairs(self.set, "--set")}
        for name in ("mode", "calls", "orders", "seed", "criteria", "model", "base_url"):
            value = getattr(self, name)
            if value is not None and str(given.setdefault(name, value)) != str(value):
                raise SettingError(f"got {name} twice, with two values; wanted one")
        return given


def lost_status(result: RankingResult | JudgeCheckResult, what: str) -> Exit:
    """Says how many questions got no reply; returns the exit status.

    Args:
        result: of a judge.
        what: what is left to say.
    """
    if not result.lost:
        return Exit.DONE
    say(f"counterpoint: {counted(result.lost, 'question')} without a reply: {result.why_lost}; "
        f"{what}")  # fmt: skip
    return Exit.PART


def _groups(file: str, lines: list[GroupLine]) -> Iterator[Group]:
    """Yields the groups of a file, and keeps the lines that they were read from."""
    for line in read_groups(file):
        lines.append(line)
        yield line.group


def beside(line: GroupLine, ranked: RankedGroup) -> dict[str, Any]:
    """Returns a group as it was read, with its `verdict`, and `judge_reward` in each run: null if
    the group is void."""
    runs = []
    for record, candidate in zip(line.records, line.group.candidates, strict=True):
        reward = ranked.rewards.get(candidate.id)
        run = {"id": candidate.id, **_without_nameless(record), "judge_reward": reward}
        if candidate.id in ranked.agents:
            run["judge_agent_rewards"] = ranked.agents[candidate.id]
        runs.append(run)
    return {"id": line.group.id, "task": line.group.task, **_without_nameless(line.record),
            "runs": runs, "verdict": msgspec.to_builtins(ranked)}  # fmt: skip


def _without_nameless(record: Mapping[str, object]) -> dict[str, object]:
    """Returns the object of a group or of a run; without its id if that is null."""
    return {key: value for key, value in record.items() if key != "id" or value is not None}
