"""Which column of a foreign log means what, by its name and by the kinds of its first values.

`plan_columns` looks at the names of a log's columns and at the kinds of their first values, and
returns a `ColumnPlan`. Its `guesses` have every meaning that does not follow from our own names.
Kinds are coarse on purpose: they only decide which column can be a reward or a label.

The names come from what these trainers write (read in their source): TRL 1.16 (completions: one
column a reward function), verl 0.9 (rollout dumps: input, output, gts, score, step), ms-swift 4.6
(completions.jsonl), AReaL 1.0 (trajectory dumps), verifiers (results.jsonl), ART 0.5 and rLLM.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from counterpoint.errors import LogError, choices
from counterpoint.readers.columns import ONE_AGENT, list_names, printable
from counterpoint.records import TRAINERS

NUMBER, TRUTH, MISSING, FIGURE, TEXT, LIST, TABLE = (
    "number", "truth", "missing", "figure", "text", "list", "table",
)  # fmt: skip
"""Kinds of values; a figure is a number that is written as text, a table a JSON object."""

NO_VALUE = frozenset(("", "nan", "null", "none", "na"))
"""How a missing reward may be written, in any case."""

_TRUTHS = {"true": 1.0, "false": 0.0}
_KINDS: Mapping[type, str] = {
    bool: TRUTH, int: NUMBER, float: NUMBER, str: TEXT, list: LIST, dict: TABLE,
    type(None): MISSING,
}  # fmt: skip
_FIRST_BYTES = {b'"': TEXT, b"[": LIST, b"{": TABLE, b"t": TRUTH, b"f": TRUTH, b"n": MISSING}

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
"""Our name to the names that other tools write, the most likely first."""

SPEAKER = "role_name"
"""A role, or the agent if no other column names it, as in the messages of CAMEL."""

TEXTS = ("completion", "completions", "output", "outputs", "response", "responses")
"""Columns with a model's texts: in a log that has one, `answer` is the right answer, no action."""

ADVANTAGES = ("advantage", "advantages")

NO_REWARD = re.compile(
    r"advantages?|returns?|values?|entropy|kl|loss|lr|learning_rate|epoch|seed|index|idx|length|len"
    r"|tokens?|seqlen|time|timestamp|duration|temperature|gts|ground_truth|labels?|version|weight"
    r"|.*(_id|_idx|_index|_length|_len|_lens?|_tokens|_ms|_seconds|_time|_version|logps?|logprobs?)"
    r"|(num|n|mean|max|min|std)_.*|(is_)?truncated",
    re.IGNORECASE,
)
"""Columns of numbers that are no rewards."""

TRAINER = "trainer"
"""The column in which the log of an adapter names its trainer."""

WRITERS: Mapping[str, frozenset[str]] = {
    "TRL": frozenset(("completion", "advantage")),
    "ms-swift": frozenset(("completion", "advantages")),
    "AReaL": frozenset(("head_version", "tail_version")),
    "verl": frozenset(("input", "output", "gts")),
    "verifiers": frozenset(("example_id", "completion")),
}
"""A trainer to the columns by which its log is known."""

_REWARD_KINDS = {NUMBER, TRUTH, FIGURE}
NO_STEP = "no column 'step': all rows belong to one training update"


@dataclass(frozen=True)
class ColumnPlan:
    """The meaning of each column of a log."""

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
    writer: str = ""
    """The trainer that the log names, or one of `WRITERS`; empty if that is not known."""


def plan_columns(
    kinds: Mapping[str, set[str]], chosen: Mapping[str, str] | None = None, trainer: str = ""
) -> ColumnPlan:
    """Returns what the columns of a log mean.

    Args:
        kinds: the log's columns, each with the kinds of its first values.
        chosen: the user's meanings: the log's name to ours, `rewards.NAME` or `ignore`.
        trainer: the trainer that the log names, as `trainer_of` returns it.

    Raises:
        LogError: `chosen` names a column that is not there, or a meaning that we do not have.
    """
    chosen, guesses = chosen or {}, list[str]()
    sources, components = _chosen(kinds, chosen)
    free = [name for name in kinds if name not in chosen]
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
        pairs = [f"{printable(name)} = '{printable(source)}'" for name, source in renamed.items()]
        guesses.insert(0, f"columns are read as: {', '.join(pairs)}")
    is_grouped = LIST in kinds.get(sources.get("rewards", ""), set())
    if is_foreign and "agent" not in sources:
        guesses.append(f"no column 'agent': all rows belong to one agent, '{ONE_AGENT}'")
    if is_foreign and "rollout" not in sources and not is_grouped:
        guesses.append(
            "no column 'rollout': row g of an agent in a prompt is rollout g"
            if "agent" in sources
            else "no column 'rollout': the rows of each prompt are numbered in the order of the log"
        )
    unread = [name for name in kinds if name and name not in taken]
    if trainer and TRAINER in unread:
        unread.remove(TRAINER)
    facts = []
    if "prompt" not in sources:
        prompts = "each record is a prompt of its own" if is_grouped else "all rows are one prompt"
        facts.append(f"no column 'prompt': {prompts}")
    if "step" not in sources:
        facts.append(NO_STEP)
    if unread:
        facts.append(f"columns that are not read: {list_names(unread)}")
    known = (name for name, marks in WRITERS.items() if marks <= kinds.keys())
    writer = trainer or next(known, "")
    return ColumnPlan(
        sources, components, is_foreign, tuple(unread), tuple(guesses), tuple(facts), writer
    )


def trainer_of(rows: Iterable[Mapping[str, object]]) -> str:
    """Returns the trainer that a row of a log names; empty if none names one of `TRAINERS`."""
    for row in rows:
        value = row.get(TRAINER)
        if isinstance(value, msgspec.Raw):  # JSON text
            value = bytes(value).decode(errors="replace")[1:-1]
        if value in TRAINERS:
            return str(value)
    return ""


def _chosen(
    kinds: Mapping[str, set[str]], chosen: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the columns and the components that the user's meanings name."""
    sources: dict[str, str] = {}
    components: dict[str, str] = {}
    for source, name in chosen.items():
        head, _, component = name.partition(".")
        if source not in kinds:
            raise LogError(f"got no column {source!r} among {list_names(list(kinds))}; wanted one")
        if name == "reward" and kinds[source] & {LIST, TABLE}:
            name = "rewards"
        if name == "ignore":
            continue
        if name in (*KNOWN, "reward", "rewards") and name not in sources:
            sources[name] = source
        elif head in ("reward", "rewards") and component and component not in components:
            components[component] = source
        else:
            raise LogError(
                f"got {printable(source)}={printable(name)}"
                f"{choices(name, (*KNOWN, 'reward', 'rewards.NAME', 'ignore'))}, each meaning once"
            )
    if bool(components) + ("reward" in sources) + ("rewards" in sources) > 1:
        raise LogError("got both reward and rewards.NAME for columns; wanted one of them")
    return sources, components


def _take(
    name: str, kinds: Mapping[str, set[str]], free: list[str], sources: dict[str, str]
) -> list[str]:
    """Assigns a column to `name`, if one fits; returns a sentence about the other candidates."""
    others = [other for other in OTHER_NAMES[name] if other in free and _fits(name, kinds[other])]
    if name == "action" and any(text in kinds for text in TEXTS):
        others = []
    candidates = [name] * (name in free) + others
    if name == "agent" and not candidates and SPEAKER in free and _fits(name, kinds[SPEAKER]):
        candidates = [SPEAKER]
    if not candidates:
        return []
    sources[name] = candidates[0]
    free.remove(candidates[0])
    rivals = [other for other in candidates[1:] if OWN_NAMES.get(other) != name]
    if not rivals:
        return []
    return [
        f"{list_names(candidates)} could each be the {name}: '{candidates[0]}' is used; --columns "
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
    """Finds the reward: under our names, in one column of another name, or in TRL's columns."""
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
        f"{list_names(guessed)}; --columns NAME=ignore leaves one out"
    ]


def _is_component(name: str) -> bool:
    """Returns whether a column has our name of a component: `reward.NAME` or `rewards.NAME`."""
    return name.startswith(("reward.", "rewards.")) and bool(name.partition(".")[2])


def kind_of(value: object) -> str:
    """Returns the kind of a JSON value; a value that is still JSON text is not parsed."""
    if isinstance(value, msgspec.Raw):
        data = bytes(value)
        kind = _FIRST_BYTES.get(data[:1], NUMBER)
        return (
            kind_of_cell(data[1:401].rstrip(b'"').decode(errors="replace"))
            if kind == TEXT
            else kind
        )
    kind = _KINDS.get(type(value), TEXT)
    if kind == TEXT:
        return kind_of_cell(str(value))
    return MISSING if kind == NUMBER and value != value else kind


def kind_of_cell(cell: str) -> str:
    """Returns the kind of a cell of a table."""
    text = cell.strip()[:400]
    if text.lower() in NO_VALUE:
        return MISSING
    if text.lower() in _TRUTHS:
        return TRUTH
    return TEXT if as_number(text) is None else FIGURE


def kinds_of(rows: Iterable[Mapping[str, str]]) -> dict[str, set[str]]:
    """Returns the kinds of each column's values in some rows; a row without it adds `MISSING`."""
    kinds: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    total = 0
    for row in rows:
        total += 1
        counts.update(row.keys())
        for name, kind in row.items():
            kinds.setdefault(name, set()).add(kind)
    for name, count in counts.items():
        if count < total:
            kinds[name].add(MISSING)
    return kinds


def as_number(text: str) -> float | None:
    """Returns the number in a text; true is 1, an empty text NaN, any other text None."""
    lowered = text.strip().lower()
    if lowered in NO_VALUE:
        return math.nan
    if lowered in _TRUTHS:
        return _TRUTHS[lowered]
    try:
        return float(lowered) if "_" not in lowered else None
    except ValueError:
        return None


def parse_reward(at: str, value: object) -> float:
    """Returns a reward as a float: NaN for null and NaN, 1 and 0 for true and false.

    Args:
        at: the line and the column, for the message.
        value: the reward in JSON or in a cell of a table; numbers may be written as text.

    Raises:
        LogError: The value is no number, or infinite.
    """
    number: float | None = None
    if value is None:
        return math.nan
    if isinstance(value, str):
        number = as_number(value)
    elif isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    if number is None:
        raise LogError(
            f"{at}: got {excerpt(value)}; wanted a number, true or false, or null where it is "
            "missing"
        )
    if math.isinf(number):
        raise LogError(f"{at}: got an infinite reward; wanted a finite number, or null")
    return number


def excerpt(value: object) -> str:
    """Returns a value as a message shows it: short, and on one line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
