"""JSON lines to columns: rows of one decision, or groups of one agent's rollouts.

A row is `{"prompt", "rollout", "agent", "reward"}`, or `"rewards": {component: number}`. A group
is `{"prompt_id", "agent", "rewards": [number, ...]}`: each element is a rollout, and lines with
the same prompt_id and different agents line up by position. A prompt that comes back for the
same agent (and step, turn, role, context) starts new rollouts.
"""

from __future__ import annotations

import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from counterpoint.errors import LogError
from counterpoint.readers.columns import Columns, Label, missing
from counterpoint.readers.lines import Block, TornLogWarning

LONGEST_LENIENT_BYTES = 2**20
"""Lines up to here that the strict parser refuses are parsed again, for NaN and for the message."""

LONGEST_REWARDS_BYTES = 8 * 2**20
"""The longest list or mapping of rewards in one line: it bounds the memory that a line takes."""

_Label = Label | None | UnsetType


class Record(msgspec.Struct, gc=False):
    """One line. Other keys are ignored."""

    prompt: _Label = UNSET
    prompt_id: _Label = UNSET
    rollout: _Label = UNSET
    agent: _Label = UNSET
    role: _Label = UNSET
    turn: _Label = UNSET
    context: _Label = UNSET
    step: int | UnsetType | None = UNSET
    action: _Label = UNSET
    answer: _Label = UNSET
    reward: float | UnsetType | None = UNSET
    rewards: msgspec.Raw | UnsetType = UNSET


_record = msgspec.json.Decoder(Record)
_components = msgspec.json.Decoder(dict[str, float | None])
_rollouts = msgspec.json.Decoder(list[float | None])

_LABELS = ("role", "turn", "context", "step")


def read_jsonl(blocks: Iterable[Block]) -> Columns:
    """Read every line into columns; warns (`TornLogWarning`) if the last one is incomplete.

    Raises:
        LogError: a line that is no such record, with its number and the column.
    """
    columns, groups = Columns(), Counter[tuple[Any, ...]]()
    for block in blocks:
        for number, line in block.lines():
            where = f"line {number}"
            try:
                record = _parsed(where, line)
            except _Torn as torn:
                if block.unended and columns.rows:
                    _warn(where, columns.rows)
                    break
                raise LogError(str(torn)) from torn
            for labels, rewards in _decisions(where, record, groups):
                columns.add(where, labels, rewards)
    return columns


class _Torn(Exception):
    """A line that is not JSON at all, as the last line of a killed writer is not."""


def _warn(where: str, rows: int) -> None:
    warnings.warn(
        f"{where}: the last line is incomplete and was left out; decisions read: {rows}",
        TornLogWarning,
        stacklevel=5,
    )


def _parsed(where: str, line: bytes) -> Record:
    try:
        return _record.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if len(line) > LONGEST_LENIENT_BYTES:
            kind = LogError if isinstance(error, msgspec.ValidationError) else _Torn
            raise kind(f"{where}: {error}; wanted one JSON object a line") from error
    found = _lenient(where, line)
    if not isinstance(found, dict):
        raise LogError(f"{where}: got {_shown(found)}; wanted a JSON object")
    return Record(**{name: _field(where, name, found[name]) for name in found if name in _FIELDS})


_FIELDS = frozenset(Record.__struct_fields__)


def _lenient(where: str, line: bytes) -> Any:
    """Any JSON value, NaN and Infinity included."""
    try:
        return json.loads(line)
    except RecursionError as error:
        raise LogError(
            f"{where}: got JSON that is nested too deeply; wanted a flat object"
        ) from error
    except UnicodeDecodeError as error:
        raise _Torn(f"{where}: got a character that is cut off") from error
    except ValueError as error:
        at = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise _Torn(f"{where}{at}: got no JSON object ({message}); wanted one a line") from error


def _field(where: str, name: str, value: Any) -> Any:
    """A field of a line that the strict parser refused, checked with a message of our own."""
    at = f"{where}, column '{name}'"
    if name == "reward":
        return _number(at, value)
    if name == "rewards":
        if isinstance(value, dict):
            for key in value:
                _check_text(at, key)
            value = {key: _number(f"{at}, component {key!r}", v) for key, v in value.items()}
        elif isinstance(value, list):
            value = [_number(f"{at}, rollout {i}", v) for i, v in enumerate(value)]
        return value  # already checked, so it stays as it is
    if name == "step" and type(value) is not int and value is not None:
        raise LogError(f"{at}: got {_shown(value)}; wanted an integer")
    if value is not None and (isinstance(value, bool) or not isinstance(value, Label)):
        raise LogError(f"{at}: got {_shown(value)}; wanted a number or text")
    if isinstance(value, str):
        _check_text(at, value)
    return value


def _check_text(at: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LogError(f"{at}: got half of a surrogate pair; wanted valid Unicode text") from error


def _number(at: str, value: Any) -> float | None:
    """A reward as a float; None where it is missing (null or NaN)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LogError(f"{at}: got {_shown(value)}; wanted a number, or null where it is missing")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise LogError(f"{at}: got an infinite reward; wanted a finite number, or null")
    return number


def _decisions(
    where: str, record: Record, groups: Counter[tuple[Any, ...]]
) -> Iterator[tuple[Mapping[str, Label | None], Mapping[str, float]]]:
    """The decisions of one line: labels and rewards by component."""
    labels = _labels(where, record)
    if record.rewards is UNSET:
        if record.reward is UNSET:
            raise LogError(missing(where, "reward"))
        yield labels, {"reward": math.nan if record.reward is None else record.reward}
        return
    if record.reward is not UNSET:
        raise LogError(
            f"{where}: got both 'reward' and 'rewards'; wanted one of them: drop 'reward' to keep "
            "the components"
        )
    rewards = _rewards(where, record.rewards)
    if isinstance(rewards, dict):
        yield labels, {name: math.nan if r is None else r for name, r in rewards.items()}
        return
    if "rollout" in labels:
        raise LogError(
            f"{where}, column 'rollout': got one rollout for a list of rewards; wanted a list "
            "without 'rollout' (each element is a rollout), or {{component: number}}"
        )
    labels.pop("action", None)  # one value for many rollouts says nothing
    key = tuple(labels.items())
    for position, reward in enumerate(rewards):
        rollout = f"{groups[key]}.{position}" if groups[key] else position
        numbered = {"prompt": labels["prompt"], "rollout": rollout, **labels}
        yield numbered, {"reward": math.nan if reward is None else reward}
    groups[key] += 1


def _labels(where: str, record: Record) -> dict[str, Label | None]:
    given: dict[str, _Label] = {
        "prompt": record.prompt_id if record.prompt is UNSET else record.prompt,
        "rollout": record.rollout,
        "agent": record.agent,
        **{name: getattr(record, name) for name in _LABELS},
    }
    for name in ("prompt", "agent"):
        if given[name] is UNSET:
            raise LogError(missing(where, name))
    labels: dict[str, Label | None] = {}
    for name, value in given.items():
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise LogError(f"{where}, column '{name}': got {value}; wanted a number or text")
        if not isinstance(value, UnsetType):
            labels[name] = value
    action = record.answer if record.action is UNSET else record.action
    if not isinstance(action, UnsetType):
        labels["action"] = action
    return labels


def _rewards(where: str, raw: Any) -> dict[str, float | None] | list[float | None]:
    if not isinstance(raw, msgspec.Raw):
        if isinstance(raw, dict | list):
            return raw
        raise LogError(f"{where}, column 'rewards': got {_shown(raw)}; wanted a mapping or a list")
    data = bytes(raw)
    if len(data) > LONGEST_REWARDS_BYTES:
        raise LogError(
            f"{where}, column 'rewards': got {len(data)} bytes; wanted at most "
            f"{LONGEST_REWARDS_BYTES}: write one line a rollout"
        )
    try:
        return _components.decode(data) if data.lstrip()[:1] == b"{" else _rollouts.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if len(data) > LONGEST_LENIENT_BYTES:
            raise LogError(f"{where}, column 'rewards': {error}; wanted numbers or null") from error
        return _rewards(where, _field(where, "rewards", _lenient(where, data)))


def _shown(value: Any) -> str:
    """A value as it looks in a message: short, and on one line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
