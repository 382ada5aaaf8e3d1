"""`counterpoint audit`: what a team does wrong, from its logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro
from msgspec.structs import replace

from counterpoint.audits import AUDITS, audit_logs
from counterpoint.cli.exits import Exit, kept
from counterpoint.cli.import_logs import NotePrinter, require_apart
from counterpoint.cli.messages import say, say_note
from counterpoint.cli.progress import Bar, ReadingDisplay
from counterpoint.cli.results import demand_writable, finish, first_step, prepare
from counterpoint.cli.serve import PORT
from counterpoint.errors import OutputError, ServerError, SettingError, choices
from counterpoint.judge.catalogue import reader_and_settings, setting_names
from counterpoint.judge.mistakes import (
    Judging,
    MistakeSettings,
    judge_mistakes,
    plan_mistakes,
)
from counterpoint.judge.model import SpeakerJudge
from counterpoint.machine.processes import available_workers
from counterpoint.readers.logs import Names, Notes, noted_episodes, read_mapping
from counterpoint.readers.outcomes import read_outcomes
from counterpoint.records import FOUND, Finding
from counterpoint.report.exports import ending_of, export, has_case
from counterpoint.report.terminal.audit import audit_parts
from counterpoint.report.terminal.tables import text_table
from counterpoint.report.toolkit.numerals import counted
from counterpoint.report.transcripts import TranscriptWriter
from counterpoint.results.audit import AuditResult
from counterpoint.results.transcript import Transcript
from counterpoint.runs.executor import require_executor
from counterpoint.settings import split_pairs
from counterpoint.speakers.cache import Replies
from counterpoint.viewer import AuditPages, serve
from counterpoint.viewer.audit_pages import Look

OnTranscript = Callable[[Transcript], object] | None
STORE = Path("counterpoint-out") / "audit" / "replies.sqlite"
CHARACTERS_A_TOKEN = 4
"""What a token of English text has, by a rule of thumb."""
SETTABLE = (
    "A setting of --judge, key=value; may be repeated. Of the questions: "
    f"{', '.join(f.name for f in fields(MistakeSettings))}. Of openai: "
    f"{', '.join(setting_names('openai'))}."
)
TEAM = ":team"
"""The end of a name in --fail-on that means the verdict about the team."""


@dataclass(frozen=True)
class Watch:
    """What --fail-on names: AUDIT, AUDIT.NAME, and each with `:team` behind it."""

    audit: str
    name: str
    is_team: bool

    @classmethod
    def of(cls, text: str) -> Watch:
        """Returns what a text names.

        Raises:
            SettingError: there is no audit or no finding of that name.
        """
        audit, _, name = text.removesuffix(TEAM).partition(".")
        if audit not in AUDITS:
            raise SettingError(f"got --fail-on {text}{choices(audit, AUDITS)}")
        names = [f"{audit}.{finding.name}" for finding in AUDITS[audit].conclude([], [])]
        if name and f"{audit}.{name}" not in names:
            raise SettingError(f"got --fail-on {text}{choices(f'{audit}.{name}', names)}")
        return cls(audit, name, text.endswith(TEAM))

    def fails(self, finding: Finding) -> bool:
        """Returns whether a finding has what is watched; a finding of the team is a case too."""
        if finding.audit != self.audit or self.name not in ("", finding.name):
            return False
        return finding.verdict == FOUND or (finding.cases_total > 0 and not self.is_team)


@dataclass(frozen=True)
class Audit:
    """Search the logs of a team, written by any tool, for known failures of teams.

    `counterpoint audit` lists them. The worst cases come first, each with its episode, its event,
    a quotation and what it cost. Then each finding says whether the team as a whole has the
    failure: its value, its interval, and the null that it is compared with. No model is run and
    nothing leaves this machine, unless you name a --judge. A finding does not name a cause.

    With --judge, a language model reads each episode that failed or whose outcome is not known. It
    names the member and the event of the decisive mistake, and a failure mode of MAST. Its opinions
    stand apart from the findings, beside guesses that need no reading. The text of these episodes
    is sent to --base-url. Replies are kept in --store, so that nothing is asked twice.

    Examples:
      counterpoint audit
      counterpoint audit runs/
      counterpoint audit chat.jsonl --outcomes outcomes.csv --out audit
      counterpoint audit runs/ --fail-on stuck.loop --fail-on idleness:team --json
      counterpoint audit runs/ --serve --watch
      counterpoint audit runs/ --export audit.sarif
      counterpoint audit runs/ --judge openai --base-url http://localhost:8000/v1 --model NAME
    """

    path: Annotated[Path | None, tyro.conf.Positional] = None
    """A log or a folder of logs; `counterpoint import --help` lists the formats. Without it, the
    audits are listed."""
    outcomes: Path | None = None
    """A table with the scores of one agent, of isolated members and of the team on each task (CSV
    or JSON lines: task, setting, score, members, cost, answer)."""
    only: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg()] = ()
    """An audit to run; may be repeated. Default: all audits."""
    fail_on: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg()] = ()
    """Exit with 1 if there is one case of this audit, or of its finding AUDIT.NAME; with :team
    behind it, if the verdict about the team is `found`. May be repeated."""
    mapping: Path | None = None
    """A TOML file that names the members (lists `agents`, `tools`, `ignore`, a table [rename]), and
    may say with paths where everything stands (tables [episode], [message])."""
    out: Path | None = None
    """Folder for report.html, results.json and run.json, and a page for each episode."""
    export: Annotated[tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg()] = ()
    """A file for another tool: `.sarif` for code scanning, `.xml` for JUnit, `.langfuse.json` for
    scores, `.phoenix.json` for annotations of traces. May be repeated."""
    serve: bool = False
    """Show the page on this machine, with a page for each episode. Ctrl-C ends it."""
    watch: bool = False
    """With --serve: audit again when a file of the log changes."""
    port: int = PORT
    """Port for --serve; 0 takes a free one."""
    judge: str | None = None
    """The language model that is asked about mistakes: `openai` (any OpenAI-compatible server), or
    a judge that an installed package adds."""
    base_url: str | None = None
    """URL of the server of --judge."""
    model: str | None = None
    """The name that the server of --judge knows the model by."""
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help=SETTABLE)] = ()
    store: Path = STORE
    """Where the replies of --judge are kept."""
    workers: int | None = None
    """Number of processes for a log of more than 500 episodes; default: one for each processor."""
    json: bool = False
    """Print the findings as JSON alone."""

    def run(self) -> int:
        """Reads, audits, saves and prints; returns 1 if --fail-on has found something."""
        if self.path is None:
            if self != Audit(json=self.json):  # a forgotten log is no audit that found nothing
                raise SettingError("got options and no log; wanted counterpoint audit LOG")
            return list_audits(self.json)
        if not self.serve and (self.watch or self.port != PORT):
            name = "--watch" if self.watch else "--port"
            raise SettingError(f"got {name} without --serve; wanted both, or none")
        if self.serve and (self.out or self.fail_on):
            raise SettingError("got --serve with --out or --fail-on; wanted one of them at a time")
        require_executor("processes", self.workers)
        workers = self.workers or available_workers()
        chosen = self._judge()
        watched = [Watch.of(name) for name in self.fail_on]
        if self.only and (idle := [one.audit for one in watched if one.audit not in self.only]):
            raise SettingError(
                f"got --fail-on {idle[0]} without --only {idle[0]}; an audit that does not run "
                "finds nothing"
            )
        for file in self.export:
            ending_of(file)
            if file.is_dir():
                raise OutputError(f"{file} is a folder; wanted a file")
            require_apart(file, self.path, self.outcomes, self.mapping)
            demand_writable(file.absolute().parent)
        outcomes = read_outcomes(self.outcomes, say_note) if self.outcomes else []
        names = read_mapping(self.mapping) if self.mapping else None
        path = self.path

        def look(on_transcript: OnTranscript = None) -> AuditResult:
            judging = self._judging(path, names, *chosen) if chosen else None
            printer = NotePrinter()
            with ReadingDisplay() as counter:
                result = audit_logs(
                    path, outcomes, self.only, names, printer, counter, on_transcript, judging,
                    workers,
                )  # fmt: skip
            printer.finish()
            return result

        if self.serve:
            self._serve(path, look)
            return 0
        if self.out:
            prepare(self.out)
            with TranscriptWriter(self.out) as writer:
                result = look(writer)
        else:
            result = look()
        self._finish(result, watched)
        report = result.judge
        if report and report.lost and report.lost == report.calls:
            raise ServerError(f"got no reply from the judge: {report.episodes[0].void}")
        if report and report.episodes and all(each.void for each in report.episodes):
            raise ServerError(f"the judge said nothing of any episode: {report.episodes[0].void}")
        if report and report.lost:
            say(f"counterpoint: {counted(report.lost, 'question')} to the judge without a reply; "
                "the same command asks them again, and no others")  # fmt: skip
            return Exit.PART
        is_found = any(each.fails(finding) for finding in result.findings for each in watched)
        return Exit.PART if is_found else Exit.DONE

    def _judge(self) -> tuple[SpeakerJudge, MistakeSettings] | None:
        """Returns the judge and the settings of its questions; None if none is wanted."""
        given = {k: v for k in ("model", "base_url") if (v := getattr(self, k)) is not None}
        given = split_pairs(self.set, "--set") | given
        if self.judge is None:
            given |= {} if self.store == STORE else {"store": str(self.store)}
            if given:
                raise SettingError(f"got {', '.join(given)} without --judge; wanted both, or none")
            return None
        return reader_and_settings(self.judge, given)

    def _judging(
        self, path: Path, names: Names | None, judge: SpeakerJudge, settings: MistakeSettings
    ) -> Judging:
        """Reads the log for the questions, says what they cost, and asks."""
        with ReadingDisplay() as counter:
            plan = plan_mistakes(noted_episodes(path, names, Notes(), counter), settings)
        where = " at ".join(judge.facts[k] for k in ("model", "base_url") if k in judge.facts)
        tokens = plan.characters // CHARACTERS_A_TOKEN
        price = split_pairs(self.set, "--set").get("prompt_price")
        cost = f", about ${tokens * float(price) / 1e6:.2g} to read" if price else ""
        say(f"judge: {where} reads {counted(len(plan.episodes), 'episode')}: "
            f"{counted(plan.questions, 'question')}, about {tokens:,} tokens{cost}; replies that "
            f"are kept in {self.store} cost nothing")  # fmt: skip
        self.store.parent.mkdir(parents=True, exist_ok=True)
        store = Replies(self.store, say_note)
        again = f"replies are kept in {self.store}: run the same command again to go on"
        with kept(again, self.store), Bar("judging") as report:
            judging = judge_mistakes(plan, judge, store=store, on_reply=report)
        paid = "tokens not counted" if judging.tokens is None else f"{judging.tokens:,} tokens"
        dollars = f", ${judging.cost_dollars:.2g}" if judging.cost_dollars else ""
        say(f"judge: {counted(judging.calls, 'question')} asked, {judging.asked_now} of them now; "
            f"together {paid}{dollars}")  # fmt: skip
        if judging.stopped:
            say(f"judge: stopped, {counted(judging.unasked, 'episode')} not asked about: "
                f"{judging.stopped}")  # fmt: skip
        return judging

    def _finish(self, result: AuditResult, watched: Sequence[Watch]) -> None:
        """Saves, exports and prints a result."""
        fails = (lambda f: any(w.fails(f) for w in watched)) if watched else has_case
        # a saved result has the name of the log alone, and other tools and commands need its path
        named = replace(result, source=str(self.path))
        for file in self.export:
            left_out = export(named, file, fails)
            more = f" ({counted(left_out, 'milder case')} left out)" if left_out else ""
            say(f"exported: {file}{more}")
        then = "" if self.outcomes else first_step(named)
        finish(result, audit_parts, self.out, self.json, then)

    def _serve(self, path: Path, look: Look) -> None:
        site = AuditPages(path, look, self.watch, say)
        try:
            self._finish(site.result, [])
            serve(site.page, site.changed, self.port,
                  lambda url: say(f"{path}: {url} (Ctrl-C ends it)"))  # fmt: skip
        finally:
            site.close()


def list_audits(json: bool) -> int:
    """Prints the name and the summary of each audit; returns the exit status."""
    facts = {name: each.summary for name, each in AUDITS.items()}
    packages = {name: f" ({package})" for name in facts if (package := AUDITS.package(name))}
    rows = [(name, summary + packages.get(name, "")) for name, summary in facts.items()]
    table = text_table(("audit", "what it looks for"), rows)
    finish(facts, lambda _: [table], None, json, "counterpoint audit LOG --only NAME")
    return 0
