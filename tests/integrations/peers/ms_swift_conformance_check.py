"""`check_adapter` in the function of ms-swift's `GRPOTrainer`: run by test_adapter_conformance.py.

    python ms_swift_conformance_check.py

What is compared is what ms-swift's own functions give the rows of a process. The trainer has no
model, except in `InMsSwift.train`. Prints one JSON line.
"""

from __future__ import annotations

import torch
from accelerate.utils import gather_object
from group_conformance import check_and_print
from ms_swift_check import GRPOSample, GRPOTrainer, made
from swift.rlhf_trainers.utils import get_even_process_data

from counterpoint.integrations.ms_swift import with_credit
from counterpoint.integrations.trl import COLUMNS


class InMsSwift:
    """ms-swift's trainer with one or two reward functions."""

    def __init__(self, folder=None):
        columns = {**COLUMNS, "prompt": "group"}
        self.trainers = [
            made("agent_wise", components=count, generations=1, columns=columns) for count in (1, 2)
        ]

    def __call__(self, batch, credit):
        several = isinstance(batch.rewards[0], list)
        trainer = self.trainers[several]
        trainer.team_credit = credit
        names = ("group", "agent", "rollout", "role", "turn")
        given = {n: getattr(batch, n) for n in names if getattr(batch, n) is not None}
        samples = [
            GRPOSample(
                messages=[], extra={n: column[i] for n, column in given.items()},
                prompt_id=f"p{batch.group[i]}", request_id=str(i),
            )
            for i in range(len(batch))
        ]  # fmt: skip
        table = batch.rewards if several else [[reward] for reward in batch.rewards]
        own = [[float("nan") if x is None else x for x in row] for row in table]
        rewards = torch.tensor(gather_object(own), dtype=torch.float32)
        whole = trainer._compute_advantages(samples, rewards, [])
        return get_even_process_data(trainer, whole).tolist()

    def train(self, folder, noted, rows):
        """Trains two steps; six answers of twelve are of each of two processes."""
        from swift.rewards import ORM
        from trains_ms_swift import launched, prepared
        from trl_check import letters

        class Paid(ORM):
            def __call__(self, completions, agent, **_):
                shares = letters([[{"content": text}] for text in completions])
                return [10 * x + 5 if who == "coder" else x
                        for x, who in zip(shares, agent, strict=True)]  # fmt: skip

        class Watching(with_credit(GRPOTrainer, "agent_wise", check_every=0)):
            def _postprocess_batch(self, samples, batches):
                super()._postprocess_batch(samples, batches)
                first = len(samples) * self.accelerator.process_index
                own = self._rewards_per_func[first : first + len(samples), 0]
                noted([one.extra for one in samples], own, [one.advantages for one in samples])

        if self.trainers[0].accelerator.is_main_process:
            tasks = [{"messages": row["prompt"][-1:], **row} for row in rows]
            prepared(folder, [{k: v for k, v in row.items() if k != "prompt"} for row in tasks])
        self.trainers[0].accelerator.wait_for_everyone()
        launched(
            Watching, Paid, folder, max_steps=2, num_generations=4,
            per_device_train_batch_size=6, max_completion_length=16,
        )  # fmt: skip


if __name__ == "__main__":
    check_and_print(InMsSwift())
