"""What language models need, asked before anything is imported or begun."""

from __future__ import annotations

from importlib.util import find_spec

from counterpoint.errors import MissingPackageError

PACKAGES = ("torch", "transformers", "gguf", "safetensors")


def require_language() -> None:
    """Return where language models can be fetched and loaded.

    Raises:
        MissingPackageError: one of `PACKAGES` is not installed.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"language models need {' and '.join(missing)}, not installed here; "
            "do pip install 'counterpoint-rl[language]'"
        )
