"""How a process trains small networks fastest on a CPU: one thread, and memory that it keeps."""

from __future__ import annotations

import ctypes
from functools import cache

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's names of what `mallopt` sets."""
_KEPT_BYTES = 1 << 28


@cache
def settle() -> None:
    """One intra-op thread, and no memory given back to the system between batches.

    Two threads are slower on networks of this size; parallelism is processes over seeds. The
    activations of a batch are large enough for the C library to return them to the system each
    time, and every page of the next ones is then faulted in anew: a tenth of the training time.
    Where the C library is another one than glibc, its own ways stay.
    """
    torch.set_num_threads(1)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
