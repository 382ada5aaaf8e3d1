"""`check_adapter` in the trainers whose rows have TRL's columns, TRL and ms-swift."""

from __future__ import annotations

import json

import torch

from counterpoint.testing import check_adapter
from counterpoint.testing.adapters import SCHEMES, Adapter


def check_and_print(adapter: Adapter) -> None:
    """Checks every promise of an adapter, and prints one JSON line about its calls."""
    torch.set_num_threads(1)
    calls = []

    def counted(batch, credit):
        calls.append(len(batch))
        return adapter(batch, credit)

    check_adapter(
        counted,
        cannot={
            "names": "without a column 'agent' all rows have one agent",
            "twice": "rows of one draw share a value in the column of prompts",
        },
    )
    print(json.dumps({"calls": len(calls), "rows": sum(calls), "schemes": len(SCHEMES)}))
