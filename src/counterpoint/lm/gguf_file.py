"""Language models and LoRA adapters as GGUF files, which llama.cpp and what is built on it read.

Start with `write_model` and `write_adapter`. The names of tensors and of facts are those of the
package `gguf`; the families in `ARCHITECTURES` are covered, with byte-level BPE tokenizers whose
splitting into words llama.cpp knows (`SPLITTERS`). Everything else is refused, with the converter
of llama.cpp's own that may know it.

llama.cpp turns pairs of neighbouring elements by a position in models of the Llama architecture,
and transformers turns the two halves of a head: `_paired` reorders the rows of queries and keys.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md); llama.cpp pull request 15327 for
`adapter.alora.invocation_tokens`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from counterpoint.errors import ModelError, OutputError
from counterpoint.lm.adapters import Adapter

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""The `model_type` of a configuration to llama.cpp's name of the architecture."""
DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""The types of torch to those of GGUF."""
FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}
"""The types of GGUF to what its specification calls the type of a whole file."""
INVOCATION = "adapter.alora.invocation_tokens"
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_2 = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITTERS: dict[tuple[tuple[object, ...], ...], str] = {
    (("ByteLevel", True),): "gpt-2",
    (("Digits", True), ("ByteLevel", True)): "smollm",
    (("Split", _LLAMA_3, "Isolated", False), ("ByteLevel", False)): "llama-bpe",
    (("Split", _QWEN_2, "Isolated", False), ("ByteLevel", False)): "qwen2",
}
"""The steps that split a text before BPE, to llama.cpp's name of them."""
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


def write_model(
    model: Any, tokenizer: Any, path: Path, dtype: str = "", about: Mapping[str, str] | None = None
) -> None:
    """Writes a causal language model and its tokenizer as one GGUF file.

    Tensors are converted one by one, so that no second copy of the model is made.

    Args:
        model: a model of transformers, of a family in `ARCHITECTURES`.
        tokenizer: the tokenizer of the model, with its chat template.
        path: the file; one that exists is replaced when the new one is complete.
        dtype: of the matrices, a name in `DTYPES`; "" takes the model's. Vectors have 32 bits.
        about: facts for people, such as `name`, `description` and `license`.

    Raises:
        ModelError: the model or the tokenizer is not covered, and which converter may know it.
        OutputError: the file cannot be written.
    """
    config = model.config
    architecture = architecture_of(config)
    kind = DTYPES.get(dtype or str(model.dtype).removeprefix("torch."))
    if kind is None:
        raise ModelError(f"got dtype {dtype or model.dtype}; wanted one of {', '.join(DTYPES)}")
    facts = {**_hyperparameters(config, architecture), **_vocabulary(tokenizer, config)}
    names = _names(architecture, config.num_hidden_layers)
    tensors = model.state_dict()
    if config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    unknown = [name for name in tensors if names(name) is None]
    if unknown:
        raise ModelError(_refusal(f"its tensor {unknown[0]}"))
    turned = _turned(config, architecture)
    entries = [
        (str(names(name)), kind if tensor.ndim > 1 else "F32", turned(name, tensor))
        for name, tensor in tensors.items()
    ]
    slower = _slower_turns(model, architecture)
    if slower is not None:
        entries.append(("rope_freqs.weight", "F32", slower))
    facts |= {**_general("model", about), "general.file_type": FILE_TYPES[kind]}
    _write(path, architecture, facts, entries)


def write_adapter(
    adapter: Adapter,
    config: Any,
    path: Path,
    invocation: Sequence[int] = (),
    about: Mapping[str, str] | None = None,
) -> None:
    """Writes an adapter as a GGUF file for `llama-server --lora`, beside a GGUF of its base.

    Args:
        adapter: the adapter, in 32-bit floats.
        config: the configuration of the base model, of a family in `ARCHITECTURES`.
        path: the file; one that exists is replaced when the new one is complete.
        invocation: the tokens from whose last occurrence in the prompt an activated adapter acts;
            none for one that acts on every token.
        about: facts for people.

    Raises:
        ModelError: the family of the base model is not covered.
        OutputError: the file cannot be written.
    """
    architecture = architecture_of(config)
    names, turned = _names(architecture, config.num_hidden_layers), _turned(config, architecture)
    facts: dict[str, Any] = {"adapter.type": "lora", "adapter.lora.alpha": float(adapter.alpha)}
    if invocation:
        facts[INVOCATION] = [int(token) for token in invocation]
    entries = []
    for place in adapter.down:
        name = names(f"model.{place}.weight")
        if name is None:
            raise ModelError(_refusal(f"its place {place}"))
        entries.append((f"{name}.lora_a", "F32", adapter.down[place].detach()))
        entries.append((f"{name}.lora_b", "F32", turned(f"{place}.weight", adapter.up[place])))
    _write(path, architecture, {**_general("adapter", about), **facts}, entries)


def architecture_of(config: Any) -> str:
    """Returns llama.cpp's name of the architecture of a configuration.

    Raises:
        ModelError: the family is not covered, or something in it that changes its numbers.
    """
    kind = str(getattr(config, "model_type", ""))
    if kind not in ARCHITECTURES:
        raise ModelError(_refusal(f"a model of the family '{kind}'"))
    if getattr(config, "hidden_act", "silu") != "silu":
        raise ModelError(_refusal(f"the activation {config.hidden_act}"))
    return ARCHITECTURES[kind]


def _slower_turns(model: Any, architecture: str) -> Tensor | None:
    """Returns [D / 2] by how much slower each pair of elements turns than without scaling of
    positions; None if there is none.

    Raises:
        ModelError: a way of scaling that is more than slower turns.
    """
    rope = model.config.rope_parameters
    kind = rope.get("rope_type", "default")
    known = ("default", "linear", "llama3") if architecture == "llama" else ("default",)
    if kind not in known or rope.get("partial_rotary_factor", 1) != 1:
        raise ModelError(_refusal(f"positions that are scaled ({kind})"))
    if kind == "default":
        return None
    turns: Tensor = model.model.rotary_emb.inv_freq.float()
    plain = float(rope["rope_theta"]) ** -(torch.arange(len(turns)) / len(turns))
    return plain.to(turns.device) / turns


def _refusal(what: str) -> str:
    return (
        f"got {what}, which cannot be written as GGUF here; wanted a Llama, Mistral, Qwen2 or "
        "Qwen3 with a byte-level BPE tokenizer: for others export with --merge alone, and run "
        "convert_hf_to_gguf.py of llama.cpp on the folder"
    )


def _general(kind: str, about: Mapping[str, str] | None) -> dict[str, Any]:
    return {"general.type": kind, **{f"general.{k}": v for k, v in (about or {}).items()}}


def _hyperparameters(config: Any, architecture: str) -> dict[str, Any]:
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    # llama.cpp knows no sliding window in these architectures: within it, the numbers are the same.
    window = getattr(config, "sliding_window", None)
    facts = {
        "context_length": min(filter(None, (config.max_position_embeddings, window))),
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": size,
        "attention.value_length": size,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "rope.dimension_count": size,
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "vocab_size": config.vocab_size,
    }
    return {f"{architecture}.{name}": value for name, value in facts.items()}


def _vocabulary(tokenizer: Any, config: Any) -> dict[str, Any]:
    """Returns the facts of a byte-level BPE tokenizer.

    Raises:
        ModelError: the tokenizer is of another kind, or llama.cpp does not know how it splits.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    if core is None:
        raise ModelError(_refusal("a tokenizer without a tokenizer.json"))
    whole = json.loads(core.to_str())
    model = whole["model"]
    splitter = SPLITTERS.get(_steps(whole["pre_tokenizer"]))
    # ignore_merges: a word of the vocabulary is taken whole, as llama.cpp does for llama-bpe alone.
    merging = model.get("ignore_merges", False) == (splitter == "llama-bpe")
    if model["type"] != "BPE" or model.get("byte_fallback") or splitter is None or not merging:
        raise ModelError(_refusal("a tokenizer that llama.cpp is not known to repeat"))
    texts = {number: text for text, number in tokenizer.get_vocab().items()}
    added = {entry["id"]: entry for entry in whole["added_tokens"]}
    tokens, kinds = [], []
    for number in range(config.vocab_size):
        entry = added.get(number)
        tokens.append(texts.get(number, f"[PAD{number}]"))
        kinds.append(
            _UNUSED
            if number not in texts
            else _NORMAL
            if entry is None
            else _CONTROL
            if entry["special"]
            else _USER_DEFINED
        )
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    bos, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    facts: dict[str, Any] = {
        "model": "gpt2",
        "pre": splitter,
        "tokens": tokens,
        "token_type": kinds,
        "merges": merges,
        "bos_token_id": bos,
        "eos_token_id": end,
        "unknown_token_id": tokenizer.unk_token_id,
        "padding_token_id": tokenizer.pad_token_id,
        "add_bos_token": bos is not None and tokenizer.encode("") == [bos],
    }
    known = {f"tokenizer.ggml.{name}": x for name, x in facts.items() if x is not None}
    if tokenizer.chat_template:
        known["tokenizer.chat_template"] = tokenizer.chat_template
    return known


def _steps(splitter: Mapping[str, Any] | None) -> tuple[tuple[object, ...], ...]:
    """Returns what decides how a text is split, step by step."""
    if splitter is None:
        return ()
    if splitter["type"] == "Sequence":
        return tuple(step for part in splitter["pretokenizers"] for step in _steps(part))
    if splitter["type"] == "Split":
        pattern = splitter["pattern"].get("Regex")
        return (("Split", pattern, splitter["behavior"], splitter["invert"]),)
    if splitter["type"] == "Digits":
        return (("Digits", splitter["individual_digits"]),)
    if splitter["type"] == "ByteLevel" and not splitter["add_prefix_space"]:
        return (("ByteLevel", splitter["use_regex"]),)
    return ((splitter["type"],),)


def _names(architecture: str, layers: int) -> Callable[[str], str | None]:
    """Returns what maps the name of a tensor in transformers to its name in GGUF."""
    from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES
    from gguf.tensor_mapping import get_tensor_name_map

    (arch,) = [arch for arch in MODEL_ARCH if MODEL_ARCH_NAMES[arch] == architecture]
    known = get_tensor_name_map(arch, layers)

    def name(text: str) -> str | None:
        found: str | None = known.get_name(text, try_suffixes=(".weight", ".bias"))
        return found

    return name


def _turned(config: Any, architecture: str) -> Callable[[str, Tensor], Tensor]:
    """Returns what reorders the rows of queries and keys where llama.cpp wants other ones."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}

    def turned(name: str, x: Tensor) -> Tensor:
        parts = name.split(".")
        count = heads.get(parts[-2]) if len(parts) > 1 and architecture == "llama" else None
        return x.detach() if count is None else _paired(x.detach(), count)

    return turned


def _paired(x: Tensor, heads: int) -> Tensor:
    """Returns x [heads * D, ...] with rows 0, D/2, 1, D/2 + 1, ... of each head."""
    return x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def _write(
    path: Path,
    architecture: str,
    facts: Mapping[str, Any],
    entries: Sequence[tuple[str, str, Tensor]],
) -> None:
    """Writes a GGUF file beside its place, and renames it when it is complete."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = GGUFWriter(partial, architecture)
        for name, value in facts.items():
            _add(writer, name, value)
        kinds = {name: GGMLQuantizationType[kind] for name, kind, _ in entries}
        for name, _, tensor in entries:
            size = 4 if kinds[name] == GGMLQuantizationType.F32 else 2
            shape, bytes_ = tuple(tensor.shape), tensor.numel() * size
            writer.add_tensor_info(name, shape, np.dtype(np.float32), bytes_, kinds[name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, _, tensor in entries:
            values: NDArray[np.float32] = tensor.to(torch.float32).contiguous().cpu().numpy()
            writer.write_tensor_data(quantize(values, kinds[name]))
        writer.close()
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"could not write {path} ({error.strerror or error}); make room, or choose another "
            "folder with --out"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _add(writer: Any, name: str, value: Any) -> None:
    """Adds a fact under the type that GGUF wants for it: whole numbers have 32 bits."""
    from gguf import GGUFValueType

    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    elif isinstance(value, int):
        writer.add_uint32(name, value)
    else:  # llama.cpp wants the invocation as unsigned numbers
        kind = GGUFValueType.UINT32 if name == INVOCATION else None
        writer.add_key_value(name, value, GGUFValueType.ARRAY, kind)
