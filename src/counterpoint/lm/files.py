"""The files of a model that decide what it computes, by their SHA-256: a run has those of its base
models. Start with `model_files`.

Files rather than parameters are hashed: a changed tokenizer or chat template changes every number
as well, and no model has to be loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from counterpoint.errors import ModelError
from counterpoint.lm.models import CONFIG, file_sha256, find_model
from counterpoint.machine.files import read_ordinary

GENERATION = "generation_config.json"
DECISIVE = (
    *(CONFIG, GENERATION, "*.safetensors", "*.safetensors.index.json", "tokenizer*"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab*", "merges.txt"),
)
"""Patterns of the names of files that decide what a model computes."""
NEUTRAL = ("transformers_version", "_name_or_path")
"""Keys of a configuration that say who wrote it and where."""

Files = Mapping[str, str]
"""SHA-256 in hexadecimal digits, by the name of the file."""


def model_files(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file of a model that decides what it computes, by name.

    A file is hashed once in a process, unless its size or its time changes. Configurations are
    hashed by what they say, without `NEUTRAL` keys, so that a model saved again is the same.

    Raises:
        ModelError: a file cannot be read.
    """
    try:
        return {path.name: _hash(path, *_stamp(path)) for path in _decisive(folder)}
    except OSError as error:
        raise ModelError(
            f"could not read {error.filename} ({error.strerror or error}), a file of the model in "
            f"{folder}; wanted a model whose files can be read"
        ) from error


def model_stamp(folder: Path) -> tuple[object, ...]:
    """Returns name, size in bytes and time of change in nanoseconds of each file of a model that
    decides what it computes: they change if a file is written again."""
    return tuple((path.name, *_stamp(path)) for path in _decisive(folder))


def changed_files(then: Files, now: Files) -> dict[str, tuple[str | None, str | None]]:
    """Returns the first digits of the hashes of files that differ, then and now, by name; None
    where there is no such file."""
    return {
        name: (then.get(name, "")[:12] or None, now.get(name, "")[:12] or None)
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    }


def demand_same_files(then: Mapping[str, Files]) -> None:
    """Raises an error unless the models have the files that they had.

    Args:
        then: what `model_files` returned, by the name of the model.

    Raises:
        ModelError: files have changed, or a model is not there.
    """
    for name, files in then.items():
        if changed := changed_files(files, model_files(find_model(name))):
            words = [
                f"{file} is {'new' if was is None else 'gone' if now is None else 'another one'}"
                for file, (was, now) in changed.items()
            ]
            raise ModelError(
                f"got model {name} with other files than at the start of the run "
                f"({', '.join(words)}); wanted the same model, or a new run"
            )


def _decisive(folder: Path) -> list[Path]:
    return sorted({path for one in DECISIVE for path in folder.glob(one) if path.is_file()})


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


@lru_cache(maxsize=4096)
def _hash(path: Path, _size: int, _time: int) -> str:
    if path.name in (CONFIG, GENERATION):
        try:
            document = json.loads(read_ordinary(path))
            said = {key: value for key, value in document.items() if key not in NEUTRAL}
            return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        except (ValueError, AttributeError):  # no JSON object: transformers will say so
            pass
    return file_sha256(path)
