"""Environments as other users write them, read in place: each is trained, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pettingzoo", reason="foreign worlds need pettingzoo")
pytest.importorskip("torch", reason="networks need torch")

from counterpoint.errors import WorldError
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import TrainPlan

pytestmark = pytest.mark.fault("R41")

FOLDER = next(
    (
        folder
        for parent in Path(__file__).resolve().parents
        if (folder := parent / "shared/cases/worlds").is_dir()
    ),
    None,
)
REFUSED = {
    "DiesSilently": "no reward for a_0 in step 2.* terminations or truncations that are True",
    "NoneReward": "reward None of a_0 in step 1",
    "NaNReward": "reward nan of a_0 in step 4",
    "OldReset": "a reset that returns a value of type dict",
    "NoSeed": "a reset that takes no seed",
    "MixedActions": "failed in step: TypeError",  # it makes a float of an array of one number
    "UnboundedBox": r"wanted choices .* a Box with finite bounds",
    "ScalarObs": r"an observation of shape \(\) of a_0; wanted shape \(3,\)",
    "Gymnasium2": "wanted a PettingZoo ParallelEnv or AECEnv",
}
BEST = {
    "Dies": 7, "DeadStay": 6, "Joins": 8, "Respawn": 8, "PosthumousPay": 4,
    "DictAction": 0, "TupleAction": 0,  # they compare an action that is a dict or tuple with a bit
    "Endless": None,
}  # fmt: skip
"""The best return where it is not 10; None: no episode ends."""


def names():
    """The classes of the module, without importing it."""
    if FOLDER is None:
        return []
    lines = (FOLDER / "own.py").read_text(encoding="utf-8").splitlines()
    classes = [line[6:].partition("(")[0] for line in lines if line.startswith("class ")]
    return [name.rstrip(":") for name in classes if name != "Base"]


@pytest.mark.slow
@pytest.mark.skipif(FOLDER is None, reason="the cases are not on this machine")
@pytest.mark.filterwarnings("ignore:Your environment should override:UserWarning")
@pytest.mark.parametrize("name", names())
def test_each_is_trained_or_refused(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr("counterpoint.train.stepwise.LONGEST_EVALUATION", 200)
    given = {"diagnose_every": "0"}
    if name == "PosthumousPay":
        given["reward"] = "common"
    if name in REFUSED:
        with pytest.raises(WorldError, match=REFUSED[name]):
            train(name, given)
        return
    returns, best = train(name, given), BEST.get(name, 10)
    if best is None:
        assert len(returns) == 0
    else:
        assert returns.mean() >= 0.99 * best


def train(name, given):
    """The returns of fresh episodes after 12,000 steps."""
    plan = TrainPlan.of(f"own:{name}", "mappo_pooled", 12_000, given, None)
    return train_to_end(plan).returns
