"""The page of a diagnosis: what stands where, verdict first."""

from __future__ import annotations

from typing import Any

from counterpoint.diagnose import FEWEST_ROLLOUTS, REMEDIES
from counterpoint.diagnose.causes import CAUSE_WORDS
from counterpoint.report.pages.definitions import DIAGNOSIS
from counterpoint.report.pages.diagnosis.figures import causes_figure, timeline_figure
from counterpoint.report.pages.diagnosis.tables import (
    condition_table,
    grouping_table,
    health_table,
    test_table,
)
from counterpoint.report.pages.verdicts import Fact, Verdict
from counterpoint.report.toolkit.heatmap import code_of
from counterpoint.report.toolkit.numerals import ABSENT, counted, percent, significant
from counterpoint.report.toolkit.tables import Cure
from counterpoint.results.diagnosis import Decoupling, DiagnosisResult, LogFault


def diagnosis_page(result: DiagnosisResult, prefix: str) -> dict[str, Any]:
    """Returns what the template `diagnosis.html` is filled with."""
    settings = [
        ("source", result.source),
        ("decisions", f"{result.rows:,}"),
        ("updates", f"{result.updates:,}"),
        ("judged under", result.scheme),
        ("error rate", f"{result.decoupling.error_rate:g}"),
        ("version", result.version),
    ]
    counts = ((result.rows, "decision"), (result.updates, "update"), (len(result.agents), "agent"))
    return {
        "title": f"{result.source}: what is lost in this log, and why?",
        "kind": "Diagnosis",
        "subject": result.source,
        "details": [counted(n, noun) for n, noun in counts],
        "version": result.version,
        "verdict": diagnosis_verdict(result),
        "conditions": condition_table(result, prefix),
        "tests": test_table(result, prefix),
        "agents": health_table(result, prefix),
        "groupings": grouping_table(result, prefix),
        "faults": [fault.sentence for fault in result.log_faults],
        "timeline": timeline_figure(result, prefix),
        "causes": causes_figure(result, prefix),
        "cures": diagnosis_cures(result),
        "scheme": result.scheme,
        "recommended": result.recommended,
        "definitions": DIAGNOSIS,
        "settings": [(name, value) for name, value in settings if value],
    }


def diagnosis_cures(result: DiagnosisResult) -> list[Cure]:
    """Returns each cause, whom it struck and by what evidence, and what to do about it."""
    listed = []
    for cause in dict.fromkeys(agent.cause for agent in result.agents.values() if agent.cause):
        sick = {name: agent for name, agent in result.agents.items() if agent.cause == cause}
        remedy = next((a.remedy for a in sick.values() if a.remedy), REMEDIES.get(cause, ""))
        struck = tuple(f"{name}: {a.evidence}" if a.evidence else name for name, a in sick.items())
        listed.append(Cure(code_of(cause), remedy, struck))
    return listed


SAME = 1e-9
"""Advantages that differ by less, relative to the largest, differ by rounding."""

MOST = 0.5
"""A healthy headline needs every agent to keep at least so much of its signal."""

WORDS = {**CAUSE_WORDS, "OFFSET": "a baseline offset", "DROWNED": "a variance mismatch"}
"""Each cause in the words of the field, inside of a sentence."""

_FAULTS = {
    "all_missing": "All {count} rewards are missing, so there is nothing to learn from.",
    "constant": "No agent can learn: the reward never varies in this log.",
    "two_runs": "{count} keys occur twice or more: the log holds several runs.",
    "repeated_keys": "{count} keys occur more than once, with different rewards.",
    "too_few": "{count} rollouts with a reward are too few; a verdict needs {fewest}.",
}
"""The headline of each fault that prevents a verdict."""


def diagnosis_verdict(result: DiagnosisResult) -> Verdict:
    """Returns what is wrong with the log or its agents, why, and what to use."""
    facts = (
        _causes_fact(result),
        _kept_fact(result),
        _conditions_fact(result.decoupling),
        _advantage_fact(result.decoupling),
    )
    return Verdict(diagnosis_headline(result), result.why, facts)


def diagnosis_headline(result: DiagnosisResult) -> str:
    """Returns one sentence of at most 15 words."""
    fatal = next((f for f in result.log_faults if f.code in _FAULTS), None)
    if result.decoupling.verdict == "cannot tell":
        return _of_fault(fatal)
    use = f"use {result.recommended}" if result.recommended else ""
    constant = [f.agent for f in result.log_faults if f.code == "agent_constant" and f.agent]
    sick = {
        name: agent.cause
        for name, agent in result.agents.items()
        if agent.cause and name not in constant
    }
    if constant:
        return _of_constant(constant, len(result.agents), use)
    if sick:
        return _of_causes(sick, len(result.agents), use)
    if use:
        return _of_groupings(result)
    return _of_health(result)


def _of_fault(fault: LogFault | None) -> str:
    if fault is None:
        return "This log does not allow a verdict."
    text = _FAULTS[fault.code].format(count=f"{fault.count:,}", fewest=FEWEST_ROLLOUTS)
    if fault.count == 1:
        text = text.replace("1 rollouts with a reward are", "1 rollout with a reward is")
        text = text.replace("1 keys occur", "1 key occurs")
    return text


def _of_constant(names: list[str], agents: int, use: str) -> str:
    text = f"The reward of {len(names)} of {agents} agents never varies"
    return f"{text}; for the others {use}." if use else f"{text}; no scheme helps."


def _of_causes(sick: dict[str, str], agents: int, use: str) -> str:
    """Returns `2 of 4 agents lose signal to a variance mismatch (DROWNED); use happo_per_agent.`"""
    codes = list(dict.fromkeys(sick.values()))
    who = f"{len(sick)} of {agents} agents" if agents > 1 else "The agent"
    lose = "loses" if len(sick) == 1 else "lose"
    what = f"signal ({', '.join(codes)})"
    if len(codes) == 1:
        what = f"signal to {WORDS.get(codes[0], codes[0].lower())} ({codes[0]})"
    return f"{who} {lose} {what}; {use or 'no scheme is better'}."


def _of_groupings(result: DiagnosisResult) -> str:
    """Returns `mappo_pooled keeps 0.64 of the signal where grpo keeps 1.00; use grpo.`

    Beside a no-op: `Splitting by prompt helps, splitting by agent does not: use grpo (kept ...).`
    """
    advice = result.recommendation
    advised, change = ({}, "") if advice is None else (advice.signal_kept, advice.change)
    kept = [(agent.signal_kept, advised.get(name)) for name, agent in result.agents.items()]
    known = [(new - old, old, new) for old, new in kept if old is not None and new is not None]
    if not known:
        return f"Another scheme keeps more of the signal; use {result.recommended}."
    _, old, new = max(known)
    regroups = bool(change) and not change.endswith((" by agent", " and agent"))
    if result.decoupling.verdict == "no-op" and regroups and len(result.agents) > 1:
        return (
            f"{change.capitalize()} helps, splitting by agent does not: use "
            f"{result.recommended} (kept {old:.2f} to {new:.2f})."
        )
    return (
        f"{result.scheme} keeps {old:.2f} of the signal where {result.recommended} keeps "
        f"{new:.2f}; use {result.recommended}."
    )


def _of_health(result: DiagnosisResult) -> str:
    keep = f"; keep {result.scheme}"
    kept = [agent.signal_kept for agent in result.agents.values()]
    least = min((share for share in kept if share is not None), default=1.0)
    if least < MOST:
        owner = "an agent's" if len(result.agents) > 1 else "the agent's"
        return f"No cause is named, but {result.scheme} keeps only {least:.2f} of {owner} signal."
    if len(result.agents) < 2:
        return f"The agent loses no signal to its statistics{keep}."
    if result.decoupling.verdict != "no-op":
        codes = ", ".join(result.decoupling.conditions)
        return f"Decoupling could matter ({codes}), but no agent loses its signal{keep}."
    if result.decoupling.max_difference <= SAME:
        return f"Decoupling by agent changes nothing here, and no agent loses its signal{keep}."
    return f"No agent loses its signal, and no reason for decoupling was detected{keep}."


def _causes_fact(result: DiagnosisResult) -> Fact:
    sick = [agent.cause for agent in result.agents.values() if agent.cause]
    parts = [*dict.fromkeys(sick), f"judged under {result.scheme}"]
    return Fact("Agents with a cause", f"{len(sick)} of {len(result.agents)}", ", ".join(parts))


def _kept_fact(result: DiagnosisResult) -> Fact:
    """Returns the agent that keeps least of its signal, and what it keeps under the advice."""
    title = "Least signal kept"
    kept = {name: agent.signal_kept for name, agent in result.agents.items()}
    known = {name: value for name, value in kept.items() if value is not None}
    if not known:
        return Fact(title, ABSENT, "not computable from this log")
    name = min(known, key=lambda a: known[a])
    advice = result.recommendation
    new = None if advice is None else advice.signal_kept[name]
    note = "" if advice is None or new is None else f"{new:.2f} under {advice.scheme}."
    return Fact(title, f"{known[name]:.2f}", f"by {name}; a bound from rewards alone", note)


def _conditions_fact(decoupling: Decoupling) -> Fact:
    shown = ", ".join(decoupling.conditions) or "none"
    blocked = ", ".join(decoupling.not_readable)
    note = f"{blocked} cannot be read from rewards." if blocked else ""
    below = f"of C1 to C6 at an error rate of {percent(decoupling.error_rate)}"
    return Fact("Conditions detected", shown, below, note)


def _advantage_fact(decoupling: Decoupling) -> Fact:
    shown = significant(decoupling.max_difference)
    return Fact("Largest change of an advantage", shown, "pooled against per agent")
