"""The numbers of a comparison of topologies: scores, variance shares, and the synergy gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from counterpoint.arrays import Floats
from counterpoint.errors import StatisticsError
from counterpoint.results.topology import (
    REFERENCES,
    BestCell,
    MeasuredTopology,
    SeedEstimate,
    TopologyPart,
    TopologyScore,
    VarianceShare,
)
from counterpoint.stats import bootstrap_interval, means, variance_shares
from counterpoint.stats.estimate import Estimate
from counterpoint.topology.topology import Topology, measures


@dataclass(frozen=True)
class SeedScores:
    """The scores of one seed."""

    scores: dict[str, Floats]
    """Topology to [P, O] mean score."""
    members: Floats
    """[P, A, B] score of each member that works alone with its share of the budget."""
    single: Floats
    """[P] mean score of one agent that has everything the team has."""
    calls: dict[str, float]
    """Topology to calls for each item."""


@dataclass(frozen=True)
class Summary:
    """The numbers of a comparison, as `TopologyResult` has them."""

    scores: dict[str, TopologyScore]
    shares: dict[str, VarianceShare] | None
    why_no_shares: str | None
    references: dict[str, SeedEstimate]
    best: BestCell
    gap: dict[str, SeedEstimate]


def summarize(
    seatings: Mapping[str, Sequence[Topology]],
    prompts: Sequence[str],
    seeds: Sequence[SeedScores],
) -> Summary:
    """Returns the numbers of a comparison.

    Args:
        seatings: the orders of each topology that were played; its own order comes first.
        prompts: the prompts that were played.
        seeds: the scores of each seed.
    """
    rng = np.random.default_rng(0)
    cells = {name: np.stack([one.scores[name] for one in seeds], axis=2) for name in seatings}
    against = references(seeds)
    scores = {}
    for name, (topology, *others) in seatings.items():
        cell = cells[name]
        whole = bootstrap_interval(cell.mean(axis=(0, 1)), rng=rng)
        scores[name] = TopologyScore(
            iqm=whole.value, value=whole.value, low=whole.low, high=whole.high, n=whole.n,
            by_prompt={
                prompt: _over_seeds(bootstrap_interval(cell[p].mean(axis=0), rng=rng))
                for p, prompt in enumerate(prompts)
            },
            orders=1 + len(others),
            order_scores=[float(one) for one in cell.mean(axis=(0, 2))],
            calls=seeds[0].calls[name],
            shape=MeasuredTopology(**asdict(measures(topology)),
                                   topology=TopologyPart(**asdict(topology))),
            gap={reference: _difference(cell.mean(axis=1).T, against[reference], rng)
                 for reference in REFERENCES},
        )  # fmt: skip
    shares, why = _shares(list(cells.values()), rng)
    levels = {
        name: _over_seeds(bootstrap_interval(against[name].mean(axis=1), rng=rng))
        for name in REFERENCES
    }
    best, gap = _best(cells, prompts, against, rng)
    return Summary(scores, shares, why, levels, best, gap)


def references(seeds: Sequence[SeedScores]) -> dict[str, Floats]:
    """Returns name to [S, P]: what a team is measured against in each seed."""
    alone = np.stack([one.members for one in seeds])  # [S, P, A, B]
    # Who looks best on some items is best partly by chance: it is chosen on one half of the items
    # and measured on the other.
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
        "single_agent": np.stack([one.single for one in seeds]),
    }


def _best(
    cells: Mapping[str, Floats],
    prompts: Sequence[str],
    against: Mapping[str, Floats],
    rng: np.random.Generator,
) -> tuple[BestCell, dict[str, SeedEstimate]]:
    """Returns the best cell, chosen on half of the seeds and measured on the other, and its
    gaps."""
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
    best = bootstrap_interval(team, rng=rng)
    cell = BestCell(topology=topology, prompt=prompts[prompt], iqm=best.value, value=best.value,
                    low=best.low, high=best.high, n=best.n)  # fmt: skip
    gap = {name: _difference(team[:, None], other[name][:, None], rng) for name in REFERENCES}
    return cell, gap


def _difference(team: Floats, other: Floats, rng: np.random.Generator) -> SeedEstimate:
    return _over_seeds(bootstrap_interval((team - other).mean(axis=1), rng=rng, statistic=means))


def _shares(
    cells: Sequence[Floats], rng: np.random.Generator
) -> tuple[dict[str, VarianceShare] | None, str | None]:
    """Returns the shares of the variance, or None and the reason."""
    try:
        shares = variance_shares(cells, rng)
    except StatisticsError as error:
        return None, str(error)
    return {
        name: VarianceShare(value=one.share.value, low=one.share.low, high=one.share.high,
                            chance=one.chance)
        for name, one in shares.items()
    }, None  # fmt: skip


def _over_seeds(estimate: Estimate) -> SeedEstimate:
    return SeedEstimate(iqm=estimate.value, value=estimate.value, low=estimate.low,
                        high=estimate.high, n=estimate.n)  # fmt: skip
