"""From the advantages of single components to one advantage a row, and the last pass over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from counterpoint.credit.groups import group_moments
from counterpoint.credit.layout import Layout
from counterpoint.credit.normalize import Part
from counterpoint.credit.result import Tally
from counterpoint.credit.segments import Array


def together(parts: Sequence[Part], rows: int, layout: Layout) -> tuple[Array, Array | None, Tally]:
    """The weighted sum of the components' advantages, whitened where the scheme says so.

    Args:
        parts: one a normalized reward column.
        rows: how many rows were given.
        layout: groups and scheme.

    Returns:
        Values [N], the rows that some component has a value for ([N], None = all), and the counts.
    """
    a, scheme = layout.arrays, layout.scheme
    weights = _by_deviation(parts, layout) if scheme.weigh_by == "deviation" else None
    values = size = a.ones(layout.table.rows) * 0
    rounded, tally = size, Tally(rows=rows)
    for k, part in enumerate(parts):
        weight = part.weight if weights is None else weights[k]
        term = weight * part.values
        values, size, tally = values + term, size + abs(term), tally + part.tally
        rounded = rounded + (abs(term) if part.size is None else abs(weight) * part.size)
    used = _used(parts)
    counted = used
    if scheme.agreement > 0:
        values, counted, dropped = _agreeing(values, size, used, layout)
        tally += Tally(conflicting=dropped)
    if scheme.whiten == "batch":
        values, flat = _whitened(values, rounded, counted, layout)
        tally += Tally(flat=flat)
    return values, used, tally


def _used(parts: Sequence[Part]) -> Array | None:
    """[N] rows that some component has a value for; None = all."""
    used = None
    for part in parts:
        if part.ok is None:
            return None
        used = part.ok if used is None else used | part.ok
    return used


def _by_deviation(parts: Sequence[Part], layout: Layout) -> list[Array]:
    """[N] each component's weight, `w_k sigma_k / sum of w_l sigma_l` in the row's group (DVAO)."""
    where = layout.arrays.xp.where
    known = (part.deviation for part in parts)
    shares = [p.weight * sigma for p, sigma in zip(parts, known, strict=True) if sigma is not None]
    total = sum(abs(share) for share in shares)
    return [where(total > 0, share / where(total > 0, total, 1.0), 0.0) for share in shares]


def _agreeing(
    values: Array, size: Array, used: Array | None, layout: Layout
) -> tuple[Array, Array, int]:
    """Values without rows with components that disagree, the rows left, and how many were dropped.

    A row without any advantage disagrees with nothing. What is left of a group is multiplied by the
    share of its samples that is left.
    """
    a, scheme = layout.arrays, layout.scheme
    rounding = 1.0 - 1e-12  # components of one sign add up to their size but for rounding
    agrees = abs(values) >= min(scheme.agreement, rounding) * size
    s = layout.samples("center", used)
    left = a.floats(agrees) * s.weight
    share = a.sum(left, s.ids, s.n) / a.xp.where(s.total > 0, s.total, 1.0)
    kept = agrees if used is None else agrees & used
    return a.xp.where(kept, values * share[s.ids], 0.0), kept, layout.count_rows(~agrees)


def _whitened(values: Array, size: Array, used: Array | None, layout: Layout) -> tuple[Array, int]:
    """Values [N] with mean 0 and deviation 1 over the whole batch; constant ones become 0.

    `size` [N] is the magnitude of the terms that were summed: terms that cancel leave rounding,
    which is constant too.
    """
    a, scheme = layout.arrays, layout.scheme
    where = a.xp.where
    if scheme.whiten_weighting not in (None, scheme.weighting):
        layout = Layout(
            layout.table, replace(scheme, weighting=scheme.whiten_weighting), a, layout.epsilon
        )
    s = layout.samples("whole", used)
    own = group_moments(values, size, s, a, layout.epsilon)
    var = own.var
    if scheme.ddof:
        var = var * s.total / where(s.total > 1.0, s.total - 1.0, 1.0)
    divisor = a.xp.sqrt(var)
    flat = own.constant | (divisor <= 0)  # constant, or so small that squares are 0
    shifted = values - (own.low + own.mean)[s.ids]
    values = where(flat[s.ids], 0.0, shifted / where(flat, 1.0, divisor + scheme.epsilon)[s.ids])
    flats = a.count(flat & (s.total > 0))
    return (values if used is None else where(used, values, 0.0)), flats
