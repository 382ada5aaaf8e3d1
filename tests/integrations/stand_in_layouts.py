"""The rows of a `TeamBatch` as the newer trainers have them, and their advantages."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from adapter_layouts import Trajectory, back, metadata, nan

from counterpoint.integrations import (
    agent_lightning,
    areal,
    ms_swift,
    nemo_gym,
    openrlhf,
    prime_rl,
    skyrl,
    trl,
    trl_groups,
    verl,
)
from counterpoint.testing.situations import AGENTS

ROLES = ("coder", "lead")


def in_order(batch, *columns):
    """The rows sorted by columns, turns in their order."""
    turn = batch.turn or [0] * len(batch)
    key = [getattr(batch, name) for name in columns]
    return sorted(range(len(batch)), key=lambda i: (*(column[i] for column in key), turn[i]))


def in_prime_rl(batch, credit):
    rows, order = [], in_order(batch, "group", "rollout")
    for i in order:
        reward = batch.rewards[i]
        part = {} if reward is None else {"own": SimpleNamespace(value=reward, weight=1.0)}
        episode = SimpleNamespace(
            id=f"{batch.group[i]}/{batch.rollout[i]}",
            group=SimpleNamespace(id=batch.group[i]),
            task=None,
        )
        rows.append(
            (episode, SimpleNamespace(agent=SimpleNamespace(name=batch.agent[i]), rewards=part))
        )
    return back(batch, order, prime_rl.group_advantages(rows, credit))


def in_skyrl(batch, credit):
    """Two tokens a row and the reward on the last; the last row is padding."""
    count = len(batch)
    ids = [
        SimpleNamespace(to_string=lambda i=i: f"{batch.prompt[i]}_{batch.rollout[i]}")
        for i in range(count)
    ]
    names = ("agent", "role", "turn")
    output = {
        "trajectory_ids": ids,
        "env_metrics": [metadata(batch, i, names) for i in range(count)],
    }
    rewards = np.zeros((count + 1, 2))
    rewards[:, 1] = [*map(nan, batch.rewards), nan(batch.rewards[0])]
    trained = np.array([True] * count + [False])
    columns = skyrl.row_columns(output, batch.prompt)
    step_wise = batch.turn is not None
    values = skyrl.batch_advantages(rewards, trained, columns, credit, step_wise)
    assert values[count] == 0
    return values[:count]


def lightning_rollouts(batch):
    rollouts = []
    for (group, rollout), rows in batch.rows_by("group", "rollout").items():
        order = sorted(rows, key=lambda i: 0 if batch.turn is None else batch.turn[i])
        events, kept, triplets = [], [], []
        for i in order:
            who = {} if batch.agent is None else {"user": batch.agent[i]}
            request = {"event_type": "model_request", "timestamp": float(i)}
            events.append({**request, "data": {"request": {"model": "m", **who}}})
            kept.append({**request, "data": {"response_token_ids": [1, 2]}})
            triplets.append(i)
            named = {} if batch.agent is None else {"agent": batch.agent[i]}
            events.append({"event_type": "reward", "timestamp": float(i),
                           "data": {"value": batch.rewards[i], **named}})  # fmt: skip
        rollouts.append(
            Trajectory(
                rollout_id=f"r{group}-{rollout}", data_id=f"d{group}", triplets=triplets,
                events=events, triplet_events=kept, final_reward=batch.rewards[order[-1]])
        )  # fmt: skip
    return rollouts


def in_agent_lightning(batch, credit):
    import torch

    needs = credit.scheme.groups_by_agent
    parts, rewards = agent_lightning.by_agent(lightning_rollouts(batch), needs_agent=needs)
    rows = [(part, i) for part in parts for i in part.triplets]
    samples = [part.data_id for part, _ in rows]
    columns = agent_lightning.row_columns(samples, [part.rollout_id for part, _ in rows], rewards)
    paid = torch.zeros(len(rows), 2)  # verl's own rewards are rounded; ours come in a column
    with verl.rows_of(**columns):
        values, _ = verl.estimator(credit)(
            token_level_rewards=paid, response_mask=torch.ones(len(rows), 2), index=samples
        )
    return back(batch, [i for _, i in rows], values[:, 0].numpy())


class PlacesRewards:
    """Does to rewards what AReaL's actor does: normalizes them, if it has a normalization."""

    data_parallel_world_size = 1

    def __init__(self, config):
        self.config, self.actor = config, SimpleNamespace(reward_norm=None)

    def compute_advantages(self, data):
        import torch

        scores = torch.cat([one["rewards"] for one in data])
        return self.actor.reward_norm(scores) if self.actor.reward_norm else scores


def in_areal(batch, credit):
    import torch

    config = SimpleNamespace(reward_norm=None, adv_norm=None, discount=1.0, gae_lambda=1.0)
    actor = areal.with_credit(PlacesRewards, credit.scheme, agents=AGENTS, roles=ROLES)(config)
    actor.team_credit = credit
    groups = list(batch.rows_by("group").values())
    data = []
    for rows in groups:
        one = {"input_ids": torch.zeros(len(rows), 2),
               "rewards": torch.tensor([nan(batch.rewards[i]) for i in rows], dtype=torch.float64),
               "rollout": torch.tensor([batch.rollout[i] for i in rows])}  # fmt: skip
        if batch.agent is not None:
            one["agent"] = torch.tensor([AGENTS.index(batch.agent[i]) for i in rows])
        if batch.role is not None:
            one["role"] = torch.tensor([ROLES.index(batch.role[i]) for i in rows])
        if batch.turn is not None:
            one["turn"] = torch.tensor([batch.turn[i] for i in rows])
        data.append(one)
    values = actor.compute_advantages(data).numpy()
    return back(batch, [i for rows in groups for i in rows], values)


def in_openrlhf(batch, credit):
    """Each row of the dataset is a task and an agent; samples come in two experiences, mixed."""
    names = ("group", "agent") if batch.agent is not None else ("group",)
    order = in_order(batch, *names, "rollout")
    count = len(batch.rows_by(*names)[next(iter(batch.rows_by(*names)))])
    tasks = {name: i for i, name in enumerate(dict.fromkeys(batch.prompt))}
    mixed = [*range(1, len(order), 2), *range(0, len(order), 2)]
    half = len(order) // 2
    experiences = []
    for part in (mixed[:half], mixed[half:]):
        rows = [order[k] for k in part]
        info = {"task": np.array([tasks[batch.prompt[i]] for i in rows], dtype=float)}
        if batch.agent is not None:
            info["agent"] = np.array([AGENTS.index(batch.agent[i]) for i in rows], dtype=float)
        if batch.role is not None:
            info["role"] = np.array([ROLES.index(batch.role[i]) for i in rows], dtype=float)
        experiences.append(SimpleNamespace(
            index=part, info=info, action_mask=np.ones((len(rows), 2)),
            rewards=np.array([nan(batch.rewards[i]) for i in rows], dtype=float)))  # fmt: skip
    experiences = [one for one in experiences if one.index]
    values = openrlhf.experience_advantages(experiences, count, credit, AGENTS, ROLES)
    return back(batch, [order[k] for k in mixed], np.concatenate(values))


def swift_rows(batch, order):
    columns = {"prompt": "task", **{n: n for n in ("agent", "role", "turn", "rollout")}}
    rows = []
    for i in order:
        extra = {"task": batch.prompt[i], **metadata(batch, i, ("agent", "role", "turn"))}
        sample = SimpleNamespace(
            extra=extra, prompt_id=f"p{batch.group[i]}",
            request_id=f"{batch.group[i]}-{batch.rollout[i]}")  # fmt: skip
        rows.append(ms_swift.sample_row(sample, columns))
    return rows, columns


def in_ms_swift(batch, credit):
    """Consecutive rows answer one row of the dataset, which is a task and an agent."""
    order = in_order(batch, "group", "agent", "rollout")
    rows, columns = swift_rows(batch, order)
    count = len(next(iter(batch.rows_by("group", "agent").values())))
    labels = trl.row_labels(rows, columns, count)
    return back(batch, order, credit([nan(batch.rewards[i]) for i in order], labels))


def in_ms_swift_requests(batch, credit):
    """A rollout has as many rows as it made; the trainer knows its request."""
    order = in_order(batch, "group", "rollout")
    rows, columns = swift_rows(batch, order)
    labels = ms_swift.request_labels(rows, columns, 1)
    return back(batch, order, credit([nan(batch.rewards[i]) for i in order], labels))


def in_trl_async(batch, credit):
    made = trl_groups.GroupCredit({"scheme": credit.scheme, "columns": trl.COLUMNS, "options": {}})
    made.credit, whole = credit, np.full(len(batch), np.nan)
    for n, rows in enumerate(batch.rows_by("group", "agent").values()):
        dataset = {"task": [batch.prompt[i] for i in rows]}
        if batch.agent is not None:
            dataset["agent"] = [batch.agent[i] for i in rows]
        whole[rows] = made([[nan(batch.rewards[i])] for i in rows], dataset, n)
    return whole


def in_nemo_gym(batch, credit):
    results, rows = [], []
    for (group, _), own in batch.rows_by("group", "rollout").items():
        named = {batch.agent[i]: batch.rewards[i] for i in own}
        results.append({"_ng_task_index": group, "reward_components": named})
        rows.append({batch.agent[i]: i for i in own})
    values = nemo_gym.result_advantages(results, credit)
    pairs = [(row[a], one[a]) for row, one in zip(rows, values, strict=True) for a in one]
    return back(batch, [i for i, _ in pairs], [value for _, value in pairs])
