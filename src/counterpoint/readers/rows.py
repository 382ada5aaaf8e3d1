"""One JSON line to its decisions: a row of one decision, or the rewards of one agent's rollouts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET

from counterpoint.errors import LogError
from counterpoint.readers.columns import ONE_AGENT, Decision, Label, missing, plain
from counterpoint.readers.fields import LABELS, Fields, check_label, rewards_in
from counterpoint.readers.kinds import reward_of


class Rows:
    """A line is one decision, or the rewards of one agent's rollouts."""

    def __init__(self, fields: Fields) -> None:
        self._fields, self._plan = fields, fields.plan
        self._groups: Counter[tuple[Any, ...]] = Counter()
        self._numbers: Counter[tuple[Any, ...]] = Counter()
        self._again = 0
        self._is_numbered = self._plan.is_foreign and "rollout" not in self._plan.sources

    @property
    def guesses(self) -> list[str]:
        """What was guessed, in sentences."""
        return list(self._plan.guesses)

    @property
    def facts(self) -> list[str]:
        """What is absent or not read, and groups that came back, in sentences."""
        again = (
            f"records with a prompt that came back for the same agent: {self._again}; each is a "
            "group of its own"
        )
        return [*self._plan.facts, *([again] if self._again else [])]

    def decisions(self, where: str, line: bytes) -> Iterator[Decision]:
        """The decisions of one line: labels and rewards by component."""
        yield from self.of(where, self._fields.record(where, line))

    def of_values(self, where: str, row: Mapping[str, Any]) -> Iterator[Decision]:
        """The decisions of a row whose values are parsed."""
        yield from self.of(where, self._fields.record_of(where, row))

    def of(self, where: str, record: Any) -> Iterator[Decision]:
        """The decisions of one record."""
        labels = self._labels(where, record)
        if self._fields.components:
            yield self._numbered(labels), self._components(where, record)
            return
        if record.rewards is UNSET:
            if record.reward is UNSET:
                raise LogError(self._missing(where, "reward"))
            reward = record.reward
            if type(reward) is not float:
                reward = reward_of(f"{where}, column '{self._source('reward')}'", reward)
            yield self._numbered(labels), {"reward": reward}
            return
        if record.reward is not UNSET:
            raise LogError(
                f"{where}: got both 'reward' and 'rewards'; wanted one of them: drop 'reward' to "
                "keep the components"
            )
        rewards = rewards_in(where, record.rewards)
        if isinstance(rewards, dict):
            named = {
                name: value
                if type(value) is float
                else reward_of(f"{where}, column 'rewards', component {name!r}", value)
                for name, value in rewards.items()
            }
            yield self._numbered(labels), named
            return
        yield from self._group(where, labels, rewards)

    def _group(
        self, where: str, labels: dict[str, Label | None], rewards: list[Any]
    ) -> Iterator[Decision]:
        """The rollouts of one record: a group of its own, where its prompt was there before."""
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
            reward = value
            if type(value) is not float:
                reward = reward_of(f"{where}, column 'rewards', rollout {position}", value)
            yield {**labels, "prompt": prompt, "rollout": position}, {"reward": reward}

    def _components(self, where: str, record: Any) -> dict[str, float]:
        rewards = {}
        for name, field in self._fields.components.items():
            value = getattr(record, field)
            at = f"{where}, column '{plain(self._plan.components[name])}'"
            rewards[name] = math.nan if value is UNSET else reward_of(at, value)
        return rewards

    def _labels(self, where: str, record: Any) -> dict[str, Label | None]:
        labels: dict[str, Label | None] = {}
        for name in LABELS:
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

    def _numbered(self, labels: dict[str, Label | None]) -> dict[str, Label | None]:
        """Give a row that names no rollout the number of its like before it."""
        if self._is_numbered:
            key = tuple(v for name, v in labels.items() if name not in ("action", "rollout"))
            labels["rollout"] = self._numbers[key]
            self._numbers[key] += 1
        return labels

    def _source(self, name: str) -> str:
        return plain(self._plan.sources.get(name, name))

    def _missing(self, where: str, name: str) -> str:
        there = [*self._plan.sources.values(), *self._plan.components.values(), *self._plan.unread]
        return missing(where, self._source(name), there)
