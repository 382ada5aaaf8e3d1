"""Who does a task: a search for edits, any command, or a model; each starts from nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from counterpoint.talk.server import Server
from counterpoint.talk.server_settings import ServerSettings
from counterpoint.talk.speaker import Message, Request, Speaker
from counterpoint.team.checks import run_tests
from counterpoint.team.plan import WorkPlan
from counterpoint.team.queue import Task
from counterpoint.team.sandbox import PYTHON, Ended, Limits, run

SEARCHER = ".counterpoint-search.py"
TASK_FILE = "TASK.md"
OURS = (SEARCHER, TASK_FILE)
SHOWN_CHARACTERS = 60_000
TOLD = (
    "You change a program so that a test passes. Answer with whole files, each as a line "
    "`FILE: path` and a block between ``` lines. Change as little as can be."
)
_BLOCK = re.compile(r"^FILE: *+([^\n]++)\n++```[^\n]*+\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Made:
    """What came of one attempt."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """Path to new content."""
    removed: tuple[str, ...] = ()
    """Paths that are to go."""
    cost: int = 0
    """Tries that it took."""
    note: str = ""
    """Why it came to nothing, or what it did."""
    refused: tuple[str, ...] = ()
    """Protected paths that it changed, and whose changes are dropped."""
    tokens: int = 0
    """Read and written by a model."""


def do_task(
    plan: WorkPlan, task: Task, content: Mapping[str, bytes], keep: tuple[str, ...], tries: int,
    seed: int, speaker: Speaker | None = None,
) -> Made:  # fmt: skip
    """Work at one task on the files of a commit, with nothing remembered.

    Args:
        plan: says who works.
        task: what is to be done.
        content: path to content.
        keep: tests that pass and have to.
        tries: what it may cost.
        seed: of all chance.
        speaker: who answers instead of the plan's model.
    """
    kind = plan.worker.kind
    if kind == "search":
        return _allowed(plan, _search(plan, task, content, keep, tries, seed), content)
    if kind == "command":
        return _allowed(plan, _command(plan, task, content), content)
    return _allowed(plan, _model(plan, task, content, tries, seed, speaker), content)


def locate(plan: WorkPlan, content: Mapping[str, bytes], test: str) -> tuple[tuple[str, ...], int]:
    """The files that a test runs, and in how many ways they could be edited there; for `search`."""
    told = _searched(plan, content, {"test": test, "only_locate": True}, plan.limits)[0]
    return tuple(told.get("files", ())), int(told.get("size", 1))


def _searched(
    plan: WorkPlan, content: Mapping[str, bytes], asked: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Any], Ended]:
    script = resources("counterpoint.team").joinpath("search_worker.py").read_bytes()
    ended = run([PYTHON, SEARCHER, json.dumps(dict(asked))], {**content, SEARCHER: script}, limits,
                env=plan.env, readable=plan.readable_folders)  # fmt: skip
    last = (ended.output.strip().splitlines() or [""])[-1]
    try:
        told = json.loads(last)
    except ValueError:
        told = {}
    return told if isinstance(told, dict) else {}, ended


def _search(
    plan: WorkPlan, task: Task, content: Mapping[str, bytes], keep: tuple[str, ...], tries: int,
    seed: int,
) -> Made:  # fmt: skip
    asked = {"test": task.test, "keep": keep, "tries": tries, "seed": seed,
             "think_seconds": plan.worker.think_seconds}  # fmt: skip
    told, ended = _searched(plan, content, asked, plan.limits)
    cost = told.get("tries")
    cost = cost if isinstance(cost, int) and 0 <= cost <= tries else tries
    if not told.get("found"):
        why = ended.stopped or " ".join(ended.errors.split())[-200:] or "no edit makes it pass"
        return Made(cost=cost, note=why)
    edits = "; ".join(f"{path}: {new!r}" for path, _, _, new in told.get("edits", ()))
    return Made(ended.changed, ended.removed, cost, f"edits {edits}")


def _command(plan: WorkPlan, task: Task, content: Mapping[str, bytes]) -> Made:
    line = plan.worker.command.replace("{task}", shlex.quote(task.text)).replace(
        "{test}", shlex.quote(task.test)
    )
    note = f"# {task.id}\n\n{task.text}\n\nThis test has to pass: {task.test or '(none)'}\n"
    given = {**content, TASK_FILE: note.encode()}
    ended = run(["/bin/sh", "-c", line], given, plan.limits, env=plan.env,
                readable=plan.readable_folders, network=plan.worker.network)  # fmt: skip
    said = " ".join((ended.output + " " + ended.errors).split())[-400:]
    if ended.stopped or ended.status != 0:
        return Made(cost=1, note=ended.stopped or f"status {ended.status}: {said}")
    return Made(ended.changed, ended.removed, 1, said)


def _model(
    plan: WorkPlan, task: Task, content: Mapping[str, bytes], tries: int, seed: int,
    speaker: Speaker | None,
) -> Made:  # fmt: skip
    """Show a model the task and the files, and let it write files anew until the test passes."""
    if speaker is None:
        speaker = Server(ServerSettings(plan.worker.model, plan.worker.base_url))
    shown = _shown(task, content)
    messages = [
        Message("system", TOLD),
        Message("user", f"Task: {task.text}\nTest: {task.test}\n\n{shown}"),
    ]  # fmt: skip
    tokens = cost = 0
    why = "no reply"
    for attempt in range(tries):
        heat = 0.2 * (attempt > 0)
        request = Request(
            tuple(messages), max_tokens=plan.worker.most_tokens, temperature=heat,
            seed=seed + attempt,
        )  # fmt: skip
        reply = speaker.answer([request])[0]
        cost += 1
        tokens += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        if reply.error is not None:
            return Made(cost=cost, note=reply.error, tokens=tokens)
        new = {path.strip(): text.encode() for path, text in _BLOCK.findall(reply.text)}
        if not new:
            why = "no FILE block in the reply"
        else:
            results = run_tests(plan, {**content, **_permitted(plan, new)}, [task.test] if task.test
                                else [])  # fmt: skip
            if task.test in results.passed or (not task.test and not results.failed):
                return Made(new, (), cost, f"writes {', '.join(new)}", tokens=tokens)
            why = results.problem or f"{task.test} still fails"
        messages += [Message("assistant", reply.text), Message("user", f"{why}. Try again.")]
    return Made(cost=cost, note=why, tokens=tokens)


def _shown(task: Task, content: Mapping[str, bytes]) -> str:
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


def _permitted(plan: WorkPlan, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if not is_protected(plan, path)}


def _allowed(plan: WorkPlan, made: Made, content: Mapping[str, bytes]) -> Made:
    """The attempt without what it may not change, and without what is ours."""
    gone = tuple(path for path in made.removed if not is_protected(plan, path) and path not in OURS)
    kept = {path: data for path, data in _permitted(plan, made.files).items()
            if path not in OURS and not _is_litter(path) and content.get(path) != data}  # fmt: skip
    touched = [path for path in (*made.files, *made.removed) if path not in OURS]
    refused = tuple(path for path in touched if is_protected(plan, path)
                    and content.get(path) != made.files.get(path))  # fmt: skip
    return Made(kept, gone, made.cost, made.note, refused, made.tokens)


def _is_litter(path: str) -> bool:
    parts = Path(path).parts
    return "__pycache__" in parts or ".pytest_cache" in parts or parts[-1].endswith(".pyc")


def is_protected(plan: WorkPlan, path: str) -> bool:
    """Whether a worker may not change a path."""
    return any(fnmatch(path, pattern) for pattern in plan.protected)
