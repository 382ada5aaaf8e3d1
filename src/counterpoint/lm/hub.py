"""Models from the Hugging Face hub: from its cache on this machine, or over the network."""

from __future__ import annotations

import json
from pathlib import Path

from counterpoint.errors import ModelError
from counterpoint.lm.needs import require_language

WANTED = ("*.json", "*.jinja", "*.safetensors", "tokenizer.model", "merges.txt", "vocab.txt")
"""No pickles among them: weights are taken as safetensors alone."""


def hub_folder(name: str) -> Path:
    """The folder of a model of the hub in the hub's own cache; what lacks is downloaded.

    Raises:
        ModelError: it is neither in the cache nor within reach, or has no safetensors.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import are_progress_bars_disabled as are_off
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    were_off = are_off()
    disable_progress_bars()
    try:
        folder = _cached(name)
        if folder is None:
            folder = Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except Exception as error:  # of the hub, of the network, of the disk
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"got model {name!r}, which is not on this machine and could not be had from the "
            f"Hugging Face hub ({reason:.200}); wanted smollm2, a folder, or a name on the hub"
        ) from error
    finally:
        if not were_off:
            enable_progress_bars()
    if not is_whole(folder):
        raise ModelError(
            f"got model {name!r}, whose weights in safetensors are not all here; wanted a model "
            "that has them, and a network where they have not been downloaded"
        )
    return folder


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if is_whole(folder) else None


def is_whole(folder: Path) -> bool:
    """Whether a folder has a configuration and all of its weights."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").is_file()
    try:
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    return all((folder / shard).is_file() for shard in shards)
