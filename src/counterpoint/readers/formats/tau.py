"""tau-bench and tau2-bench: simulations of an agent and a simulated user.

A file of tau-bench is a list of runs, `{"task_id", "reward", "info", "traj", "trial"}`. A file of
tau2 is an object with `simulations`, or one simulation. A conversation by voice has `ticks`, and no
messages. The simulated user is not counted as a team member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from counterpoint.readers.build import Format, finite, list_of, object_of
from counterpoint.readers.content import as_text
from counterpoint.readers.messages import LoggedMessage, chat, parse_messages
from counterpoint.readers.traces import MISSING
from counterpoint.records import Episode, Json


def is_tau(value: Any) -> bool:
    """Returns whether a value is a run of tau-bench, or a list of such runs."""
    runs = value[:3] if isinstance(value, list) else [value]
    return runs != [] and all(
        isinstance(run, dict) and {"task_id", "reward", "traj"} <= set(run) for run in runs
    )


def tau(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each run of tau-bench."""
    episodes = []
    for i, run in enumerate(value if isinstance(value, list) else [value]):
        at = f"{where}, run {i}"
        run = object_of(run, at)
        messages = _messages(run.get("traj"), f"{at}, traj")
        task, trial = as_text(run.get("task_id")), as_text(run.get("trial"))
        reward, about = finite(run.get("reward")), run.get("info")
        info = about if isinstance(about, dict) else {}
        meta: dict[str, Json] = {"trial": trial}
        if (cost := finite(info.get("user_cost"))) is not None:
            meta["user_cost"] = cost
        own = f"{name}-{task}-{trial}" if isinstance(value, list) else name
        episodes.append(chat(
            messages, own, "tau-bench", task=task, success=_success(reward), meta=meta,
            ending=as_text(info.get("error")), scores=_scores(reward, info.get("reward_info")),
        ))  # fmt: skip
    return episodes


def is_tau2(value: Any) -> bool:
    """Returns whether a value is the results of tau2-bench, or one simulation."""
    info = value.get("info") if isinstance(value, dict) else None
    return isinstance(value, dict) and (
        (isinstance(value.get("simulations"), list) and ("tasks" in value or "info" in value))
        or ("tasks" in value and isinstance(info, dict) and "environment_info" in info)
        or (
            {"task_id", "termination_reason"} <= set(value)
            and ("messages" in value or "ticks" in value)
        )
    )


def tau2(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each simulation; newer versions write each into a file of its own."""
    if "simulations" not in value and "tasks" in value:
        return []
    if "simulations" not in value:
        return [_simulation(value, where, name, {}, {})]
    names = {}
    tasks = value.get("tasks")
    for task in tasks if isinstance(tasks, list) else []:
        if isinstance(task, dict):
            names[as_text(task.get("id"))] = task
    info = value.get("info")
    episodes = []
    for i, each in enumerate(list_of(value["simulations"], f"{where}, simulations")):
        at = f"{where}, simulation {i}"
        run = object_of(each, at)
        own = f"{name}-{as_text(run.get('task_id'))}-{as_text(run.get('trial'))}-{i}"
        episodes.append(_simulation(run, at, own, names, info if isinstance(info, dict) else {}))
    return episodes


def _simulation(
    run: Mapping[str, Any], at: str, name: str, tasks: Mapping[str, Any], info: Mapping[str, Any]
) -> Episode:
    values = run.get("messages")
    if values is None:
        values = _spoken(list_of(run.get("ticks"), f"{at}, ticks"), f"{at}, ticks")
    messages = _messages(values, f"{at}, messages")
    if is_unwritten := run.get("messages") is None and not any(m.text for m in messages):
        for message in messages:
            message.facts = {**(message.facts or {}), "meta": MISSING}
    rewards = run.get("reward_info")
    rewards = rewards if isinstance(rewards, dict) else {}
    reward, task = finite(rewards.get("reward")), as_text(run.get("task_id"))
    meta: dict[str, Json] = {}
    for key in ("agent_cost", "user_cost", "duration", "trial", "seed"):
        if (number := finite(run.get(key))) is not None:
            meta[key] = number
    if is_unwritten:
        meta.update(MISSING)
    place = info.get("environment_info")
    if isinstance(place, dict) and isinstance(place.get("domain_name"), str):
        meta["domain"] = place["domain_name"]
    about = tasks.get(task)
    if isinstance(about, dict) and (wanted := about.get("evaluation_criteria")) is not None:
        meta["gold"] = wanted
    return chat(
        messages, name, "tau2-bench", task=task, success=_success(reward), meta=meta,
        ending=as_text(run.get("termination_reason")), scores=_scores(reward, rewards),
    )  # fmt: skip


SIDES = {"agent": "assistant", "user": "user"}
"""Whose chunk a part of a tick is, to the role of the speaker."""


def _spoken(ticks: Sequence[Any], at: str) -> list[Any]:
    """Returns the messages of a conversation by voice, in the order in which they begin.

    A tick has what either side said in a fraction of a second. A message ends if its speaker is
    silent and something else comes before the speaker goes on.
    """
    messages: list[Any] = []
    current: dict[str, dict[str, Any]] = {}
    speaking: dict[str, bool] = {}
    for i, value in enumerate(ticks):
        tick = object_of(value, f"{at} {i}")
        for side, role in SIDES.items():
            chunk = object_of(tick.get(f"{side}_chunk") or {}, f"{at} {i}, {side}_chunk")
            text = as_text(chunk.get("content"))
            is_on = text != "" or chunk.get("contains_speech") is True
            if is_on:
                own = current.get(role)
                if own is None or (not speaking.get(role) and messages[-1] is not own):
                    own = {"role": role, "content": "", "timestamp": tick.get("timestamp")}
                    current[role] = own
                    messages.append(own)
                goes_on = speaking.get(role) or not (text and own["content"])
                own["content"] += text if goes_on else f" {text}"
            speaking[role] = is_on
            if calls := tick.get(f"{side}_tool_calls"):
                messages.append({"role": role, "content": None, "tool_calls": calls,
                                 "timestamp": tick.get("timestamp")})  # fmt: skip
            results = tick.get(f"{side}_tool_results") or []
            messages += list_of(results, f"{at} {i}, {side}_tool_results")
    return messages


def _messages(values: Any, at: str) -> list[LoggedMessage]:
    """Returns the messages; a result that holds several results counts as all of them."""
    flat: list[Any] = []
    spent: list[float | None] = []
    for value in list_of(values, at):
        inner = value.get("tool_messages") if isinstance(value, dict) else None
        for each in inner if isinstance(inner, list) else [value]:
            flat.append(each)
            took = each.get("generation_time_seconds") if isinstance(each, dict) else None
            spent.append(finite(took))
    messages = parse_messages(flat, at)
    for message, seconds in zip(messages, spent, strict=True):
        if seconds is not None:
            message.facts = {**(message.facts or {}), "duration": seconds}
    return messages


def _success(reward: float | None) -> float | None:
    return None if reward is None else min(1.0, max(0.0, reward))


def _scores(reward: float | None, about: Any) -> dict[str, float]:
    """Returns the reward and its parts."""
    scores = {} if reward is None else {"reward": reward}
    parts = about.get("reward_breakdown") if isinstance(about, dict) else None
    for key, part in (parts if isinstance(parts, dict) else {}).items():
        if (number := finite(part)) is not None:
            scores[str(key)] = number
    return scores


FORMAT = Format(is_tau, tau)
TAU2 = Format(is_tau2, tau2)
