"""Who does a task: a search for edits, any command, or a model; each starts from nothing."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from counterpoint.errors import WorkerError
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Request, Speaker
from counterpoint.workers.gate.checks import run_tests
from counterpoint.workers.gate.gate import Gate
from counterpoint.workers.keys import Redactor, contains_secret, passed_variables, redacted
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.repository.files import FILE, PROGRAM, File, TreeLayout
from counterpoint.workers.repository.paths import printable
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.process import OnOutput
from counterpoint.workers.sandbox.sandbox import RESULTS, SandboxResult, run
from counterpoint.workers.searching import search
from counterpoint.workers.usage import VARIABLE, Usage, read_usage

TASK_FILE = "TASK.md"
SHOWN_CHARACTERS = 60_000
SYSTEM_PROMPT = (
    "You change a program so that a test passes. Answer with whole files, each as a line "
    "`FILE: path` and a block between ``` lines, or ```` lines if ``` is in the file. Change as "
    "little as can be."
)
_NAMED = re.compile(r"[#*\s]*+FILE: *+(.+)")
_FENCE = re.compile(r"(`{3,}+)([^`]*+)")

IGNORED = "it is ignored by git"


@dataclass(frozen=True)
class WorkResult:
    """The result of one attempt."""

    files: Mapping[str, File] = field(default_factory=dict)
    """Path from the top to what is new there."""
    removed: tuple[str, ...] = ()
    """Paths that it removes."""
    cost: int = 0
    """Tries that it took."""
    note: str = ""
    """Why it failed, or what it did."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Path to why a change there is not taken: it is protected, for example, or ignored."""
    usage: Usage = field(default_factory=Usage)
    """Tokens and dollars of models."""


def do_task(
    plan: WorkPlan, task: TeamTask, content: Content, keep: tuple[str, ...], tries: int, seed: int,
    speaker: Speaker | None = None, hear: OnOutput | None = None,
) -> WorkResult:  # fmt: skip
    """Work at one task on the files of a commit, with nothing remembered.

    Args:
        plan: says who works.
        task: what is to be done.
        content: of the commit.
        keep: tests that pass and have to.
        tries: what it may cost.
        seed: of all chance.
        speaker: who answers instead of the plan's model.
        hear: called with what a command or a model says, as it comes.

    Raises:
        WorkerError: the model's server refuses every request: another attempt is in vain.
    """
    kind = plan.worker.kind
    if kind == "search":
        return _only_allowed(plan, _search(plan, task, content, keep, tries, seed), content)
    if kind == "command":
        return _only_allowed(plan, _command(plan, task, content, hear), content)
    return _only_allowed(plan, _model(plan, task, content, tries, seed, speaker, hear),
                    content)  # fmt: skip


def _search(
    plan: WorkPlan, task: TeamTask, content: Content, keep: tuple[str, ...], tries: int, seed: int,
) -> WorkResult:  # fmt: skip
    found = search(plan, content, task.test, keep, tries, seed)
    return WorkResult(found.files, (), found.tries, found.note)


def _command(plan: WorkPlan, task: TeamTask, content: Content, hear: OnOutput | None) -> WorkResult:
    named = {"{task}": shlex.quote(task.text), "{test}": shlex.quote(task.test)}
    line = re.sub(r"\{(?:task|test)\}", lambda found: named[found[0]], plan.worker.command)
    note = f"# {task.id}\n\n{task.text}\n\nThis test has to pass: {task.test or '(none)'}\n"
    told = note.encode()
    command = ["/usr/bin/env", f"{VARIABLE}={RESULTS}", "/bin/sh", "-c", line]
    keys = passed_variables(plan)
    heard = Redactor(hear, keys.values())
    ended = run(command, content, plan.worker_limits, env={**plan.env, **keys},
                readable=plan.readable_folders, network=plan.worker.network, stdin=told,
                beside={TASK_FILE: told}, hear=heard.write)  # fmt: skip
    heard.close()
    ended = without_values(ended, keys.values())
    said = " ".join((ended.output + " " + ended.errors).split())[-400:]
    usage = read_usage(ended.results)
    note = f"status {ended.status}: {said}" if ended.status else said
    if ended.stopped:
        note = f"stopped by a limit, {ended.stopped}: {said}"
    return WorkResult(ended.changed, ended.removed, 1, note, _refused(ended), usage)


def without_values(ended: SandboxResult, secrets: Collection[str]) -> SandboxResult:
    """What came out of a sandbox without the values of secrets, and without files that hold one."""
    found = {path: "it holds the value of a secret" for path, file in ended.changed.items()
             if contains_secret(file.data, secrets)}  # fmt: skip
    kept = {path: file for path, file in ended.changed.items() if path not in found}
    return replace(ended, output=redacted(ended.output, secrets), changed=kept,
                   errors=redacted(ended.errors, secrets),
                   refused={**ended.refused, **found})  # fmt: skip


def _refused(ended: SandboxResult) -> dict[str, str]:
    return {**ended.refused, **dict.fromkeys(ended.ignored, IGNORED)}


def refused_text(made: WorkResult, without: str = "") -> str:
    """Returns which changes of an attempt were left out and why, or "" if none were.

    Args:
        made: the attempt.
        without: a reason whose changes are not listed.
    """
    refused = {path: why for path, why in sorted(made.refused.items()) if why != without}
    names = ", ".join(f"{printable(path)} ({why})" for path, why in list(refused.items())[:5])
    more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
    return f"changes not taken: {names}{more}" if refused else ""


def _model(
    plan: WorkPlan, task: TeamTask, content: Content, tries: int, seed: int,
    speaker: Speaker | None, hear: OnOutput | None,
) -> WorkResult:  # fmt: skip
    """Show a model the task and the files, and let it write files anew until the test passes."""
    if speaker is None:
        prices = plan.worker.dollars_per_million
        speaker = Server(ServerSettings(plan.worker.model, plan.worker.base_url,
                                        dollars_per_million=prices))  # fmt: skip
    gate, shown = Gate(plan, content), _files_for_model(task, content)
    messages = [
        Message("system", SYSTEM_PROMPT),
        Message("user", f"Task: {task.text}\nTest: {task.test}\n\n{shown}"),
    ]  # fmt: skip
    cost, usage = 0, Usage()
    why = "no reply"
    for attempt in range(tries):
        heat = 0.2 * (attempt > 0)
        request = Request(
            tuple(messages), max_tokens=plan.worker.most_tokens, temperature=heat,
            seed=seed + attempt,
        )  # fmt: skip
        reply = speaker.answer([request])[0]
        cost += 1
        usage = usage.plus(reply)
        if reply.refused:
            raise WorkerError(str(reply.error))
        if reply.error is not None:
            return WorkResult(cost=cost, note=reply.error, usage=usage)
        if hear is not None:
            hear(reply.text.encode(errors="replace") + b"\n")
        new = _files_in_reply(reply.text, content)
        layout = TreeLayout(content.entries)
        bad = {path: why for path, file in new.items()
               if (why := gate.why_not(path, file, layout))}  # fmt: skip
        good = {path: file for path, file in new.items() if path not in bad}
        if not good:
            why = "no FILE block in the reply" if not new else ""
        else:
            results = run_tests(
                plan, content.edited(good), [task.test] if task.test else [], [task.test]
            )
            if task.test in results.passed or (not task.test and not results.failed):
                return WorkResult(
                    good, (), cost, f"writes {', '.join(map(printable, good))}", bad, usage
                )
            why = results.problem or f"{task.test} still fails"
        refused = [f"{printable(path)} was not taken: {reason}" for path, reason in bad.items()]
        why = ". ".join(filter(None, [*refused, why]))
        messages += [Message("assistant", reply.text), Message("user", f"{why}. Try again.")]
    return WorkResult(cost=cost, note=why, usage=usage)


def _files_in_reply(reply: str, content: Content) -> dict[str, File]:
    """Path from the top to what a reply writes there; a program stays one.

    A surrogate, which is no text, becomes "?".
    """
    found = {}
    for path, text in _blocks(reply):
        place = content.prefix + path
        known = content.entries.get(place)
        found[place] = File(
            text.encode(errors="replace"), "100755" if known and known.mode == PROGRAM else FILE
        )
    return found


def _blocks(reply: str) -> Iterator[tuple[str, str]]:
    """Path and text of each FILE block that has an end; a fence with a word opens one inside."""
    path = fence = ""
    depth, kept = 0, [""]
    for line in io.StringIO(reply, newline="\n"):
        bare = line.rstrip()
        mark = _FENCE.fullmatch(bare)
        if fence:
            if mark and len(mark[1]) >= len(fence):
                depth += 1 if mark[2].strip() else -1
            if depth:
                kept.append(line)
                continue
            yield path, "".join(kept)
            path = fence = ""
        elif mark and path:
            fence, depth, kept = mark[1], 1, []
        elif named := _NAMED.fullmatch(bare):
            path = named[1].strip("*`\"'").removeprefix("./")
        elif line.strip():
            path = ""  # what stands between a name and a block is no name


def _files_for_model(task: TeamTask, content: Content) -> str:
    """The files that a model is shown: those of the task and its test first."""
    first = [*task.files, task.test.partition("::")[0]]
    paths = [path for path in dict.fromkeys([*first, *sorted(content)]) if path in content]
    shown, room = [], SHOWN_CHARACTERS
    for path in paths:
        text = content[path].decode(errors="replace")
        if "\0" in text or len(text) > room:
            continue
        room -= len(text)
        shown.append(f"FILE: {path}\n```\n{text}```")
    return "\n".join(shown)


def _only_allowed(plan: WorkPlan, made: WorkResult, content: Content) -> WorkResult:
    """The attempt without what it may not change, and without what it left as it was."""
    repository, entries = content.repository, content.entries
    gate, files, refused = Gate(plan, content), {}, dict(made.refused)
    gone = [path for path in made.removed if path in entries]
    refused |= {path: why for path in gone if (why := gate.protects(path))}
    gone = [path for path in gone if path not in refused]
    layout = TreeLayout(entries, gone)
    for path, file in made.files.items():
        known = entries.get(path)
        if known and (known.mode, known.oid) == (file.mode, repository.name_of(file.data)):
            continue
        if why := gate.why_not(path, file, layout):
            refused[path] = why
        elif not _is_litter(path):
            files[path] = file
    return replace(made, files=files, refused=refused, removed=tuple(gone))


def _is_litter(path: str) -> bool:
    parts = Path(path).parts
    return "__pycache__" in parts or ".pytest_cache" in parts or parts[-1].endswith(".pyc")
