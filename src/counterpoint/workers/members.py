"""The workers: a search for edits, any command, or a model; each starts from nothing.

Start with `do_task`; `locate` finds the files that tests run. A command may write its usage of
models in one small JSON file, `{"tokens": 1200, "dollars": 0.03}`, at the path in the environment
variable COUNTERPOINT_USAGE. A number that it does not write is unknown and is never 0.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files as resources

import msgspec

from counterpoint.errors import WorkerError
from counterpoint.speakers.server import Server
from counterpoint.speakers.server_settings import ServerSettings
from counterpoint.speakers.speaker import Message, Reply, Request, Speaker
from counterpoint.workers.gate.checks import guarded_command, run_tests
from counterpoint.workers.gate.gate import Gate
from counterpoint.workers.inside.search import Question
from counterpoint.workers.keys import Redactor, contains_secret, passed_variables, redacted
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.queue.rows import TeamTask
from counterpoint.workers.repository.files import FILE, PROGRAM, File, TreeLayout, escaped_path
from counterpoint.workers.repository.repository import Content
from counterpoint.workers.sandbox.process import OnOutput
from counterpoint.workers.sandbox.sandbox import RESULTS, Limits, SandboxInputs, SandboxResult, run

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
FOLDER, PACKAGE = "/given", "counterpoint_search"
"""Where the programs of a search are inside, and the package that they are there."""
START = f"import sys; sys.path.append({FOLDER!r}); from {PACKAGE}.search import main; main()"
FILES = ("search.py", "edits.py")
VARIABLE = "COUNTERPOINT_USAGE"
ABSENT = f"the command wrote no file at {VARIABLE}"
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Usage:
    """Tokens read and written, and dollars paid; None is unknown."""

    tokens: int | None = 0
    dollars: float | None = 0.0
    problem: str = ""
    """Why a number is unknown."""

    def plus(self, reply: Reply) -> Usage:
        """Returns the usage with that of one more reply of a model."""
        counts = (self.tokens, reply.prompt_tokens, reply.completion_tokens)
        known = [count for count in counts if count is not None]
        tokens = sum(known) if len(known) == len(counts) else None
        cost = reply.cost_dollars
        dollars = None if cost is None or self.dollars is None else self.dollars + cost
        problem = "" if tokens is not None else "the server does not count tokens"
        return Usage(tokens, dollars, self.problem or problem)


@dataclass(frozen=True)
class WorkResult:
    """The result of one attempt; paths are from the top of the repository."""

    files: Mapping[str, File] = field(default_factory=dict)
    """Path to its new file."""
    removed: tuple[str, ...] = ()
    cost: int = 0
    """Tries that it took."""
    note: str = ""
    """Why it failed, or what it did."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Path to why a change is not taken: the path is protected, for example, or ignored."""
    usage: Usage = field(default_factory=Usage)


def do_task(
    plan: WorkPlan, task: TeamTask, content: Content, keep: tuple[str, ...], tries: int, seed: int,
    speaker: Speaker | None = None, on_output: OnOutput | None = None,
) -> WorkResult:  # fmt: skip
    """Works at one task on the files of a commit, with nothing remembered.

    Args:
        plan: has the kind of worker.
        task: the task.
        content: the files of the commit.
        keep: tests that pass and have to go on passing.
        tries: maximum of its cost.
        seed: seed of all random choices.
        speaker: answers instead of the plan's model.
        on_output: called with the output of a command or a model, as it comes.

    Raises:
        WorkerError: the model's server refuses every request: another attempt is in vain.
    """
    if plan.worker.kind == "search":
        result = _search(plan, task, content, keep, tries, seed)
    elif plan.worker.kind == "command":
        result = _command(plan, task, content, on_output)
    else:
        result = _model(plan, task, content, tries, seed, speaker, on_output)
    return _only_allowed(plan, result, content)


def locate(
    plan: WorkPlan, content: Content, tests: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], int]]:
    """Returns each test's files, and in how many ways they could be edited where the test runs.

    The tests are traced in one sandbox. A test without files is one that `search` cannot take.
    """
    if not tests:
        return {}
    answer = _run_search(plan, content, {"locate": list(tests)}, plan.limits)[0]
    locations = {}
    for test in tests:
        one = answer.get(test)
        one = one if isinstance(one, dict) else {}
        files, size = one.get("files", ()), one.get("size", 1)
        locations[test] = (tuple(map(str, files)), size if isinstance(size, int) and size else 1)
    return locations


def _search(
    plan: WorkPlan, task: TeamTask, content: Content, keep: Sequence[str], tries: int, seed: int
) -> WorkResult:
    """Searches for edits that make the task's test pass and break none that has to pass."""
    question: Question = {"test": task.test, "keep": list(keep), "tries": tries, "seed": seed,
                          "think_seconds": plan.worker.think_seconds}  # fmt: skip
    answer, ended = _run_search(plan, content, question, plan.worker_limits)
    cost = answer.get("tries")
    cost = cost if isinstance(cost, int) and 0 <= cost <= tries else tries
    edits = answer.get("edits")
    if answer.get("found") is not True or not isinstance(edits, list):
        reason = str(answer.get("why", "")) or " ".join(ended.errors.split())[-200:]
        return WorkResult(cost=cost, note=ended.stopped or reason or "no edit makes it pass")
    edits = [edit for edit in edits if isinstance(edit, list) and len(edit) == 4]
    paths = {f"{content.prefix}{edit[0]}" for edit in edits}
    files = {path: file for path, file in ended.changed.items() if path in paths}
    note = "edits " + "; ".join(f"{path}: {new!r}" for path, _, _, new in edits)
    return WorkResult(files, cost=cost, note=note)


def _run_search(
    plan: WorkPlan, content: Content, question: Question, limits: Limits
) -> tuple[dict[str, object], SandboxResult]:
    """Returns the answer, which is the last line of the output, and how the run ended."""
    gate, start = Gate(plan, content), len(content.prefix)
    tests = [path[start:] for path in gate.entries
             if path.startswith(content.prefix) and gate.is_edited_by_nobody(path)]  # fmt: skip
    question = {**question, "command": plan.tests, "tests": tests, "seconds": limits.seconds / 3}
    source, inputs = resources("counterpoint.workers.inside"), guarded_command(plan, "", content)[1]
    programs = {f"{FOLDER}/{PACKAGE}/{name}": source.joinpath(name).read_bytes() for name in FILES}
    inputs = replace(
        inputs, stdin=json.dumps(question).encode(), report=False,
        # the search starts pytest itself, and reads no report: the plugin would be in its way
        env={**inputs.env, "PYTEST_ADDOPTS": plan.env.get("PYTEST_ADDOPTS", "")},
        shown={**inputs.shown, **programs, f"{FOLDER}/{PACKAGE}/__init__.py": b""},
    )  # fmt: skip
    ended = run([_python(plan.tests), "-c", START], content, limits, inputs)
    last = (ended.output.strip().splitlines() or [""])[-1]
    try:
        answer = json.loads(last)
    except (ValueError, RecursionError):
        answer = {}
    return answer if isinstance(answer, dict) else {}, ended


def _python(command: str) -> str:
    """Returns the interpreter of a command, or the first `python3` in the sandbox's `PATH`."""
    for word in shlex.split(command):
        folder, name = os.path.split(word)
        if re.fullmatch(r"python[\d.]*", name) and (not folder or folder.startswith("/")):
            return word
        if folder.startswith("/") and name in ("pytest", "py.test"):
            return f"{folder}/python3"
        if "=" not in word:
            break
    return "python3"


def _command(
    plan: WorkPlan, task: TeamTask, content: Content, on_output: OnOutput | None
) -> WorkResult:
    """Runs the plan's command on the task, with the keys that the plan passes to it."""
    values = {"{task}": shlex.quote(task.text), "{test}": shlex.quote(task.test)}
    line = re.sub(r"\{(?:task|test)\}", lambda match: values[match[0]], plan.worker.command)
    wanted = f"This test has to pass: {task.test or '(none)'}"
    text = f"# {task.id}\n\n{task.text}\n\n{wanted}\n".encode()
    command = ["/usr/bin/env", f"{VARIABLE}={RESULTS}", "/bin/sh", "-c", line]
    keys = passed_variables(plan)
    log = Redactor(on_output, keys.values())
    inputs = SandboxInputs(env={**plan.env, **keys}, readable=plan.readable_folders, stdin=text,
                           network=plan.worker.network, untracked={TASK_FILE: text})  # fmt: skip
    ended = run(command, content, plan.worker_limits, inputs, on_output=log.write)
    log.close()
    ended = without_values(ended, keys.values())
    note = f"status {ended.status}: {ended.tail(400)}" if ended.status else ended.tail(400)
    if ended.stopped:
        note = f"stopped by a limit, {ended.stopped}: {ended.tail(400)}"
    if ended.stopped.startswith("disk"):  # its last files may be cut
        return WorkResult({}, (), 1, note, usage=read_usage(ended.results))
    refused = {**ended.refused, **dict.fromkeys(ended.ignored, IGNORED)}
    return WorkResult(ended.changed, ended.removed, 1, note, refused, read_usage(ended.results))


def without_values(ended: SandboxResult, secrets: Collection[str]) -> SandboxResult:
    """Returns what came out of a sandbox without secret values and without files that hold one."""
    leaks = {path: "it holds the value of a secret" for path, file in ended.changed.items()
             if contains_secret(file.data, secrets)}  # fmt: skip
    kept = {path: file for path, file in ended.changed.items() if path not in leaks}
    return replace(ended, output=redacted(ended.output, secrets), changed=kept,
                   errors=redacted(ended.errors, secrets),
                   refused={**ended.refused, **leaks})  # fmt: skip


def refused_text(made: WorkResult, without: str = "") -> str:
    """Returns which changes of an attempt were left out and why, or "" if none were.

    Changes with the reason `without` are not listed.
    """
    refused = {path: why for path, why in sorted(made.refused.items()) if why != without}
    names = ", ".join(f"{escaped_path(path)} ({why})" for path, why in list(refused.items())[:5])
    more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
    return f"changes not taken: {names}{more}" if refused else ""


def _model(
    plan: WorkPlan, task: TeamTask, content: Content, tries: int, seed: int,
    speaker: Speaker | None, on_output: OnOutput | None,
) -> WorkResult:  # fmt: skip
    """Shows a model the task and the files, and lets it write files until the test passes."""
    if speaker is None:
        prices = plan.worker.dollars_per_million
        speaker = Server(ServerSettings(plan.worker.model, plan.worker.base_url,
                                        dollars_per_million=prices))  # fmt: skip
    gate, shown = Gate(plan, content), _files_for_model(task, content)
    messages = [Message("system", SYSTEM_PROMPT),
                Message("user", f"Task: {task.text}\nTest: {task.test}\n\n{shown}")]  # fmt: skip
    usage, why = Usage(), "no reply"
    for cost in range(1, tries + 1):
        # the first reply is the likeliest one; later ones vary, or the model would repeat itself
        request = Request(
            tuple(messages), max_tokens=plan.worker.most_tokens, seed=seed + cost - 1,
            temperature=0.0 if cost == 1 else 0.2,
        )  # fmt: skip
        reply = speaker.answer([request])[0]
        usage = usage.plus(reply)
        if reply.refused:
            raise WorkerError(str(reply.error))
        if reply.error is not None:
            return WorkResult(cost=cost, note=reply.error, usage=usage)
        if on_output is not None:
            on_output(reply.text.encode(errors="replace") + b"\n")
        new = _files_in_reply(reply.text, content)
        layout = TreeLayout(content.entries)
        bad = {path: why for path, file in new.items()
               if (why := gate.why_not(path, file, layout))}  # fmt: skip
        good = {path: file for path, file in new.items() if path not in bad}
        if not good:
            why = "no FILE block in the reply" if not new else ""
        else:
            tests = [task.test] if task.test else []
            results = run_tests(plan, content.edited(good), tests, [task.test])
            if task.test in results.passed or (not task.test and not results.failed):
                note = f"writes {', '.join(map(escaped_path, good))}"
                return WorkResult(good, (), cost, note, bad, usage)
            why = results.problem or f"{task.test} still fails"
        refused = [f"{escaped_path(path)} was not taken: {reason}" for path, reason in bad.items()]
        why = ". ".join(filter(None, [*refused, why]))
        messages += [Message("assistant", reply.text), Message("user", f"{why}. Try again.")]
    return WorkResult(cost=tries, note=why, usage=usage)


def _files_in_reply(reply: str, content: Content) -> dict[str, File]:
    """Returns path from the top to what a reply writes there; a program stays one.

    A surrogate, which is no text, becomes "?".
    """
    files = {}
    for path, text in _blocks(reply):
        place = content.prefix + path
        known = content.entries.get(place)
        mode = PROGRAM if known and known.mode == PROGRAM else FILE
        files[place] = File(text.encode(errors="replace"), mode)
    return files


def _blocks(reply: str) -> Iterator[tuple[str, str]]:
    """Yields path and text of each FILE block that ends; a fence with a word opens one inside."""
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
    """Returns the files that a model is shown: those of the task and its test first."""
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
    """Returns the result without changes that are not allowed, and without unchanged files."""
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
        parts = path.split("/")
        if why := gate.why_not(path, file, layout):
            refused[path] = why
        elif not {"__pycache__", ".pytest_cache"} & {*parts} and not path.endswith(".pyc"):
            files[path] = file
    return replace(made, files=files, refused=refused, removed=tuple(gone))


def read_usage(data: bytes) -> Usage:
    """Returns the usage that a command wrote to its file; without data it wrote none."""
    if not data:
        return Usage(None, None, ABSENT)
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError(f"got {len(data)} bytes, wanted at most {_MOST_BYTES}")
        table = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Usage(None, None, f"the file at {VARIABLE} is no JSON object ({error})")
    tokens, dollars = _amount(table.get("tokens")), _amount(table.get("dollars"))
    amounts = {"tokens": tokens, "dollars": dollars}
    missing = [name for name, value in amounts.items() if value is None]
    problem = f"the file at {VARIABLE} has no number of {' and '.join(missing)}" if missing else ""
    return Usage(None if tokens is None else round(tokens), dollars, problem)


def _amount(value: object) -> float | None:
    """Returns a finite number from 0, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e15 else None  # NaN is in no range
