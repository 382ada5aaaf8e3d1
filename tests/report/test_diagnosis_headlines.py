"""The headline of a diagnosis: at most 15 words, the finding first, the numbers those below it."""

from __future__ import annotations

from typing import Any

import pytest
from report_samples import diagnosis

from counterpoint.report.pages.diagnosis import diagnosis_verdict
from counterpoint.report.toolkit.frame import Fact, Headline
from counterpoint.results import DiagnosisResult, read_result
from counterpoint.results.diagnosis import FATAL


def diagnosed(**parts: Any) -> Headline:
    result = read_result({**diagnosis(4), **parts})
    assert isinstance(result, DiagnosisResult)
    return diagnosis_verdict(result)


def with_causes(*causes: str | None, **measures: float | None) -> dict[str, Any]:
    agents = diagnosis(4)["agents"]
    for name, cause in zip(list(agents), causes, strict=True):
        agents[name] = {**agents[name], "cause": cause, **measures}
    return agents


def decoupled(verdict: str, difference: float = 3.7, *conditions: str) -> dict[str, Any]:
    found = {"verdict": verdict, "max_difference": difference, "conditions": list(conditions)}
    return {**diagnosis(4)["decoupling"], **found}


def fault(code: str, count: int, agent: str | None = None) -> dict[str, Any]:
    return {"code": code, "count": count, "sentence": "What it is.", "agent": agent}


def test_causes_come_first_with_their_words_and_what_to_use() -> None:
    verdict = diagnosed()
    assert verdict.sentence == (
        "2 of 2 agents lose signal to a baseline offset (OFFSET); use mappo_per_agent."
    )
    assert [f.value for f in verdict.facts] == ["2 of 2", "0.01", "C3"]
    assert verdict.facts[1] == Fact(
        "Least signal kept", "0.01", "by guesser; a bound from rewards alone",
        "0.98 under mappo_per_agent.",
    )  # fmt: skip


def test_dead_agents_that_nothing_helps_are_no_news_of_a_scheme_to_keep() -> None:
    sentence = diagnosed(
        agents=with_causes("DEAD", "DEAD"), decoupling=decoupled("no-op", 0.0), recommended=None
    ).sentence
    assert sentence == "2 of 2 agents lose signal to dead groups (DEAD); no scheme is better."


def test_two_causes_are_counted_together() -> None:
    said = diagnosed(agents=with_causes("DEAD", "OFFSET")).sentence
    assert said == "2 of 2 agents lose signal (DEAD, OFFSET); use mappo_per_agent."
    assert diagnosed(agents=with_causes(None, "LAZY"), recommended=None).sentence == (
        "1 of 2 agents loses signal to no exploration (LAZY); no scheme is better."
    )


def test_a_constant_reward_is_the_finding_whatever_else_there_is() -> None:
    faults = [fault("agent_constant", 48, "guesser")]
    agents = with_causes(None, "DEAD")
    assert diagnosed(log_faults=faults, agents=agents, recommended=None).sentence == (
        "The reward of 1 of 2 agents never varies; no scheme helps."
    )
    assert diagnosed(log_faults=faults, agents=with_causes("OFFSET", "DEAD")).sentence == (
        "The reward of 1 of 2 agents never varies; for the others use mappo_per_agent."
    )


@pytest.mark.parametrize(
    ("code", "count", "said"),
    [
        ("all_missing", 1200, "All 1,200 rewards are missing, so there is nothing to learn from."),
        ("constant", 160, "No agent can learn: the reward never varies in this log."),
        ("two_runs", 640, "640 keys occur twice or more: the log holds several runs."),
        ("repeated_keys", 1, "1 key occurs more than once, with different rewards."),
        ("too_few", 2, "2 rollouts with a reward are too few; a verdict needs 30."),
        ("too_few", 1, "1 rollout with a reward is too few; a verdict needs 30."),
    ],
)
def test_what_is_wrong_with_the_log_comes_before_everything(
    code: str, count: int, said: str
) -> None:
    assert code in FATAL
    parts = {"log_faults": [fault(code, count)], "recommended": None, "recommendation": None}
    verdict = diagnosed(decoupling=decoupled("cannot tell"), **parts)
    assert verdict.sentence == said


def test_where_only_the_groups_are_wrong_the_numbers_of_both_are_said() -> None:
    agents = with_causes(None, None, signal_kept=0.64)
    assert diagnosed(agents=agents, recommended="grpo").sentence == (
        "mappo_pooled keeps 0.64 of the signal where grpo keeps 1.00; use grpo."
    )


def test_beside_a_no_op_the_headline_says_which_split_helps_and_which_does_not() -> None:
    parts: dict[str, Any] = {
        "agents": with_causes(None, None, signal_kept=0.02), "recommended": "grpo",
        "decoupling": decoupled("no-op", 0.0),
    }  # fmt: skip
    advice = diagnosis(4)["recommendation"]
    for change, helps in (
        ("splitting by prompt", "Splitting by prompt helps"),
        ("normalizing each batch", "Normalizing each batch helps"),
        ("pooling agents", "Pooling agents helps"),
    ):
        said = diagnosed(**parts, recommendation={**advice, "change": change}).sentence
        assert said == (f"{helps}, splitting by agent does not: use grpo (kept 0.02 to 1.00).")
        assert len(said.split()) <= 15
    for change in ("", "pooling prompts by agent", "normalizing by prompt and agent"):
        assert diagnosed(**parts, recommendation={**advice, "change": change}).sentence == (
            "mappo_pooled keeps 0.02 of the signal where grpo keeps 1.00; use grpo."
        )


def test_a_healthy_log_keeps_its_scheme() -> None:
    agents = with_causes(None, None, signal_kept=1.0)
    healthy = {"agents": agents, "recommended": None, "recommendation": None}
    verdicts = {
        "matters": "Decoupling can matter (C3), but no agent loses its signal; keep mappo_pooled.",
        "same": "Decoupling by agent changes nothing here, and no agent loses its signal; keep "
        "mappo_pooled.",
        "no-op": "No agent loses its signal, and no reason for decoupling was detected; keep "
        "mappo_pooled.",
    }
    for name, said in verdicts.items():
        parts = {
            "matters": decoupled("matters", 3.7, "C3"),
            "same": decoupled("no-op", 1e-15),
            "no-op": decoupled("no-op"),
        }[name]
        assert diagnosed(decoupling=parts, **healthy).sentence == said
    timeline = diagnosis(4)["timeline"]
    one = {
        "agents": {"describer": agents["describer"]}, "groupings": {}, "best_grouping": None,
        "timeline": {**timeline, "agents": {"describer": timeline["agents"]["describer"]}},
    }  # fmt: skip
    assert diagnosed(**{**healthy, **one}).sentence == (
        "The agent loses no signal to its statistics; keep mappo_pooled."
    )


def test_no_log_is_called_healthy_beside_a_number_that_says_otherwise() -> None:
    parts = {"recommended": None, "recommendation": None, "decoupling": decoupled("no-op", 1e-15)}
    low = with_causes(None, None, signal_kept=0.26)
    assert diagnosed(agents=low, **parts).sentence == (
        "No cause is named, but mappo_pooled keeps only 0.26 of an agent's signal."
    )
    assert "keep mappo_pooled" in diagnosed(
        agents=with_causes(None, None, signal_kept=0.5), **parts
    ).sentence  # fmt: skip


def test_no_headline_is_longer_than_fifteen_words() -> None:
    many = [f"C{k}" for k in (1, 2, 3, 5)]
    cases = [
        diagnosed(),
        diagnosed(agents=with_causes("DEAD", "OFFSET")),
        diagnosed(log_faults=[fault("agent_constant", 9, "guesser")]),
        diagnosed(agents=with_causes(None, None), recommended="group_reward_decoupled"),
        diagnosed(
            agents=with_causes(None, None, signal_kept=0.9), recommended=None, recommendation=None,
            decoupling=decoupled("matters", 1.0, *many),
        ),
    ]  # fmt: skip
    for verdict in cases:
        assert len(verdict.sentence.split()) <= 15, verdict.sentence


def test_what_no_log_shows_is_said_beside_the_conditions() -> None:
    facts = diagnosed(decoupling=decoupled("no-op")).facts
    assert facts[2] == Fact(
        "Conditions detected", "none", "of C1 to C6 at an error rate of 1%",
        "C4, C7 cannot be read from rewards. Decoupling changes advantages by up to 3.70.",
    )  # fmt: skip
