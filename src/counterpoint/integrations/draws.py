"""Batches that hold one prompt more than once: which rows belong to which draw of it.

Trainers number the rollouts of a prompt from 0 in each group. Two groups of the same prompt would
then look like one group whose rollouts have two rewards each. Start with `distinct_prompts`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any


def distinct_prompts(
    prompts: Sequence[Any], groups: Sequence[int], keys: Sequence[Hashable]
) -> list[Any]:
    """Prompts under which every draw stays a group of its own.

    Args:
        prompts: [N] the prompt of each row.
        groups: [N] the trainer's group of each row; all rows of a group are one draw.
        keys: [N] who made the row, for example the agent. Groups of one prompt whose keys differ
            belong to the same draw, so that agents stay comparable.

    Returns: [N] the prompt; in a later draw it is a text with the number of the draw behind it.
    """
    rows: dict[tuple[int, Any], list[int]] = {}
    for i, (group, prompt) in enumerate(zip(groups, prompts, strict=True)):
        rows.setdefault((group, prompt), []).append(i)
    taken, drawn = set(prompts), dict[Any, int]()
    names, distinct = dict[Any, str](), list(prompts)
    for (_, prompt), members in rows.items():
        made = {(prompt, keys[i]) for i in members}
        draw = max(drawn.get(one, 0) for one in made)
        drawn.update(dict.fromkeys(made, draw + 1))
        if draw:
            name = names.setdefault((prompt, draw), _unused(prompt, draw + 1, taken))
            for i in members:
                distinct[i] = name
    return distinct


def occurrences(*columns: Sequence[Any] | None) -> list[int]:
    """[N] how many earlier rows have the same values in all columns [N]; None has one value."""
    count = next(len(column) for column in columns if column is not None)
    seen: dict[tuple[Any, ...], int] = {}
    places = []
    for i in range(count):
        key = tuple(None if column is None else column[i] for column in columns)
        places.append(seen.get(key, 0))
        seen[key] = places[-1] + 1
    return places


def distinct_rollouts(rollouts: Sequence[Any], *within: Sequence[Any]) -> list[Any]:
    """Rollouts [N] of which no two are alike where all columns `within` [N] are alike.

    The first of several keeps its name; later ones are a text with their place behind it.
    """
    taken = set(rollouts)
    places = occurrences(rollouts, *within)
    return [
        _unused(rollout, place + 1, taken) if place else rollout
        for rollout, place in zip(rollouts, places, strict=True)
    ]


def with_turns(labels: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The labels, with a column `turn` where rollouts are given and turns are not.

    The trainer decides which rows are one rollout. If an agent has several rows in it, they are its
    turns, in their order.

    Args:
        labels: name to [N] values; `agent` is everybody where it is not given.
    """
    columns: dict[str, Any] = dict(labels)
    if "rollout" in columns and "turn" not in columns:
        columns["turn"] = occurrences(
            columns["rollout"], columns.get("prompt"), columns.get("agent")
        )
    return columns


def _unused(name: Any, number: int, taken: set[Any]) -> str:
    """`name (number)`, marked until it is none of the names that the trainer gave."""
    made = f"{name} ({number})"
    while made in taken:
        made += "'"
    return made
