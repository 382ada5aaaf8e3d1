"""Processes to be killed, forked from one that has imported all they need: that takes 4 seconds.

The server is the standard library's, one for each process of the tests. Its children are processes
of their own, whatever is sent to them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from counterpoint.cli.main import run

IMPORTED_ONCE = [
    "torch",
    "transformers.models.llama.modeling_llama",
    "counterpoint.train.ppo.plan",
    "counterpoint.train.lora.plan",
    "counterpoint.train.session",
    "counterpoint.cli.train",
]


def start(target: Callable[..., object], *args: object, log: Path) -> ForkServerProcess:
    """Returns a process that calls a function; what it writes to its errors is added to a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    process = context.Process(target=call, args=(dict(os.environ), log, target, args))
    process.start()
    return process


def start_command(*words: object, log: Path) -> ForkServerProcess:
    """Returns a process that runs `counterpoint` with these words."""
    return start(run, [str(word) for word in words], log=log)


def call(
    environment: Mapping[str, str], log: Path, target: Callable[..., object], args: tuple[object]
) -> None:
    """What the child does: as a program of its own, with the environment of its parent."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have ignored it
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    target(*args)
