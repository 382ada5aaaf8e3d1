"""The headline: a quiet and a loud pair of agents, one team reward, and what each scheme does.

Accuracy of the quiet pair by scale and parameterization, return and reward-weighted return of every
arm, the null control, regions drawn inside the rollout, larger teams, learning rates, and how well
inflation predicts the loss of gradient signal-to-noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from measured import Page, final_accuracy, iqm, number, recipe, trained

from counterpoint.credit import Scheme, advantages, catalogue
from counterpoint.train import Training
from counterpoint.train.estimators import labels
from counterpoint.worlds import find_world
from counterpoint.worlds.exact.world import CHANCE, TASK, stack

ARMS: dict[str, str | Scheme] = {
    "pooled": "mappo_pooled",
    "per agent": "mappo_per_agent",
    "GRPO group": "grpo",
    "running, per agent": "group_reward_decoupled",
    "per agent in groups": "agent_wise",
    "per-agent mean, pooled std": "agent_mean",
    "per-agent std, floor 1": Scheme(center_by=("agent",), floor=1.0),
    "per-agent std, shrunk by 16": Scheme(center_by=("agent",), shrink=16.0),
    "counterfactual": "counterfactual",
    "difference": "difference",
}


def quiet(done: Training) -> np.ndarray:
    """Returns the final accuracy [S] of the stable pair."""
    return final_accuracy(done, slice(0, len(done.agents) // 2))


def scales(seeds: int) -> Page:
    earlier = {
        ("shared", 1): (".959 [.905, .996]", ".965 [.912, .990]", ".983"),
        ("shared", 10): (".590 [.521, .648]", ".984 [.943, .999]", ".989"),
        ("shared", 100): (".345 [.249, .417]", ".983 [.942, .999]", ".989"),
        ("separate", 100): (".434 [.344, .504]", ".999 [.998, 1.0]", ".999"),
    }
    cells = []
    for parameters in ("shared", "separate"):
        for scale in (1, 10, 100):
            known = earlier.get((parameters, scale), ("", "", ""))
            for column, text in zip(("pooled", "per agent", "GRPO group"), known, strict=True):
                settings = {"parameters": parameters, "scale": scale}
                done = trained("regions", ARMS[column], seeds, settings)
                cells.append(iqm(f"{parameters}, x{scale}", column, quiet(done), text))
    return Page("Accuracy of the quiet pair (chance .25)", cells)


def arms(seeds: int) -> Page:
    earlier = {
        "pooled": (".590", ".736", ".867"),
        "per agent": (".984", ".885", ".823"),
        "GRPO group": (".989", ".877", ".802"),
        "running, per agent": (".97", ".904", ""),
        "per-agent mean, pooled std": (".70", "", ""),
        "per-agent std, floor 1": ("in between", "", ""),
        "per-agent std, shrunk by 16": ("in between", "", ""),
        "counterfactual": (".85", ".910", ""),
    }
    cells = []
    for name, scheme in ARMS.items():
        done = trained("regions", scheme, seeds)
        known = earlier.get(name, ("", "", ""))
        cells += [
            iqm(name, "quiet pair", quiet(done), known[0]),
            iqm(name, "return, equal weights", done.returns[:, -1], known[1]),
            iqm(name, "reward-weighted return", done.weighted_returns[:, -1], known[2]),
        ]
    return Page("Shared parameters, x10: what a scheme buys, and what it costs", cells)


def control(seeds: int) -> Page:
    names = ("pooled", "per agent", "GRPO group", "counterfactual")
    cells = []
    for scale in (3, 5, 10):
        settings = {"participation": "everyone", "scale": scale}
        done = {name: trained("regions", ARMS[name], seeds, settings) for name in names}
        for name, outcome in done.items():
            known = ".405" if scale == 10 and name in ("pooled", "per agent") else ""
            cells.append(iqm(f"x{scale}", name, outcome.returns[:, -1], known))
        gap = float(abs(done["pooled"].returns - done["per agent"].returns).max())
        cells.append(number(f"x{scale}", "pooled - per agent, largest", gap, form=".1e"))
    note = "Earlier, at a noise that was not written down: both .645, counterfactual .909."
    return Page("Everybody present, shared: pooled and per agent are the same", cells, note)


def in_rollout(seeds: int) -> Page:
    earlier = {"GRPO group": ".741", "per agent in groups": ".879", "per agent": ".887",
                 "counterfactual": ".911", "pooled": ""}  # fmt: skip
    settings = {"drawn": "in_rollout"}
    cells = []
    for name, text in earlier.items():
        done = trained("regions", ARMS[name], seeds, settings)
        cells.append(iqm(name, "return", done.returns[:, -1], text))
        cells.append(iqm(name, "quiet pair", quiet(done)))
    return Page("Region drawn inside the rollout, shared, x10: GRPO groups collapse too", cells)


def team_size(seeds: int) -> Page:
    earlier = {
        4: (".787", ".999"),
        8: (".603", ".998"),
        16: (".524", ".997"),
        32: (".429", ".987"),
    }
    cells = []
    for agents, known in earlier.items():
        settings = {"agents": agents, "parameters": "separate"}
        for name, text in zip(("pooled", "per agent"), known, strict=True):
            done = trained("regions", ARMS[name], seeds, settings)
            cells.append(iqm(f"{agents} agents", f"{name}, quiet half", quiet(done), text))
            cells.append(iqm(f"{agents} agents", f"{name}, return", done.returns[:, -1]))
    return Page("Larger teams, separate tables, x10", cells)


def learning_rates(seeds: int) -> Page:
    cells = []
    for lr in (0.02, 0.05, 0.1, 0.2, 0.5):
        for name in ("pooled", "per agent"):
            done = trained("regions", ARMS[name], seeds, {"lr": lr})
            cells.append(iqm(f"lr {lr}", f"{name}, quiet pair", quiet(done)))
    return Page("No learning rate rescues pooled statistics (shared, x10)", cells)


def inflation(seeds: int) -> Page:
    """Returns what an untrained team's gradient loses to its offset, over one very large batch."""
    earlier = {3: ("1.6", "3.0"), 10: ("13.2", "12.4"), 30: ("128", "112"), 100: ("1,477", "2,689")}
    norms = {1: ".170", 10: ".0085", 100: ".0006"}
    cells = []
    for scale in (1, 3, 10, 30, 100):
        row, (predicted, measured) = f"x{scale}", earlier.get(scale, ("", ""))
        offset = (0.25 + 0.25 * scale) / 2 - 0.25
        exact = 1 + offset**2 / (0.1875 / 2 + 0.01)
        cells.append(number(row, "predicted", exact, predicted, form=",.1f"))
        (pooled_length, pooled), (_, own) = _first_gradients(scale, 1000 * seeds)
        cells.append(number(row, "measured", own / pooled, measured, form=",.1f"))
        text = norms.get(scale, "")
        cells.append(number(row, "mean gradient, pooled", pooled_length, text, form=".4f"))
    note = "Measured is higher: a sixth of the own gradient's power, taken for noise, is signal."
    return Page("Inflation of the quiet pair's noise: 1 + (mu_i - mu)^2 / sigma_i^2", cells, note)


def _first_gradients(scale: float, batches: int) -> list[tuple[float, float]]:
    """Returns the length of a quiet decision's mean gradient, and its signal-to-noise ratio in
    power, with pooled and with per-agent statistics; statistics are those of all batches together.

    The untrained policy is uniform, so a decision's gradient with respect to its logits is
    g = A (1[a] - 1/4): by symmetry E g has (4/3) m^2 with m = E[A (1[right] - 1/4)], and E |g|^2 is
    3/4 E[A^2].
    """
    world = find_world("regions").make({"scale": scale})
    tasks = stack([world.tasks(np.random.default_rng([s, TASK])) for s in range(batches)])
    chance = stack([world.draw(np.random.default_rng([s, CHANCE]), 0) for s in range(batches)])
    play = world.play(tasks, chance, world.uniform(batches))
    rows, columns = labels(world, play.active)
    agent, rewards = columns["agent"], play.reward.ravel()[rows]
    target = tasks["target"][columns["batch"], agent, play.context.ravel()[rows]]
    right = play.action.ravel()[rows] == target
    quiet_rows = agent < len(world.agents) // 2
    gradients = []
    for name in ("mappo_pooled", "mappo_per_agent"):
        values = advantages(rewards, {"agent": agent}, catalogue()[name]).values[quiet_rows]
        signal = 4 / 3 * float(np.mean(values * (right[quiet_rows] - 0.25))) ** 2
        gradients.append((signal**0.5, signal / (0.75 * float(np.mean(values**2)) - signal)))
    return gradients


def tables(seeds: int) -> Sequence[Page]:
    pages = (scales, arms, control, in_rollout, team_size, learning_rates, inflation)
    return [page(seeds) for page in pages]


if __name__ == "__main__":
    recipe("regions", tables, seeds=16)
