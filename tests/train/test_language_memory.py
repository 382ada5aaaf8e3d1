"""The memory of one update is bounded however many different prompts it has; numbers do not change.

The bound is held against what is really alive: every storage that torch makes is counted until it
is freed. Without the bound, the same team needs several times as much.
"""

from __future__ import annotations

import weakref

import msgspec
import numpy as np
import pytest
import torch
from language_teams import small_learner, trained, weights
from plain_forward import flat, tiny, word_team
from torch.utils._python_dispatch import TorchDispatchMode

from counterpoint.lm.saved import SavedBytes, storages_of
from counterpoint.train.lora import estimate
from counterpoint.train.lora.words import CHOSEN_TOGETHER
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.world import Ending, Prompt, TextWorld, shared

SUMS = 384
"""Different prompts of a batch: six passes of `CHOSEN_TOGETHER`."""
KINDS = ("last_token", "plain")


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of storages that torch has made and not freed yet, and the most of them."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.alive = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, tuple | list) else (out,):
            if isinstance(x, torch.Tensor):
                self._made(x.untyped_storage())
        return out

    def _made(self, storage):
        place, nbytes = storage.data_ptr(), storage.nbytes()
        if nbytes and place not in self.alive:
            self.alive.add(place)
            self.now += nbytes
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._freed, place, nbytes)

    def _freed(self, place, nbytes):
        self.alive.discard(place)
        self.now -= nbytes


class Notes(TextWorld):
    """A writer notes a sum, each another one; a reader answers the note."""

    name, summary, free = "notes", "the share of digits in an answer", True
    agents = roles = ("writer", "reader")
    speaker, longest = "writer", 2
    references = References(0.0, 1.0, "share of digits")

    def tasks(self, rng, count):
        return [tuple(str(x) for x in rng.integers(1, 10**6, 2)) for _ in range(count)]

    def prompts(self, task, history):
        if len(history) == 2:
            return ()
        heard = "".join(f" {one.text}" for one in history)
        agent = self.agents[len(history)]
        return (Prompt(agent, "Notes.", f"{' + '.join(task)}?{heard}", most_tokens=3),)

    def ending(self, task, history):
        text = history[-1].text
        share = sum(one.isdigit() for one in text) / max(1, len(text))
        return Ending(share, shared(share, history))


class Sums(TextWorld):
    """An adder checks sums, each another one; a checker hears its word."""

    name, summary = "sums", "is a sum right?"
    agents = roles = ("adder", "checker")
    speaker, longest = "adder", 2
    references = References(0.5, 1.0, "share right")

    def tasks(self, rng, count):
        return [tuple(str(x) for x in rng.integers(1, 10**6, 2)) for _ in range(count)]

    def prompts(self, task, history):
        if len(history) == 2:
            return ()
        agent, heard = self.agents[len(history)], "".join(f" {one.text}" for one in history)
        return (Prompt(agent, "Sums.", f"{' + '.join(task)}?{heard}", ("true", "false")),)

    def ending(self, task, history):
        right = float((history[-1].text == "true") == (int(task[0]) % 2 == 0))
        return Ending(right, shared(right, history))


def asks():
    return [
        Prompt(agent, "Sums.", f"{n} + {7 * n} = {8 * n}?", ("true", "false"))
        for n in range(SUMS // 2)
        for agent in ("a", "b")
    ]


def learned_from(limit, kind="last_token", recomputed=False):
    """A team, the probabilities of all its prompts, its gradient, and the most live bytes."""
    model = tiny()
    torch.manual_seed(0)
    team = word_team(model, ("a", "b"), kind=kind, limit=limit, recurring=False)
    team.recomputed = recomputed
    parameters = [x for adapter in team.adapters.values() for x in adapter.parameters()]
    weight = torch.from_numpy(np.random.default_rng(0).normal(size=(SUMS, 2))).float()
    team.rows_of(asks()[:2])  # stacks of weights, prefixes
    team.forget()
    gradient = 0
    with LiveBytes() as live:
        rows = team.rows_of(asks())
        for some, log_probs in team.graphs():
            loss = (weight[some] * log_probs).sum()
            gradient = gradient + flat(
                torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            )
            del loss
    return team, np.array([team.probs[row] for row in rows]), gradient, live.most


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", KINDS)
def test_live_bytes_of_an_update_are_bounded_and_numbers_stay(kind):
    team, probs, gradient, most = learned_from(1 << 40, kind)
    assert not team.dropped
    each = most / (SUMS // CHOSEN_TOGETHER)  # of a pass
    limit = int(1.4 * each)
    bounded, same_probs, same_gradient, bounded_most = learned_from(limit, kind)
    assert len(bounded.dropped) == SUMS // CHOSEN_TOGETHER - 1
    # One pass is kept and one is at work, whose prompts exist as they were read and side by side.
    assert bounded_most <= limit + 2.3 * each < 0.65 * most
    np.testing.assert_array_equal(same_probs, probs)
    torch.testing.assert_close(same_gradient, gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("recomputed", [False, True])
def test_what_a_graph_keeps_is_what_is_counted(recomputed):
    """The count is between half of the live bytes and all of them, also where layers are computed
    again and autograd does not see what was read."""
    team, _, _, most = learned_from(1 << 40, "last_token", recomputed)
    team.forget()
    with LiveBytes() as live:
        team.rows_of(asks())
        assert 0.6 * live.now <= team.graph_bytes <= live.now
    assert team.graph_bytes <= most


@pytest.mark.parametrize("limit", [0, 1 << 40])
def test_graphs_that_are_dropped_or_forgotten_are_freed(limit):
    """A graph whose gradient is never taken must not hold itself."""
    team, left = word_team(tiny(), ("a", "b"), limit=limit, recurring=False), []
    with LiveBytes() as live:
        for _ in range(3):
            team.forget()
            team.rows_of(asks()[:CHOSEN_TOGETHER])
            assert len(team.dropped) == (limit == 0)
            team.forget()
            left.append(live.now)
    assert max(left) <= left[0] + 1000
    assert left[0] <= 0.1 * live.most


def test_nothing_is_kept_where_no_gradient_is_taken():
    team = word_team(tiny(), ("a", "b"))
    with torch.no_grad():
        team.rows_of(asks()[:8])
    assert not team.parts
    assert team.graph_bytes == 0
    # A gradient that is wanted after all is that of the same rows.
    ((some, log_probs),) = team.graphs()
    assert some == slice(0, 8)
    assert log_probs.requires_grad
    np.testing.assert_allclose(log_probs.detach().exp(), team.probs, atol=1e-6)


def test_a_pass_whose_prompts_are_kept_is_counted_once(monkeypatch):
    team, counted = word_team(tiny(), ("a", "b")), []
    count = SavedBytes.counting
    monkeypatch.setattr(SavedBytes, "counting", lambda one: counted.append(one) or count(one))
    sizes = []
    for _ in range(3):
        team.forget()
        team.rows_of(asks()[:8])
        sizes.append(team.graph_bytes)
    assert len(counted) == 1
    assert sizes == [sizes[0]] * 3
    # What is kept for the next update does not count.
    fresh = word_team(tiny(), ("a", "b"), recurring=False)
    fresh.rows_of(asks()[:8])
    assert 0 < sizes[0] < 0.8 * fresh.graph_bytes


def test_each_storage_counts_once_and_weights_do_not():
    weight, x = torch.zeros(4, 4, requires_grad=True), torch.zeros(2, 4)
    saved = SavedBytes(storages_of([weight]))
    saved.add(x)
    saved.add(x[1:].T)
    saved.add(weight.T)
    saved.add(torch.zeros(8), counts=False)
    assert saved.nbytes == 4 * 2 * 4
    with saved.counting():
        (x @ weight.T).exp()  # saves x, which is known, and its own output
    assert saved.nbytes == 4 * (2 * 4 + 2 * 4)


def numbers(row):
    """All numbers of a row of a training, by their paths."""
    found, open_parts = {}, [("", msgspec.to_builtins(row))]
    while open_parts:
        path, part = open_parts.pop()
        if isinstance(part, dict | list):
            pairs = part.items() if isinstance(part, dict) else enumerate(part)
            open_parts += [(f"{path}/{key}", value) for key, value in pairs]
        elif isinstance(part, int | float):
            found[path] = part
    return found


@pytest.mark.few(1)
@pytest.mark.parametrize("scheme", ["mappo_per_agent", "mappo_pooled"])
def test_a_training_has_the_same_series_within_the_bound(scheme):
    """1 MB holds a fraction of the graphs of an update; the rest is computed again."""
    free = small_learner(Sums(), scheme, prompts=128, rollouts=2)
    bound = small_learner(Sums(), scheme, prompts=128, rollouts=2, cache_mb=1)
    assert not bound.recurring
    rows, _ = trained(free, 2)
    same_rows, _ = trained(bound, 2)
    assert not free.words.dropped
    assert bound.words.dropped
    for row, same in zip(rows, same_rows, strict=True):
        assert numbers(same) == pytest.approx(numbers(row), rel=1e-3, abs=1e-5, nan_ok=True)
    for name, adam in free.adams.items():
        torch.testing.assert_close(bound.adams[name].weights, adam.weights, atol=1e-4, rtol=1e-3)


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", ["activated", "last_token"])
@pytest.mark.parametrize("processes", [1, 2])
def test_texts_are_learned_from_with_the_same_bits_within_the_bound(kind, processes):
    """1 MB holds what was read of some of the prompts; the others are read again."""
    how = {"prompts": 64, "rollouts": 2, "adapter": kind}
    free = small_learner(Notes(), **how)
    bound = small_learner(Notes(), **how, cache_mb=1, processes=processes)
    played, _ = free.update()
    same, _ = bound.update()
    bound.writers.close()
    held = {id(x.handle.prefix): x.handle.prefix.nbytes for x in played.answers}
    assert sum(held.values()) > 2e6  # without the bound
    held = {id(x.handle.prefix): x.handle.prefix.nbytes for x in same.answers}
    assert 0 < sum(held.values()) < 1.1e6 * processes
    assert sum(x.handle.prefix.keys == {} for x in same.answers) > 32
    assert [x.text for x in same.answers] == [x.text for x in played.answers]
    assert weights(bound) == weights(free)


def test_the_estimate_reads_prompts_once_and_counts_what_waits_up_to_the_bound(monkeypatch):
    """What is timed as learning reads nothing, also where prompts never come back."""
    found = {}
    monkeypatch.setattr(estimate, "peak_gb", lambda _: 0.0)
    for cache_mb in (1, 256):
        learner = small_learner(Sums(), prompts=128, rollouts=2, cache_mb=cache_mb)
        kept = learner.words.readers["adder"].kept
        found[cache_mb] = estimate.estimate(learner)
        assert kept.limit == 0
        assert not kept
    update = small_learner(Sums(), prompts=128, rollouts=2)
    update.words.rows_of(update.play(np.random.default_rng(0)).asks)
    assert found[1].memory_gb <= 0.001
    assert found[256].memory_gb == pytest.approx(update.words.graph_bytes / 1e9, abs=0.01)
    assert found[256].learning_seconds < found[256].reading_seconds
