"""Self-play: how often a trained team wins against random actions and its first self.

    python bench/self_play.py pettingzoo.classic:connect_four_v3 --budget 600000 --seeds 3
    python bench/self_play.py pettingzoo.classic:tictactoe_v3 --set pool_share=0

Each seed prints points on the way, its CPU-seconds, training and games apart, and every record as
one line. The last lines add up the games of all seeds. tictactoe.py says what can be reached.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from counterpoint.results.competition import Rate, Record
from counterpoint.stats.rates import wilson_interval
from counterpoint.train.loop import train_to_end
from counterpoint.train.ppo.plan import PolicyTrainer
from counterpoint.train.series import Row
from counterpoint.train.session import plan_of

MAIN = 4
"""The first records: against random actions and the first self, with sampled and greedy actions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("world")
    parser.add_argument("--budget", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--set", nargs="*", default=[], help="settings, key=value")
    options = parser.parse_args()
    given = dict(pair.split("=", 1) for pair in options.set)
    records = [
        rate(options.world, options.budget, seed, {"diagnose_every": "0", **given})
        for seed in range(options.first, options.first + options.seeds)
    ]
    for same in zip(*(seed[:MAIN] for seed in records), strict=True):
        games = [(one.wins, one.draws, one.losses) for one in same]
        wins, draws, losses = map(sum, zip(*games, strict=True))
        n = wins + draws + losses
        won, points = wilson_interval(wins, n), wilson_interval(wins + draws / 2, n)
        print(
            f"all seeds, {same[0].opponent} {same[0].actions}: {wins}-{draws}-{losses}, "
            f"won {won.value:.3f} [{won.low:.3f}, {won.high:.3f}], points {points.value:.3f} "
            f"[{points.low:.3f}, {points.high:.3f}]"
        )


def rate(world: str, budget: int, seed: int, given: dict[str, str]) -> list[Record]:
    """Trains one seed, prints its records and returns them."""
    plan = replace(plan_of(world, budget=budget, given=given), seed=seed)
    team = plan.trainer()
    assert isinstance(team, PolicyTrainer)
    begun, trained = time.process_time(), []

    def on_row(row: Row) -> None:
        trained.append(time.process_time())
        if row.returned is not None:
            print(f"  {row.step:,} steps: {row.returned:.3f} points against random", flush=True)

    train_to_end(plan, team=team, on_row=on_row)
    ended = time.process_time()
    seconds = f"{trained[-1] - begun:.0f} + {ended - trained[-1]:.0f} CPU-seconds"
    print(f"{world} {given} seed {seed}: {team.steps:,} steps, {seconds}")
    assert team.competition is not None
    for record in team.competition.records:
        print(f"  {line(record)}", flush=True)
    print("  Elo", *(f"{one.elo:.0f}" for one in team.competition.ratings), flush=True)
    return team.competition.records


def line(record: Record) -> str:
    """Returns a record in one line."""
    seats = ", ".join(f"{s.side} {s.wins}-{s.draws}-{s.losses}" for s in record.seats)
    counts = f"{record.wins}-{record.draws}-{record.losses}"
    return (
        f"{record.opponent} {record.update or ''} {record.actions}: {counts}, won "
        f"{shown(record.won)}, points {shown(record.points)} ({seats})"
    )


def shown(rate: Rate | None) -> str:
    """Returns a rate with its interval."""
    return "none" if rate is None else f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]"


if __name__ == "__main__":
    main()
