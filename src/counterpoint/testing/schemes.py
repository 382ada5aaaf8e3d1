"""`check_scheme`: a conformance suite for entries of the catalogue of schemes, yours and ours.

The kernel computes every scheme. So in an entry only the name, the texts, and the signal for a team
can be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from counterpoint.arrays import Floats, NamedArrays
from counterpoint.credit import (
    Entry,
    Mix,
    PerRole,
    RunningState,
    Scheme,
    advantages,
    catalogue,
    scheme_name,
    scheme_named,
    split_names,
)
from counterpoint.credit.catalogue import ALIASES
from counterpoint.credit.scheme import plain_schemes
from counterpoint.testing.batches import attempt, demand

ROLES = ("planner", "coder", "tester")
PROMPTS, ROLLOUTS, TURNS = 8, 6, 2


def check_scheme(entry: Entry, *, roles: Sequence[str] = ROLES) -> None:
    """Checks every promise of `counterpoint.credit.Entry`.

    Args:
        entry: the entry.
        roles: the names of the agents of a team, which are their roles too.

    Raises:
        ConformanceError: The first broken promise.
    """
    check_description(entry)
    if isinstance(entry.scheme, Scheme):  # it can be written on a command line and read again
        written = scheme_name(entry.scheme)
        read = scheme_named(written)
        demand(read == entry.scheme, f"{read} for {written!r}", f"{entry.scheme}")
    check_signal(entry, roles)
    rewards, labels = _batch(entry, roles)
    _advantages(entry, np.full_like(rewards, 0.5), labels, None, "a batch of equal rewards")
    one = {name: column[:1] for name, column in labels.items()}
    _advantages(entry, rewards[:1], one, None, "a single row")


def check_description(entry: Entry) -> None:
    """Checks that the name can be typed and is free, the texts exist, and the scheme is new."""
    demand(isinstance(entry, Entry), f"{entry!r}", "a counterpoint.credit.Entry")
    name, kind = entry.name, type(entry.scheme)
    is_plain = name.strip() == name != "" and "=" not in name and split_names(name) == (name,)
    demand(is_plain, f"the name {name!r}", "one word without a comma or an equals sign")
    taken = ALIASES.get(name, "custom" if name == "custom" else None)
    demand(taken is None, f"the name {name!r}, which stands for {taken}", "a name that is free")
    is_data = kind in (Scheme, Mix, PerRole)
    demand(is_data, f"a scheme of type {kind.__name__}", "a Scheme, a Mix or a PerRole")
    for field in ("title", "citation"):
        text = getattr(entry, field)
        is_line = isinstance(text, str) and text.strip() == text != "" and "\n" not in text
        demand(is_line, f"the {field} {text!r}", "one line of text")
    for other, scheme in catalogue().items():
        alike = f"{name!r} with the scheme of {other!r}"
        demand(other == name or scheme != entry.scheme, alike, "a scheme of its own")
        alike = f"the name {name!r}, which has another scheme already"
        demand(other != name or scheme == entry.scheme, alike, "a name that is free")


def check_signal(entry: Entry, roles: Sequence[str]) -> None:
    """Checks that advantages are finite, differ from 0, and rise with the rewards."""
    rewards, labels = _batch(entry, roles)
    state: RunningState | None = None
    for call in ("the first call", "a call with the state that the last one returned"):
        values, state = _advantages(entry, rewards, labels, state, call)
    demand(bool(np.any(values != 0)), "advantages that are all 0", "some that are not")
    totals = rewards.sum(axis=1)
    rise = float(np.mean((values - values.mean()) * (totals - totals.mean())))
    demand(rise > 0, f"advantages whose covariance with the rewards is {rise:.3g}", "one above 0")


def _advantages(
    entry: Entry, rewards: Floats, labels: NamedArrays, state: RunningState | None, what: str
) -> tuple[Floats, RunningState | None]:
    """Returns advantages and the state after them, and checks that all are finite."""
    with attempt(what, "finite advantages"):
        credit = advantages(rewards, labels, entry.scheme, state=state)
    values = np.asarray(credit.values)
    demand(bool(np.isfinite(values).all()), f"{values} from {what}", "finite advantages")
    return values, credit.state


def _batch(entry: Entry, roles: Sequence[str]) -> tuple[Floats, NamedArrays]:
    """Returns [N, K] rewards between 0 and 1, and labels, of several rollouts by the whole team."""
    shape = (PROMPTS, ROLLOUTS, len(roles), TURNS)
    prompt, rollout, agent, turn = (each.ravel() for each in np.indices(shape))
    columns = {"prompt": prompt, "rollout": rollout, "turn": turn, "context": prompt}
    names = np.array(list(roles))[agent]
    count = max(map(_components, plain_schemes(entry.scheme)), default=1)
    rewards = np.random.default_rng(0).choice([0.0, 0.25, 1.0], size=(len(agent), count))
    return rewards, {**columns, "agent": names, "role": names}


def _components(scheme: Scheme) -> int:
    """Returns how many reward components a scheme names, two if it takes any number."""
    if scheme.weights is not None:
        return len(scheme.weights)
    named = [1 + max(condition[:2]) for condition in scheme.conditions]
    return max([1 if scheme.components == "sum_first" else 2, *named])
