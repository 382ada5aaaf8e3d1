"""Work that `fetch` leaves to a process of its own, which ends when the process that fetches ends.

`python -m counterpoint.lm.child MODULE ARGUMENTS` runs a module such as pip.
`python -m counterpoint.lm.child convert GGUF FOLDER` makes a folder for transformers, with weights
in bf16: a conversion takes 1.3 GB of memory that the fetching process would otherwise keep.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
from pathlib import Path

STEPS = 4
MARK = "step "
"""The beginning of a line about progress; the number of the step follows."""


def main() -> int:
    """Converts a model, or runs the module that is named first as `python -m` would.

    Returns: the exit status. The last line on standard error says why a conversion failed.
    """

    def end_with_parent() -> None:
        # The parent holds the other end of our standard input: however it ends, that end is closed
        # then. It is read as a descriptor, since Python takes the lock of sys.stdin to shut down.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    if sys.argv[0] != "convert":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return 0
    try:
        convert(*map(Path, sys.argv[1:]))
    except Exception as error:
        reason = " ".join(str(error).split())
        sys.stderr.write(f"\n{type(error).__name__}: {reason:.300}\n")
        return 1
    return 0


def convert(gguf: Path, folder: Path) -> None:
    """Reads a model from a GGUF file and saves it in a folder.

    Raises:
        Exception: transformers cannot read the model, or the folder cannot be written.
    """
    _report(0)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    source = {"gguf_file": gguf.name, "local_files_only": True}
    _report(1)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
    _report(2)
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, **source)
    _report(3)
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # what is saved is no longer quantized
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    tokenizer.model_max_length = config.max_position_embeddings
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _report(STEPS)


def _report(step: int) -> None:
    sys.stdout.write(f"{MARK}{step}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
