"""One JSON line to its decisions: a row of one decision, or the rewards of one agent's rollouts.

`RowReader` parses a line to a record with our names, checks its labels and rewards, and makes
decisions of it. The strict parser does the work. The standard library parses the lines that it
refuses: they may have NaN or other kinds of numbers, or need an exact message.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from counterpoint.errors import LogError
from counterpoint.readers.columns import (
    ONE_AGENT,
    Decision,
    Label,
    missing_column,
    number_rollout,
    printable,
)
from counterpoint.readers.names import LIST, TABLE, ColumnPlan, excerpt, parse_reward
from counterpoint.records import LABELS
from counterpoint.settings import NOT_JSON

LONGEST_LENIENT_BYTES = 2**20
"""The longest line that is parsed again if the strict parser refuses it."""

LONGEST_REWARDS_BYTES = 8 * 2**20
"""The longest list or mapping of rewards, or prompt, in one line: it bounds a line's memory."""

_Label = Label | None | UnsetType
Reward = float | bool | str | None
"""A reward as JSON has it; `parse_reward` makes it a number."""

_Reward = Reward | UnsetType

_DIGITS = re.compile(r"-?[0-9]{1,18}")
_CONTROL = re.compile(r'[\\"\x00-\x1f]')
"""Characters in a column's name that the strict parser cannot look for."""


# a record lives for one line and holds no cycle, so the collector need not look at it
class Record(msgspec.Struct, gc=False):
    """One line; a line may have other keys, which are ignored."""

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


_LABELS = (*LABELS, "step")
_LABEL_TYPES = str | int | float


class Torn(Exception):
    """A line is not JSON at all, as the last line of a writer that was killed."""


_FIELDS = Record.__struct_fields__
_PLAIN_FIELDS = frozenset(_FIELDS) - {"step", "reward", "rewards"}
"""Labels: a number or plain text in one of them needs no further check."""

_components = msgspec.json.Decoder(dict[str, Reward])
_rollouts = msgspec.json.Decoder(list[Reward])


def lenient(where: str, line: bytes) -> Any:
    """Returns any JSON value, NaN and Infinity included; raises `Torn` if it is no JSON."""
    try:
        return json.loads(line)
    except RecursionError as error:
        raise LogError(
            f"{where}: got JSON that is nested too deeply; wanted a flat object"
        ) from error
    except UnicodeDecodeError as error:
        raise Torn(f"{where}: got a character that is cut off") from error
    except ValueError as error:
        if not isinstance(error, json.JSONDecodeError):  # Python reads no integer so long
            raise LogError(f"{where}: got an integer of more than 4,300 digits") from error
        raise Torn(
            f"{where}, column {error.colno}: got no JSON object ({error.msg}); wanted one a line"
        ) from error


def rewards_in(where: str, raw: object) -> Mapping[str, Reward] | Sequence[Reward]:
    """Returns the value of `rewards`: the reward of each component, or of each rollout."""
    at = f"{where}, column 'rewards'"
    if isinstance(raw, dict | list):
        return raw
    if not isinstance(raw, msgspec.Raw):
        raise LogError(f"{at}: got {excerpt(raw)}; wanted a mapping or a list")
    data = bytes(raw)
    if len(data) > LONGEST_REWARDS_BYTES:
        raise LogError(
            f"{at}: got {len(data)} bytes; wanted at most {LONGEST_REWARDS_BYTES}: write one line "
            "a rollout"
        )
    try:
        return _components.decode(data) if data.lstrip()[:1] == b"{" else _rollouts.decode(data)
    except NOT_JSON as error:
        if len(data) > LONGEST_LENIENT_BYTES:
            raise LogError(f"{at}: {error}; wanted numbers or null") from error
        return rewards_in(where, _checked_rewards(at, lenient(where, data)))


def check_label(where: str, name: str, value: Label | None) -> Label:
    """Returns a label, or raises a LogError if it is null or no finite number."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise LogError(f"{where}, column '{name}': got {value}; wanted a number or text")
    return value


def _checked_rewards(at: str, value: object) -> object:
    if isinstance(value, dict):
        for key in value:
            _check_text(at, key)
        return {key: parse_reward(f"{at}, component {key!r}", v) for key, v in value.items()}
    if isinstance(value, list):
        return [parse_reward(f"{at}, rollout {i}", v) for i, v in enumerate(value)]
    return value


def _step(at: str, value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    if type(value) is not int:
        raise LogError(f"{at}: got {excerpt(value)}; wanted an integer")
    return value


def _check_text(at: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LogError(f"{at}: got half of a surrogate pair; wanted valid Unicode text") from error


def label_of(at: str, value: Any) -> Label | None:
    """Returns a label: a scalar itself; a list or an object as its JSON text, which identifies it.

    It is a LogError if the value is true or false, or cannot be written as JSON again.
    """
    if isinstance(value, list | dict):
        try:
            return msgspec.json.encode(value).decode()
        except (UnicodeEncodeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise LogError(f"{at}: got {type(error).__name__}; wanted plain JSON") from error
    if isinstance(value, bool):
        raise LogError(f"{at}: got {excerpt(value)}; wanted a number or text")
    label: Label | None = value
    return label


class RowReader:
    """Reads lines of one decision, or of the rewards of one agent's rollouts, by a plan."""

    def __init__(self, plan: ColumnPlan, kinds: Mapping[str, set[str]]) -> None:
        self._plan, self.guesses, self.writer = plan, list(plan.guesses), plan.writer
        self._components = {name: f"component_{i}" for i, name in enumerate(plan.components)}
        prompt = plan.sources.get("prompt", "")
        self._is_conversation = bool(kinds.get(prompt, set()) & {LIST, TABLE})
        self._type: type[Any] = Record
        names = {field: field for field in _FIELDS}
        if plan.is_foreign or plan.components or self._is_conversation:
            names, self._type = self._other_names()
        self._by_source = {source: field for field, source in names.items()}
        self._decoder = msgspec.json.Decoder(self._type)
        self._is_readable = not any(_CONTROL.search(name) for name in self._by_source)
        self._groups: Counter[tuple[object, ...]] = Counter()
        self._numbers: Counter[tuple[object, ...]] = Counter()
        self._again = 0
        self._is_numbered = plan.is_foreign and "rollout" not in plan.sources

    @property
    def facts(self) -> list[str]:
        """Returns what is absent or not read, and prompts that occur again, in sentences."""
        again = (
            f"records with a prompt that came back for the same agent: {self._again}; each is a "
            "group of its own"
        )
        return [*self._plan.facts, *([again] if self._again else [])]

    def _other_names(self) -> tuple[dict[str, str], type[Any]]:
        """Returns each field's name in the log, and a struct for them.

        A field without a column gets a name that no column has.
        """
        names = {field: f"no column for {field}" for field in _FIELDS}
        names.update(self._plan.sources)
        names.update({field: self._plan.components[n] for n, field in self._components.items()})
        types: dict[str, object] = dict.fromkeys(_FIELDS, _Label)
        types |= {"reward": _Reward, "rewards": msgspec.Raw | UnsetType}
        types |= {"step": int | str | UnsetType | None}
        if self._is_conversation:
            types["prompt"] = msgspec.Raw | UnsetType
        types |= dict.fromkeys(self._components.values(), _Reward)
        rename = {field: name for field, name in names.items() if not _CONTROL.search(name)}
        fields = [(field, types[field], UNSET) for field in names]
        return names, msgspec.defstruct("Row", fields, rename=rename, gc=False)

    def decisions(self, where: str, line: bytes) -> Iterator[Decision]:
        """Yields the decisions of one line: labels, and rewards by component.

        Raises:
            LogError: A value is of a wrong kind; the message names the column.
            Torn: The line is no JSON.
        """
        record: Any = None
        if self._is_readable:
            try:
                record = self._decoder.decode(line)
            except NOT_JSON as error:
                if len(line) > LONGEST_LENIENT_BYTES:
                    kind = LogError if isinstance(error, msgspec.ValidationError) else Torn
                    raise kind(f"{where}: {error}; wanted one JSON object a line") from error
        if record is None:
            yield from self.of_values(where, lenient(where, line))
            return
        if self._is_conversation and isinstance(record.prompt, msgspec.Raw):
            at, data = f"{where}, column 'prompt'", bytes(record.prompt)
            if len(data) > LONGEST_REWARDS_BYTES:
                raise LogError(
                    f"{at}: got {len(data)} bytes; wanted at most {LONGEST_REWARDS_BYTES}: write "
                    "an id of the prompt"
                )
            try:
                record.prompt = label_of(at, msgspec.json.decode(data))
            except NOT_JSON as error:
                raise LogError(f"{at}: {error}; wanted text or messages") from error
        if isinstance(record.step, str):
            record.step = _step(f"{where}, column '{self._source('step')}'", record.step)
        yield from self._of(where, record)

    def of_values(self, where: str, row: object) -> Iterator[Decision]:
        """Yields the decisions of a row whose values are parsed."""
        if not isinstance(row, dict):
            raise LogError(f"{where}: got {excerpt(row)}; wanted a JSON object")
        named = {
            self._by_source[source]: self._field(where, source, value)
            for source, value in row.items()
            if source in self._by_source
        }
        yield from self._of(where, self._type(**named))

    def _field(self, where: str, source: str, value: object) -> object:
        """Returns a checked field of a line that the strict parser refused or did not parse."""
        name = self._by_source[source]
        is_plain = type(value) in (int, float) or (isinstance(value, str) and value.isascii())
        if is_plain and name in _PLAIN_FIELDS:
            return value
        at = f"{where}, column '{printable(source)}'"
        if name == "reward" or name in self._components.values():
            return parse_reward(at, value)
        if name == "rewards":
            return _checked_rewards(at, value)
        if name == "step" and value is not None:
            return _step(at, value)
        if name == "prompt" and self._is_conversation and isinstance(value, list | dict):
            return label_of(at, value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, _LABEL_TYPES)):
            raise LogError(f"{at}: got {excerpt(value)}; wanted a number or text")
        if isinstance(value, str):
            _check_text(at, value)
        return value

    def _of(self, where: str, record: Any) -> Iterator[Decision]:
        """Yields the decisions of one record, which has the attributes of `Record`."""
        labels = self._labels(where, record)
        rewards: dict[str, float] = {}
        if self._components:
            for name, field in self._components.items():
                value = getattr(record, field)
                at = f"{where}, column '{printable(self._plan.components[name])}'"
                rewards[name] = math.nan if value is UNSET else parse_reward(at, value)
        elif record.rewards is UNSET:
            if record.reward is UNSET:
                raise LogError(self._missing(where, "reward"))
            reward = record.reward
            if type(reward) is not float:  # the place costs more than the reward: only if needed
                reward = parse_reward(f"{where}, column '{self._source('reward')}'", reward)
            rewards["reward"] = reward
        elif record.reward is not UNSET:
            raise LogError(
                f"{where}: got both 'reward' and 'rewards'; wanted one of them: drop 'reward' to "
                "keep the components"
            )
        else:
            several = rewards_in(where, record.rewards)
            if not isinstance(several, Mapping):
                yield from self._group(where, labels, several)
                return
            at = f"{where}, column 'rewards', component"
            for name, value in several.items():
                paid = value if type(value) is float else parse_reward(f"{at} {name!r}", value)
                rewards[name] = paid
        if self._is_numbered:
            number_rollout(labels, self._numbers)
        yield labels, rewards

    def _group(
        self, where: str, labels: dict[str, Label | None], rewards: Sequence[Reward]
    ) -> Iterator[Decision]:
        """Yields the rollouts of one record; if its prompt occurred before, as a new group."""
        if "rollout" in labels:
            raise LogError(
                f"{where}, column 'rollout': got one rollout for a list of rewards; wanted a list "
                "without 'rollout' (each element is a rollout), or {component: number}"
            )
        labels.pop("action", None)  # one value for many rollouts says nothing
        key = tuple(labels.items())
        count, prompt = self._groups[key], labels.get("prompt")
        self._groups[key] += 1
        if "prompt" not in labels:
            prompt = count
        elif count:
            self._again += 1
            prompt = f"{prompt} (group {count + 1})"
        for position, value in enumerate(rewards):
            at = f"{where}, column 'rewards', rollout {position}"
            reward = value if type(value) is float else parse_reward(at, value)
            yield {**labels, "prompt": prompt, "rollout": position}, {"reward": reward}

    def _labels(self, where: str, record: Any) -> dict[str, Label | None]:
        labels: dict[str, Label | None] = {}
        for name in _LABELS:
            value = getattr(record, name)
            if value is UNSET and name == "prompt":
                value = record.prompt_id
            if value is UNSET:
                continue
            if value is None or type(value) is float:
                check_label(where, self._source(name), value)
            labels[name] = value
        if "agent" not in labels:
            if not self._plan.is_foreign or "agent" in self._plan.sources:
                raise LogError(self._missing(where, "agent"))
            labels["agent"] = ONE_AGENT
        action = record.answer if record.action is UNSET else record.action
        if action is not UNSET:
            labels["action"] = action
        return labels

    def _source(self, name: str) -> str:
        return printable(self._plan.sources.get(name, name))

    def _missing(self, where: str, name: str) -> str:
        there = [*self._plan.sources.values(), *self._plan.components.values(), *self._plan.unread]
        return missing_column(where, self._source(name), there)
