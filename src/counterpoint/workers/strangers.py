"""The folder of a run from an untrusted source: what is checked before it is used.

A run can be an archive from anywhere. Its folder may have no links, its queue no program of its
own and no value that we would not write. What its plan takes from this machine is only given to a
run that was started here, or if the user who resumes it says so. Start with `require_trusted`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from counterpoint.errors import RunError
from counterpoint.workers.plan import WorkPlan
from counterpoint.workers.queue.ledger import STATUSES, Ledger
from counterpoint.workers.repository.files import escaped_path
from counterpoint.workers.repository.git import OID, special_file
from counterpoint.workers.sandbox.process import Limits

JSON_COLUMNS = {("attempts", "files"): list, ("tasks", "files"): list, ("tasks", "depends"): list,
                ("events", "meta"): dict, ("passing", "tests"): list,
                ("facts", "value"): object}  # fmt: skip
"""Columns that hold JSON, and the type of its value."""
COMMITS = ("base", "made", "parent", "landed")
"""Columns that hold the whole name of a commit."""
FACTS: dict[str, tuple[type, ...]] = {
    "verdict": (str,), "stopped": (str,), "failing": (list,), "passing": (list,), "first": (dict,),
    "session": (list,), "seconds": (int, float), "merge_seconds": (int, float),
    "iteration": (int,), "tokens": (int,), "planned": (str,),
}  # fmt: skip
"""Key of a fact to the types that its value may have."""
KINDS: dict[str, tuple[type, ...]] = {
    "TEXT": (str,), "INTEGER": (int,), "REAL": (int, float)
}  # fmt: skip


def require_plain_folder(folder: Path) -> None:
    """Checks that a run consists of files and folders alone, and none of them leads elsewhere.

    Raises:
        RunError: there is a link, a pipe or a device in it; or a journal of SQLite, which can name
            a file anywhere that is deleted then. The queue leaves none behind.
    """
    odd = special_file(folder) or next(folder.glob("*-journal"), None)
    if odd is not None:
        raise RunError(
            f"{escaped_path(str(odd))} is a link, a pipe, a device or a journal; wanted a run of "
            "files and folders of its own: it could lead anywhere, so take it away"
        )


def folder_seal(folder: Path) -> str:
    """Returns the proof that a run was started in this folder, on this machine, by this user.

    Nobody elsewhere can know it before the folder is here: it is made of the machine's secret name
    and the number of the folder. A copy of the folder has another seal.
    """
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except OSError:
        machine = ""
    about = os.stat(folder)
    facts = (machine or socket.gethostname(), os.geteuid(), about.st_dev, about.st_ino)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def machine_access(plan: WorkPlan) -> list[str]:
    """Returns what a plan takes from this machine, besides time in a sandbox of the usual size."""
    wants = [f"reads {escaped_path(str(folder))}" for folder in plan.readable_folders]
    worker = plan.worker
    if (worker.kind == "command" and worker.network) or (plan.setup and plan.setup_network):
        wants.append("uses the network of this machine")
    if worker.pass_env:
        wants.append(f"takes {escaped_path(', '.join(worker.pass_env))} from the environment")
    if worker.kind == "model":
        wants.append(f"sends files, and the key of the model, to {escaped_path(worker.base_url)}")
    usual = dataclasses.asdict(Limits())
    wanted = dataclasses.asdict(plan.limits).items()
    wants += [f"sets {name} = {value:g}, more than {usual[name]:g}"
              for name, value in wanted if value > usual[name]]  # fmt: skip
    return wants


def require_trusted(folder: Path, plan: WorkPlan, seal: str, trust: bool) -> None:
    """Checks that a run was started here, takes nothing from this machine, or is trusted.

    Raises:
        RunError: none of these; the message lists what it wants.
    """
    wanted = machine_access(plan)
    if not wanted or trust:
        return
    # the seal shows that the folder is no copy, the owner that no other user has put it here
    if seal != folder_seal(folder) or os.stat(folder).st_uid != os.geteuid():
        raise RunError(
            f"{escaped_path(str(folder))} was not started here, and its plan {'; '.join(wanted)}: "
            "to allow this, run counterpoint resume with --trust"
        )


def require_valid_queue(ledger: Ledger) -> None:
    """Checks that a queue has our tables alone, and nothing in them that we would not write.

    Raises:
        RunError: it has a trigger, a view or another table, or a value of another type.
    """
    try:
        with closing(sqlite3.connect(ledger.path)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            # no value of ours is huge; larger ones are refused before there is room made for them
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 28)
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            _require_sound(connection, ledger.schema())
    except (sqlite3.Error, ValueError, RecursionError) as error:
        raise RunError(
            f"{escaped_path(str(ledger.path))} is damaged ({escaped_path(str(error))})"
        ) from error


def _require_sound(connection: sqlite3.Connection, ours: dict[str, list[Any]]) -> None:
    # a trigger or a view is code that runs when we write or read; an index without text is one that
    # SQLite makes by itself for a key
    for kind, name, code in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if not (kind == "table" and name in ours) and not (kind == "index" and code is None):
            raise ValueError(f"it has a {kind} {name}")
    for table, columns in ours.items():
        # xinfo, unlike info, lists generated columns too, whose expressions are code
        there = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
        if sorted(row[1:] for row in there) != sorted(columns):
            raise ValueError(f"its table {table} has other columns")
        names = [column[0] for column in columns]
        for row in connection.execute(f"SELECT {', '.join(names)} FROM {table}"):
            for value, (name, kind, needed, *_) in zip(row, columns, strict=True):
                _require_value(table, name, value, KINDS[kind], bool(needed))
    lacking = "status IN ('merging', 'merged') AND (landed IS NULL OR parent IS NULL)"
    for (number,) in connection.execute(f"SELECT id FROM attempts WHERE {lacking}"):
        raise ValueError(f"attempt {number} has no commit")
    for key, value in connection.execute("SELECT key, value FROM facts"):
        if not isinstance(json.loads(value), FACTS.get(key, object)):
            raise ValueError(f"it has {key} = {value:.50}")


def _require_value(
    table: str, name: str, value: Any, kinds: tuple[type, ...], needed: bool
) -> None:
    fits = (value is None and not needed) or isinstance(value, kinds)
    if fits and name == "status":
        fits = value in STATUSES[table]
    if fits and value is not None and name in COMMITS:
        fits = OID.fullmatch(value) is not None
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{table} has {name} = {value!r:.50}")
    wanted = JSON_COLUMNS.get((table, name))
    if wanted is not None and value is not None and not isinstance(json.loads(value), wanted):
        raise ValueError(f"{table} has {name} = {value!r:.50}")
