"""JSON lines to columns: rows of one decision, groups of one agent's rollouts, or tables.

A row is `{"prompt", "rollout", "agent", "reward"}`, or `"rewards": {component: number}`. A group
is `{"prompt_id", "agent", "rewards": [number, ...]}`: each element is a rollout, and lines with
the same prompt_id and different agents line up by position. If a prompt occurs again for the
same agent (and step, turn, role, context), the record is a group of its own.

A table is one update, as ms-swift writes its completions, with a list for each column:
`{"step": ["3", ...], "prompt": [...], "completion": [...], NAME: [1.0, ...], "advantages": [...]}`.
Other tools' names are in `counterpoint.readers.names`.

A record may also have several decisions, one for each run in a list:

- ART's trajectory groups: `{"trajectories": [{"reward", "metadata", ...}]}`; each trajectory
  is a rollout;
- rLLM's episodes: `{"episode_id", "task_hash", "training_step", "trajectories": [{"name",
  "reward"}]}`; each trajectory is one agent's part;
- verifiers' episodes: `{"id", "task", "traces": [{"agent": {"name"}, "rewards"}]}`.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from counterpoint.errors import LogError
from counterpoint.readers.columns import ONE_AGENT, Columns, Decision, Label, printable
from counterpoint.readers.lines import Block, TornLogWarning
from counterpoint.readers.names import (
    ADVANTAGES,
    LIST,
    NO_STEP,
    TEXTS,
    excerpt,
    kind_of,
    kinds_of,
    parse_reward,
    plan_columns,
    trainer_of,
)
from counterpoint.readers.rows import (
    LONGEST_LENIENT_BYTES,
    RowReader,
    Torn,
    check_label,
    label_of,
    lenient,
)
from counterpoint.settings import NOT_JSON

PEEKED_LINES = 64
"""The number of lines at the start of a log that decide what its columns mean."""

LONGEST_PEEKED_BYTES = 16 * 2**20
"""Longer lines are left out of that decision."""

LONGEST_COLUMN_BYTES = 16 * 2**20
"""The longest list of a table in one line."""

MOST_VALUES = 2**22
"""The most values in such a list; both bound the memory that a line takes."""

MOST_KEYS = 2**18
"""The most keys, at any depth, in a line that is looked at as a whole."""

_shallow = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_jsonl(blocks: Iterable[Block], chosen: Mapping[str, str] | None) -> Columns:
    """Returns the columns of all lines; warns (`TornLogWarning`) if the last line is incomplete.

    Args:
        blocks: the lines.
        chosen: the user's meanings of columns: the log's names to ours.

    Raises:
        LogError: A line is no such record; the message has its number and the column.
    """
    stream = iter(blocks)
    first = next((block for block in stream if any(block.lines())), None)
    if first is None:
        return Columns()
    peeked = list(_peeked(first))
    reader: NestReader | RowReader | TableReader | None = None
    if peeked and not chosen:
        reader = nested_of(peeked[0])
    if reader is None:
        is_tabular = bool(peeked) and is_table(peeked[0])
        rows = transposed("line 1", peeked[0]) if is_tabular else peeked
        kinds = kinds_of({name: kind_of(value) for name, value in row.items()} for row in rows)
        by_row = RowReader(plan_columns(kinds, chosen, trainer_of(rows)), kinds)
        reader = TableReader(by_row) if is_tabular else by_row
    columns = Columns()
    for block in itertools.chain([first], stream):
        for number, line in block.lines():
            where = f"line {number}"
            try:
                for labels, rewards in reader.decisions(where, line):
                    columns.add(where, labels, rewards)
            except Torn as torn:
                if not (block.unended and columns.rows):
                    raise LogError(str(torn)) from torn
                lost = f"{where}: the last line is incomplete and was left out"
                warnings.warn(f"{lost}; decisions read: {columns.rows}", TornLogWarning, 3)
                break
    columns.guesses, columns.facts = reader.guesses, reader.facts
    columns.writer = reader.writer
    return columns


def _peeked(block: Block) -> Iterator[Mapping[str, object]]:
    """Yields the first lines that are JSON objects, with unparsed values if possible."""
    for number, line in itertools.islice(block.lines(), PEEKED_LINES):
        if len(line) > LONGEST_PEEKED_BYTES:
            continue
        try:
            yield shallow(line)
            continue
        except (ValueError, RecursionError):
            if len(line) > LONGEST_LENIENT_BYTES:
                continue
        try:
            record = lenient(f"line {number}", line)
        except (Torn, LogError):
            continue  # the reader of this line raises the error
        if isinstance(record, dict):
            yield record


def shallow(line: bytes) -> dict[str, msgspec.Raw]:
    """Returns a JSON object whose values are not parsed.

    Raises:
        MsgspecError, UnicodeDecodeError, RecursionError: The line is no JSON object, or has NaN.
        ValueError: The object has more than `MOST_KEYS` keys.
    """
    if line.count(b'":') > MOST_KEYS:
        raise ValueError(f"got more than {MOST_KEYS} keys")
    return _shallow.decode(line)


class TableReader:
    """Reads lines that are tables of one update."""

    def __init__(self, rows: RowReader) -> None:
        self._rows, self._lines, self.writer = rows, 0, rows.writer

    def decisions(self, where: str, line: bytes) -> Iterator[Decision]:
        """Yields the decisions of one line: labels, and rewards by component."""
        for i, row in enumerate(transposed(where, _table(where, line))):
            yield from self._rows.of_values(f"{where}, row {i}", row)
        self._lines += 1

    @property
    def guesses(self) -> list[str]:
        """Returns what was guessed, in sentences."""
        tables = f"lines that are tables: {self._lines}; each position of their lists is a row"
        return [tables, *self._rows.guesses]

    @property
    def facts(self) -> list[str]:
        """Returns what is absent or not read, in sentences."""
        return self._rows.facts


def is_table(first: Mapping[str, object]) -> bool:
    """Returns whether a record is a table: its text and its step or advantages are lists."""
    lists = {name for name, value in first.items() if kind_of(value) == LIST}
    return bool(lists.intersection(TEXTS)) and bool(lists.intersection((*ADVANTAGES, "step")))


def _table(where: str, line: bytes) -> Mapping[str, object]:
    try:
        return shallow(line)
    except (ValueError, RecursionError) as error:
        if len(line) > LONGEST_LENIENT_BYTES:
            raise Torn(f"{where}: {error}; wanted one JSON object a line") from error
    table = lenient(where, line)
    if not isinstance(table, dict):
        raise LogError(f"{where}: got {excerpt(table)}; wanted a JSON object")
    return table


def transposed(where: str, table: Mapping[str, object]) -> list[dict[str, object]]:
    """Returns the rows of a table. Texts are replaced by None, except for the prompt."""
    columns: dict[str, list[object]] = {}
    for name, value in table.items():
        if name in TEXTS or kind_of(value) != LIST:
            continue
        columns[name] = _list(f"{where}, column '{printable(name)}'", value)
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        counts = ", ".join(f"{printable(name)} {len(column)}" for name, column in columns.items())
        raise LogError(f"{where}: got lists of different lengths ({counts}); wanted equal ones")
    names = list(columns)
    return [
        dict.fromkeys(name for name in table if name in TEXTS) | dict(zip(names, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _list(at: str, raw: Any) -> list[object]:
    """Returns the values of a list, which may still be JSON text."""
    if isinstance(raw, list):
        return raw
    data = bytes(raw)
    # every value of a short list takes far more memory than its text, so both are bounded
    if len(data) > LONGEST_COLUMN_BYTES or data.count(b",") > MOST_VALUES:
        raise LogError(f"{at}: got {len(data)} bytes; wanted at most {LONGEST_COLUMN_BYTES}")
    try:
        items: list[object] = msgspec.json.decode(data)
    except NOT_JSON as error:
        raise LogError(f"{at}: {error}; wanted a list") from error
    return items


_Scalar = str | int | float | None
_Raw = msgspec.Raw | UnsetType


class Trajectory(msgspec.Struct, gc=False):
    """One trajectory or trace; other keys are ignored."""

    name: _Scalar = None
    agent: _Raw = UNSET
    reward: float | bool | str | UnsetType | None = UNSET
    rewards: _Raw = UNSET
    metadata: _Raw = UNSET


class Nest(msgspec.Struct, gc=False):
    """One record; other keys are ignored."""

    trajectories: list[Trajectory] | UnsetType = UNSET
    traces: list[Trajectory] | UnsetType = UNSET
    id: _Scalar = None
    episode_id: _Scalar = None
    training_step: int | UnsetType | None = UNSET
    task: _Raw = UNSET
    task_hash: _Scalar = None
    group: _Raw = UNSET


def nested_of(first: Mapping[str, object]) -> NestReader | None:
    """Returns the reader of a log with this first record; None if a line is one decision."""
    is_list = {name for name, value in first.items() if kind_of(value) == LIST}
    if first.keys() & {"reward", "rewards"}:
        return None
    if "traces" in is_list:
        return NestReader(
            _verifiers_episode,
            "traces",
            "records are read as episodes: prompt = the group's id or the task's key, rollout = "
            "'id', agent = the trace's agent, reward components = the trace's 'rewards', each "
            "times its weight",
            "verifiers",
        )
    if "trajectories" in is_list and "episode_id" in first:
        return NestReader(
            _rllm_episode,
            "trajectories",
            "records are read as episodes: prompt = 'task_hash', rollout = 'episode_id', step = "
            "'training_step', agent = the trajectory's 'name', reward = the trajectory's 'reward'",
            "rLLM",
        )
    if "trajectories" in is_list:
        return NestReader(
            _art_group,
            "trajectories",
            "each record's trajectories are read as rollouts of one prompt: prompt = the number "
            "of the record, rollout = the place among the agent's trajectories, agent = "
            f"metadata.agent, or '{ONE_AGENT}' where there is none",
            "ART",
        )
    return None


class NestReader:
    """Records of one shape, each with a list of runs."""

    def __init__(
        self,
        shape: Callable[[str, Nest, list[Trajectory], int], Iterator[Decision]],
        runs: str,
        guess: str,
        writer: str,
    ) -> None:
        self.writer = writer
        self._shape, self._runs, self.guesses, self._records = shape, runs, [guess], 0
        self._has_step = False
        self._decoder = msgspec.json.Decoder(Nest)

    def decisions(self, where: str, line: bytes) -> Iterator[Decision]:
        """Yields the decisions of one line: labels, and rewards by component."""
        nest = self._parsed(where, line)
        runs = nest.traces if self._runs == "traces" else nest.trajectories
        if isinstance(runs, UnsetType):
            raise LogError(f"{where}: got no list of {self._runs}, as earlier records have")
        for labels, rewards in self._shape(where, nest, runs, self._records):
            self._has_step = "step" in labels
            yield labels, rewards
        self._records += 1

    @property
    def facts(self) -> list[str]:
        """Returns sentences about what is absent or not read."""
        return [] if self._has_step else [NO_STEP]

    def _parsed(self, where: str, line: bytes) -> Nest:
        try:
            return self._decoder.decode(line)
        except msgspec.ValidationError as error:
            raise LogError(f"{where}: {error}; wanted records like the first") from error
        except NOT_JSON as error:
            if len(line) > LONGEST_LENIENT_BYTES:
                raise Torn(f"{where}: {error}; wanted one JSON object a line") from error
        try:  # NaN is no JSON: the standard library reads it, and it is written anew as null
            return self._decoder.decode(msgspec.json.encode(lenient(where, line)))
        except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, RecursionError) as error:
            raise LogError(f"{where}: {error}; wanted records like the first") from error


def _art_group(where: str, nest: Nest, runs: list[Trajectory], number: int) -> Iterator[Decision]:
    seen: Counter[Label] = Counter()
    for i, run in enumerate(runs):
        at = f"{where}, trajectory {i}"
        agent = _named(at, run, _parse(at, run.metadata))
        yield (
            {"prompt": number, "rollout": seen[agent], "agent": agent},
            {"reward": _reward(at, run.reward)},
        )
        seen[agent] += 1


def _rllm_episode(
    where: str, nest: Nest, runs: list[Trajectory], number: int
) -> Iterator[Decision]:
    prompt = _parse(where, nest.task) if nest.task_hash is None else nest.task_hash
    prompt = nest.episode_id if prompt is None else prompt
    for i, (agent, rollout, run) in enumerate(_parts(where, runs, nest.episode_id)):
        labels: dict[str, Label | None] = {
            "prompt": _label(where, "task", prompt),
            "rollout": rollout,
            "agent": agent,
        }
        if not isinstance(nest.training_step, UnsetType):
            labels["step"] = nest.training_step
        yield labels, {"reward": _reward(f"{where}, trajectory {i}", run.reward)}


def _verifiers_episode(
    where: str, nest: Nest, runs: list[Trajectory], number: int
) -> Iterator[Decision]:
    group, task = _parse(where, nest.group), _parse(where, nest.task)
    prompt = group.get("id") if isinstance(group, dict) else None
    if prompt is None and isinstance(task, dict):
        prompt = next((task[n] for n in ("key", "hash", "id", "idx") if task.get(n)), task)
    elif prompt is None:
        prompt = task
    for i, (agent, rollout, run) in enumerate(_parts(where, runs, nest.id)):
        yield (
            {"prompt": _label(where, "task", prompt), "rollout": rollout, "agent": agent},
            _weighted(f"{where}, trace {i}", run),
        )


def _parts(
    where: str, runs: list[Trajectory], rollout: _Scalar
) -> Iterator[tuple[Label, Label, Trajectory]]:
    """Yields each run of an episode: its agent, its rollout, and the run.

    An agent that runs again in the same episode gets a rollout of its own.
    """
    episode = _label(where, "rollout", rollout)
    seen: Counter[Label] = Counter()
    for i, run in enumerate(runs):
        at = f"{where}, run {i}"
        agent = _named(at, run, _parse(at, run.agent))
        yield agent, f"{episode} ({seen[agent] + 1})" if seen[agent] else episode, run
        seen[agent] += 1


def _named(at: str, run: Trajectory, about: Any) -> Label:
    """Returns the agent of a run: from its metadata, from its agent, or its name."""
    name: Any = about
    if isinstance(about, dict):
        name = next((about[n] for n in ("agent", "agent_name", "name") if about.get(n)), None)
    if name is None:
        name = run.name
    return ONE_AGENT if name is None else _label(at, "agent", name)


def _weighted(at: str, run: Trajectory) -> dict[str, float]:
    """Returns the rewards of a trace by name; each is a number, or a score times its weight."""
    rewards = _parse(at, run.rewards)
    if rewards is None and not isinstance(run.reward, UnsetType):
        return {"reward": _reward(at, run.reward)}
    if not isinstance(rewards, dict | None):
        raise LogError(f"{at}, rewards: got {excerpt(rewards)}; wanted a mapping")
    weighted = {}
    for name, value in (rewards or {}).items():
        weight = 1.0
        if isinstance(value, dict):
            if "score" in value:
                weight = parse_reward(f"{at}, weight of {name!r}", value.get("weight", 1.0))
            value = value.get("score", value.get("value"))
        weighted[name] = weight * parse_reward(f"{at}, reward {name!r}", value)
    return weighted


def _reward(at: str, value: object) -> float:
    return math.nan if value is UNSET else parse_reward(f"{at}, column 'reward'", value)


def _parse(at: str, raw: _Raw) -> Any:
    """Returns the value of a part that is still JSON text; None if the part is absent."""
    if isinstance(raw, UnsetType):
        return None
    data = bytes(raw)
    if len(data) > LONGEST_LENIENT_BYTES:
        raise LogError(f"{at}: got {len(data)} bytes; wanted at most {LONGEST_LENIENT_BYTES}")
    try:
        return msgspec.json.decode(data)
    except NOT_JSON as error:
        raise LogError(f"{at}: {error}; wanted JSON") from error


def _label(at: str, name: str, value: object) -> Label:
    return check_label(at, name, label_of(f"{at}, column '{name}'", value))
