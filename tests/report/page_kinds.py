"""A document of every kind of page: every saved result, and generated ones where none is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from report_samples import comparison, diagnosis, language_training, spoken, stepwise, training

SAVED = Path(__file__).parents[1] / "data" / "saved"


def documents() -> dict[str, dict[str, Any]]:
    """Returns every saved result by its name, and samples whose names end in `sample`."""
    saved = {file.stem: json.loads(file.read_bytes()) for file in sorted(SAVED.glob("*.json"))}
    return {
        **saved,
        "comparison sample": comparison(6, 30),
        "one seed sample": comparison(1, 6),
        "stepwise sample": stepwise(6, 30),
        "spoken sample": spoken(6, 30),
        "diagnosis sample": diagnosis(30),
        "training sample": training(30),
        "running sample": training(20, "running"),
        "begun sample": training(0, "running"),
        "language sample": language_training(30),
    }
