"""Modules of `bench`, for tests of what only an experiment needs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

BENCH = Path(__file__).parents[1] / "bench"


def bench_module(name: str) -> ModuleType:
    """Returns the module `bench/NAME.py`."""
    if str(BENCH) not in sys.path:
        sys.path.append(str(BENCH))  # last, so that it hides nothing
    return importlib.import_module(name)
