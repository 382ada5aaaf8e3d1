"""Names for repeated draws of a prompt in one batch, and default rollouts and turns.

Trainers number the rollouts of a prompt from 0 in each group. Two groups of one prompt would then
look like one group whose rollouts have two rewards each. Start with `distinct_prompts`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from counterpoint.errors import LabelError


def distinct_prompts(
    prompts: Sequence[Any], groups: Sequence[int], keys: Sequence[Hashable]
) -> list[Any]:
    """Returns prompts [N] that differ between two draws of the same prompt.

    The first draw keeps its prompt; a later draw has a text that ends with the number of the draw.

    Args:
        prompts: [N] the prompt of each row.
        groups: [N] the trainer's group of each row; all rows of a group are one draw.
        keys: [N] the author of the row, for example the agent. Groups of one prompt whose keys
            differ belong to the same draw, so that agents stay comparable.
    """
    rows: dict[tuple[int, Any], list[int]] = {}
    for i, (group, prompt) in enumerate(zip(groups, prompts, strict=True)):
        rows.setdefault((group, prompt), []).append(i)
    taken, drawn = set(prompts), dict[Any, int]()
    names, distinct = dict[Any, str](), list(prompts)
    for (_, prompt), members in rows.items():
        made = {(prompt, keys[i]) for i in members}
        # the authors of a group may have had unequally many groups: the next draw is free for all
        draw = max(drawn.get(one, 0) for one in made)
        drawn.update(dict.fromkeys(made, draw + 1))
        if draw:
            name = names.setdefault((prompt, draw), _unused(prompt, draw + 1, taken))
            for i in members:
                distinct[i] = name
    return distinct


def occurrences(*columns: Sequence[Any] | None) -> list[int]:
    """Returns [N] the number of earlier rows with the same values in all columns [N].

    A column that is None has the same value in every row.
    """
    count = next(len(column) for column in columns if column is not None)
    counts: dict[tuple[Any, ...], int] = {}
    places = []
    for i in range(count):
        key = tuple(None if column is None else column[i] for column in columns)
        places.append(counts.get(key, 0))
        counts[key] = places[-1] + 1
    return places


def distinct_rollouts(rollouts: Sequence[Any], *within: Sequence[Any]) -> list[Any]:
    """Returns rollouts [N] that differ between rows with equal values in all columns `within`.

    The first of several equal ones keeps its name; a later one is a text that ends with its place.
    """
    taken = set(rollouts)
    places = occurrences(rollouts, *within)
    return [
        _unused(rollout, place + 1, taken) if place else rollout
        for rollout, place in zip(rollouts, places, strict=True)
    ]


def with_turns(labels: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Returns the labels, and adds `turn` if they have `rollout` without `turn`.

    The trainer decides which rows are one rollout. If an agent has several rows in it, they are its
    turns in their order.

    Args:
        labels: name to [N] values; without `agent` all rows have the same agent.
    """
    columns = dict(labels)
    if "rollout" in columns and "turn" not in columns:
        columns["turn"] = occurrences(
            columns["rollout"], columns.get("prompt"), columns.get("agent")
        )
    return columns


def common_labels(
    rows: Sequence[Mapping[str, Hashable]], names: Sequence[str]
) -> dict[str, list[Hashable]]:
    """Returns the values [N] of each of the names that all rows [N] have."""
    return {name: [row[name] for row in rows] for name in names if all(name in row for row in rows)}


def names_by_number(numbers: Sequence[float], names: Sequence[str], label: str) -> list[str]:
    """Returns the name [N] of each number; without names it is "label_number".

    Trainers whose rows hold only numbers give agents and roles this way.

    Args:
        numbers: [N] numbers from 0.
        names: the names in the order of their numbers, or none.
        label: what is named, for example `agent`.

    Raises:
        LabelError: a number has no name.
    """
    if not names:
        return [f"{label}_{number:.0f}" for number in numbers]
    strange = [one for one in numbers if not (0 <= one < len(names) and one == int(one))]
    if strange:
        raise LabelError(
            f"got {label} {strange[0]} and {len(names)} names; wanted whole numbers from 0 to "
            f"{len(names) - 1}"
        )
    return [names[int(number)] for number in numbers]


def _unused(name: Any, number: int, taken: set[Any]) -> str:
    """Returns `name (number)`, with as many apostrophes as make it differ from all names."""
    made = f"{name} ({number})"
    while made in taken:
        made += "'"
    return made
