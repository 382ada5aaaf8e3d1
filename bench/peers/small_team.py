"""The task of two agents in bench/team_peers.py: its prompts, its reward, and what is kept.

A writer is to write small letters and a teller digits. Both answer at once, neither knows the
other's answer, and both are paid the mean of the two shares.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ROLES = ("teller", "writer")
"""The agents, in the order of their names."""
TOKENS = 32
"""Characters of an answer, which are its tokens: nothing ends one early."""
ROLLOUTS = 8
"""Joint answers of a step, all to one task."""
RANK, ALPHA = 8, 16
ADAM_EPSILON = 1e-5
"""Of Adam, as ours has it; TRL's and CoMLRL's arms say where theirs differs."""
ALPHABETS = {"writer": ("a", "z"), "teller": ("0", "9")}


SHARPNESS = 8.0
"""Factor of the last norm. Without it the random model's logits spread by 0.2: no adapter on a
frozen unembedding could make a character likely."""


def sharpened(model: Any) -> Any:
    """Returns the small Qwen2 with logits that spread about as a pretrained model's do."""
    model.model.norm.weight.data.mul_(SHARPNESS)
    return model


def prompt(step: int, role: str) -> list[dict[str, str]]:
    """Returns the messages to an agent: as long for both, and no two steps are alike."""
    return [
        {"role": "system", "content": f"You are the {role}."},
        {"role": "user", "content": f"Line number {step:05d}, please."},
    ]


def share(role: str, text: str) -> float:
    """Returns the share of an answer's characters that its role asks for."""
    low, high = ALPHABETS[role]
    return sum(low <= character <= high for character in text) / TOKENS


def team_reward(teller: str, writer: str) -> float:
    """Returns what both agents are paid for a joint answer, in [0, 1]."""
    return (share("teller", teller) + share("writer", writer)) / 2


def lora(model: Any) -> Any:
    """Returns peft's LoRA of our rank at our places; B starts at 0, as everywhere."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, lora_config(LoraConfig))


def lora_config(make: Any) -> Any:
    """Returns the configuration of that LoRA, made by peft's `LoraConfig`."""
    return make(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")


@dataclass
class Curve:
    """What one training gave, update by update."""

    rewards: list[float] = field(default_factory=list)
    """Mean reward of a step's joint answers."""
    seconds: list[float] = field(default_factory=list)
    """CPU time at the end of each step."""
    tokens: int = 0

    def scored(self, scores: Sequence[float]) -> None:
        self.rewards.append(sum(scores) / len(scores))

    def ticked(self) -> None:
        self.seconds.append(time.process_time())

    def document(self, **facts: Any) -> dict[str, Any]:
        """Returns the curve for JSON."""
        steps = [round(x - self.seconds[0], 4) for x in self.seconds]
        rewards = [round(x, 6) for x in self.rewards]
        return {"rewards": rewards, "seconds": steps, "tokens": self.tokens, **facts}
