"""Load a language model from this machine: no network, no pickles, no code of strangers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from counterpoint.errors import ModelError
from counterpoint.lm.models import find_model
from counterpoint.lm.needs import require_language

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load_model(
    name: str | Path = "smollm2", *, dtype: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model, ready to speak, and its tokenizer.

    Args:
        name: what `find_model` takes.
        dtype: of the parameters, such as `float32`; `auto` leaves them as they were saved.

    Raises:
        ModelError: it is not there, is damaged, or is none that transformers can load.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    folder = find_model(name)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
            model = AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, dtype=dtype, **_LOCAL
            )
    except Exception as error:  # there is no class for what transformers raises
        reason = " ".join(str(error).split())
        raise ModelError(
            f"could not load the model in {folder} ({type(error).__name__}: {reason:.200}); "
            "wanted a causal language model with a tokenizer and safetensors"
        ) from error
    return model.eval(), tokenizer


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers shows no bars and says nothing but errors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
