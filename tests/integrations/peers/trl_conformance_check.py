"""`check_adapter` in TRL's own trainer, on a tiny model: run by test_adapter_conformance.py.

    python trl_conformance_check.py FOLDER

The rows of a batch are those of a dataset, and reward functions pay what the batch says. What is
compared is `advantages` of TRL's own training batch. Prints one JSON line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from group_conformance import check_and_print
from small_qwen2 import messages
from trl import GRPOTrainer
from trl_check import Noting, made, scaled

from counterpoint.integrations.trl import COLUMNS, with_credit

PAID: list[list[float | None]] = [[], []]
"""The rewards of the two reward functions, for the rows of the next batch."""


def first(completions, **_):
    return PAID[0]


def second(completions, **_):
    return PAID[1]


class InTrl:
    """TRL's trainer with one or two reward functions."""

    def __init__(self, folder):
        columns = {**COLUMNS, "prompt": "group"}
        self.trainers = [
            made(folder / str(len(paying)), with_credit(GRPOTrainer, columns=columns), paying, 1,
                 save_strategy="no")
            for paying in ([first], [first, second])
        ]  # fmt: skip
        for trainer in self.trainers:  # each row is an answer to a row of the dataset of its own
            trainer.num_generations = 1
            trainer.model.train()

    def __call__(self, batch, credit):
        several = isinstance(batch.rewards[0], list)
        table = batch.rewards if several else [[reward] for reward in batch.rewards]
        for k, paid in enumerate(zip(*table, strict=True)):
            PAID[k] = list(paid)
        trainer = self.trainers[several]
        trainer.team_credit = credit
        given = {
            name: getattr(batch, name) for name in ("group", "agent", "rollout", "role", "turn")
        }
        rows = [
            {"prompt": messages(0), **{n: column[i] for n, column in given.items() if column}}
            for i in range(len(batch))
        ]
        with torch.no_grad():
            return trainer._generate_and_score_completions(rows)["advantages"].tolist()

    def train(self, folder, noted, rows):
        """Trains two steps; six answers of twelve are of each of two processes."""
        base = with_credit(Noting, "agent_wise", check_every=0)

        class Watching(base):
            def _generate_and_score_completions(self, inputs):
                out = super()._generate_and_score_completions(inputs)
                first = len(inputs) * self.accelerator.process_index
                own = self.paid[first : first + len(inputs), 0]
                noted(inputs, own, out["advantages"])
                return out

        made(
            folder / "training", Watching, scaled, 2, save_strategy="no", rows=rows,
            per_device_train_batch_size=6,
        ).train()  # fmt: skip


if __name__ == "__main__":
    check_and_print(InTrl(Path(sys.argv[1])))
