"""Adapters of the newer trainers pass `check_adapter`, with stand-ins for the trainers."""

from __future__ import annotations

import pytest
import stand_in_layouts as layouts

from counterpoint.testing import check_adapter

POOLED = ("grpo_rows", "grpo", "rank", "mappo_pooled")
ONE_REWARD = {"components": "a row has one reward"}
BY_ROW = {
    **ONE_REWARD,
    "uneven": "every row of the dataset has equally many answers",
    "turns": "an answer is one row",
}
PLACE = "counterpoint.integrations."
ADAPTERS = {
    "prime_rl": (layouts.in_prime_rl, {
        "peers": ["prime_rl", "verifiers", "torch"], "cannot": {
            **ONE_REWARD, "prompts": "a group is one prompt", "twice": "a group is one prompt",
            "roles": "a trace names its agent only", "names": "a trace names its agent",
            "numbered": "turns are the order of traces"}}),
    "skyrl": (layouts.in_skyrl, {
        "peers": ["skyrl", "torch", "ray"], "cannot": {
            **ONE_REWARD, "twice": "SkyRL knows rows of a prompt by its uid"}}),
    "agent_lightning": (layouts.in_agent_lightning, {
        "peers": ["agentlightning", "verl", "torch"], "cannot": {
            **ONE_REWARD, "roles": "a request names its agent only",
            "numbered": "turns are the order of requests"}}),
    "areal": (layouts.in_areal, {"peers": ["areal", "torch"], "cannot": ONE_REWARD}),
    "openrlhf": (layouts.in_openrlhf, {"peers": ["openrlhf", "torch", "ray"], "cannot": BY_ROW}),
    "ms_swift": (layouts.in_ms_swift, {
        "peers": ["swift", "torch", "trl"], "cannot": {
            **BY_ROW, "names": "without a column all rows are those of one agent"}}),
    "ms_swift, by request": (layouts.in_ms_swift_requests, {
        "peers": ["swift", "torch", "trl"], "cannot": {
            **ONE_REWARD, "names": "without a column all rows are those of one agent"}}),
    "trl_async": (layouts.in_trl_async, {
        "peers": ["trl", "torch"], "refuses": POOLED, "cannot": {
            **BY_ROW, "memory": "a group is an update", "roles": "a group is one agent's",
            "prompts": "a group is one prompt"}}),
    "nemo_gym": (layouts.in_nemo_gym, {
        "peers": ["nemo_gym"], "cannot": {
            **ONE_REWARD, "turns": "an agent has one reward in a rollout",
            "roles": "a reward names its agent only", "names": "a reward names its agent"}}),
}  # fmt: skip


@pytest.mark.few(3)
@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_of_stand_ins_keep_their_promises(name):
    adapter, given = ADAPTERS[name]
    if name in ("agent_lightning", "areal"):
        pytest.importorskip("torch")
    check_adapter(adapter, module=PLACE + name.partition(",")[0], **given)
