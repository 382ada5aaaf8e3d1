"""`check_adapter` with the types and functions of a real package: run by the conformance test.

    python conformance_check.py PACKAGE

PACKAGE is art, tinker, torchrl, verifiers or verl. Prints one JSON line: how many batches were
computed, and how many rows they had.
"""

from __future__ import annotations

import json
import sys
import warnings
from itertools import count
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")

sys.path.append(str(Path(__file__).resolve().parents[1]))

from adapter_layouts import ADAPTERS, back, grid, metadata, nan  # noqa: E402

from counterpoint.testing import check_adapter  # noqa: E402


def art():
    import art

    from counterpoint.integrations.art import credited

    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}]

    def adapter(batch, credit):
        groups = [
            art.TrajectoryGroup(
                [
                    art.Trajectory(messages_and_choices=talk, reward=nan(batch.rewards[i]),
                                   metadata={"row": i, **metadata(batch, i)})
                    for i in rows
                ],
                metadata={"prompt": batch.prompt[rows[0]]},
            )
            for rows in batch.rows_by("group").values()
        ]  # fmt: skip
        rows, values = [], []
        for group in credited(groups, credit, balance=True):
            mean = sum(one.reward for one in group) / len(group.trajectories)  # as ART centers
            own = [one for one in group if "row" in one.metadata]
            rows += [one.metadata["row"] for one in own]
            values += [one.reward - mean for one in own]
        return back(batch, rows, values)

    return adapter


def tinker():
    import tinker
    from tinker_cookbook.completers import TokensWithLogprobs
    from tinker_cookbook.rl import train
    from tinker_cookbook.rl.types import Trajectory, TrajectoryGroup, Transition

    from counterpoint.integrations.tinker import patch

    said, nothing = TokensWithLogprobs(tokens=[7], maybe_logprobs=[-0.1]), tinker.ModelInput.empty()

    def adapter(batch, credit):
        parts = list(batch.rows_by("group").values())
        groups = [
            TrajectoryGroup(
                [
                    Trajectory([Transition(nothing, said, 0.0, True, {}, metadata(batch, i))],
                               nothing)
                    for i in rows
                ],
                [nan(batch.rewards[i]) for i in rows],
                [{} for _ in rows],
            )
            for rows in parts
        ]  # fmt: skip
        with patch(credit):
            values = train.compute_advantages(groups)
        return back(batch, [i for rows in parts for i in rows],
                    [v for part in values for v in part.tolist()])  # fmt: skip

    return adapter


def torchrl():
    import torch
    from tensordict import TensorDict

    from counterpoint.integrations.torchrl import NormalizeAdvantage

    def adapter(batch, credit):
        table, there, places, agents = grid(batch)
        given = TensorDict({"agents": TensorDict(
            {"advantage": torch.tensor(table)[..., None], "mask": torch.tensor(there)},
            batch_size=table.shape)}, batch_size=table.shape[:1])  # fmt: skip
        values = NormalizeAdvantage(credit, names=agents)(given)["agents", "advantage"]
        return [float(values[place]) for place in places]

    return adapter


def verifiers():
    from verifiers_check import episode, trace

    from counterpoint.integrations.verifiers import assign

    def adapter(batch, credit):
        episodes, rows = [], []
        for (group, _), own in batch.rows_by("group", "rollout").items():
            own = sorted(own, key=lambda i: 0 if batch.turn is None else batch.turn[i])
            made = [trace(batch.agent[i], batch.rewards[i]) for i in own]
            episodes.append(episode(*made, group=str(group)))
            rows += own
        assign(episodes, credit)
        values = [one.nodes[1].advantages[0] for made in episodes for one in made.traces]
        return back(batch, rows, values)

    return adapter


def verl():
    import torch
    from verl import DataProto
    from verl.trainer.config import AlgoConfig
    from verl.trainer.ppo.ray_trainer import compute_advantage

    from counterpoint.integrations.verl import register, rows_of

    numbers = count()

    def adapter(batch, credit):
        name = f"counterpoint_{next(numbers)}"
        register(name, credit)
        paid = torch.zeros(len(batch), 3)
        paid[:, 1] = torch.tensor([nan(reward) for reward in batch.rewards])
        mask = torch.ones(len(batch), 3, dtype=torch.int64)
        data = DataProto.from_dict(
            tensors={"token_level_rewards": paid, "response_mask": mask, "responses": mask},
            non_tensors={"uid": np.array([f"u{g}" for g in batch.group], dtype=object)},
        )
        given = {n: getattr(batch, n) for n in ("agent", "rollout", "role", "turn")}
        with rows_of(**{n: column for n, column in given.items() if column is not None}):
            data = compute_advantage(data, name, config=AlgoConfig())
        return data.batch["advantages"][:, 2].tolist()

    return adapter


def main() -> None:
    name = sys.argv[1]
    adapter, rows = globals()[name](), []

    def counted(batch, credit):
        rows.append(len(batch))
        return adapter(batch, credit)

    _, given = ADAPTERS[name]
    check_adapter(counted, cannot=given["cannot"], refuses=given.get("refuses", ()))
    print(json.dumps({"calls": len(rows), "rows": sum(rows)}))


if __name__ == "__main__":
    main()
