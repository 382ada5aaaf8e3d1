"""The battery of generated logs: its truths hold on the files, and the diagnosis meets them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))  # the scripts of bench/ import so

import battery
import battery_case
import battery_files
import battery_kinds
import battery_world
from counterpoint.readers import read_decisions

CASES = list(battery_kinds.cases(0.1, seed=1))
BY_PROMPT = (*battery_case.BY_PROMPT, "agent_wise", "at_grpo")


def planted(cause: str) -> list[tuple[battery_case.Case, str]]:
    """Every case with an agent in which this cause alone is right."""
    found = []
    for case in CASES:
        for name in case.world.agents:
            if case.truth.causes.get(name, case.truth.others) == (cause,):
                found.append((case, name))
                break
    assert found
    return found


def summed(log: battery_files.Columns, agent: str) -> tuple[np.ndarray, np.ndarray]:
    """The agent's summed rewards, and which rows they are."""
    rows = log.labels["agent"] == agent
    return np.nansum(log.rewards[rows], axis=1), rows


def dead_share(case: battery_case.Case, agent: str) -> float:
    """Of the agent's rows below its best reward, the share in groups without a difference."""
    log = battery.draw(case)
    values, rows = summed(log, agent)
    keys = [log.labels[name][rows] for name in ("step", "prompt") if name in log.labels]
    groups = np.unique(np.stack(keys), axis=1, return_inverse=True)[1].ravel()
    low, high = np.full(groups.max() + 1, np.inf), np.full(groups.max() + 1, -np.inf)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    top = values.max()
    # an agent whose reward never varies could gain for all that one knows
    able = values < top - 1e-9 if np.ptp(values) > 1e-9 else np.ones(len(values), bool)
    return float(((high - low)[groups] < 1e-9)[able].mean())


def test_dead_groups_are_nearly_all_groups_that_could_gain() -> None:
    assert min(dead_share(case, agent) for case, agent in planted("DEAD")) > 0.8


def test_healthy_groups_are_mostly_alive() -> None:
    cases = [case for case in CASES if case.healthy and case.scheme in BY_PROMPT]
    shares = [dead_share(case, name) for case in cases for name in case.world.agents]
    assert max(shares) < 0.4


def deviations(case: battery_case.Case) -> dict[str, tuple[float, float]]:
    """Mean and deviation of each agent's rewards."""
    log = battery.draw(case)
    found = {name: summed(log, name)[0] for name in case.world.agents}
    return {name: (float(v.mean()), float(v.std())) for name, v in found.items() if len(v)}


def test_a_drowned_agent_varies_at_most_a_twentieth_of_the_loudest() -> None:
    for case, agent in planted("DROWNED"):
        spread = {name: pair[1] for name, pair in deviations(case).items()}
        assert spread[agent] * 20 < max(spread.values())


def test_an_offset_agent_is_five_deviations_from_the_mean_of_all() -> None:
    for case, agent in planted("OFFSET"):
        means = deviations(case)
        middle = np.mean([mean for mean, _ in means.values()])
        assert abs(means[agent][0] - middle) > 5 * means[agent][1]


def test_mildly_unequal_agents_are_mild() -> None:
    for case in (c for c in CASES if c.kind == "healthy: mildly unequal agents"):
        pairs = deviations(case).values()
        means, spreads = [m for m, _ in pairs], [s for _, s in pairs]
        assert max(spreads) < 3 * min(spreads)
        assert np.ptp(means) < 0.5 * min(spreads)


def own_share(case: battery_case.Case, agent: str) -> float:
    """Share of the reward's variance within a task that goes with the agent's hits."""
    world = case.world
    batch = battery_world.play(world, world.start(40), 0, np.random.default_rng(3))
    rows = batch.agent == world.agents.index(agent)
    hit = batch.action[rows] == world.right[batch.agent[rows], batch.context[rows]]
    reward, task = batch.rewards[rows].sum(axis=1), batch.context[rows]
    centered = [column - (np.bincount(task, column) / np.bincount(task))[task]
                for column in (reward, hit.astype(float))]  # fmt: skip
    return float(np.corrcoef(*centered)[0, 1] ** 2)


def test_diluted_agents_explain_a_twelfth_at_most_and_healthy_ones_a_sixth_at_least() -> None:
    assert max(own_share(case, agent) for case, agent in planted("DILUTED")) < 1 / 12
    healthy = [case for case in CASES if case.healthy and case.actions]
    assert min(own_share(case, case.world.agents[0]) for case in healthy) > 1 / 6


def test_a_lazy_agent_chooses_one_action_a_task_and_never_the_right_one() -> None:
    for case, agent in planted("LAZY"):
        log = battery.draw(case)
        rows = log.labels["agent"] == agent
        pairs = np.stack([log.labels["prompt"][rows], log.labels["action"][rows]])
        assert np.unique(pairs, axis=1).shape[1] == len(set(pairs[0].tolist()))


@pytest.mark.filterwarnings("ignore::counterpoint.readers.LogNotice")
def test_a_log_and_its_file_are_the_same_rows(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.kind == "healthy: one shared reward")
    log = battery.draw(case)
    for style in set(battery_files.styles_for(log)) - {"truths"}:
        path = battery_files.write(log, style, tmp_path, style)
        found = read_decisions(path, battery_files.mapping(path, style))
        assert sorted(found.rewards[:, 0]) == pytest.approx(sorted(log.rewards[:, 0]))
        assert len(set(found.labels["agent"].tolist())) == case.world.n_agents


def test_the_same_seed_draws_the_same_battery() -> None:
    again = list(battery_kinds.cases(0.1, seed=1))
    assert [case.kind for case in again] == [case.kind for case in CASES]
    for first, second in list(zip(CASES, again, strict=True))[::9]:
        np.testing.assert_array_equal(battery.draw(first).rewards, battery.draw(second).rewards)


def test_the_whole_battery_has_more_than_four_hundred_logs() -> None:
    assert sum(1 for _ in battery_kinds.cases()) > 400


def test_bad_advice_is_worse_and_good_advice_is_better(tmp_path: Path) -> None:
    """Planted: from statistics of its own a quiet agent is sent into those of loud ones."""
    case = next(c for c in CASES if c.kind == "DROWNED: quiet beside loud, payments from 0")
    case = replace(case, scheme="mappo_pooled")
    path, style, rows = battery.saved(case, tmp_path, "log")
    result = battery.judged(case, path, style, rows)
    result.recommended = "mappo_per_agent"
    assert battery.followed(case, path, result).outcome == "better"
    result.recommended = "mappo_pooled"
    assert battery.followed(case, path, result).outcome == "equal"
    backwards = replace(case, scheme="mappo_per_agent")
    assert battery.followed(backwards, path, result).outcome == "worse"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> list[battery.Result]:
    """A tenth of the battery, other logs than those of the published table; advice not followed."""
    folder = tmp_path_factory.mktemp("logs")
    return [result for result, _ in battery.results(CASES, folder, training=False)]


def test_causes_and_faults_are_right_in_nearly_all_logs(judged: list[battery.Result]) -> None:
    wrong = [result for result in judged if not result.right]
    assert len(wrong) <= 0.02 * len(judged), wrong


def test_healthy_logs_are_left_alone(judged: list[battery.Result]) -> None:
    healthy = [result for result in judged if result.healthy]
    assert len(healthy) >= 25
    assert [result for result in healthy if result.accused] == []


def test_wrong_answers_are_counted_as_wrong(tmp_path: Path) -> None:
    """Planted: an honest diagnosis beside a truth that is not the log's, and a damaged file."""
    case = next(c for c in CASES if c.kind == "healthy: own rewards")
    path, style, rows = battery.saved(case, tmp_path, "log")
    assert battery.judged(case, path, style, rows).right
    lie = replace(case, truth=battery_case.Truth(others=("DROWNED",), fault="constant"))
    result = battery.judged(lie, path, style, rows)
    assert set(result.wrong_causes) == set(case.world.agents)
    assert result.wrong_fault == "constant is not named"
    path.write_bytes(b"{")
    assert battery.judged(case, path, style, rows).error.startswith("LogError")
    assert "LogError" in battery.table([battery.judged(case, path, style, rows)])
