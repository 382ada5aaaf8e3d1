"""inspect_ai: a log of samples, as JSON or as an archive of samples."""

from __future__ import annotations

import json
from typing import Any

from counterpoint.readers.build import Format, finite, list_of, object_of
from counterpoint.readers.messages import chat, parse_messages
from counterpoint.records import Episode


def is_inspect(value: Any) -> bool:
    """Returns whether a value is a log with samples, or one sample of an archive."""
    return isinstance(value, dict) and (
        ("samples" in value and "eval" in value) or {"epoch", "input", "messages"} <= set(value)
    )


def inspect(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each sample; its first score is the success (C right, I wrong)."""
    samples = value.get("samples", [value])
    if samples is None:
        return []
    episodes = []
    for i, sample in enumerate(list_of(samples, f"{where}, samples")):
        at = f"{where}, sample {i}"
        values = list_of(object_of(sample, at).get("messages"), f"{at}, messages")
        messages = parse_messages(values, at)
        given = sample.get("input", "")
        task = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        own = f"{name}-{sample.get('id', i)}-{sample.get('epoch', 1)}"
        success, meta = _score(sample.get("scores")), {"gold": sample.get("target")}
        episodes.append(chat(messages, own, "inspect_ai", task=task, success=success, meta=meta))
    return episodes


_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


def _score(scores: Any) -> float | None:
    first = next(iter(scores.values()), None) if isinstance(scores, dict) else None
    value = first.get("value") if isinstance(first, dict) else first
    return _GRADES.get(value) if isinstance(value, str) else finite(value)


FORMAT = Format(is_inspect, inspect)
