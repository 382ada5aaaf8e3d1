"""Rollouts that trainers write: groups of ART, results and episodes of verifiers, rLLM's episodes.

`counterpoint rank` and the audits of decisions read the rewards of the same files; here the
conversations are read. Each member's reward is an event of the kind `reward`. A reward from 0 to 1
of a single member counts as the episode's success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from counterpoint.readers.build import EventFields, Format, episode, finite, list_of, object_of
from counterpoint.readers.content import as_text, error_of
from counterpoint.readers.messages import (
    MEMBERS,
    LoggedMessage,
    facts_of,
    fields_of,
    outsiders,
    parse_messages,
)
from counterpoint.records import Episode, Json

ALONE = "assistant"
"""The member of a run that names none."""


def is_art(value: Any) -> bool:
    """Returns whether a value is a group of ART's, or one trajectory."""
    runs = value.get("trajectories", [value]) if isinstance(value, dict) else None
    first = runs[0] if isinstance(runs, list) and runs else None
    return isinstance(first, dict) and "messages_and_choices" in first


def art(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode for each rollout of a group.

    The trajectories of several agents (`metadata.agent`) that stand at the same place among those
    of their agent are one rollout, as the reader of decisions has it.
    """
    rollouts: list[list[tuple[str, Mapping[str, Any], str]]] = []
    seen: Counter[str] = Counter()
    runs = list_of(value.get("trajectories", [value]), f"{where}, trajectories")
    for i, run in enumerate(runs):
        at = f"{where}, trajectory {i}"
        run = object_of(run, at)
        about = run.get("metadata")
        agent = as_text(about.get("agent")) if isinstance(about, dict) else ""
        agent = agent or ALONE
        if seen[agent] == len(rollouts):
            rollouts.append([])
        rollouts[seen[agent]].append((agent, run, at))
        seen[agent] += 1
    episodes = []
    for i, parts in enumerate(rollouts):
        fields: list[EventFields] = []
        scores: dict[str, float] = {}
        for agent, run, at in parts:
            values = list_of(run.get("messages_and_choices"), f"{at}, messages_and_choices")
            fields += _spoken(parse_messages(values, at), agent)
            reward = _number(run.get("reward"))
            fields += _rewarded(agent, {"reward": reward})
            scores |= _scores(run.get("metrics"), f"{agent}." if len(parts) > 1 else "")
        own = f"{name}-{i}" if len(rollouts) > 1 else name
        members = [agent for agent, _, _ in parts]
        episodes.append(_episode(own, fields, "art", members, scores=scores, run=name))
    return episodes


def is_results(value: Any) -> bool:
    """Returns whether a value is a row of the results of verifiers; older ones have an `id`."""
    return (
        isinstance(value, dict)
        and {"prompt", "completion", "reward"} <= value.keys()
        and ("example_id" in value or {"id", "generation_ms"} <= value.keys())
    )


def results(value: Any, where: str, name: str) -> list[Episode]:
    """Returns the rollout of a row."""
    messages: list[LoggedMessage] = []
    for key, role in (("prompt", "user"), ("completion", "assistant")):
        part = value[key]
        part = [{"role": role, "content": part}] if isinstance(part, str) else part
        messages += parse_messages(list_of(part, f"{where}, {key}"), f"{where}, {key}")
    fields = _spoken(messages, ALONE)
    reward = _number(value.get("reward"))
    fields += _rewarded(ALONE, {"reward": reward})
    usage = facts_of({"usage": value.get("token_usage")})
    meta: dict[str, Json] = {"gold": value.get("answer")}
    for key in ("tokens", "tokens_in"):
        if key in usage:
            meta[key] = usage[key]  # type: ignore[literal-required]
    timing = value.get("timing")
    timing = timing if isinstance(timing, dict) else value
    if (took := finite(timing.get("total_ms"))) is not None:
        meta["total_time"] = took / 1000
    ending = error_of(value.get("error")) or as_text(value.get("stop_condition"))
    if not ending and value.get("is_truncated") is True:
        ending = "truncated"
    task = f"{as_text(value.get('task'))}/{as_text(value.get('example_id', value.get('id')))}"
    return [_episode(name, fields, "verifiers", [ALONE], task=task, meta=meta, ending=ending,
                     scores=_scores(value.get("metrics"), ""))]  # fmt: skip


def is_verifiers(value: Any) -> bool:
    """Returns whether a value is an episode of verifiers."""
    traces = value.get("traces") if isinstance(value, dict) else None
    first = traces[0] if isinstance(traces, list) and traces else None
    return isinstance(first, dict) and "nodes" in first


def verifiers(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode with a member for each trace's agent."""
    timed: list[tuple[float, EventFields]] = []
    members: list[str] = []
    scores: dict[str, float] = {}
    endings = []
    for i, trace in enumerate(list_of(value["traces"], f"{where}, traces")):
        at = f"{where}, trace {i}"
        trace = object_of(trace, at)
        about = trace.get("agent")
        agent = as_text(about.get("name") if isinstance(about, dict) else about) or ALONE
        members.append(agent)
        nodes = [object_of(n, f"{at}, nodes") for n in list_of(trace.get("nodes"), f"{at}, nodes")]
        messages = parse_messages([n.get("message") for n in nodes], at)
        for node, message in zip(nodes, messages, strict=True):
            message.facts = {**facts_of(node), **(message.facts or {})} or None
        last = 0.0
        for each in _spoken(messages, agent):
            last = each.get("seconds") or last
            timed.append((last, each))
        rewards = trace.get("rewards")
        parts = {}
        for key, reward in (rewards if isinstance(rewards, dict) else {}).items():
            number = _number(reward.get("value") if isinstance(reward, dict) else reward)
            parts[str(key)] = number
        timed += [(float("inf"), each) for each in _rewarded(agent, parts)]
        scores |= _scores(trace.get("metrics"), f"{agent}.")
        endings.append(error_of(trace.get("error")) or as_text(trace.get("stop_condition")))
    timed.sort(key=lambda pair: pair[0])
    task, group = value.get("task"), value.get("group")
    names = (
        [task.get(k) for k in ("key", "hash", "id", "idx")] if isinstance(task, dict) else [task]
    )
    meta: dict[str, Json] = {"ok": value.get("ok")} if isinstance(value.get("ok"), bool) else {}
    env = value.get("env")
    if isinstance(env, dict) and isinstance(env.get("id"), str):
        meta["env"] = env["id"]
    return [_episode(
        as_text(value.get("id")) or name, [each for _, each in timed], "verifiers", members,
        task=as_text(next((n for n in names if n is not None), "")), meta=meta, scores=scores,
        run=as_text(group.get("id")) if isinstance(group, dict) else "",
        ending=error_of(value.get("error")) or next(filter(None, endings), ""),
    )]  # fmt: skip


def is_rllm(value: Any) -> bool:
    """Returns whether a value is an episode of rLLM's."""
    runs = value.get("trajectories") if isinstance(value, dict) else None
    first = runs[0] if isinstance(runs, list) and runs else None
    return isinstance(first, dict) and isinstance(first.get("steps"), list)


def rllm(value: Any, where: str, name: str) -> list[Episode]:
    """Returns an episode with a member for each name of a trajectory."""
    fields: list[EventFields] = []
    members: list[str] = []
    for i, run in enumerate(list_of(value["trajectories"], f"{where}, trajectories")):
        at = f"{where}, trajectory {i}"
        run = object_of(run, at)
        agent = as_text(run.get("name")) or ALONE
        members.append(agent)
        before: list[Any] = []
        steps = list_of(run.get("steps") or [], f"{at}, steps")
        for k, step in enumerate(steps):
            step = object_of(step, f"{at}, step {k}")
            chat = step.get("chat_completions")
            if isinstance(chat, list) and chat:
                # a step repeats the conversation so far
                fresh = chat[len(before) :] if chat[: len(before)] == before else chat
                before = chat
            else:
                fresh = _without_chat(step)
            fields += _spoken(parse_messages(fresh, f"{at}, step {k}"), agent)
            if (reward := finite(step.get("reward"))) is not None and len(steps) > 1:
                fields += _rewarded(agent, {"step": reward})
        fields += _rewarded(agent, {"reward": _number(run.get("reward"))})
    task = value.get("task")
    words = (
        [task.get(k) for k in ("question", "problem", "id")] if isinstance(task, dict) else [task]
    )
    correct = value.get("is_correct")
    meta: dict[str, Json] = {}
    if isinstance(value.get("training_step"), int):
        meta["training_step"] = value["training_step"]
    return [_episode(
        as_text(value.get("episode_id", value.get("id"))) or name, fields, "rllm", members,
        task=as_text(next((w for w in words if w is not None), task)), meta=meta,
        scores=_scores(value.get("metrics"), ""), run=as_text(value.get("training_step")),
        success=float(correct) if isinstance(correct, bool) else None,
        ending=as_text(value.get("termination_reason")),
    )]  # fmt: skip


def _without_chat(step: Mapping[str, Any]) -> list[dict[str, Json]]:
    """Returns the messages of a step that has no conversation."""
    messages: list[dict[str, Json]] = []
    if seen := as_text(step.get("observation")):
        messages.append({"role": "user", "content": seen})
    response = as_text(step.get("model_response")) or as_text(step.get("action"))
    messages.append({"role": "assistant", "content": response,
                     "reasoning_content": as_text(step.get("thought"))})  # fmt: skip
    return messages


def _spoken(messages: Sequence[LoggedMessage], agent: str) -> list[EventFields]:
    """Returns the fields of a conversation of one agent."""
    for message in messages:
        if message.role in MEMBERS:
            message.name = agent
    return fields_of(messages)


def _rewarded(agent: str, rewards: Mapping[str, float | None]) -> list[EventFields]:
    """Returns the event of a member's rewards; none if there is no reward."""
    known = {name: reward for name, reward in rewards.items() if reward is not None}
    return [{"agent": agent, "kind": "reward", "reward": known}] if known else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, bool) else finite(value)


def _scores(metrics: Any, start: str) -> dict[str, float]:
    named = {f"{start}{key}": _number(value)
             for key, value in (metrics if isinstance(metrics, dict) else {}).items()}  # fmt: skip
    return {key: value for key, value in named.items() if value is not None}


def _episode(
    name: str, fields: Sequence[EventFields], kind: str, members: Iterable[str], *,
    scores: dict[str, float], task: str = "", run: str = "", success: float | None = None,
    meta: Mapping[str, Json] | None = None, ending: str = "",
) -> Episode:  # fmt: skip
    """Returns the episode; the reward of a single member is its success and its score."""
    team = list(dict.fromkeys(members))
    rewards = [f["reward"]["reward"] for f in fields if "reward" in f.get("reward", {})]
    if len(rewards) == 1:
        scores = {"reward": rewards[0], **scores}
        if success is None and 0 <= rewards[0] <= 1:
            success = rewards[0]
    task = task or next((f.get("text", "") for f in fields if f["agent"] == "user"), "")
    finishes = [f["finish"] for f in fields if f.get("finish")]
    return episode(
        name, fields, kind, outsiders(fields, team), members=team, run=run, task=task,
        success=success, meta=meta, ending=ending or (finishes[-1] if finishes else ""),
        scores=scores,
    )  # fmt: skip


ART = Format(is_art, art)
RESULTS = Format(is_results, results)
EPISODES = Format(is_verifiers, verifiers)
RLLM = Format(is_rllm, rllm)
