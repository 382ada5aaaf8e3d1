"""The rows of a `TeamBatch` as each trainer has them, and the advantages that it trains with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from counterpoint.integrations import art, comlrl, nemo_rl, rllm, slime, tinker, verifiers, verl
from counterpoint.integrations.arrays import normalized
from counterpoint.integrations.draws import occurrences
from counterpoint.integrations.torchrl import AgentAdvantages
from counterpoint.integrations.verl_trainer import output_columns
from counterpoint.testing.situations import AGENTS


def nan(reward):
    return float("nan") if reward is None else reward


def metadata(batch, i, names=("agent", "rollout", "role", "turn")):
    given = {name: getattr(batch, name) for name in names}
    return {name: column[i] for name, column in given.items() if column is not None}


def back(batch, rows, values):
    """The values [N] of rows that were given in another order."""
    whole = np.full(len(batch), np.nan)
    whole[rows] = values
    return whole


def in_slime(batch, credit):
    samples = [
        SimpleNamespace(reward=r, group_index=batch.group[i], index=i, metadata=metadata(batch, i))
        for i, r in enumerate(batch.rewards)
    ]
    return slime.sample_advantages(samples, credit)[1]


def rllm_groups(batch):
    """Groups by task and agent, each with its rows."""
    groups = []
    for (_, prompt, agent), rows in batch.rows_by("group", "prompt", "agent").items():
        runs = [SimpleNamespace(reward=batch.rewards[i], steps=[SimpleNamespace(advantage=None)])
                for i in rows]  # fmt: skip
        idx = [{"rollout_idx": batch.rollout[i]} for i in rows]
        name = prompt if agent is None else f"{prompt}:{agent}"
        groups.append(
            (agent, rows, SimpleNamespace(group_id=name, trajectories=runs, metadata=idx))
        )
    return groups


def in_rllm(batch, credit):
    groups = rllm_groups(batch)
    rllm.advantages_of([group for *_, group in groups], credit)
    values = [one.steps[0].advantage for *_, group in groups for one in group.trajectories]
    return back(batch, [i for _, rows, _ in groups for i in rows], values)


def in_rllm_by_role(batch, credit):
    estimator, whole = rllm.RoleEstimator(credit.scheme), np.full(len(batch), np.nan)
    groups = rllm_groups(batch)
    for agent in dict.fromkeys(agent for agent, *_ in groups):
        own = [(rows, group) for name, rows, group in groups if name == agent]
        rewards = [np.array([nan(t.reward) for t in group.trajectories]) for _, group in own]
        values, _ = estimator(rewards, None, [group for _, group in own])
        for (rows, _), part in zip(own, values, strict=True):
            whole[rows] = part
    return whole


class Trajectory(SimpleNamespace):
    def model_copy(self, update):
        return Trajectory(**{**vars(self), **update})


class Group(SimpleNamespace):
    def __iter__(self):
        return iter(self.trajectories)


def art_groups(batch):
    groups = []
    for rows in batch.rows_by("group").values():
        runs = [
            Trajectory(
                reward=nan(batch.rewards[i]), metrics={}, metadata={"row": i, **metadata(batch, i)}
            )
            for i in rows
        ]
        name = {"prompt": batch.prompt[rows[0]]}
        groups.append(Group(trajectories=runs, metadata=name, exceptions=[], logs=[]))
    return groups


def art_values(batch, groups):
    runs = [one for group in groups for one in group]
    return back(batch, [one.metadata["row"] for one in runs], [one.reward for one in runs])


def in_art(batch, credit):
    """Groups of one agent, of whose rewards ART subtracts the mean."""
    groups = art.credited(art_groups(batch), credit, balance=True)
    for group in groups:
        mean = sum(one.reward for one in group) / len(group.trajectories)
        group.trajectories = [
            one.model_copy({"reward": one.reward - mean}) for one in group if "row" in one.metadata
        ]
    return art_values(batch, groups)


def tinker_groups(batch):
    groups = batch.rows_by("group").values()
    return groups, [
        [
            SimpleNamespace(transitions=[SimpleNamespace(
                reward=nan(batch.rewards[i]), logs=metadata(batch, i))])
            for i in rows
        ]
        for rows in groups
    ]  # fmt: skip


def in_tinker(batch, credit):
    groups, runs = tinker_groups(batch)
    made = [
        SimpleNamespace(
            trajectories_G=part,
            get_total_rewards=lambda rows=rows: [batch.rewards[i] for i in rows],
        )
        for rows, part in zip(groups, runs, strict=True)
    ]
    values = tinker.batch_advantages(made, credit)
    return back(batch, [i for rows in groups for i in rows], [v for part in values for v in part])


def in_tinker_rewards(batch, credit):
    """The group rewards of each prompt, of which tinker-cookbook subtracts the mean."""
    groups, runs = tinker_groups(batch)
    whole = np.full(len(batch), np.nan)
    for rows, part in zip(groups, runs, strict=True):
        rewards = [batch.rewards[i] for i in rows]
        for one in part:
            one.transitions[0].reward = 0.0
        paid = tinker.group_rewards(part, [batch.agent[i] for i in rows], credit.scheme, rewards)
        totals = np.array([final for final, _ in paid])
        whole[rows] = totals - totals.mean()
    return whole


def in_verifiers(batch, credit):
    episodes, rows = [], []
    for (group, rollout), own in batch.rows_by("group", "rollout").items():
        traces = []
        for i in sorted(own, key=lambda i: 0 if batch.turn is None else batch.turn[i]):
            rewards = {} if batch.rewards[i] is None else {
                "own": SimpleNamespace(value=batch.rewards[i], weight=1.0)}  # fmt: skip
            node = SimpleNamespace(sampled=True, mask=[False, True], advantages=None)
            agent = SimpleNamespace(name=batch.agent[i], trainable=True)
            traces.append(SimpleNamespace(agent=agent, ok=True, nodes=[node], rewards=rewards))
            rows.append(i)
        made = SimpleNamespace(id=f"{group}/{rollout}", traces=traces,
                               group=SimpleNamespace(id=group))  # fmt: skip
        episodes.append(made)
    verifiers.assign(episodes, credit)
    values = [one.nodes[0].advantages[0] for episode in episodes for one in episode.traces]
    return back(batch, rows, values)


def verl_tensors(rewards):
    import torch

    paid = torch.zeros(len(rewards), 3)
    paid[:, 1] = torch.tensor([nan(reward) for reward in rewards])
    return paid, torch.ones(len(rewards), 3, dtype=torch.int64)


def in_verl(batch, credit):
    paid, mask = verl_tensors(batch.rewards)
    names = ("agent", "rollout", "role", "turn")
    given = {name: getattr(batch, name) for name in names}
    columns = {name: np.array(c, dtype=object) for name, c in given.items() if c is not None}
    index = np.array([f"u{group}" for group in batch.group], dtype=object)
    values, _ = verl.estimator(credit)(paid, mask, index=index, non_tensor_batch=columns)
    return values[:, 2].tolist()


def in_verl_trainer(batch, credit):
    """Agents and their rewards in the fields of outputs, which verl pays the last reward."""
    paid, mask = verl_tensors([0.0] * len(batch))
    sessions = list(zip(batch.group, batch.rollout, strict=True))
    keys = [f"u{g}_{r}_{k}" for (g, r), k in zip(sessions, occurrences(sessions), strict=True)]
    fields = [
        {"agent_reward": reward, **metadata(batch, i, ("agent", "role", "turn"))}
        for i, reward in enumerate(batch.rewards)
    ]
    index = np.array([f"u{group}" for group in batch.group], dtype=object)
    with verl.rows_of(**output_columns(fields, keys)):
        values, _ = verl.estimator(credit)(paid, mask, index=index)
    return values[:, 2].tolist()


def in_nemo_rl(batch, credit):
    import torch

    given = {name: getattr(batch, name) for name in ("agent", "rollout", "role", "turn")}
    columns = {name: column for name, column in given.items() if column is not None}
    rewards = np.array([nan(reward) for reward in batch.rewards])
    if batch.agent is not None:
        for agent in sorted(set(batch.agent)):
            own = np.where([name == agent for name in batch.agent], rewards, np.nan)
            columns[nemo_rl.PREFIX + agent] = torch.tensor(own, dtype=torch.float32)
    values = nemo_rl.AdvantageEstimator(credit).compute_advantage(
        torch.tensor([[7, group] for group in batch.group]),
        torch.tensor(rewards, dtype=torch.float32), torch.ones(len(batch), 3), columns,
    )  # fmt: skip
    return values[:, 0].tolist()


def grid(batch):
    """The rewards [rollouts, agents], whether each is there, and the place of each row."""
    agents = sorted(set(batch.agent), key=AGENTS.index)
    places = [(r, agents.index(a)) for r, a in zip(batch.rollout, batch.agent, strict=True)]
    table = np.zeros((1 + max(batch.rollout), len(agents)), dtype=np.float32)
    there = np.zeros(table.shape, dtype=bool)
    for place, reward in zip(places, batch.rewards, strict=True):
        table[place], there[place] = nan(reward), True
    return table, there, places, agents


def in_arrays(batch, credit):
    table, there, places, _ = grid(batch)
    values = normalized(table[None], there[None], credit)[0]
    return [values[place] for place in places]


def in_torchrl(batch, credit):
    import torch

    table, there, places, agents = grid(batch)
    given = torch.tensor(table)[..., None]
    values = AgentAdvantages(credit, agents)(given, torch.tensor(there))[..., 0]
    return [float(values[place]) for place in places]


def in_comlrl(batch, credit):
    agents = sorted(set(batch.agent), key=AGENTS.index)
    buffers, rows = {k: [] for k in range(len(agents))}, []
    for (group, agent), own in batch.rows_by("group", "agent").items():
        own = sorted(own, key=lambda i: batch.rollout[i])
        one = SimpleNamespace(
            agent_idx=agents.index(agent), node_env_step=group, turn_idx=0, completions_data=None,
            returns=[batch.rewards[i] for i in own])  # fmt: skip
        buffers[one.agent_idx].append(one)
        rows.append((one, own))
    trainer = SimpleNamespace(
        rollout_buffers=buffers, _apply_reference_kl_to_returns=lambda paid, data: paid
    )
    attached = comlrl._Attached(trainer, credit, agents, None)
    attached.compute(list(buffers))
    values = [value for one, _ in rows for value in attached.values[id(one.returns)]]
    return back(batch, [i for _, own in rows for i in own], values)


ONE_REWARD = {"components": "a row has one reward"}
BY_STEP = {
    **ONE_REWARD,
    "prompts": "a batch of steps has no prompts",
    "twice": "a batch of steps has no prompts",
    "turns": "an agent has one advantage in a step",
    "roles": "agents are an axis",
    "names": "agents are an axis",
}
ROLLOUTS = ("agent_wise,weighting=trajectory", "grpo", "rank")
POOLED = ("grpo_rows", "grpo", "rank", "mappo_pooled")
ADAPTERS = {
    "slime": (in_slime, {
        "peers": ["slime"], "cannot": ONE_REWARD}),
    "rllm": (in_rllm, {
        "peers": ["rllm"], "cannot": {
            **ONE_REWARD, "turns": "each trajectory is a rollout",
            "roles": "the role is the agent", "names": "the id of a group names the agent"}}),
    "rllm, by role": (in_rllm_by_role, {
        "peers": ["rllm"], "refuses": POOLED, "cannot": {
            **ONE_REWARD, "turns": "each trajectory is a rollout",
            "roles": "the role is the agent", "names": "the id of a group names the agent",
            "memory": "each role has a state of its own"}}),
    "art": (in_art, {"peers": ["art"], "cannot": ONE_REWARD}),
    "tinker": (in_tinker, {
        "peers": ["tinker", "tinker_cookbook", "torch"], "cannot": ONE_REWARD}),
    "tinker, in rewards": (in_tinker_rewards, {
        "peers": ["tinker", "tinker_cookbook", "torch"],
        "refuses": ["group_reward_decoupled"], "cannot": {
            **ONE_REWARD, "prompts": "a builder sees the group of one prompt",
            "twice": "a builder sees the group of one prompt", "names": "names are an argument",
            "turns": "rollouts of unequal weight do not sum to 0: refused",
            "uneven": "rollouts of unequal weight do not sum to 0: refused",
            "missing": "so do rollouts that lack a reward", "memory": "refused"}}),
    "verifiers": (in_verifiers, {
        "peers": ["verifiers"], "cannot": {
            **ONE_REWARD, "roles": "a trace names its agent only",
            "names": "a trace names its agent", "numbered": "turns are the order of traces"}}),
    "verl": (in_verl, {"peers": ["verl", "torch"], "cannot": ONE_REWARD}),
    "verl_trainer": (in_verl_trainer, {
        "peers": ["verl", "torch", "transfer_queue"], "cannot": ONE_REWARD}),
    "nemo_rl": (in_nemo_rl, {
        "peers": ["nemo_rl", "torch"], "cannot": {
            **ONE_REWARD, "twice": "equal tokens are one prompt"}}),
    "arrays": (in_arrays, {
        "peers": ["torch", "jax"], "refuses": ROLLOUTS, "cannot": BY_STEP}),
    "torchrl": (in_torchrl, {
        "peers": ["torchrl", "tensordict", "torch"], "refuses": ROLLOUTS, "cannot": {
            **BY_STEP, "missing": "a value estimator gives an advantage to each agent"}}),
    "comlrl": (in_comlrl, {
        "peers": ["comlrl", "torch"], "cannot": {
            **ONE_REWARD, "uneven": "every agent answers every joint sample",
            "twice": "a node is a draw", "turns": "a node is a turn", "roles": "agents are numbers",
            "names": "agents are numbers"}}),
}  # fmt: skip
