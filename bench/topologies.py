"""How much it matters who hears whom: both directions of the lever, error amplification, talk.

    python bench/topologies.py --out counterpoint-out/bench/topologies.json [--model smollm2]

Shares of the variance in settings where topology dominates and where prompts do; how often one
member that is misled misleads the team, beside one agent with all clues; guards, one at a time,
against members that are planted; and the density of talk at which a search loses its diversity.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import mean_estimate, with_interval, write_json
from counterpoint.arrays import Floats
from counterpoint.results import document_of
from counterpoint.topology import make_topology
from counterpoint.topology.design import DEFAULT, TopologyPlan, compare_topologies
from counterpoint.topology.play import Guards, play
from counterpoint.worlds.message.hidden_profile import (
    HiddenProfile,
    HiddenProfileSettings,
    Profiles,
)
from counterpoint.worlds.message.idea_search import IdeaSearch, IdeaSearchSettings
from planted_members import PLANTED, Planted

SEEDS, ITEMS = 30, 100
TALKING = ("star", "tree", "complete", "debate", "blackboard")


def lever() -> dict[str, Any]:
    """Compares topologies in six settings, by the shares of variance."""
    plans = {
        "default: 24 bits, all topologies": TopologyPlan("hidden_profile"),
        "6 bits": TopologyPlan("hidden_profile", settings={"bits": 6}),
        "200 bits": TopologyPlan("hidden_profile", settings={"bits": 200}),
        "200 bits, only those that talk": TopologyPlan(
            "hidden_profile", TALKING, settings={"bits": 200}
        ),
        "with prompts searched for each": TopologyPlan(
            "hidden_profile", prompts=("naive", "optimal", "trained")
        ),
        "idea_search": TopologyPlan("idea_search"),
    }
    print("| setting | topology | prompt | order | interaction | residual | best | vs one agent |")
    print("|---|---|---|---|---|---|---|---|")
    measured = {}
    for name, plan in plans.items():
        result = compare_topologies(plan)
        best, gap = result.best, result.gap["single_agent"]
        cells = [with_interval(s) for s in (result.shares or {}).values()]  # fmt: skip
        print(
            f"| {name} | {' | '.join(cells)} | {best.topology}, {best.prompt}: "
            f"{best.value:.3f} | {with_interval(gap, '+.3f')} |"
        )
        document = document_of(result)
        measured[name] = {key: document[key] for key in ("shares", "best", "gap", "scores")}
    return measured


def inverted(world: HiddenProfile, items: Profiles, member: int) -> Profiles:
    """Returns the same items, in which the private clues of `member` are written as their
    opposites."""
    alone = world.has[member] & world.private
    return replace(items, sign=np.where(alone, -items.sign, items.sign))


def diversity(contents: NDArray[Any], bits: int) -> Floats:
    """Returns the mean share of choices in which two members differ, where they stand, [B].

    Args:
        contents: [A, B, 4] the last message of each member.
        bits: choices of an idea.
    """
    at = contents[:, :, 2].astype(int)
    on = (at[..., None] >> np.arange(bits)) & 1
    share = on.mean(axis=0)
    members = len(contents)
    if members < 2:
        return np.zeros(contents.shape[1])
    differ: Floats = (2 * share * (1 - share)).mean(axis=1) * members / (members - 1)
    return differ


def amplification() -> dict[str, Any]:
    """Measures how often a team falls with one member that reads the opposite of all that it has
    alone.
    """
    world = HiddenProfile(HiddenProfileSettings(misread=0.0))
    columns = ("right", "turned wrong by the expert", "by another", "beside one agent")
    print(f"\n| topology | prompt | {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|")
    document: dict[str, Any] = {}
    for prompt in ("naive", "optimal"):
        for name in DEFAULT:
            right, flips, ratio = [], {0: [], 3: []}, []
            for seed in range(SEEDS):
                items = world.draw(np.random.default_rng([seed, 0]), ITEMS)
                members = [world.member(prompt)] * 4
                scores = {}
                for misled in (None, 0, 3):
                    batch = items if misled is None else inverted(world, items, misled)
                    rng = np.random.default_rng([seed, 1])
                    played = play(make_topology(name, 4), batch, ITEMS, members, rng)
                    one = world.single(batch, prompt, 4, np.random.default_rng([seed, 2]))
                    scores[misled] = world.score(batch, played.answers), world.score(batch, one)
                before = scores[None][0] == 1
                right.append(float(before.mean()))
                for misled in flips:
                    after, alone = scores[misled]
                    if before.any():
                        flips[misled].append(float((after[before] == 0).mean()))
                    if misled == 3 and before.any():
                        ratio.append(
                            float((after[before] == 0).mean() - (alone[before] == 0).mean())
                        )
            row = [
                mean_estimate(right),
                mean_estimate(flips[0]),
                mean_estimate(flips[3]),
                mean_estimate(ratio),
            ]
            print(f"| {name} | {prompt} | {' | '.join(with_interval(e) for e in row)} |")
            document[f"{name}.{prompt}"] = [vars(e) for e in row]
    return document


GUARDS = {
    "none": Guards(),
    "isolated drafts": Guards(isolated_drafts=True),
    "one round": Guards(most_rounds=1),
    "dissenter": Guards(dissenter=True),
    "fresh context": Guards(fresh_context=True),
    "heartbeat": Guards(heartbeat=True),
    "outside judge": Guards(outside_judge=True),
}


def guards() -> dict[str, Any]:
    """Measures each guard alone, under a debate and a blackboard, with two planted members."""
    world = HiddenProfile()
    print("\n| planted | topology | " + " | ".join(GUARDS) + " |")
    print("|---|---|" + "---|" * len(GUARDS))
    document: dict[str, Any] = {}
    for kind in ("nobody", *PLANTED):
        for name in ("blackboard", "debate"):
            cells, calls = {}, {}
            for guard, rules in GUARDS.items():
                scores = []
                for seed in range(SEEDS):
                    items = world.draw(np.random.default_rng([seed, 0]), ITEMS)
                    sound = world.member("naive")
                    members: list[Any] = [sound] * 4
                    if kind != "nobody":
                        members = [Planted(kind, sound), Planted(kind, sound), sound, sound]
                    rng = np.random.default_rng([seed, 1])
                    played = play(make_topology(name, 4), items, ITEMS, members, rng, guards=rules)
                    scores.append(float(world.score(items, played.answers).mean()))
                    calls[guard] = played.calls / ITEMS
                cells[guard] = mean_estimate(scores)
            shown = [f"{with_interval(cells[g])}, {calls[g]:.1f} calls" for g in GUARDS]
            print(f"| {kind} | {name} | {' | '.join(shown)} |")
            document[f"{kind}.{name}"] = {g: {**vars(cells[g]), "calls": calls[g]} for g in GUARDS}
    return document


def talk() -> dict[str, Any]:
    """Measures how often a searching team should tell its finds, and its diversity."""
    world = IdeaSearch(IdeaSearchSettings(members=8, budget=480))
    print("\n| talk | diversity | team | − best member | − one agent |")
    print("|---|---|---|---|---|")
    document = {}
    cases = ["best_of_n", *(f"{shape}:rounds={r}" for shape in ("ring", "complete")
                            for r in (2, 3, 5, 10, 20))]  # fmt: skip
    for case in cases:
        rows = []
        for seed in range(SEEDS):
            items = world.draw(np.random.default_rng([seed, 0]), ITEMS)
            members = [world.member("follow")] * 8
            rng = np.random.default_rng([seed, 1])
            topology = replace(make_topology(case, 8), decides="best", decider=None)
            played = play(topology, items, ITEMS, members, rng)
            last = {turn.member: turn.content for turn in played.turns}
            apart = diversity(np.stack(list(last.values())), world.settings.bits).mean()
            alone = play(make_topology("best_of_n", 8), items, ITEMS, members, rng).votes
            each = np.array([world.score(items, vote.answers) for vote in alone])
            best = each[each[:, ::2].mean(axis=1).argmax(), 1::2].mean()
            team = world.score(items, played.answers)
            one = world.score(items, world.single(items, "follow", 8, rng)).mean()
            rows.append((apart, team.mean(), team[1::2].mean() - best, team.mean() - one))
        row = [mean_estimate(list(column)) for column in np.array(rows).T]
        print(f"| {case} | {' | '.join(with_interval(e) for e in row)} |")
        document[case] = [vars(e) for e in row]
    return document


def spoken(model: str) -> dict[str, Any]:
    """Repeats a small part of the design with a language model."""
    begun = time.process_time()
    result = compare_topologies(
        TopologyPlan("hidden_profile", ("independent", "star", "debate"), ("naive", "facts"), 5,
                     20, 1, model=model)
    )  # fmt: skip
    print(f"\n{model}, 5 seeds of 20 items, {time.process_time() - begun:.0f} CPU-seconds")
    for name, s in result.scores.items():
        print(f"| {name} | {with_interval(s)} |")
    print({name: round(s.value, 3) for name, s in (result.shares or {}).items()})
    print({name: round(s.value, 3) for name, s in result.references.items()})
    document = document_of(result)
    return {"scores": document["scores"], "shares": document["shares"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    begun = time.process_time()
    document = {
        "lever": lever(),
        "amplification": amplification(),
        "guards": guards(),
        "talk": talk(),
    }
    print(f"\n{time.process_time() - begun:.0f} CPU-seconds in this process")
    if options.model:
        document["model"] = spoken(options.model)
    if options.out:
        write_json(options.out, document)


if __name__ == "__main__":
    main()
