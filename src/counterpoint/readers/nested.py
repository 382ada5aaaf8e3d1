"""Records with several decisions each: groups of rollouts, and episodes of several agents.

Start at `nested_of`. The formats:

- ART's trajectory groups: `{"trajectories": [{"reward", "metadata", ...}]}`; each trajectory
  is a rollout;
- rLLM's episodes: `{"episode_id", "task_hash", "training_step", "trajectories": [{"name",
  "reward"}]}`; each trajectory is one agent's part;
- verifiers' episodes: `{"id", "task", "traces": [{"agent": {"name"}, "rewards"}]}`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from counterpoint.errors import LogError
from counterpoint.readers.columns import ONE_AGENT, Decision, Label
from counterpoint.readers.names import LIST, NO_STEP, excerpt, kind_of, parse_reward
from counterpoint.readers.rows import LONGEST_LENIENT_BYTES, Torn, check_label, label_of, lenient

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
        return NestReader(_verifiers_episode, "traces", _VERIFIERS)
    if "trajectories" in is_list and "episode_id" in first:
        return NestReader(_rllm_episode, "trajectories", _RLLM)
    if "trajectories" in is_list:
        return NestReader(_art_group, "trajectories", _ART)
    return None


_ART = (
    "each record's trajectories are read as rollouts of one prompt: prompt = the number of the "
    "record, rollout = the place among the agent's trajectories, agent = metadata.agent, or "
    f"'{ONE_AGENT}' where there is none"
)
_RLLM = (
    "records are read as episodes: prompt = 'task_hash', rollout = 'episode_id', step = "
    "'training_step', agent = the trajectory's 'name', reward = the trajectory's 'reward'"
)
_VERIFIERS = (
    "records are read as episodes: prompt = the group's id or the task's key, rollout = 'id', "
    "agent = the trace's agent, reward components = the trace's 'rewards', each times its weight"
)


class NestReader:
    """Records of one shape, each with a list of runs."""

    def __init__(
        self,
        shape: Callable[[str, Nest, list[Trajectory], int], Iterator[Decision]],
        runs: str,
        guess: str,
    ) -> None:
        self._shape, self._runs, self._guess, self._records = shape, runs, guess, 0
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
    def guesses(self) -> list[str]:
        """Sentences about guessed meanings."""
        return [self._guess]

    @property
    def facts(self) -> list[str]:
        """Sentences about what is absent or not read."""
        return [] if self._has_step else [NO_STEP]

    def _parsed(self, where: str, line: bytes) -> Nest:
        try:
            return self._decoder.decode(line)
        except msgspec.ValidationError as error:
            raise LogError(f"{where}: {error}; wanted records like the first") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
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
    except (msgspec.MsgspecError, RecursionError) as error:
        raise LogError(f"{at}: {error}; wanted JSON") from error


def _label(at: str, name: str, value: object) -> Label:
    label = label_of(f"{at}, column '{name}'", value)
    return check_label(at, name, label)
