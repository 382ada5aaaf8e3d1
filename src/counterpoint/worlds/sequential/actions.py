"""`Actions`: the actions of an agent of a sequential environment, choices or numbers.

Axis letters: A agents, M discrete actions, U dimensions of a continuous action.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Actions(NamedTuple):
    """The actions of one agent: one of `size` actions, or `size` numbers within bounds."""

    size: int
    """M discrete actions, or U dimensions."""
    low: tuple[float, ...] = ()
    """[U] least value of each dimension; empty where actions are discrete."""
    high: tuple[float, ...] = ()
    """[U] largest value of each dimension; empty where actions are discrete."""

    @property
    def continuous(self) -> bool:
        """Returns whether an action is numbers rather than a choice."""
        return bool(self.low)


def most_choices(actions: Iterable[Actions]) -> int:
    """Returns M, the largest number of actions of an agent that chooses; 0 if none chooses."""
    return max((can.size for can in actions if not can.continuous), default=0)


def most_numbers(actions: Iterable[Actions]) -> int:
    """Returns U, the largest number of dimensions of an agent that gives numbers; 0 if all choose.

    Where it is 0, action arrays of the world are integers [..., A]. Else they are floats [..., A,
    U], and the first number of an agent that chooses is its choice.
    """
    return max((can.size for can in actions if can.continuous), default=0)
