"""`SavedBytes`: counts what a graph keeps of tensors until its gradient is taken."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor


class SavedBytes:
    """Counts the bytes of tensors, each storage once however many views of it there are.

    Args:
        known: places of storages that do not count: see `storages_of`.
    """

    def __init__(self, known: frozenset[int] = frozenset()) -> None:
        self.nbytes = 0
        self._seen = set(known)

    def add(self, tensor: Tensor, *, counts: bool = True) -> Tensor:
        """Counts a tensor, unless it does not count now or later, and returns it."""
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        if place not in self._seen:
            self._seen.add(place)
            self.nbytes += storage.nbytes() if counts else 0
        return tensor

    def counting(self) -> AbstractContextManager[None]:
        """Counts meanwhile every tensor that autograd saves for a gradient.

        Layers that are computed again for the gradient (see `LanguageModel.adapted`) save their
        inputs alone; what they take from elsewhere has to be added.
        """
        hooks: AbstractContextManager[None] = torch.autograd.graph.saved_tensors_hooks(
            self._packed, _unchanged
        )
        return hooks

    def _packed(self, tensor: Tensor) -> Tensor:
        # With its own graph, an output would hold the graph that holds it: a graph whose gradient
        # is never taken would stay for ever.
        return self.add(tensor.detach())


def storages_of(tensors: Iterable[Tensor]) -> frozenset[int]:
    """Returns the places in memory of the storages of tensors."""
    return frozenset(x.untyped_storage().data_ptr() for x in tensors)


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor
