"""Small models of several families with byte-level BPE tokenizers, made from a seed."""

from __future__ import annotations

import string

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from counterpoint.lm.gguf_file import SPLITTERS

TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = [
    "system user assistant You are a helpful agent. Which word do you choose: red, blue or green?",
    "The first line.\nThe second line,\n\nand don't stop at 12 or 345! It's 6789.",
    "Grüße aus Köln, 日本語も少し, и немного по-русски.   Three  spaces.",
    string.printable,
]
SCALED = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
"""Positions as Llama 3.1 scales them."""
FAMILIES = {
    "llama": ("llama", "gpt-2", {"tie_word_embeddings": True}),
    "llama-untied": ("llama", "llama-bpe", {"attention_bias": True, "mlp_bias": False}),
    "llama-scaled": ("llama", "llama-bpe", {"rope_parameters": SCALED}),
    "smollm": ("llama", "smollm", {"tie_word_embeddings": True}),
    "mistral": ("mistral", "llama-bpe", {"sliding_window": 512, "head_dim": 24}),
    "qwen2": ("qwen2", "qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", "qwen2", {"head_dim": 32}),
}
"""Name to model type, way to split, and what else is special in it."""


def made_tokenizer(splitter="gpt-2", vocabulary=600):
    """A tokenizer that splits as llama.cpp's `splitter` does."""
    (steps,) = [steps for steps, name in SPLITTERS.items() if name == splitter]
    core = Tokenizer(models.BPE(ignore_merges=splitter == "llama-bpe"))
    core.pre_tokenizer = pre_tokenizers.Sequence([made_step(*step) for step in steps])
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXT * 3, trainer)
    begins = splitter == "llama-bpe"  # with a token that is no part of the text, as Llama 3 does
    if begins:
        core.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|endoftext|>" if begins else "<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template="{{ bos_token }}" * begins + TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def made_step(kind, value, behavior="", invert=False):
    """A step of a tokenizer, as `SPLITTERS` describes it."""
    if kind == "Split":
        return pre_tokenizers.Split(Regex(value), behavior.lower(), invert)
    if kind == "Digits":
        return pre_tokenizers.Digits(individual_digits=value)
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=value)


def made_model(name="llama", seed=0):
    """A model of a family in `FAMILIES`, in 32-bit floats, and its tokenizer."""
    family, splitter, more = FAMILIES[name]
    tokenizer = made_tokenizer(splitter)
    config = AutoConfig.for_model(
        family,
        **{
            "vocab_size": len(tokenizer) + 5,  # rows that no token has, as many models have
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            **more,
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for name, x in model.named_parameters():
            if x.dim() == 2 and "embed" not in name:
                torch.nn.init.normal_(x, 0, 2 / x.shape[1] ** 0.5)
            elif x.dim() == 1:  # biases and norms, which else would be 0 and 1
                x.data.add_(0.3 * torch.randn(x.shape))
    return model.eval().requires_grad_(False), tokenizer
