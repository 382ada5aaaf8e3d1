"""GGUF in, a folder for transformers with bf16 weights out: `python -m ... GGUF FOLDER`.

It runs in a process of its own, because it takes 1.3 GB that would otherwise stay.
"""

from __future__ import annotations

import sys
from pathlib import Path

STEPS = 4
MARK = "step "
"""What a line about progress begins with; the number of the step follows."""


def convert(gguf: Path, folder: Path) -> None:
    """Read a model from a GGUF file and save it in a folder.

    Raises:
        Exception: transformers cannot read it, or the folder cannot be written.
    """
    _say(0)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    source = {"gguf_file": gguf.name, "local_files_only": True}
    _say(1)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
    _say(2)
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, **source)
    _say(3)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # what is saved is no longer quantized
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    tokenizer.model_max_length = config.max_position_embeddings
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _say(STEPS)


def _say(step: int) -> None:
    sys.stdout.write(f"{MARK}{step}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Convert; the exit status. What goes wrong is said in the last line of standard error."""
    gguf, folder = map(Path, arguments)
    try:
        convert(gguf, folder)
    except Exception as error:
        reason = " ".join(str(error).split())
        sys.stderr.write(f"\n{type(error).__name__}: {reason:.300}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
