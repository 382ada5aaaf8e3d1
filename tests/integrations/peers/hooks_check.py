"""Trainers of TRL and CoMLRL that would train without our credit: run by test_hook_check.py.

    python hooks_check.py FOLDER

Prints one JSON line: what each training says, and whether a parameter moved.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from comlrl_check import made as made_comlrl
from comlrl_check import team
from trl import GRPOTrainer
from trl.experimental.async_grpo import AsyncGRPOTrainer
from trl_check import letters
from trl_check import made as made_trl

from counterpoint.errors import HookError, SettingError
from counterpoint.integrations.comlrl import attach
from counterpoint.integrations.trl import with_credit


def parameters(*models):
    return torch.cat([p.detach().reshape(-1).clone() for m in models for p in m.parameters()])


def told(train, *models):
    before = parameters(*models)
    try:
        train()
    except (HookError, SettingError) as error:
        said = f"{type(error).__name__}: {error}"
    else:
        said = "trained"
    return [said, bool((parameters(*models) != before).any())]


class Replaces(with_credit(GRPOTrainer, "agent_wise")):
    """It takes the advantages and gives others to the loss."""

    def _generate_and_score_completions(self, inputs):
        out = super()._generate_and_score_completions(inputs)
        out["advantages"] = out["advantages"] * 0.5 + 0.25
        return out


class Skips(with_credit(GRPOTrainer, "agent_wise")):
    """It calls TRL's own method, past ours."""

    def _generate_and_score_completions(self, inputs):
        return GRPOTrainer._generate_and_score_completions(self, inputs)


class Elsewhere(GRPOTrainer):
    """It makes its rewards and advantages in a method of its own."""

    def _generate_and_score_completions(self, inputs):
        return {"advantages": torch.zeros(len(inputs))}


def in_trl(folder, base):
    trainer = made_trl(folder / base.__name__, base, letters, 2, save_strategy="no")
    return told(trainer.train, trainer.model)


def in_comlrl(change):
    trainer = made_comlrl(team)
    own = trainer._compute_loss_with_gradients
    attach(trainer, "agent_wise", check_every=0)
    if change:  # a method that was replaced after ours
        trainer._compute_loss_with_gradients = own
        trainer._compute_advantages = lambda returns: returns - returns.mean()
    return told(trainer.train, *trainer.agents)


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    document = {
        "trl": in_trl(folder, with_credit(GRPOTrainer, "agent_wise")),
        "replaces": in_trl(folder, Replaces),
        "skips": in_trl(folder, Skips),
        "elsewhere": in_trl(folder, with_credit(Elsewhere)),
        "comlrl": in_comlrl(False),
        "comlrl, replaced": in_comlrl(True),
    }
    document["nameless"] = []
    elsewhere = with_credit(GRPOTrainer, columns={"agent": "who"}, check_every=0,
                            warn=document["nameless"].append)  # fmt: skip
    made_trl(folder / "nameless", elsewhere, letters, 1, save_strategy="no").train()
    try:
        with_credit(AsyncGRPOTrainer)
    except SettingError as error:
        document["async"] = str(error)
    print(json.dumps(document))


if __name__ == "__main__":
    main()
