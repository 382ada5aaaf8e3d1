"""A step of Agent Lightning's own trainer with two agents: run by test_agent_lightning.py.

    python agent_lightning_check.py FOLDER

Its server, its proxy, its rollout manager, its adapter and verl's estimator are the real ones; a
small program answers as the model server, and the model's own work is left out. Prints one JSON
line.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import torch
import uvicorn
from agentlightning.server.app import create_app
from agentlightning.verl import trainer as module
from fastapi import FastAPI, Request
from omegaconf import OmegaConf

from counterpoint.errors import HookError, LabelError, SettingError
from counterpoint.integrations.agent_lightning import register
from counterpoint.integrations.verl_trainer import STATE

PAID = [
    {"solver": 0.7, "critic": 1000.1}, {"solver": 0.3, "critic": 1002.3},
    {"solver": None, "critic": 1004.7}, {"solver": 0.1, "critic": 1001.9},
]  # fmt: skip
TURNS = [2, 2, 1, 4]
"""How often the critic speaks in each rollout; the solver speaks once, and not in the last. The 12
rows are whole minibatches, so that none is dropped."""


def served(app):
    """Starts a server in a thread, and returns its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{port}"


def model_server():
    """Answers with the tokens of the text that it is sent."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def answer(request: Request):
        body = await request.json()
        tokens = [ord(c) for c in body["messages"][-1]["content"]]
        logprobs = {"content": [{"logprob": -0.5}, {"logprob": -0.25}]}
        choice = {"index": 0, "token_ids": [7, 8], "finish_reason": "stop", "logprobs": logprobs,
                  "message": {"role": "assistant", "content": "ok"}}  # fmt: skip
        return {"prompt_token_ids": tokens, "choices": [choice], "usage": {}}

    return app


def play(address, count, named):
    """The agents: plays the rollouts that are queued."""
    with httpx.Client(base_url=address, timeout=60) as client:
        seen = []
        while len(seen) < count:
            for rollout in client.get("/api/rollouts", params={"state_in": "queuing"}).json():
                name, i = rollout["rollout_id"], len(seen)
                seen.append(name)
                status = f"/api/rollouts/{name}"
                client.patch(status, json={"status": {"state": "running"}}).raise_for_status()
                speakers = ["critic"] * TURNS[i] + ([] if i == 3 else ["solver"])
                for turn, agent in enumerate(speakers):
                    body = {"messages": [{"role": "user", "content": f"{i} {turn} {agent}"}]}
                    body |= {"user": agent} if named else {}
                    path = f"/proxy/rollout/{name}/attempt/0/mode/train/openai/v1/chat/completions"
                    client.post(path, json=body).raise_for_status()
                for agent, reward in PAID[i].items():
                    event = {"event_type": "reward", "data": {"value": reward, "agent": agent}}
                    where = f"/api/rollouts/{name}/attempt/0/events"
                    client.post(where, json=event).raise_for_status()
                client.patch(status, json={"status": {"state": "succeeded"}}).raise_for_status()
            time.sleep(0.05)


def update_actor(trainer, batch):
    trainer.trained.append(batch)
    return SimpleNamespace(meta_info={"metrics": {}})


def made(folder, address, model_address, **algorithm):
    """A trainer without models."""
    cls = module.AgentLightningRayPPOTrainer
    trainer = cls.__new__(cls)
    trainer.config = OmegaConf.create({
        "agentlightning": {
            "agl_base_url": address, "agl_key": "", "rollout_timeout_seconds": 60, "hooks": None,
            "local": {"agent_class": None, "env_map": {}}, "k8s": {"job_template_path": None},
            "trace_aggregator": {"level": "transition"}, "reward_fillna_value": 0.0,
        },
        "actor_rollout_ref": {
            "model": {"path": "m"}, "rollout": {"n": 4, "temperature": 1.0},
            "actor": {"ppo_mini_batch_size": 1, "policy_loss": {"loss_mode": "vanilla"}},
        },
        "data": {"max_prompt_length": 32, "max_response_length": 4},
        "trainer": {"balance_batch": False, "critic_warmup": 0,
                    "default_local_dir": str(folder), "resume_mode": "auto"},
        "algorithm": {"adv_estimator": "counterpoint", "gamma": 1.0, "lam": 1.0,
                      "use_kl_in_reward": False, **algorithm},
    })  # fmt: skip
    trainer.is_async, trainer.global_steps = False, 3
    trainer._hooks = trainer._agl_client = None
    trainer.use_reference_policy = trainer.use_critic = False
    trainer.tokenizer = SimpleNamespace(
        pad_token_id=0, eos_token_id=1, decode=lambda ids, **more: str(ids)
    )
    trainer.llm_server_manager = SimpleNamespace(
        get_addresses=lambda: [model_address + "/v1"], get_replicas=list
    )
    trainer.checkpoint_manager = SimpleNamespace(
        sleep_replicas=lambda: None, update_weights=lambda step: None
    )
    row = {"prompt": np.array(["p"], dtype=object), "idx": torch.zeros(1, 1)}
    trainer._next_train_batch_dict_for_rollout = lambda: row
    trainer._get_gen_batch = lambda batch: batch
    trainer.trained = []
    trainer._compute_old_log_prob = lambda batch: (
        module.DataProto.from_dict(tensors={"old_log_probs": torch.zeros(len(batch), 4)}),
        0.0,
    )
    return trainer


def step(folder, addresses, *, named=True, **algorithm):
    trainer = made(folder, *addresses, **algorithm)
    players = threading.Thread(target=play, args=(addresses[0], len(PAID), named), daemon=True)
    players.start()
    try:
        metrics, _ = trainer._train_step({}, False)
    except (HookError, LabelError, SettingError) as error:
        return type(error).__name__, not trainer.trained
    finally:
        players.join()
    (batch,) = trainer.trained
    return trainer, metrics, batch


def main(folder):
    module.AgentLightningRayPPOTrainer._update_actor = update_actor  # without a model
    compute = module.compute_advantage
    credit = register("counterpoint", "agent_wise", record=folder / "credit.jsonl")
    proxy = {"model_name": "m", "train": {"temperature": 1}, "val": {"temperature": 1}}
    app = create_app(OmegaConf.create({"key": "", "default_proxy": proxy}))
    addresses = served(app), served(model_server())
    ours, module.compute_advantage = module.compute_advantage, compute
    elsewhere, untrained = step(folder, addresses, adv_estimator="grpo")
    module.compute_advantage = ours
    trainer, metrics, batch = step(folder, addresses)
    columns = batch.non_tensor_batch
    texts = ["".join(chr(t) for t in ids if t) for ids in batch.batch["prompts"].tolist()]
    document = {
        "elsewhere": elsewhere,
        "untrained": untrained,
        "rows": [
            [text, advantage, uid.rpartition(":")[2]]
            for text, advantage, uid in zip(
                texts, batch.batch["advantages"][:, 0].tolist(), columns["uid"], strict=True
            )
        ],
        "masked": batch.batch["advantages"][:, 2:].abs().sum().item(),
        "scores": sorted({round(x, 4) for x in batch.batch["token_level_scores"].sum(-1).tolist()}),
        "dtype": str(batch.batch["advantages"].dtype),
        "metrics": sorted(name for name in metrics if name.startswith("counterpoint/")),
    }
    base = type(trainer).__mro__[3]  # verl's, under Agent Lightning's
    base._save_checkpoint = lambda self: (folder / "global_step_3").mkdir()
    base._load_checkpoint = lambda self: setattr(self, "global_steps", 3)
    trainer._save_checkpoint()
    state = credit.state_dict()
    credit.updates = 99
    trainer._load_checkpoint()
    document["restored"] = credit.state_dict() == state
    document["file"] = (folder / "global_step_3" / STATE).exists()
    document["nameless"] = step(folder, addresses, named=False)[0]
    document["pooled"] = step(folder, addresses, adv_estimator="grpo")[0]
    document["by_rollout"] = step(folder, addresses, enable_rollout_level_advantage=True)[0]
    print(json.dumps(document))


main(Path(sys.argv[1]))
