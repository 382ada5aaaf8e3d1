"""`advantages` once more, in plain loops: what each field of a `Scheme` says, and nothing else.

One row after the other, without ids, segments, shifts or tolerances of the arithmetic: rewards
that differ must differ by more than `SAME`. Schemes without memory; every label must be given.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import exp, log, sqrt

from counterpoint.credit import Scheme

SAME = 1e-9
"""Values this close are equal; the rewards of a test are multiples of a quarter."""
Labels = dict[str, list]
Group = list[list[int]]
"""Samples of a group: each is the rows that count as one."""


@dataclass
class Component:
    """One reward column after centering and scaling; rows that are not there are missing."""

    values: dict[int, float]
    deviation: dict[int, float]


def plain_advantages(
    rewards: list[list[float | None]], labels: Labels, scheme: Scheme
) -> tuple[list[float], Counter]:
    """The advantage of each row, and how often each edge case was met."""
    tally = Counter(rows=len(rewards))
    rewards = [gated(row, scheme) for row in rewards]
    weights = scheme.weights or (1.0,) * len(rewards[0])
    there = [k for k, weight in enumerate(weights) if weight]
    tally["missing"] = sum(any(row[k] is None for k in there) for row in rewards)
    if scheme.components == "sum_first":
        columns = [([total(row, weights, there) for row in rewards], 1.0)]
    else:
        columns = [([row[k] for row in rewards], weights[k]) for k in there]
    if scheme.missing == "as_zero":
        columns = [([r or 0.0 for r in column], weight) for column, weight in columns]
    tally["disagreeing"] = disagreeing([column for column, _ in columns], labels, scheme)
    parts = []
    for column, weight in columns:
        counted = returns(column, labels, scheme)
        parts.append((weight, normalize(counted, labels, scheme, tally)))
    values = together(parts, labels, scheme, tally)
    out = [values.get(row, 0.0) for row in range(len(rewards))]
    tally["left_out"] = sum(all(row not in p.values for _, p in parts) for row in range(len(out)))
    if scheme.clip:
        tally["clipped"] = sum(abs(v) > scheme.clip for v in out)
        out = [min(max(v, -scheme.clip), scheme.clip) for v in out]
    return out, +tally


def gated(row: list[float | None], scheme: Scheme) -> list[float | None]:
    row = list(row)
    for k, needed, least in scheme.conditions:
        if row[needed] is None:
            row[k] = None
        elif row[needed] < least:
            row[k] = 0.0
    return row


def total(row: list[float | None], weights: tuple[float, ...], there: list[int]) -> float | None:
    known = [weights[k] * row[k] for k in there if row[k] is not None]
    return sum(known) if known else None


def disagreeing(columns: list[list[float | None]], labels: Labels, scheme: Scheme) -> int:
    """Rollouts whose rows in one group differ, where they are taken together."""
    if scheme.weighting == "step":
        return 0
    unequal = set()
    for column in columns:
        rows = [row for row, r in enumerate(column) if r is not None]
        for key, samples in samples_of(rows, labels, scheme.center_by, "trajectory").items():
            for rows in samples:
                paid = [column[row] for row in rows]
                if max(paid) - min(paid) > SAME:
                    unequal.add((key, labels["prompt"][rows[0]], labels["rollout"][rows[0]]))
    return len(unequal)


def returns(column: list[float | None], labels: Labels, scheme: Scheme) -> dict[int, float]:
    """What each row counts as, where it counts."""
    if scheme.rollout_reward == "mean":
        return {row: r for row, r in enumerate(column) if r is not None}
    out = {}
    for row in range(len(column)):
        mine = [i for i in range(len(column)) if speaker(labels, i) == speaker(labels, row)]
        mine.sort(key=lambda i: (labels["turn"][i], i))
        if scheme.rollout_reward == "to_go":
            rest = mine[mine.index(row) :]
            paid = [
                scheme.gamma**t * column[i] for t, i in enumerate(rest) if column[i] is not None
            ]
        else:
            paid = [column[i] for i in mine if column[i] is not None]
        if paid:
            out[row] = paid[-1] if scheme.rollout_reward == "last" else sum(paid)
    return out


def speaker(labels: Labels, row: int) -> tuple:
    return tuple(labels[name][row] for name in ("batch", "prompt", "rollout", "agent"))


def samples_of(rows: list[int], labels: Labels, by: tuple[str, ...], weighting: str) -> dict:
    """Group to its samples: rows, or (trajectory weighting) the rows of each rollout in it."""
    groups: dict[tuple, dict] = {}
    for row in rows:
        key = tuple(labels[name][row] for name in ("batch", *by))
        sample = row if weighting == "step" else (labels["prompt"][row], labels["rollout"][row])
        groups.setdefault(key, {}).setdefault(sample, []).append(row)
    return {key: list(samples.values()) for key, samples in groups.items()}


def means(values: dict[int, float], samples: Group) -> list[float]:
    return [sum(values[row] for row in rows) / len(rows) for rows in samples]


def mean_and_variance(xs: list[float]) -> tuple[float, float]:
    mean = sum(xs) / len(xs)
    if max(xs) - min(xs) <= SAME:
        return mean, 0.0
    return mean, sum((x - mean) ** 2 for x in xs) / len(xs)


def ranks(xs: list[float]) -> list[float]:
    return [
        sum(y < x - SAME for y in xs) + (sum(abs(y - x) <= SAME for y in xs) + 1) / 2 for x in xs
    ]


def rollouts_of(samples: Group, labels: Labels) -> set:
    return {(labels["prompt"][row], labels["rollout"][row]) for rows in samples for row in rows}


def normalize(x: dict[int, float], labels: Labels, s: Scheme, tally: Counter) -> Component:
    """One column: minus its center, over its scale, with the policies for lonely and equal."""
    centers = samples_of(list(x), labels, s.center_by, s.weighting)
    raw, values, factor, alone = {}, {}, {}, set()
    same = s.center_by == s.scale_by
    few = s.center in ("mean", "leave_one_out") or s.transform == "rank"
    few = few or (same and s.scale == "std")
    for samples in centers.values():
        xs = means(x, samples)
        weight = group_factor(mean_and_variance(xs)[0], s)
        xs = ranks(xs) if s.transform == "rank" else xs
        lonely = few and size_of(samples, labels, s, center=True) < 2
        tally.update(groups=1, singletons=lonely)
        tally["constants"] += few and not lonely and max(xs) - min(xs) <= SAME
        for one, rows in zip(xs, samples, strict=True):
            baseline = center(one, rows, xs, samples, labels, s)
            if s.baseline_floor is not None and baseline < s.baseline_floor:
                baseline = s.baseline_floor
                tally["raised"] += len(rows)
            for row in rows:
                raw[row], values[row], factor[row] = one, one - baseline, weight
                alone |= {row} if lonely else set()
    done = Component(values, dict.fromkeys(values, 0.0))
    if s.scale != "none":
        of = values if s.scale_of == "centered" and s.center != "none" else x
        of = raw if s.transform == "rank" and of is x else of
        done = scaled(raw if same else of, values, alone, labels, s, tally)
    for row in done.values:
        if row in alone:
            done.values[row] = raw[row] if s.singleton == "raw" else 0.0
            done.deviation[row] = 0.0
        done.values[row] *= factor[row]
    return done


def size_of(samples: Group, labels: Labels, s: Scheme, center: bool) -> int:
    by_rollout = center and s.center == "leave_one_out"
    return len(rollouts_of(samples, labels)) if by_rollout else len(samples)


def center(
    one: float, rows: list[int], xs: list[float], samples: Group, labels: Labels, s: Scheme
) -> float:
    """What is subtracted from a sample."""
    if s.center == "none":
        return 0.0
    if s.center == "mean":
        return sum(xs) / len(xs)
    own = rollouts_of([rows], labels)
    others = [x for x, rows in zip(xs, samples, strict=True) if rollouts_of([rows], labels) != own]
    return sum(others) / len(others) if others else one


def group_factor(p: float, s: Scheme) -> float:
    if s.group_weight == "none":
        return 1.0
    return exp(-s.group_strength * sum(q * log(2 * q) for q in (p, 1 - p) if q > 0))


def scaled(
    of: dict[int, float],
    values: dict[int, float],
    alone: set[int],
    labels: Labels,
    s: Scheme,
    tally: Counter,
) -> Component:
    """Values over the deviation (or mean) of `of` in their scale group; adds to `alone`."""
    same = s.center_by == s.scale_by
    done = Component({}, {})
    for samples in samples_of(list(of), labels, s.scale_by, s.weighting).values():
        xs = means(of, samples)
        lonely = s.scale == "std" and size_of(samples, labels, s, center=same) < 2
        constant = max(xs) - min(xs) <= SAME
        if not same:
            tally.update(groups=1, singletons=lonely)
            tally["constants"] += s.scale == "std" and not lonely and constant
        divisor = divisor_of(xs, samples, of, labels, s, tally)
        known = constant and (s.scale == "std" or (same and s.center != "none"))
        known = known or (same and s.transform == "rank" and constant)
        lone = lonely or (same and all(row in alone for rows in samples for row in rows))
        tally["constants"] += divisor <= 0 and not lone and not known
        if divisor < s.floor:
            divisor = s.floor
            tally["floored"] += 1
        for rows in samples:
            for row in rows:
                flat = 0.0 if s.constant == "zero" else values[row]
                done.values[row] = values[row] / (divisor + s.epsilon) if divisor > 0 else flat
                done.deviation[row] = max(divisor, 0.0)
                alone |= {row} if lonely else set()
    return done


def divisor_of(
    xs: list[float],
    samples: Group,
    of: dict[int, float],
    labels: Labels,
    s: Scheme,
    tally: Counter,
) -> float:
    mean, var = mean_and_variance(xs)
    if s.scale == "mean":
        return mean if mean > SAME else 0.0
    if s.ddof and len(xs) > 1:
        var *= len(xs) / (len(xs) - 1)
    whole = samples_of(list(of), labels, (), s.weighting)[(labels["batch"][samples[0][0]],)]
    batch_var = mean_and_variance(means(of, whole))[1]
    n = len(rollouts_of(samples, labels))
    if s.shrink:
        var = (n * var + s.shrink * batch_var) / (n + s.shrink)
    if n < s.min_count:
        tally["pooled"] += 1
        var = batch_var
    return sqrt(var)


def together(
    parts: list[tuple[float, Component]], labels: Labels, s: Scheme, tally: Counter
) -> dict[int, float]:
    """The weighted sum of the components, without what disagrees, whitened."""
    rows = sorted({row for _, part in parts for row in part.values})
    values, size = {}, {}
    for row in rows:
        weights = [weight for weight, _ in parts]
        if s.weigh_by == "deviation":
            shares = [weight * part.deviation.get(row, 0.0) for weight, part in parts]
            sigmas = sum(map(abs, shares))
            weights = [share / sigmas if sigmas > 0 else 0.0 for share in shares]
        terms = [w * p.values.get(row, 0.0) for w, (_, p) in zip(weights, parts, strict=True)]
        values[row], size[row] = sum(terms), sum(map(abs, terms))
    kept = rows
    if s.agreement:
        kept = [row for row in rows if abs(values[row]) >= (s.agreement - SAME) * size[row]]
        tally["conflicting"] = len(rows) - len(kept)
        for samples in samples_of(rows, labels, s.center_by, s.weighting).values():
            left = sum(sum(row in kept for row in sample) / len(sample) for sample in samples)
            for row in (row for sample in samples for row in sample):
                values[row] *= left / len(samples) if row in kept else 0.0
    if s.whiten == "batch":
        weighting = s.whiten_weighting or s.weighting
        for samples in samples_of(kept, labels, (), weighting).values():
            xs = means(values, samples)
            mean, var = mean_and_variance(xs)
            var *= len(xs) / (len(xs) - 1) if s.ddof and len(xs) > 1 else 1.0
            tally["flat"] += var == 0
            for row in (row for sample in samples for row in sample):
                off = values[row] - mean
                values[row] = off / (sqrt(var) + s.epsilon) if var > 0 else 0.0
    return values
