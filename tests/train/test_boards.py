"""The board games of the trials are those of PettingZoo, move by move."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from bench_modules import bench_module
from counterpoint.worlds.foreign.world import ForeignWorld
from counterpoint.worlds.sequential.world import uniform_actions


@pytest.mark.parametrize("name", ["connect_four", "tictactoe"])
def test_a_copy_does_what_the_original_does(name):
    module = f"pettingzoo.classic.{name}.{name}"
    pytest.importorskip(module, reason="it needs pettingzoo")
    make = importlib.import_module(module).env
    copies, rng = 8, np.random.default_rng(0)
    original, copy = (
        ForeignWorld(make, copies=copies),
        bench_module("boards").BOARDS[name](copies=copies),
    )
    assert original.agents == copy.agents
    theirs, ours = original.reset(), copy.reset()
    outcomes = set()
    for _ in range(60):
        assert (theirs.active == ours.active).all()
        acting = theirs.active
        assert (theirs.seen[acting] == ours.seen[acting]).all()
        assert (theirs.legal[acting] == ours.legal[acting]).all()
        actions = uniform_actions(copy, ours, rng)
        left, right = original.step(actions), copy.step(actions)
        assert (left.own == right.own).all()
        assert (left.ended == right.ended).all()
        assert (left.terminated == right.terminated).all()
        outcomes |= {tuple(row) for row in left.own[left.ended]}
        theirs, ours = left.view, right.view
    assert {(1, -1), (-1, 1)} <= outcomes
