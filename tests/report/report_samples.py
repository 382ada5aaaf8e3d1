"""Documents like those that `compare` and `diagnose` write, from the schema and not from a run.

Every number follows from the arguments, so that a test can ask for it again in the page.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SCHEMES = {
    "mappo_pooled": ("All agents pooled over the batch", 0.74, 0.867, "DROWNED"),
    "mappo_per_agent": ("Each agent's own batch statistics", 0.885, 0.823, None),
    "group_reward_decoupled": ("Each agent's own running statistics", 0.881, 0.802, None),
    "grpo": ("Statistics of the prompt's rollouts", 0.877, 0.802, None),
    "counterfactual": ("COMA's counterfactual baseline", 0.91, 0.851, None),
}
AGENTS = ("stable_0", "stable_1", "volatile_0", "volatile_1")


def comparison(seeds: int = 10, updates: int = 200) -> dict[str, Any]:
    """The headline comparison: a quiet pair drowned by a loud one under pooled statistics."""
    rng = np.random.default_rng(7)
    schemes = {name: _scheme(name, seeds, updates, rng) for name in SCHEMES}
    pooled = schemes["mappo_pooled"]["return"]["iqm"]
    differences = {
        name: {
            "versus": "mappo_pooled",
            **_estimate(entry["return"]["iqm"] - pooled, 0.045, seeds),
            "p": 1e-5,
            "mean": entry["return"]["iqm"] - pooled,
            "deviation": 0.05,
            "p_improvement": 0.99,
            "weighted_return": _estimate(entry["weighted_return"]["iqm"] - 0.867, 0.02, seeds),
        }
        for name, entry in schemes.items()
        if name != "mappo_pooled"
    }
    return {
        "schema": "counterpoint.comparison/1",
        "version": "0.1.0",
        "world": "regions",
        "summary": "Two agents act only in episodes of a stable region, two only in those of a "
        "volatile one, whose rewards and noise are ten times as large.",
        "config": {
            "world": {"scale": 10.0, "participation": "by_region", "parameters": "shared"},
            "training": {"updates": updates, "learning_rate": 0.2, "entropy": 0.01, "clip": 1},
        },
        "seeds": list(range(seeds)),
        "agents": list(AGENTS),
        "references": {"random": 0.25, "optimal": 1.0},
        "schemes": schemes,
        "differences": differences,
        "control": {
            "setting": "participation=everyone",
            "schemes": {
                name: {"return": _estimate(0.405, 0.03, seeds), "curves": _control_curve(updates)}
                for name in ("mappo_pooled", "mappo_per_agent")
            },
            "max_advantage_difference": 3.3e-16,
            "max_curve_difference": 0.0,
            "decoupling": "no-op",
        },
        "verdict": {
            "decoupling": "matters",
            "effect": "helps",
            "decoupled": "mappo_per_agent",
            "recommended": "mappo_per_agent",
            "decision": _decision(seeds),
            "why": "Under mappo_pooled the quiet agents stable_0 and stable_1 share a scale with "
            "rewards ten times as large and their gradients collapse (DROWNED). Statistics of "
            "their own restore them; the loud pair pays with a little of its return.",
        },
    }


def _decision(seeds: int) -> dict[str, Any]:
    """What was saved: the page computes it again from the numbers."""
    others = [name for name in SCHEMES if name != "mappo_pooled"]
    return {
        "verdict": "use", "recommended": "mappo_per_agent", "reference": "mappo_pooled",
        "arm": "mappo_per_agent", "contrast": {"value": 0.145, "low": 0.1, "high": 0.19},
        "compared": 4, "level": 0.0125, "seeds": seeds, "seeds_needed": None,
        "standings": dict.fromkeys(others, "better"), "largest": "counterfactual",
    }  # fmt: skip


def _estimate(value: float, half: float, seeds: int) -> dict[str, Any]:
    interval = (None, None) if seeds == 1 else (value - half, value + half)
    return {"iqm": value, "low": interval[0], "high": interval[1], "n": seeds}


def _scheme(name: str, seeds: int, updates: int, rng: np.random.Generator) -> dict[str, Any]:
    title, end, weighted, cause = SCHEMES[name]
    t = np.arange(updates + 1)
    speed = updates * (0.32 if cause else 0.12)
    curve = 0.25 + (end - 0.25) * (1 - np.exp(-t / speed)) + rng.normal(0, 0.004, len(t))
    width = 0.012 + 0.05 * np.exp(-(((t - updates / 5) / (updates / 3)) ** 2))
    low, high = (None, None) if seeds == 1 else ((curve - width), (curve + width))
    agents, agent_curves = {}, {}
    for agent in AGENTS:
        struck = cause if agent.startswith("stable") else None
        agents[agent], agent_curves[agent] = _agent(struck, seeds, updates, rng)
    return {
        "title": title,
        "citation": "Source of the estimator, section 4.2",
        "kind": "baseline" if name == "counterfactual" else "scheme",
        "return": _estimate(end, 0.035, seeds),
        "weighted_return": _estimate(weighted, 0.02, seeds),
        "agents": agents,
        "curves": {
            "update": t.tolist(),
            "return": {
                "iqm": curve.tolist(),
                "low": [None] * len(t) if low is None else low.tolist(),
                "high": [None] * len(t) if high is None else high.tolist(),
            },
            "agents": agent_curves,
        },
    }


def _agent(
    cause: str | None, seeds: int, updates: int, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    t = np.arange(updates + 1)
    end = 0.59 if cause else 0.97
    accuracy = 0.25 + (end - 0.25) * (1 - np.exp(-t / (updates * (0.5 if cause else 0.1))))
    accuracy += rng.normal(0, 0.006, len(t))
    share = (
        np.clip(np.where(t > 15, 0.85, 0.3) + rng.normal(0, 0.1, len(t)), 0, 1) if cause else 0 * t
    )
    share = np.round(share * seeds) / seeds
    early = "OFFSET" if cause else None
    causes = [
        None if s == 0 else early if i < updates * 0.3 else cause for i, s in enumerate(share)
    ]
    entry = {
        "accuracy": float(accuracy[-1]),
        "accuracy_low": None if seeds == 1 else float(accuracy[-1] - 0.06),
        "accuracy_high": None if seeds == 1 else float(min(1, accuracy[-1] + 0.05)),
        "signal_kept": _part(0.014 if cause else 0.98, seeds),
        "task_noise": _part(0.32 if cause else 0.88, seeds),
        "collapsed": cause is not None,
        "difficulty": None if cause else "DILUTED",
        "cause": cause,
        "remedy": "Normalize per agent, and weigh that against the cost." if cause else None,
        "inflation": 13.2 if cause else 1.02,
        "signal_share": 0.0099 if cause else 1.4,
        "dead_rate": 0.0,
        "snr": 0.11 if cause else 6.4,
    }
    curves = {
        "accuracy": accuracy.tolist(),
        "signal_kept": [None] * min(10, len(t)) + [0.02 if cause else 1.0] * (len(t) - 10),
        "collapsed": share.tolist(),
        "cause": causes,
    }
    return entry, curves


def _part(value: float, seeds: int) -> dict[str, Any]:
    """A share of 1 with its interval, which a single seed has as well."""
    half = 0.01 if seeds > 1 else 0.02
    return {"iqm": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def _control_curve(updates: int) -> dict[str, Any]:
    t = np.arange(updates + 1)
    curve = 0.25 + 0.155 * (1 - np.exp(-t / (updates * 0.4)))
    band = {"iqm": curve.tolist(), "low": None, "high": None}
    return {"update": t.tolist(), "return": band}


def diagnosis(updates: int = 60) -> dict[str, Any]:
    """The log of a two-agent team, one of them pushed by a mean that is not its own."""
    rng = np.random.default_rng(11)
    t = np.arange(updates)
    inflation = {
        "describer": 1 + 40 * np.exp(-t / 20) * rng.lognormal(0, 0.25, updates),
        "guesser": 1 + 300 * (1 - np.exp(-t / 12)) * rng.lognormal(0, 0.3, updates),
    }
    measures = {
        "describer": (26.4, 0.61, 0.083, -0.42, 1.0, "OFFSET"),
        "guesser": (214.0, 0.0047, 0.31, 0.42, 1.0, "OFFSET"),
    }
    kept = {"describer": 0.04, "guesser": 0.01}
    whole = {
        "scheme": "mappo_per_agent",
        "signal_kept": {"describer": 1.0, "guesser": 0.98},
        "dead_rate": {"describer": 0.083, "guesser": 0.31},
    }
    agents = {}
    for name, (inflated, share, dead, net, norm, cause) in measures.items():
        agents[name] = {
            "signal_kept": kept[name], "norm_inflation": norm, "inflation": inflated,
            "signal_share": share, "dead_rate": dead, "net_mass": net, "participation": 1.0,
            "resolution": 0.25, "decisions": 1920.0, "mean": 0.5 + net, "deviation": 0.08,
            "scale_ratio": 1.0, "spike_rate": 0.0, "influence": None, "entropy": None,
            "cause": cause,
            "remedy": "Subtract a mean of its own.",
            "evidence": f"inflation {inflated:g} over {updates} updates, threshold 4",
        }  # fmt: skip
    timeline = {
        name: {
            "inflation": inflation[name].tolist(),
            "signal_share": np.clip(share * rng.lognormal(0, 0.2, updates), 0, 2).tolist(),
            "dead_rate": np.clip(dead + rng.normal(0, 0.05, updates), 0, 1).tolist(),
            "net_mass": (net + rng.normal(0, 0.05, updates)).tolist(),
            "cause": ["OFFSET" if i > 5 else None for i in range(updates)],
        }
        for name, (_, share, dead, net, _, _) in measures.items()
    }
    return {
        "schema": "counterpoint.diagnosis/1",
        "version": "0.1.0",
        "source": "collapsed_pooled.jsonl",
        "scheme": "mappo_pooled",
        "rows": 3840,
        "updates": updates,
        "decoupling": {
            "verdict": "matters",
            "conditions": ["C3"],
            "tests": _tests(),
            "error_rate": 0.01,
            "not_readable": {
                "C4": "a log of rewards does not show critics",
                "C7": "a log of rewards does not show parameters or optimizers",
            },
            "max_difference": 3.7,
        },
        "agents": agents,
        "timeline": {"step": t.tolist(), "agents": timeline},
        "log_faults": [],
        "groupings": {
            "pooled": {**whole, "scheme": "mappo_pooled", "signal_kept": kept},
            "by agent": whole,
        },
        "best_grouping": "by agent",
        "recommended": "mappo_per_agent",
        "recommendation": whole,
        "why": "The two agents are paid different rewards, and the pooled mean lies between "
        "theirs: every action of one is pushed up and every action of the other down.",
    }


def _tests() -> list[dict[str, Any]]:
    rows = [("C1", "describer", 0.41, 0.62, 0.02), ("C1", "guesser", 0.38, 0.62, -0.03),
            ("C2", None, 1.0, 1.0, 0.0), ("C3", "describer", 1e-4, 5e-4, 0.84),
            ("C3", "guesser", 2e-4, 5e-4, -0.84), ("C5", None, 0.77, 0.88, 0.01),
            ("C6", None, 0.2, 0.4, 0.1)]  # fmt: skip
    names = ("condition", "agent", "p", "q", "effect", "detected")
    return [dict(zip(names, (*row, row[3] < 0.01), strict=True)) for row in rows]


def stepwise(seeds: int, points: int) -> dict[str, Any]:
    """A comparison in a world of many steps: no accuracy, no weighted return, a credit audit."""
    document = comparison(seeds, points)
    document |= {"axis": "step", "references": {"random": 0.2, "reference": 0.9, "scale": "sum"}}
    for scheme in document["schemes"].values():
        scheme["curves"]["step"] = [3200 * (i + 1) for i in scheme["curves"].pop("update")]
        scheme["weighted_return"], scheme["normalized"] = None, dict(scheme["return"])
        scheme["credit_correlation"] = {"iqm": 0.4, "low": 0.3, "high": 0.5, "n": seeds}
        for agent in scheme["agents"].values():
            agent |= {"accuracy": None, "accuracy_low": None, "accuracy_high": None}
        for curve in scheme["curves"]["agents"].values():
            curve["accuracy"] = None
    for difference in document["differences"].values():
        difference["weighted_return"] = None
    return document


def training(updates: int = 40, status: str = "finished") -> dict[str, Any]:
    """A run of so many updates; one of its agents drowns halfway."""
    steps = [100 * (i + 1) for i in range(updates)]
    causes: list[str | None] = [None] * (updates // 2) + ["DROWNED"] * (updates - updates // 2)
    agent = {
        "step": steps, "signal_kept": [0.6] * updates, "task_noise": [0.9] * updates,
        "snr": [0.5] * updates, "cosine": [0.1] * updates,
        "collapsed": [cause is not None for cause in causes], "cause": causes,
        "credit_correlation": [None] * updates,
    }  # fmt: skip
    well = {**agent, "collapsed": [False] * updates, "cause": [None] * updates}
    return {
        "schema": "counterpoint.training/1", "version": "0.1.0", "world": "spread",
        "scheme": "mappo_pooled", "seed": 0, "status": status, "step": 100 * updates,
        "budget": 4000, "seconds": 8.0, "return": -30.0 if status == "finished" else None,
        "normalized": 0.9 if status == "finished" else None,
        "references": {"random": -79.3, "reference": -22.5, "scale": "sum"},
        "config": {"world": "spread", "policy": {"hidden": 64}},
        "curve": {"step": steps, "return": [-80.0 + i for i in range(updates)],
                  "entropy": [1.0] * updates, "kl": [0.01] * updates},
        "agents": {"agent_0": agent, "agent_1": well} if updates else {},
    }  # fmt: skip


def spoken(seeds: int, points: int) -> dict[str, Any]:
    """A comparison in a text world: language models, success in fresh episodes, updates."""
    document = stepwise(seeds, points)
    document |= {"kind": "text", "axis": "update"}
    for i, scheme in enumerate(document["schemes"].values()):
        scheme["curves"]["update"] = [j + 1 for j, _ in enumerate(scheme["curves"].pop("step"))]
        scheme["credit_correlation"] = None
        for agents in (scheme["agents"], scheme["curves"]["agents"]):
            one = agents[AGENTS[i % 4]]
            agents.clear()
            agents |= {"listener": one, "speaker": one}
    document["control"] |= {"schemes": {}, "max_curve_difference": None}
    return {**document, "agents": ["listener", "speaker"]}


def language_training(updates: int = 40, status: str = "finished") -> dict[str, Any]:
    """The same in a text world: two agents, who learn which word stands for what."""
    document = training(updates, status)
    names = dict(zip(("listener", "speaker"), document["agents"].values(), strict=False))
    curve, steps = document["curve"], [i + 1 for i in range(updates)]
    for agent in names.values():
        agent["step"] = steps
    events = [
        {"agent": "speaker", "to": "listener", "text": "red"},
        {"agent": "listener", "to": "", "text": "ball"},
    ]
    shown = [
        {"task": "ball", "count": 20, "of": 32, "success": 1.0, "events": events},
        {"task": "key", "count": 3, "of": 32, "success": 0.0, "events": events[:1]},
    ]
    moments = [
        {"update": update, "episodes": 64, "different": 9, "shown": shown}
        for update in sorted({1, updates // 2 + 1, updates})
    ]
    words = [
        {"agent": "listener", "shown": "You hear red.", "said": {"ball": 30, "key": 2}},
        {"agent": "speaker", "shown": "You see a ball.", "said": {"red": 32}},
    ]
    return {
        **document, "axis": "update", "world": "lewis", "step": updates, "budget": 40,
        "return": 0.9 if status == "finished" else None, "seconds": 4.0 * updates,
        "references": {"random": 0.25, "reference": 1.0, "scale": "share of objects guessed"},
        "config": {"world": "lewis", "language": {"rank": 8}, "model": "tiny"},
        "curve": {"step": steps, "return": curve["return"], "entropy": curve["entropy"],
                  "paid": curve["entropy"], "gradient.listener": curve["kl"]},
        "agents": names,
        "talk": {"moments": moments if updates else [], "words": words if updates else [],
                 "words_reason": None if updates else "no word has been chosen yet"},
    }  # fmt: skip


def audited() -> dict[str, Any]:
    """An audit with findings of every verdict, evidence, and a timeline with messages."""
    from msgspec.structs import replace

    from counterpoint.audits import audit
    from counterpoint.records import Episode, Event
    from counterpoint.results import document_of

    said = "the same long sentence comes again and again in this log"
    events = tuple(
        Event(t, "ann" if t % 2 else "bob", "action" if t == 5 else "message",
              "ok" if t % 3 == 0 else said, ("bob",) if t % 2 else ("ann",))
        for t in range(14)
    )  # fmt: skip
    episodes = [Episode(f"e{i}", events, ("ann", "bob"), ("user",)) for i in range(6)]
    result = audit(episodes, source="log.jsonl")
    return document_of(replace(result, skipped=["README.md: no log, skipped"]))


def listed() -> dict[str, Any]:
    """A folder with a comparison, one of its trainings, a run that failed, and a damaged file."""
    entry = {"kind": "Training", "subject": "spread", "updated": "2026-01-02T03:04:05+00:00"}
    return {
        "schema": "counterpoint.folder/1", "version": "0.1.0", "folder": "counterpoint-out",
        "depth": 8, "drawn": [], "left_out": [{"path": "bad", "reason": "it is not JSON"}],
        "entries": [
            {**entry, "path": "a b", "address": "a%20b", "page": "a%20b/report.html",
             "kind": "Comparison", "headline": "Use grpo."},
            {**entry, "path": "a b/runs/1", "address": "a%20b/runs/1", "inside": "a b",
             "headline": "It returns 3.", "page": "a%20b/runs/1/report.html",
             "status": "finished", "return": 3.25},
            {**entry, "path": "bad run", "address": "bad%20run", "page": "bad%20run/report.html",
             "headline": "It has no return.", "status": "failed", "error": "RuntimeError",
             "return": None},
        ],
    }  # fmt: skip


def topologies() -> dict[str, Any]:
    """A small comparison of topologies, as its JSON file has it."""
    import json

    from counterpoint.results import encode
    from counterpoint.topology.design import TopologyPlan, compare_topologies

    topologies = ("solo", "star", "tree", "debate")
    plan = TopologyPlan("hidden_profile", topologies, ("naive", "facts"), 3, 10)
    return json.loads(encode(compare_topologies(plan, workers=1)))
