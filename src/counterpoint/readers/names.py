"""Which column of a foreign log means what: names that trainers write, and a user's own mapping.

`plan_columns` looks at the names of a log's columns and at the kinds of their first values, and
returns a `Plan`. Every meaning that does not follow from our own names is in `Plan.guesses`.

The names come from what these trainers write (read in their source): TRL 1.16 (completions: one
column a reward function), verl 0.9 (rollout dumps: input, output, gts, score, step), ms-swift 4.6
(completions.jsonl), AReaL 1.0 (trajectory dumps), verifiers (results.jsonl), ART 0.5 and rLLM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from counterpoint.errors import LogError
from counterpoint.readers.columns import ONE_AGENT, listed, plain
from counterpoint.readers.kinds import FIGURE, LIST, MISSING, NUMBER, TABLE, TEXT, TRUTH

KNOWN = ("prompt", "rollout", "agent", "role", "turn", "context", "step", "action")
"""Columns that are read, besides the rewards."""

OWN_NAMES = {"prompt_id": "prompt", "answer": "action"}
"""Second names of our own format; they are read without a notice."""

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": (
        *("prompt_id", "uid", "group_id", "group_index", "task_id", "task_hash", "example_id"),
        *("problem_id", "question_id", "group", "input", "question", "query", "problem", "task"),
    ),
    "rollout": (
        *("rollout_id", "rollout_idx", "rollout_index", "traj_uid", "traj_id", "trajectory_id"),
        *("request_id", "episode_id", "sample_id", "sample_idx", "sample_index", "generation"),
    ),
    "agent": ("agent_name", "agent_id", "agent_idx", "player", "player_id", "policy_id"),
    "role": ("role_name", "group_role", "agent_role"),
    "turn": ("turn_id", "turn_idx", "turn_index"),
    "context": ("anchor_obs", "data_source"),
    "step": (
        *("global_step", "global_steps", "training_step", "train_step", "update", "gen_step"),
        *("iteration", "tail_version", "policy_version"),
    ),
    "action": ("answer",),
    "reward": (
        *("score", "scores", "reward_score", "total_reward", "final_reward", "episode_reward"),
        *("return", "acc", "accuracy", "success", "is_correct", "correct"),
    ),
}
"""Our name to the names that other tools write, the likeliest first."""

TEXTS = ("completion", "completions", "output", "outputs", "response", "responses")
"""Columns that hold what a model wrote: beside them, `answer` is the right answer, no action."""

ADVANTAGES = ("advantage", "advantages")

NO_REWARD = re.compile(
    r"advantages?|returns?|values?|entropy|kl|loss|lr|learning_rate|epoch|seed|index|idx|length|len"
    r"|tokens?|seqlen|time|timestamp|duration|temperature|gts|ground_truth|labels?|version|weight"
    r"|.*(_id|_idx|_index|_length|_len|_lens?|_tokens|_ms|_seconds|_time|_version|logps?|logprobs?)"
    r"|(num|n|mean|max|min|std)_.*|(is_)?truncated",
    re.IGNORECASE,
)
"""Columns of numbers that are no rewards."""

_REWARD_KINDS = {NUMBER, TRUTH, FIGURE}
NO_STEP = "no column 'step': all rows belong to one training update"
_IGNORE = "ignore"


@dataclass(frozen=True)
class Plan:
    """What each column of a log means."""

    sources: Mapping[str, str]
    """Our name (of `KNOWN`, or `reward`, or `rewards`) to the log's name of it."""
    components: Mapping[str, str]
    """Component of the reward to the log's column; empty where the reward is one column."""
    is_foreign: bool
    """Whether another tool wrote the log: rollouts may then be numbered, agents be one."""
    unread: tuple[str, ...] = ()
    """The log's columns that mean nothing to us."""
    guesses: tuple[str, ...] = ()
    """What was guessed, in sentences."""
    facts: tuple[str, ...] = ()
    """What is absent or not read, in sentences."""


def plan_columns(kinds: Mapping[str, set[str]], chosen: Mapping[str, str] | None = None) -> Plan:
    """What the columns of a log mean.

    Args:
        kinds: the log's columns, each with the kinds of its first values.
        chosen: what the user says: the log's name to ours, `rewards.NAME` or `ignore`.

    Raises:
        LogError: `chosen` names a column that is not there, or a meaning that we do not have.
    """
    sources, components, ignored = _chosen(kinds, chosen or {})
    guesses: list[str] = []
    free = [name for name in kinds if name not in (*(chosen or {}), *ignored)]
    for name in KNOWN:
        if name not in sources:
            guesses += _take(name, kinds, free, sources)
    guesses += _take_reward(kinds, free, sources, components)
    taken = {*sources.values(), *components.values()}
    renamed = {
        name: source
        for name, source in (*sources.items(), *components.items())
        if source != name and OWN_NAMES.get(source) != name and not _is_component(source)
    }
    renamed = {name: renamed[name] for name in (*KNOWN, "reward", *renamed) if name in renamed}
    is_guessed = any(not _is_component(source) for source in components.values())
    is_foreign = bool(renamed or is_guessed or chosen or any(name in kinds for name in TEXTS))
    if renamed:
        guesses.insert(0, "columns are read as: " + _pairs(renamed))
    is_grouped = LIST in kinds.get(sources.get("rewards", ""), set())
    guesses += _supplied(sources, is_grouped) if is_foreign else []
    unread = [name for name in kinds if name not in taken and name]
    facts = _absent(sources, is_grouped)
    facts += [f"columns that are not read: {listed(unread)}"] if unread else []
    return Plan(sources, components, is_foreign, tuple(unread), tuple(guesses), tuple(facts))


def _chosen(
    kinds: Mapping[str, set[str]], chosen: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    sources: dict[str, str] = {}
    components: dict[str, str] = {}
    ignored: list[str] = []
    for source, name in chosen.items():
        head, _, component = name.partition(".")
        if source not in kinds:
            raise LogError(f"got no column {source!r} among {listed(list(kinds))}; wanted one")
        if name == "reward" and kinds[source] & {LIST, TABLE}:
            name = "rewards"
        if name == _IGNORE:
            ignored.append(source)
        elif name in (*KNOWN, "reward", "rewards") and name not in sources:
            sources[name] = source
        elif head in ("reward", "rewards") and component and component not in components:
            components[component] = source
        else:
            raise LogError(
                f"got {plain(source)}={plain(name)}; wanted one of {', '.join(KNOWN)}, reward, "
                "rewards.NAME or ignore, each meaning once"
            )
    if bool(components) + ("reward" in sources) + ("rewards" in sources) > 1:
        raise LogError("got both reward and rewards.NAME for columns; wanted one of them")
    return sources, components, ignored


def _take(
    name: str, kinds: Mapping[str, set[str]], free: list[str], sources: dict[str, str]
) -> list[str]:
    """Give `name` its column, if there is one; say which others it could have been."""
    others = [other for other in OTHER_NAMES[name] if other in free and _fits(name, kinds[other])]
    if name == "action" and any(text in kinds for text in TEXTS):
        others = []
    candidates = [name] * (name in free) + others
    if not candidates:
        return []
    sources[name] = candidates[0]
    free.remove(candidates[0])
    rivals = [other for other in candidates[1:] if OWN_NAMES.get(other) != name]
    if not rivals:
        return []
    return [
        f"{listed(candidates)} could each be the {name}: '{candidates[0]}' is used; --columns "
        f"{rivals[0]}={name} selects another"
    ]


def _fits(name: str, kinds: set[str]) -> bool:
    if name == "reward":
        return bool(kinds & _REWARD_KINDS) and kinds <= {*_REWARD_KINDS, MISSING}
    if name == "step":
        return bool(kinds) and kinds <= {NUMBER, FIGURE}
    allowed = {NUMBER, FIGURE, TEXT} | ({LIST, TABLE} if name == "prompt" else set())
    return bool(kinds) and kinds <= allowed | ({MISSING} if name == "action" else set())


def _take_reward(
    kinds: Mapping[str, set[str]],
    free: list[str],
    sources: dict[str, str],
    components: dict[str, str],
) -> list[str]:
    """Find the reward: under our names, in one column of another name, or in TRL's columns."""
    if components or sources.keys() & {"reward", "rewards"}:
        return []
    named = {name.partition(".")[2]: name for name in free if _is_component(name)}
    if named or "reward" in free or "rewards" in free:
        components.update(named)
        sources.update({name: name for name in ("reward", "rewards") if name in free})
        return []
    if "scores" in free and kinds["scores"] & {LIST, TABLE}:
        sources["rewards"] = "scores"
        return []
    text = next((name for name in TEXTS if name in kinds), None)
    is_trl = text is not None and any(name in kinds for name in ADVANTAGES)
    notices = [] if is_trl else _take("reward", kinds, free, sources)
    # a model that answers "42" wrote a text, whatever it looks like
    guessed = [
        n
        for n in free
        if n not in TEXTS and _fits("reward", kinds[n]) and not NO_REWARD.fullmatch(n)
    ]
    if "reward" in sources or text is None or not guessed:
        return notices
    components.update({name: name for name in guessed})
    return [
        f"columns of numbers beside '{text}' are read as components of the reward: "
        f"{listed(guessed)}; --columns NAME=ignore leaves one out"
    ]


def _supplied(sources: Mapping[str, str], is_grouped: bool) -> list[str]:
    """What a foreign log leaves out and the reader adds."""
    guesses = []
    if "agent" not in sources:
        guesses.append(f"no column 'agent': all rows belong to one agent, '{ONE_AGENT}'")
    if "rollout" not in sources and not is_grouped:
        guesses.append(
            "no column 'rollout': row g of an agent in a prompt is rollout g"
            if "agent" in sources
            else "no column 'rollout': the rows of each prompt are numbered in the order of the log"
        )
    return guesses


def _absent(sources: Mapping[str, str], is_grouped: bool) -> list[str]:
    """What is not in the log."""
    facts = []
    if "prompt" not in sources:
        prompts = "each record is a prompt of its own" if is_grouped else "all rows are one prompt"
        facts.append(f"no column 'prompt': {prompts}")
    return facts if "step" in sources else [*facts, NO_STEP]


def _is_component(name: str) -> bool:
    """Whether a column has our own name for a component: `reward.NAME` or `rewards.NAME`."""
    return name.startswith(("reward.", "rewards.")) and bool(name.partition(".")[2])


def _pairs(renamed: Mapping[str, str]) -> str:
    return ", ".join(f"{plain(name)} = '{plain(source)}'" for name, source in renamed.items())
