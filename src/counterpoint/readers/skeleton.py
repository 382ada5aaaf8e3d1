"""A mapping to edit, for a log of no known format: `skeleton` guesses paths from its keys.

`refusal` says in a sentence what was seen, and which known format is nearest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from counterpoint.errors import LogError
from counterpoint.readers.build import Line
from counterpoint.readers.paths import keys_of, parse_path, values_at

GUESSES: Mapping[str, tuple[str, ...]] = {
    "agent": ("agent", "agent_name", "agent_id", "speaker", "author", "sender", "source", "from",
              "actor", "name", "role", "who", "member", "user"),
    "text": ("text", "content", "body", "message", "output", "response", "msg", "said", "value",
             "data"),
    "to": ("to", "recipient", "receiver", "target", "addressee", "recipients"),
    "kind": ("kind", "type", "event", "event_type", "action_type"),
    "time": ("timestamp", "time", "ts", "created_at", "at", "start_time", "datetime", "date"),
    "duration": ("duration", "elapsed", "seconds", "latency"),
    "tokens": ("completion_tokens", "output_tokens", "tokens_out", "tokens"),
    "tokens_in": ("prompt_tokens", "input_tokens", "tokens_in"),
    "cost": ("cost", "usd", "price", "total_cost"),
    "tool": ("tool", "tool_name", "function_name"),
    "call": ("tool_call_id", "call_id", "call"),
    "error": ("error", "exception", "error_message"),
    "finish": ("finish_reason", "stop_reason", "finish"),
    "thinking": ("thinking", "reasoning", "reasoning_content", "thought"),
}  # fmt: skip
"""Key of the table `[message]` to the names that logs have for it, the best first."""
ABOUT: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "run_id", "episode_id", "session_id", "conversation_id", "trace_id", "task_id"),
    "task": ("task", "question", "prompt", "goal", "query", "instruction"),
    "success": ("success", "passed", "resolved", "correct", "is_correct", "solved", "reward"),
    "ending": ("stop_reason", "termination", "ending", "exit_status", "status"),
    "gold": ("gold", "ground_truth", "expected", "reference", "answer"),
}
"""Key of the table `[episode]` to the names that logs have for it."""
GROUPS = ("session_id", "session", "run_id", "run", "conversation_id", "conversation",
          "episode_id", "episode", "trace_id", "thread_id")  # fmt: skip
"""What the lines of one episode may share."""
FORMATS: Mapping[str, tuple[str, ...]] = {
    "openai": ("role", "content"),
    "autogen": ("source", "content"),
    "langgraph": ("type", "content"),
    "adk": ("author", "content"),
    "camel": ("role_name", "content"),
    "crewai": ("agent", "raw"),
    "counterpoint": ("agent", "kind", "text"),
    "otel": ("attributes", "traceId"),
}
"""Format to the keys that each of its messages has."""
_OBJECT = re.compile(r"(?:[A-Z]\w*+\()?[a-z_]++=(?:['\"\[{]|None|\d)")
"""The start of a message that Python wrote as a text: its class may come first."""
DEEPEST = 6
"""The most keys of a path to the messages."""


class Site(NamedTuple):
    """Where messages stand in a value."""

    path: str
    samples: Sequence[Mapping[str, Any]]
    score: int


def refusal(line: Line) -> str:
    """Returns what a value of no known format holds, which format is nearest, and what to do."""
    if example := _as_text(line.value, DEEPEST):
        return (
            f"got messages that were written as text, such as {example[:60]!r}, so their parts are "
            "lost; write them with json.dumps(..., default=lambda m: m.model_dump())"
        )
    site = _best(line.value)
    keys = {str(key) for key in site.samples[0]} if site else set()
    near, lacks = _nearest(keys)
    what = keys_of(line.value)
    if site and site.path not in ("", "[*]"):
        what += f"; {site.path} holds {keys_of(site.samples[0])}"
    if site is None:
        return f"got JSON of no known format: {what}; wanted objects with messages"
    return (
        f"got JSON of no known format: {what}. The nearest format is {near}, whose messages have "
        f"{lacks} too. Write a mapping: counterpoint import FILE --skeleton -o mapping.toml"
    )


def _as_text(value: Any, deepest: int) -> str:
    """Returns the first message that is a text of Python, as `default=str` writes objects."""
    if isinstance(value, dict):
        inner = value.get("messages")
        for each in inner[:3] if isinstance(inner, list) else ():
            if isinstance(each, str) and _OBJECT.match(each):
                return each
    values = value.values() if isinstance(value, dict) else value
    nested = list(values)[:50] if deepest and isinstance(value, dict | list) else []
    return next(filter(None, (_as_text(each, deepest - 1) for each in nested)), "")


def _nearest(keys: set[str]) -> tuple[str, str]:
    """Returns the format that needs the fewest other keys, and these keys."""
    missing = {name: [key for key in needed if key not in keys] for name, needed in FORMATS.items()}
    name = min(missing, key=lambda each: len(missing[each]) / len(FORMATS[each]))
    return name, " and ".join(missing[name]) or "other values"


def skeleton(lines: Sequence[Line]) -> str:
    """Returns a mapping in TOML for the values of a file, with what their keys suggest.

    Raises:
        LogError: The values are no objects.
    """
    whole: Any = lines[0].value if len(lines) == 1 else [line.value for line in lines]
    site = _best(whole)
    if site is None:
        where = lines[0].path if lines else "the file"
        raise LogError(f"{where}: got {keys_of(whole)}; wanted JSON with a list of messages")
    is_lines = len(lines) > 1
    each, messages = _split(site.path, is_lines)
    holder = next(values_at(whole[0] if is_lines else whole, parse_path(each)), None)
    out = [
        "# A mapping for counterpoint import and audit: --mapping THIS_FILE.",
        "# What it says is a guess from the keys of the log. Correct it, and delete the rest.",
        '# agents = ["agent_*"]  # members, whatever the rules say',
        '# tools = ["search"]  # speakers outside the team',
        "", "[episode]",
    ]  # fmt: skip
    if each:
        out.append(f"each = {_quoted(each)}")
    if messages:
        out.append(f"messages = {_quoted(messages)}")
    leaves = _leaves(site.samples)
    if not each and not messages and (by := next((g for g in GROUPS if g in leaves), None)):
        out.append(f"by = {_quoted(by)}  # the messages of an episode share it")
    out += _guessed(ABOUT, _leaves([holder]) if isinstance(holder, dict) else {}, "id task success")
    guessed = _guessed(GUESSES, leaves, "agent text")
    out += ["", "[message]", *guessed]
    used = {line.partition(" = ")[2].split("  #")[0].strip('"') for line in guessed}
    other = [leaf for leaf in leaves if leaf not in used]
    if other:
        out += ["# other keys of a message: " + ", ".join(other[:20])]
    out += _calls(site.samples)
    kind = next((line.partition(" = ")[2].strip('"') for line in guessed
                 if line.startswith("kind = ")), "")  # fmt: skip
    words = sorted(
        {str(leaf) for sample in site.samples if isinstance(leaf := sample.get(kind), str)}
    )
    if words:
        out += ["", "[kinds]  # message, action, result, answer, handoff, reward, end or ignore",
                *(f'{_quoted(word)} = "message"' for word in words[:20])]  # fmt: skip
    return "\n".join(out) + "\n"


def _guessed(
    names: Mapping[str, Sequence[str]], leaves: Mapping[str, Any], wanted: str
) -> list[str]:
    """Returns a line for each key whose path can be guessed; for others that are wanted, a hint."""
    out = []
    taken: set[str] = set()
    for key, choices in names.items():
        by_name: dict[str, str] = {}
        for leaf in leaves:
            by_name.setdefault(leaf.rpartition(".")[2].lower(), leaf)
        path = next((by_name[c] for c in choices if c in by_name and by_name[c] not in taken), None)
        if path is not None:
            taken.add(path)
            out.append(f"{key} = {_quoted(path)}")
        elif key in wanted.split():
            out.append(f'# {key} = ""')
    return out


def _calls(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the table for calls of tools, if a message has a list of them."""
    for sample in samples:
        for key, value in sample.items():
            if "call" in key and isinstance(value, list) and value and isinstance(value[0], dict):
                leaves = _leaves([value[0]])
                name = next((leaf for leaf in leaves if leaf.endswith("name")), "name")
                text = next((guessed for leaf in leaves if (guessed := _up_to(leaf))), "args")
                return ["", "[call]", f"each = {_quoted(key + '[*]')}", f"tool = {_quoted(name)}",
                        *(['id = "id"'] if "id" in leaves else []),
                        f"text = {_quoted(text)}"]  # fmt: skip
    return []


def _up_to(leaf: str) -> str:
    """Returns the path to the arguments of a call, if a path leads to them or into them."""
    keys = leaf.split(".")
    end = next((i for i, key in enumerate(keys, 1) if "arg" in key or "input" in key), 0)
    return ".".join(keys[:end])


def _best(value: Any) -> Site | None:
    """Returns the list of objects that looks most like messages, the outermost of equals."""
    sites = list(_sites(value, "", DEEPEST))
    return max(sites, key=lambda site: site.score, default=None)


def _sites(value: Any, path: str, deepest: int) -> Iterator[Site]:
    """Yields the lists of objects in a value, and the value itself if it is an object."""
    if isinstance(value, list):
        objects = [each for each in value[:50] if isinstance(each, dict)]
        if objects:
            yield Site(f"{path}[*]", objects, _score(objects))
            if deepest:
                for key in dict.fromkeys(key for each in objects[:5] for key in each):
                    inner = next((each[key] for each in objects if each.get(key)), None)
                    yield from _sites(inner, _joined(f"{path}[*]", key), deepest - 1)
        elif deepest and value and isinstance(value[0], list):
            yield from _sites(value[0], f"{path}[*]", deepest - 1)
    elif isinstance(value, dict):
        if not path:
            yield Site("", [value], _score([value]))
        for key, inner in value.items() if deepest else ():
            yield from _sites(inner, _joined(path, key), deepest - 1)


def _score(objects: Sequence[Mapping[str, Any]]) -> int:
    """Returns how much objects look like messages: a speaker and a text count most."""
    names = {leaf.rpartition(".")[2].lower() for leaf in _leaves(objects[:5])}
    hits = [bool(names & set(choices)) for choices in GUESSES.values()]
    return 20 * hits[0] + 20 * hits[1] + 2 * sum(hits) + min(len(objects), 5)


def _leaves(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the paths to texts, numbers and lists of texts in objects, and a value of each."""
    leaves: dict[str, Any] = {}

    def visit(value: Mapping[str, Any], path: str, deepest: int) -> None:
        for key, inner in value.items():
            here = _joined(path, key)
            if isinstance(inner, dict) and inner and deepest:
                visit(inner, here, deepest - 1)
            elif not (isinstance(inner, list) and inner and isinstance(inner[0], dict)
                      and "text" not in inner[0]):  # fmt: skip
                leaves.setdefault(here, inner)

    for each in objects[:50]:
        visit(each, "", 2)
    return leaves


def _joined(path: str, key: str) -> str:
    """Returns a path with one more key."""
    plain = key and not any(letter in key for letter in ".[]\"'") and not key.startswith("$")
    if not plain:
        quote = "'" if '"' in key else '"'
        return f"{path}[{quote}{key}{quote}]"
    return f"{path}.{key}" if path else key


def _split(path: str, is_lines: bool) -> tuple[str, str]:
    """Returns the path to the episodes and the one to the messages in an episode."""
    if is_lines:
        path = path.removeprefix("[*]").removeprefix(".")
    before, mark, _ = path.removesuffix("[*]").rpartition("[*]")
    if not mark:
        return "", path if path != "[*]" else ""
    return f"{before}[*]", path[len(before) + 3 :].removeprefix(".")


def _quoted(text: str) -> str:
    """Returns a text as TOML has it."""
    return json.dumps(text, ensure_ascii=False)
