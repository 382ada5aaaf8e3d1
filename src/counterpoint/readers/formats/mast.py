"""MAST: the trace of a run as one text, with people's or a model's labels."""

from __future__ import annotations

from typing import Any

from counterpoint.errors import LogError
from counterpoint.readers.build import EventFields, Format, episode
from counterpoint.readers.formats import chatdev
from counterpoint.readers.formats.transcripts import FRAMEWORKS, NOTHING, Turns, ag2, unpacked
from counterpoint.records import Episode, Json


def mast(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the turns of a trace, if its framework marks them; else one event, with a doubt."""
    trace = value["trace"]
    inner = trace.get("trajectory") if isinstance(trace, dict) else trace
    if not isinstance(inner, str):
        raise LogError(f"{where}, trace: got {type(inner).__name__}; wanted text")
    framework, labels = str(value["mas_name"]), _labels(value)
    letters = "".join(filter(str.isalnum, framework)).lower()
    log, task = unpacked(inner)
    if letters == "chatdev":
        episode_of_log = chatdev.transcript(log, name, "mast", labels, _about(value))
        if episode_of_log.events:
            return [episode_of_log]
    turns = _turns(letters, inner, log)
    if turns.events:
        return [episode(name, turns.events, "mast", turns.outside, task=turns.task or task,
                        labels=labels, meta=_about(value))]  # fmt: skip
    event: EventFields = {"agent": framework, "kind": "message", "text": inner}
    doubt = (
        f"The trace of {framework} is one text without marks of speakers that are known. It counts "
        "as one message of one member, so findings about members are not reliable."
    )
    return [episode(name, [event], "mast", members=(framework,), task=task, labels=labels,
                    meta=_about(value), doubts=(doubt,))]  # fmt: skip


def _turns(letters: str, trace: str, log: str) -> Turns:
    if letters == "ag2":
        return ag2(trace)
    read = FRAMEWORKS.get(letters)
    return read(log) if read else NOTHING


def _labels(value: dict[str, Any]) -> dict[str, Json]:
    """Returns a model's labels, or the votes of people by failure."""
    labels: dict[str, Json] = {}
    if isinstance(made := value.get("mast_annotation"), dict):
        labels.update(made)
    annotations = value.get("annotations")
    for each in annotations if isinstance(annotations, list) else []:
        if isinstance(each, dict) and isinstance(mode := each.get("failure mode"), str):
            labels[mode.partition("\n")[0]] = [
                vote for key, vote in each.items() if key.startswith("annotator")
            ]
    return labels


def _about(value: dict[str, Any]) -> dict[str, Json]:
    names = ("mas_name", "llm_name", "benchmark_name", "round")
    return {name: value[name] for name in names if value.get(name)}


FORMAT = Format(
    lambda value: isinstance(value, dict) and "mas_name" in value and "trace" in value, mast
)
