"""The schemes that a `Mix` or a `PerRole` is made of, for adapters that ask what a scheme does."""

from __future__ import annotations

from dataclasses import replace

from counterpoint.credit import AnyScheme, Mix, PerRole, Scheme, scheme_name
from counterpoint.errors import SchemeError


def parts_of(scheme: AnyScheme) -> tuple[Scheme, ...]:
    """The schemes that a scheme is made of; a `Scheme` is its own only part."""
    if isinstance(scheme, Mix):
        return scheme.schemes
    if isinstance(scheme, PerRole):
        others = () if scheme.default is None else (scheme.default,)
        return (*(part for _, part in scheme.schemes), *others)
    return (scheme,)


def takes_rollouts(scheme: AnyScheme) -> bool:
    """Whether some part counts a rollout once, or gives rows the reward of their rollout."""
    return any(
        part.weighting == "trajectory" or part.rollout_reward != "mean" for part in parts_of(scheme)
    )


def refuse_rollouts(scheme: AnyScheme) -> None:
    """Check that every row keeps its own value, as step-based trainers need it.

    Raises:
        SchemeError: the scheme takes the rows of a rollout together.
    """
    if takes_rollouts(scheme):
        raise SchemeError(
            f"got {scheme_name(scheme)}, which takes the steps of a rollout together; wanted a "
            "scheme with weighting='step' and rollout_reward='mean', such as happo_per_agent or "
            "group_reward_decoupled: each step has its own advantage"
        )


def with_weights(scheme: AnyScheme, weights: tuple[float, ...]) -> AnyScheme:
    """The scheme with these component weights in every part that has none of its own."""
    if isinstance(scheme, Mix):
        return Mix(tuple((factor, _weighted(part, weights)) for factor, part in scheme.parts))
    if isinstance(scheme, PerRole):
        return PerRole(
            tuple((role, _weighted(part, weights)) for role, part in scheme.schemes),
            None if scheme.default is None else _weighted(scheme.default, weights),
        )
    return _weighted(scheme, weights)


def _weighted(scheme: Scheme, weights: tuple[float, ...]) -> Scheme:
    return replace(scheme, weights=weights) if scheme.weights is None else scheme
