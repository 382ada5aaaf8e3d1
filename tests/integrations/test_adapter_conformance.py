"""Every adapter keeps the promises of `check_adapter`; planted defects are found."""

from __future__ import annotations

import adapter_layouts as layouts
import pytest

from counterpoint.testing import check_adapter

ONE_REWARD = {"components": "a row has one reward"}
BY_STEP = {
    **ONE_REWARD,
    "prompts": "a batch of steps has no prompts",
    "twice": "a batch of steps has no prompts",
    "turns": "an agent has one advantage in a step",
    "roles": "agents are an axis",
    "names": "agents are an axis",
}
ROLLOUTS = ("grpo", "rank")
POOLED = ("grpo_rows", "grpo", "rank", "mappo_pooled")
PLACE = "counterpoint.integrations."
ADAPTERS = {
    "slime": (layouts.in_slime, {
        "peers": ["slime"], "cannot": ONE_REWARD}),
    "rllm": (layouts.in_rllm, {
        "peers": ["rllm"], "cannot": {
            **ONE_REWARD, "turns": "each trajectory is a rollout",
            "roles": "the role is the agent", "names": "the id of a group names the agent"}}),
    "rllm, by role": (layouts.in_rllm_by_role, {
        "peers": ["rllm"], "refuses": POOLED, "cannot": {
            **ONE_REWARD, "turns": "each trajectory is a rollout",
            "roles": "the role is the agent", "names": "the id of a group names the agent",
            "memory": "each role has a state of its own"}}),
    "art": (layouts.in_art, {"peers": ["art"], "cannot": ONE_REWARD}),
    "tinker": (layouts.in_tinker, {
        "peers": ["tinker", "tinker_cookbook", "torch"], "cannot": ONE_REWARD}),
    "verifiers": (layouts.in_verifiers, {
        "peers": ["verifiers"], "cannot": {
            **ONE_REWARD, "roles": "a trace names its agent only",
            "names": "a trace names its agent"}}),
    "verl": (layouts.in_verl, {"peers": ["verl", "torch"], "cannot": ONE_REWARD}),
    "verl_trainer": (layouts.in_verl_trainer, {
        "peers": ["verl", "torch", "transfer_queue"], "cannot": ONE_REWARD}),
    "nemo_rl": (layouts.in_nemo_rl, {
        "peers": ["nemo_rl", "torch"], "cannot": {
            **ONE_REWARD, "twice": "equal tokens are one prompt"}}),
    "arrays": (layouts.in_arrays, {
        "peers": ["torch", "jax"], "refuses": ROLLOUTS, "cannot": BY_STEP}),
    "torchrl": (layouts.in_torchrl, {
        "peers": ["torchrl", "tensordict", "torch"], "refuses": ROLLOUTS, "cannot": {
            **BY_STEP, "missing": "a value estimator gives an advantage to each agent"}}),
    "comlrl": (layouts.in_comlrl, {
        "peers": ["comlrl", "torch"], "cannot": {
            **ONE_REWARD, "uneven": "every agent answers every joint sample",
            "twice": "a node is a draw", "turns": "a node is a turn", "roles": "agents are numbers",
            "names": "agents are numbers"}}),
}  # fmt: skip


@pytest.mark.few(4)
@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_keep_their_promises(name):
    adapter, given = ADAPTERS[name]
    if "torch" in given["peers"] or name == "comlrl":
        pytest.importorskip("torch")
    check_adapter(adapter, module=PLACE + name.partition(",")[0], **given)
