"""Optional packages: the error if one is missing, with the line that installs it.

Start at `needs`, a block around an import. `require_packages` checks without an import, before any
work begins.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from counterpoint.errors import MissingPackageError

LANGUAGE = ("torch", "transformers", "gguf", "safetensors")
"""The packages that language models need."""
TORCH = ("torch", "safetensors")
"""The packages that networks need."""


DISTRIBUTION = "counterpoint-rl"
"""The name under which pip knows this package."""


def pip_line(extra: str = "") -> str:
    """Returns the line that installs Counterpoint, with an extra, from where it was installed.

    Args:
        extra: the name of the extra; without one the line installs the core.
    """
    what = f"{_origin()}[{extra}]" if extra else _origin()
    return f"pip install {shlex.quote(what)}"


@cache
def _origin() -> str:
    """Returns the argument of pip: the folder or file that it installed, or the name.

    pip records a source that is no index in `direct_url.json` (PEP 610).
    """
    from importlib.metadata import PackageNotFoundError, distribution  # a start needs no search

    try:
        record = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        record = None
    url = urlsplit(json.loads(record)["url"] if record else "")
    path = unquote(url.path) if url.scheme == "file" else ""
    return path if path and Path(path).exists() else DISTRIBUTION


def missing_package(purpose: str, package: str, install: str) -> MissingPackageError:
    """Returns the error for a package, or several, that `purpose` needs and that is missing."""
    verb = "are" if " and " in package else "is"
    return MissingPackageError(
        f"{purpose} needs {package}, which {verb} not installed; do {install}"
    )


@contextmanager
def needs(purpose: str, install: str) -> Iterator[None]:
    """Raises MissingPackageError where an import in the block fails; our own errors pass.

    Args:
        purpose: what needs the package.
        install: the line that installs it.
    """
    try:
        yield
    except MissingPackageError:
        raise
    except ImportError as error:
        name = error.name or ""
        if name.partition(".")[0] == "counterpoint":
            raise
        if isinstance(error, ModuleNotFoundError) and name:
            raise missing_package(purpose, name, install) from error
        # the package is there, in a version without what is imported
        raise MissingPackageError(f"{purpose}: {error}; do {install}") from error


def import_optional(module: str, install: str, purpose: str = "") -> Any:
    """Returns the module `module`, which is or needs an optional package.

    Args:
        module: its dotted name.
        install: the line that installs what it needs.
        purpose: what needs it; the module itself by default.

    Raises:
        MissingPackageError: the module, or a package that it imports, is not installed.
    """
    with needs(purpose or module, install):
        return import_module(module)


def broken_package(error: BaseException) -> str:
    """Returns the package whose import ended in an error, and how; empty if no import of one did.

    A package that is installed can fail: a library of the system is missing, or it is half there.
    """
    name, trace = "", error.__traceback__
    while trace is not None and not name:
        frame, trace = trace.tb_frame, trace.tb_next
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and module not in ("counterpoint", "__main__"):
            name = module
    if not name and isinstance(error, ImportError):
        name = (error.name or "").partition(".")[0]
    if not name and isinstance(error, SyntaxError):
        name = error.filename or ""
    if name in ("", "counterpoint"):
        return ""
    return f"{name} is installed and fails when it is imported ({type(error).__name__}: {error})"


def require_packages(purpose: str, packages: tuple[str, ...], install: str) -> None:
    """Raises MissingPackageError unless all packages are installed; imports none of them."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise missing_package(purpose, " and ".join(missing), install)


def require_torch() -> None:
    """Raises MissingPackageError unless networks can be trained here."""
    require_packages("a team of networks", TORCH, pip_line("torch"))


def require_language() -> None:
    """Raises MissingPackageError unless language models can be fetched and loaded here."""
    require_packages("a language model", LANGUAGE, pip_line("language"))
