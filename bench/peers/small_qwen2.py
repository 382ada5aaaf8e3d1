"""The model, prompts and reward that ours and the peers share in bench/language.py.

A Qwen2 of 88,896 random parameters and a tokenizer of single characters, both made here. The token
that ends an answer is number 228 of a vocabulary of 228, so it is never drawn: every answer has as
many tokens as there may be, without a word to the sampler that would cost a peer time.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

VOCABULARY, END = 228, 228
PARAMETERS = 88_896
COMPLETIONS, TOKENS = 16, 32
RATE = 1e-3
WARM_UP = 5
PAD = "<pad>"
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<' + message['role'] + '>' + message['content'] + '\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<assistant>' }}{%- endif -%}"
)
TRL_SETTINGS: dict[str, Any] = {
    "lr_scheduler_type": "constant",
    "beta": 0.0,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "logging_steps": 10_000,
    "report_to": "none",
    "disable_tqdm": True,
}
"""Fields of `GRPOConfig` that all trainings share: on a CPU, without a KL penalty, quiet."""
COMLRL_SETTINGS: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "num_turns": 1,
    "eval_interval": 0,
    "rollout_buffer_size": 1,
    "train_batch_size": 1,
    "logging_steps": 10_000,
    "agent_devices": "cpu",
}
"""Fields of `MAGRPOConfig` that all trainings share: one turn, a step for each prompt, quiet."""


def small_model(seed: int = 0) -> Any:
    """Returns the model, which is the same for the same seed."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = END
    assert sum(x.numel() for x in model.parameters()) == PARAMETERS
    return model


def small_tokenizer() -> Any:
    """Returns a tokenizer with a token for each character: line break, printable ASCII, and what
    follows it.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = ["\n", *map(chr, range(32, 127))]
    characters += map(chr, range(0xA1, 0xA1 + VOCABULARY - 1 - len(characters)))
    numbers = {token: number for number, token in enumerate([PAD, *characters, "<end>"])}
    core = Tokenizer(models.WordLevel(numbers, unk_token=PAD))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=AddedToken(PAD, special=True),
        eos_token=AddedToken("<end>", special=True),
        chat_template=TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def messages(step: int) -> list[dict[str, str]]:
    """Returns the prompt of a step: it is as long as any other, and no two are alike."""
    return [
        {"role": "system", "content": "You write a line."},
        {"role": "user", "content": f"Line number {step:05d}, please."},
    ]


def reward(text: str) -> float:
    """Returns the share of an answer's characters that are small letters, of as many as it has
    tokens.
    """
    return sum("a" <= character <= "z" for character in text) / TOKENS


def moved(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> float:
    """Returns how far parameters moved at most."""
    return max(float((x - y.detach()).abs().max()) for x, y in zip(before, after, strict=True))


def report(clock: Sequence[float], **facts: Any) -> dict[str, Any]:
    """Returns what a task prints, from the CPU times at the ends of its steps."""
    steps = [b - a for a, b in pairwise(clock)][WARM_UP:]
    return {"cpu_seconds": statistics.median(steps), "steps": len(steps), **facts}
