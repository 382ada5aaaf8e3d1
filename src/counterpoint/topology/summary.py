"""What a comparison of topologies comes to: scores, shares of the variance, and the synergy gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.stats import bootstrap_interval, means, variance_shares
from counterpoint.stats.estimate import Estimate

if TYPE_CHECKING:
    from counterpoint.topology.design import Batch

REFERENCES = ("mean", "best_member", "oracle", "single_agent")
"""What a team is measured against: its members alone, on average; the best of them, chosen on other
items; whoever of them is right, item by item, which nobody can choose; and one agent with all that
the team has, and as many calls."""


def summarize(
    topologies: Sequence[str],
    prompts: Sequence[str],
    batches: Sequence[Batch],
    shapes: Mapping[str, Mapping[str, Any]],
    orders: Mapping[str, int],
) -> dict[str, Any]:
    """The numbers of the document.

    Args:
        topologies, prompts: the levels.
        batches: one a seed.
        shapes: measures of each topology.
        orders: how many orders of each topology were played.
    """
    rng = np.random.default_rng(0)
    cells = {t: np.stack([batch.scores[t] for batch in batches], axis=2) for t in topologies}
    against = references(batches)
    return {
        "scores": {
            told: {
                **_told(bootstrap_interval(cells[told].mean(axis=(0, 1)), rng=rng)),
                "by_prompt": {
                    prompt: _told(bootstrap_interval(cells[told][p].mean(axis=0), rng=rng))
                    for p, prompt in enumerate(prompts)
                },
                "orders": orders[told],
                "order_scores": [float(one) for one in cells[told].mean(axis=(0, 2))],
                "calls": batches[0].calls[told],
                "shape": dict(shapes[told]),
                "gap": {
                    name: _difference(cells[told].mean(axis=1).T, against[name], rng)
                    for name in REFERENCES
                },
            }
            for told in topologies
        },
        **_shares([cells[told] for told in topologies], rng),
        "references": {
            name: _told(bootstrap_interval(against[name].mean(axis=1), rng=rng))
            for name in REFERENCES
        },
        **_best(cells, prompts, against, rng),
    }


def references(batches: Sequence[Batch]) -> dict[str, Floats]:
    """Name to [S, P] what a team is measured against in each seed."""
    alone = np.stack([batch.members for batch in batches])  # [S, P, A, B]
    half = alone.shape[3] // 2
    first, second = alone[..., :half], alone[..., half:]
    if half == 0:
        best = alone.mean(axis=3).max(axis=2)
    else:
        parts = [
            np.take_along_axis(
                there.mean(axis=3), here.mean(axis=3).argmax(axis=2)[..., None], axis=2
            )[..., 0] * there.shape[3]
            for here, there in ((first, second), (second, first))
        ]  # fmt: skip
        best = sum(parts) / alone.shape[3]
    return {
        "mean": alone.mean(axis=(2, 3)),
        "best_member": best,
        "oracle": alone.max(axis=2).mean(axis=2),
        "single_agent": np.stack([batch.single for batch in batches]),
    }


def _best(
    cells: Mapping[str, Floats],
    prompts: Sequence[str],
    against: Mapping[str, Floats],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The best cell, chosen on one half of the seeds and measured on the other, both ways."""
    names = [(t, p) for t in cells for p in range(len(prompts))]
    scores = np.stack([cells[t][p].mean(axis=0) for t, p in names])  # [cells, S]
    seeds = scores.shape[1]
    halves = (np.arange(seeds) % 2 == 0, np.arange(seeds) % 2 == 1)
    team, other = np.zeros(seeds), {name: np.zeros(seeds) for name in REFERENCES}
    for here, there in (halves, halves[::-1]):
        chosen = int(scores[:, here].mean(axis=1).argmax())
        team[there] = scores[chosen, there]
        for name in REFERENCES:
            other[name][there] = against[name][there, names[chosen][1]]
    topology, prompt = names[int(scores.mean(axis=1).argmax())]
    return {
        "best": {"topology": topology, "prompt": prompts[prompt],
                 **_told(bootstrap_interval(team, rng=rng))},
        "gap": {name: _difference(team[:, None], other[name][:, None], rng)
                for name in REFERENCES},
    }  # fmt: skip


def _difference(team: Floats, other: Floats, rng: np.random.Generator) -> dict[str, Any]:
    return _told(bootstrap_interval((team - other).mean(axis=1), rng=rng, statistic=means))


def _shares(cells: Sequence[Floats], rng: np.random.Generator) -> dict[str, Any]:
    try:
        found = variance_shares(cells, rng)
    except StatisticsError as error:
        return {"shares": None, "why_no_shares": str(error)}
    return {
        "shares": {
            name: {"value": one.share.value, "low": one.share.low, "high": one.share.high,
                   "chance": one.chance}
            for name, one in found.items()
        }
    }  # fmt: skip


def _told(estimate: Estimate) -> dict[str, Any]:
    told = asdict(estimate)
    return {"iqm": told["value"], **told}
