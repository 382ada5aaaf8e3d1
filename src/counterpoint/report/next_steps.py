"""What to do after a result: start at `next_steps`. Page and terminal show the same lines."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterpoint.records import FOUND
from counterpoint.report.pages.comparison.page import command
from counterpoint.report.pages.unseen import remedy
from counterpoint.report.toolkit.frame import set_words
from counterpoint.results import (
    AuditResult,
    ComparisonResult,
    ContributionResult,
    DiagnosisResult,
    FolderResult,
    GameResult,
    JudgeCheckResult,
    OutcomesResult,
    PopulationResult,
    RankingResult,
    Result,
    SweepResult,
    TeamResult,
    TopologyResult,
    TopologySearchResult,
    TrainingResult,
)
from counterpoint.results.parts import Settings

SEARCHED = 40_000
"""Items of a search that is suggested: more than one for each candidate and round."""

IN_TRAINERS = {
    "TRL": "trainer = with_credit(GRPOTrainer, {!r})(...)",
    "verl": "register('counterpoint', {!r})",
    "ms-swift": "install({!r})",
    "AReaL": "FSDPPPOActor = with_credit(areal.engine.FSDPPPOActor, {!r})",
    "ART": "groups = gather_trajectory_groups(..., after_each=after_each({!r}))",
    "rLLM": "register('counterpoint', {!r})",
    "verifiers": "assign(episodes, TeamCredit({!r}))",
    "TRL's asynchronous trainer": "trainer = with_credit(AsyncGRPOTrainer, {!r})(...)",
    "ART's pipeline": "trainer = with_credit(PipelineTrainer, {!r})(...)",
    "Agent Lightning": "register('counterpoint', {!r})",
    "BenchMARL": "experiment = Experiment(..., callbacks=[credit_callback({!r})])",
    "CoMLRL": "credit = attach(trainer, {!r})",
    "NeMo Gym": "result_advantages(results, TeamCredit({!r}))",
    "NeMo-RL": "estimator = AdvantageEstimator({!r})",
    "OpenRLHF": "install({!r})",
    "prime-rl": "install({!r}, replaces='rae')",
    "SkyRL": "trainer = with_credit(RayPPOTrainer, {!r})(...)",
    "slime": "os.environ['COUNTERPOINT_SCHEME'] = {!r}",
    "miles": "os.environ['COUNTERPOINT_SCHEME'] = {!r}",
    "tinker-cookbook": "with patch({!r}): asyncio.run(train.main(config))",
    "TorchRL": "normalize = NormalizeAdvantage({!r})",
}
"""Each of `TRAINERS` to the line that uses a scheme there."""


@dataclass(frozen=True)
class NextStep:
    """One thing to do, with a line to copy."""

    text: str
    """What the line does, in a few words."""
    line: str
    """A command, or a line of Python."""
    before: str = ""
    """What a person has to do first, if the line needs it."""


def next_steps(result: Result) -> list[NextStep]:
    """Returns what to do after a result, the most useful step first; empty if nothing follows."""
    steps = STEPS.get(type(result))
    return steps(result) if steps else []


def with_scheme(name: str, in_steps: bool = False) -> list[NextStep]:
    """Returns the lines that use a credit scheme in a trainer and in code of one's own.

    Args:
        name: the scheme.
        in_steps: whether the team acts in a sequential environment, which TRL does not train in.
    """
    return [
        NextStep(
            "In BenchMARL, TorchRL and others (counterpoint.integrations)",
            f"experiment = Experiment(..., callbacks=[credit_callback({name!r})])",
        )
        if in_steps
        else NextStep(
            "In TRL, verl, TorchRL and others (counterpoint.integrations)",
            IN_TRAINERS["TRL"].format(name),
        ),
        NextStep(
            "In your own trainer", f"credit = advantages(rewards, labels, scheme_named({name!r}))"
        ),
    ]


def _comparison(result: ComparisonResult) -> list[NextStep]:
    decision = result.decision
    name = decision.recommended
    if decision.verdict == "use" and name and result.schemes[name].kind == "scheme":
        others = with_scheme(name, result.kind == "steps")
        return [_train_such(result, name), *others] if result.kind == "text" else others
    line = command({**result.config, "seeds": decision.seeds_needed})
    if decision.verdict == "cannot tell" and decision.seeds_needed and line:
        return [NextStep("Take as many seeds as would tell, with the same settings", line)]
    return []


def _train_such(result: ComparisonResult, scheme: str) -> NextStep:
    """Returns the line that trains a language-model team under the scheme, as in the comparison."""
    config = result.config
    words = ["counterpoint", "train", result.world, "--scheme", scheme]
    for flag in ("policy", "budget"):
        words += [f"--{flag}", str(config[flag])] if config.get(flag) is not None else []
    given = config.get("given")
    words += set_words(given) if isinstance(given, dict) else []
    return NextStep("Train a team like these, to chat with it and export it", shlex.join(words))


def _diagnosis(result: DiagnosisResult) -> list[NextStep]:
    if not result.recommended:
        return []
    anywhere, in_own = with_scheme(result.recommended)
    trainer = str(result.config.get("trainer", ""))
    if trainer not in IN_TRAINERS:
        return [in_own, anywhere]
    text = f"In {trainer}, whose log this is (counterpoint.integrations)"
    return [NextStep(text, IN_TRAINERS[trainer].format(result.recommended)), in_own]


def _training(result: TrainingResult) -> list[NextStep]:
    if result.status != "finished" or not result.world:
        return []
    config = result.config
    words = ["counterpoint", "compare", result.world]
    settings, language = config.get("world_settings"), config.get("language")
    settings = settings if isinstance(settings, dict) else {}
    if isinstance(language, dict) and language.get("models"):
        settings = {**settings, "models": language["models"]}
    words += set_words(settings)
    if result.axis == "update":  # of language models, whose comparison else plays another model
        named = {"policy": config.get("model"), "budget": result.budget}
        for flag, value in named.items():
            words += [f"--{flag}", str(value)] if value is not None else []
    return [NextStep("Compare credit schemes in this environment", shlex.join(words))]


def _audit(result: AuditResult) -> list[NextStep]:
    source = shlex.quote(result.source)
    first = next((one for one in result.findings if one.verdict == FOUND or one.cases), None)
    if first is not None:
        line = f"counterpoint audit {source} --fail-on {first.audit}.{first.name}"
        return [NextStep("In your tests: exit with status 1 if it is found", line)]
    line = f"counterpoint audit {source} --outcomes outcomes.csv"
    before = "write a table of task, setting, score, members, cost and answer"
    return [NextStep("Compare the team with its members and with one agent", line, before)]


def _folder(result: FolderResult) -> list[NextStep]:
    if not result.entries:
        return [NextStep("See a first result", "counterpoint demo")]
    stopped = next((e for e in result.entries if e.status == "stopped" and not e.inside), None)
    steps = []
    if stopped is not None:
        line = f"counterpoint resume {shlex.quote(str(Path(result.folder, stopped.path)))}"
        steps.append(NextStep("Continue the newest run that stopped", line))
    if not result.live:
        line = f"counterpoint serve {shlex.quote(result.folder)}"
        steps.append(NextStep("See the same list live, in a browser", line))
    return steps


def _game(result: GameResult) -> list[NextStep]:
    if result.learned is not None:
        return []
    return [
        NextStep("See where learners end", f"counterpoint game {shlex.quote(result.name)} --learn")
    ]


def _population(result: PopulationResult) -> list[NextStep]:
    gaps = result.against_single or {}
    several = [name for name, arm in result.arms.items() if arm.members > 1]
    others = [gaps[name] for name in several if name in gaps]
    if not others or any(gap.low > 0 for gap in others):
        return []
    sizes = ",".join(str(size) for size in sorted({arm.members for arm in result.arms.values()}))
    words = ["counterpoint", "population", result.world, "--members", sizes]
    if all(gap.high < 0 for gap in others):
        line = shlex.join(
            [*words, "--budget", str(2 * result.budget), *_with_settings(result.config)]
        )
        return [NextStep("Look for a crossover at twice the budget", line)]
    repeats = ["--budget", str(result.budget), "--repeats", str(4 * result.repeats)]
    line = shlex.join([*words, *repeats, *_with_settings(result.config)])
    return [NextStep("Take four times the repeats, which halves the intervals", line)]


def _team(result: TeamResult) -> list[NextStep]:
    if not result.over or not result.done:
        return []
    if result.branch:
        return [NextStep("Take the work over", f"git merge {shlex.quote(result.branch)}")]
    line = f"git fetch {shlex.quote(result.repository)} main && git merge FETCH_HEAD"
    return [NextStep("Take the work over", line)]


def _topology(result: TopologyResult) -> list[NextStep]:
    words = ["counterpoint", "topology", result.world, *_with_settings(result.config)]
    line = shlex.join([*words, "--search", str(SEARCHED)])
    return [NextStep("Search for the best topology instead of comparing named ones", line)]


def _outcomes(result: OutcomesResult) -> list[NextStep]:
    source = shlex.quote(result.source)
    line = f"counterpoint contribution {source}"
    before = "" if result.left_out else "add rows of the team without each member (column members)"
    return [NextStep("See which member adds what", line, before)]


def _contribution(result: ContributionResult) -> list[NextStep]:
    line = f"counterpoint compare-outcomes {shlex.quote(result.source)}"
    return [NextStep("Whether the whole team is better than one agent", line)]


def _search(result: TopologySearchResult) -> list[NextStep]:
    winner = result.winner
    names = ",".join(dict.fromkeys(("solo", winner.topology)))
    line = shlex.join([
        "counterpoint", "topology", result.world, "--topologies", names,
        "--prompts", winner.prompt, *_with_settings(result.config),
    ])  # fmt: skip
    return [NextStep("Compare the winner with its members and with one agent", line)]


def _ranking(result: RankingResult) -> list[NextStep]:
    judge = _judge(result.config)
    if not judge:
        return []
    orders = result.settings.get("orders")
    words = ["counterpoint", "rank", str(result.config["file"]), *judge]
    unseen = sum(group.void.startswith("unseen") for group in result.groups)
    if 2 * unseen > len(result.groups) and (setting := remedy(result.unseen)):
        line = shlex.join([*words, "--set", setting])
        return [NextStep("Show the judge in what the runs differ", line)]
    if 2 * (result.void - unseen) > len(result.groups) and isinstance(orders, int):
        line = shlex.join([*words, "--orders", str(2 * orders)])
        return [NextStep("Read each group in more orders, so that fewer are void", line)]
    line = shlex.join(["counterpoint", "judge", "check", "labelled.jsonl", *judge])
    return [NextStep("Measure the judge on groups with known scores before you train", line)]


def _judge_check(result: JudgeCheckResult) -> list[NextStep]:
    judge = _judge(result.config)
    if not judge or not result.orders:
        return []
    orders = str(max(2, result.orders))
    line = shlex.join(["counterpoint", "rank", "groups.jsonl", *judge, "--orders", orders])
    return [NextStep("Rank in as many orders as reach that reliability", line)]


def _sweep(result: SweepResult) -> list[NextStep]:
    name = result.chosen or next(iter(result.arms))
    arm, policy = result.arms[name], result.config.get("policy")
    if arm.won is None:
        return []
    given = result.config.get("settings")
    settings = {**(given if isinstance(given, dict) else {}), **arm.won.settings}
    words = ["counterpoint", "train", result.world, "--scheme", name]
    words += ["--policy", str(policy)] if policy else []
    words += ["--budget", str(result.budget), *set_words(settings)]
    better = result.gained(name) == "better"
    unsure = "" if better else ", which are not shown to be better than the defaults"
    return [NextStep(f"Train {name} with the best settings{unsure}", shlex.join(words))]


def _judge(config: Settings) -> list[str]:
    """Returns the judge and its settings for a command line; nothing if they are not known."""
    name, settings = config.get("judge"), config.get("settings")
    if not (name and isinstance(settings, dict) and config.get("file")):
        return []
    return ["--judge", str(name), *set_words(settings)]


def _with_settings(config: Settings) -> list[str]:
    settings = config.get("settings")
    return set_words(settings) if isinstance(settings, dict) else []


STEPS: Mapping[type[Result], Callable[[Any], list[NextStep]]] = {
    AuditResult: _audit,
    ComparisonResult: _comparison,
    ContributionResult: _contribution,
    DiagnosisResult: _diagnosis,
    FolderResult: _folder,
    GameResult: _game,
    JudgeCheckResult: _judge_check,
    OutcomesResult: _outcomes,
    PopulationResult: _population,
    RankingResult: _ranking,
    SweepResult: _sweep,
    TeamResult: _team,
    TopologyResult: _topology,
    TopologySearchResult: _search,
    TrainingResult: _training,
}
"""Kind of a result to the function that knows its next steps."""
