"""Memory is estimated before anything is allocated; defaults shrink until a training fits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from bit_worlds import NamesTheBit
from step_worlds import small

from counterpoint.errors import SettingError
from counterpoint.train.ppo import memory
from counterpoint.train.ppo.learner import Crediting
from counterpoint.train.ppo.memory import fitted, memory_need, require_memory
from counterpoint.train.ppo.plan import TrainPlan
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds import find_world


class ShowsMuch(NamesTheBit):
    """20 agents who each see 164,520 numbers, as in pistonball."""

    def build(self):
        super().build()
        self.agents, self.roles = tuple(f"a_{k}" for k in range(20)), ("a",) * 20
        self.seen_sizes, self.actions = (164_520,) * 20, self.actions[:1] * 20
        self.held["bit"] = np.zeros((20, self.copies), dtype=np.int64)
        self.extents = None

    def begin(self, copies):
        pass

    def view(self):
        return None


PISTONS = ShowsMuch()
DEFAULTS = PolicySettings().filled(python=True)


def crediting(world, settings):
    return Crediting.of("none", world, settings)


def test_the_batch_of_a_small_world_by_hand():
    world, settings = NamesTheBit(), small(observations="raw", diagnose_every=0, minibatches=1)
    settings = settings.filled(python=False)
    rows = 2 * 5 * 8  # agents, steps and the view after them, copies
    # observations, states, views of ended episodes and of now: 4 x 8 / 5 episodes end
    played = 4 * (rows * 2 + 5 * 8 * 4 + (4 + 2) * 8 * (2 * 2 + 4)) + rows * (8 * 12 + 4 * 3 * 2)
    learned = 4 * rows * 4  # what is seen, and which of two agents sees it
    part = 4 * rows * (4 + 4 + 6 * 2 * 8)  # two networks of a layer of 8
    weights = (5 * 8 + 9 * 2) + (5 * 8 + 9 * 1)
    need = memory_need(world, settings, crediting(world, settings))
    assert need.batch == played + learned + part
    assert need.networks == 8 * 4 * weights
    assert need.measurements == 0


def test_pistonball_at_its_defaults_needs_more_than_40_gb():
    need = memory_need(PISTONS, DEFAULTS, crediting(PISTONS, DEFAULTS))
    assert need.batch > 40e9
    assert need.measurements > 20e9  # 8 micro-batches of 20 gradients of 10 million numbers, twice


def test_default_copies_shrink_until_the_training_fits(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 16_000_000_000)
    fits, notes = fitted(PISTONS, DEFAULTS, crediting(PISTONS, DEFAULTS), {})
    assert (fits.copies, fits.diagnose_every) == (4, 0)
    need = memory_need(PISTONS, fits, crediting(PISTONS, fits)).total
    assert need <= 0.8 * 16e9 < 2 * need
    assert len(notes) == 1
    assert "16.0 GB are available; so it takes copies=4 and diagnose_every=0" in notes[0]
    kept, none = fitted(NamesTheBit(), DEFAULTS, crediting(NamesTheBit(), DEFAULTS), {})
    assert (kept, none) == (DEFAULTS, ())


@pytest.mark.parametrize(
    ("given", "changes", "advice"),
    [
        ({"copies": 64}, {}, r"fewer copies \(now 64\) or steps \(now 32\)"),
        ({"diagnose_every": 5}, {}, "diagnose_every=0"),
        ({"hidden": 4096}, {"hidden": 4096, "diagnose_every": 0}, r"a smaller hidden \(now 4096\)"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_setting_that_helps(
    given, changes, advice, monkeypatch
):
    monkeypatch.setattr(memory, "available_memory", lambda: 16_000_000_000)
    settings = PolicySettings(**changes).filled(python=True)
    with pytest.raises(SettingError, match=advice):
        fitted(PISTONS, settings, crediting(PISTONS, settings), given)


def test_without_an_answer_of_the_system_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert fitted(PISTONS, DEFAULTS, crediting(PISTONS, DEFAULTS), {}) == (DEFAULTS, ())
    require_memory(PISTONS, DEFAULTS, crediting(PISTONS, DEFAULTS), None)


def test_a_plan_keeps_what_was_chosen_and_says_so(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 8_000_000)
    plan = TrainPlan.of("spread", "none", 100_000, {}, None)
    assert plan.policy.copies < 128
    assert "copies=" in plan.notes[0]
    assert TrainPlan.from_config(plan.config()) == plan
    monkeypatch.setattr("counterpoint.train.ppo.plan.available_memory", lambda: 100_000)
    with pytest.raises(SettingError, match="wanted at most 80%"):
        plan.learner()  # a run that is resumed where there is less memory


MEASURED = """
import resource, sys
from counterpoint.train.ppo.learner import Learner
from counterpoint.train.ppo.plan import PolicyTrainer
from counterpoint.train.ppo.settings import PolicySettings
from counterpoint.worlds import find_world

def peak(agents, **given):
    world = find_world("spread").make({"agents": agents}, copies=given["copies"])
    team = PolicyTrainer(None, Learner(world, "none", PolicySettings(**given), 0))
    for _ in range(2):
        team.update(None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak(2, copies=4, steps=5)
print(peak(20, **eval(sys.argv[1])) - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize(
    "given",
    [
        {"diagnose_every": 0},
        {},
        {"critic": "central", "diagnose_every": 0},
        {"memory": "gru"},
        {"observations": "normalized", "diagnose_every": 0},
    ],
)
def test_the_estimate_is_near_the_memory_that_is_used(given):
    given = {"copies": 256, "steps": 25, "epochs": 1, **given}
    out = subprocess.run(
        [sys.executable, "-c", MEASURED, repr(given)], capture_output=True, text=True, check=True
    )
    world = find_world("spread").make({"agents": 20})
    settings = PolicySettings(**given).filled(python=False)
    need = memory_need(world, settings, crediting(world, settings)).total
    assert 0.8 < need / int(out.stdout) < 2.0
