"""One line of JSON to a record with our names, and its labels and rewards checked.

The strict parser does the work; a line that it refuses is parsed again by the standard library,
for NaN, for numbers of other kinds, and for a message that says what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from counterpoint.errors import LogError
from counterpoint.readers.columns import Label, plain
from counterpoint.readers.kinds import LIST, TABLE, reward_of, shown
from counterpoint.readers.names import Plan

LONGEST_LENIENT_BYTES = 2**20
"""Lines up to here that the strict parser refuses are parsed again, for NaN and for the message."""

LONGEST_REWARDS_BYTES = 8 * 2**20
"""The longest list or mapping of rewards, or prompt, in one line: it bounds a line's memory."""

_Label = Label | None | UnsetType
_Reward = float | bool | str | UnsetType | None

_DIGITS = re.compile(r"-?[0-9]{1,18}")
_CONTROL = re.compile(r'[\\"\x00-\x1f]')
"""Characters in a column's name that the strict parser cannot look for."""


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
    reward: _Reward = UNSET
    rewards: msgspec.Raw | UnsetType = UNSET


LABELS = ("prompt", "rollout", "agent", "role", "turn", "context", "step")
"""Fields that become labels as they are."""

_LABEL_TYPES = str | int | float


class Torn(Exception):
    """A line that is not JSON at all, as the last line of a killed writer is not."""


class Fields:
    """Parses lines as a plan says. `record` returns objects with the attributes of `Record`."""

    def __init__(self, plan: Plan, kinds: Mapping[str, set[str]]) -> None:
        self.plan = plan
        self.components = {name: f"component_{i}" for i, name in enumerate(plan.components)}
        prompt = plan.sources.get("prompt", "")
        self._is_conversation = bool(kinds.get(prompt, set()) & {LIST, TABLE})
        self._names = {field: field for field in _FIELDS}
        self._type: type[msgspec.Struct] = Record
        if plan.is_foreign or plan.components or self._is_conversation:
            self._names, self._type = self._other_names()
        self._by_source = {source: field for field, source in self._names.items()}
        self._decoder = msgspec.json.Decoder(self._type)
        self._is_readable = not any(_CONTROL.search(name) for name in self._by_source)

    def _other_names(self) -> tuple[dict[str, str], type[msgspec.Struct]]:
        """Fields under the log's names; a field that has no column gets a name that none has."""
        names = {field: f"no column for {field}" for field in _FIELDS}
        names.update(self.plan.sources)
        names.update({field: self.plan.components[n] for n, field in self.components.items()})
        types: dict[str, Any] = dict.fromkeys(_FIELDS, _Label)
        types |= {"reward": _Reward, "rewards": msgspec.Raw | UnsetType}
        types |= {"step": int | str | UnsetType | None}
        if self._is_conversation:
            types["prompt"] = msgspec.Raw | UnsetType
        types |= dict.fromkeys(self.components.values(), _Reward)
        rename = {field: name for field, name in names.items() if not _CONTROL.search(name)}
        fields = [(field, types[field], UNSET) for field in names]
        return names, msgspec.defstruct("Row", fields, rename=rename, gc=False)

    def record(self, where: str, line: bytes) -> Any:
        """The line as a record.

        Raises:
            LogError: a value of a wrong kind, with the column.
            Torn: it is no JSON.
        """
        if not self._is_readable:
            return self.record_of(where, lenient(where, line))
        try:
            record: Any = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if len(line) > LONGEST_LENIENT_BYTES:
                kind = LogError if isinstance(error, msgspec.ValidationError) else Torn
                raise kind(f"{where}: {error}; wanted one JSON object a line") from error
            return self.record_of(where, lenient(where, line))
        if self._is_conversation and isinstance(record.prompt, msgspec.Raw):
            record.prompt = _conversation(where, bytes(record.prompt))
        if isinstance(record.step, str):
            record.step = _step(f"{where}, column '{plain(self._names['step'])}'", record.step)
        return record

    def record_of(self, where: str, found: Any) -> Any:
        """A value that is already parsed as a record."""
        if not isinstance(found, dict):
            raise LogError(f"{where}: got {shown(found)}; wanted a JSON object")
        named = {
            self._by_source[source]: self._field(where, source, value)
            for source, value in found.items()
            if source in self._by_source
        }
        return self._type(**named)

    def _field(self, where: str, source: str, value: Any) -> Any:
        """A field that the strict parser refused or has not seen, with a message of our own."""
        kind = type(value)
        is_plain = kind is int or (kind is str and value.isascii()) or kind is float
        if is_plain and self._by_source[source] in _PLAIN_FIELDS:
            return value
        at, name = f"{where}, column '{plain(source)}'", self._by_source[source]
        if name == "reward" or name in self.components.values():
            return reward_of(at, value)
        if name == "rewards":
            return _checked_rewards(at, value)
        if name == "step" and value is not None:
            return _step(at, value)
        if name == "prompt" and self._is_conversation and isinstance(value, list | dict):
            return json_text(at, value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, _LABEL_TYPES)):
            raise LogError(f"{at}: got {shown(value)}; wanted a number or text")
        if isinstance(value, str):
            _check_text(at, value)
        return value


_FIELDS = Record.__struct_fields__
_PLAIN_FIELDS = frozenset(_FIELDS) - {"step", "reward", "rewards"}
"""Fields that are labels: a number or plain text needs no further look."""

_components = msgspec.json.Decoder(dict[str, float | bool | str | None])
_rollouts = msgspec.json.Decoder(list[float | bool | str | None])


def lenient(where: str, line: bytes) -> Any:
    """Any JSON value, NaN and Infinity included.

    Raises:
        LogError: it is nested too deeply.
        Torn: it is no JSON.
    """
    try:
        return json.loads(line)
    except RecursionError as error:
        raise LogError(
            f"{where}: got JSON that is nested too deeply; wanted a flat object"
        ) from error
    except UnicodeDecodeError as error:
        raise Torn(f"{where}: got a character that is cut off") from error
    except ValueError as error:
        at = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise Torn(f"{where}{at}: got no JSON object ({message}); wanted one a line") from error


def rewards_in(where: str, raw: Any) -> dict[str, Any] | list[Any]:
    """The value of `rewards`: each component's, or each rollout's. `reward_of` reads one of them.

    Raises:
        LogError: it is neither a mapping nor a list of numbers, or too long.
    """
    if not isinstance(raw, msgspec.Raw):
        if isinstance(raw, dict | list):
            return raw
        raise LogError(f"{where}, column 'rewards': got {shown(raw)}; wanted a mapping or a list")
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
        value = _checked_rewards(f"{where}, column 'rewards'", lenient(where, data))
        return rewards_in(where, value)


def check_label(where: str, name: str, value: Label | None) -> None:
    """Refuse a label that is null or no finite number.

    Raises:
        LogError: it is, with the column.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise LogError(f"{where}, column '{name}': got {value}; wanted a number or text")


def json_text(at: str, value: Any) -> str:
    """A list or an object as one text, which identifies it.

    Raises:
        LogError: it holds half of a surrogate pair, a number that is too large, or too many levels.
    """
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise LogError(f"{at}: got {type(error).__name__}; wanted plain JSON") from error


def _checked_rewards(at: str, value: Any) -> Any:
    if isinstance(value, dict):
        for key in value:
            _check_text(at, key)
        return {key: reward_of(f"{at}, component {key!r}", v) for key, v in value.items()}
    if isinstance(value, list):
        return [reward_of(f"{at}, rollout {i}", v) for i, v in enumerate(value)]
    return value


def _step(at: str, value: Any) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    if type(value) is not int:
        raise LogError(f"{at}: got {shown(value)}; wanted an integer")
    return value


def _check_text(at: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LogError(f"{at}: got half of a surrogate pair; wanted valid Unicode text") from error


def _conversation(where: str, data: bytes) -> Label | None:
    """A prompt that may be a list of messages: its text is its identity."""
    if len(data) > LONGEST_REWARDS_BYTES:
        raise LogError(
            f"{where}, column 'prompt': got {len(data)} bytes; wanted at most "
            f"{LONGEST_REWARDS_BYTES}: write an id of the prompt"
        )
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LogError(f"{where}, column 'prompt': {error}; wanted text or messages") from error
    if isinstance(value, list | dict):
        return json_text(f"{where}, column 'prompt'", value)
    if isinstance(value, bool):
        raise LogError(f"{where}, column 'prompt': got {shown(value)}; wanted a number or text")
    prompt: Label | None = value
    return prompt
