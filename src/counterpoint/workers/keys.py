"""Keys and other secrets of a worker: named in a plan, never written to a file of a run.

A plan names variables in `pass_env`; their values come from the environment of the user who runs
the team, reach the worker's command alone, and are removed from everything that is kept of it. A
value in `env` whose name looks like that of a secret is treated the same. Start with
`without_secrets`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from counterpoint.errors import SettingError
from counterpoint.workers.plan import WorkPlan

_SECRET = re.compile(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:$|_)")
SHORTEST = 6
"""Letters that a value has at least, so that its removal leaves other text alone."""
HIDDEN = "[hidden]"


def without_secrets(plan: WorkPlan) -> tuple[WorkPlan, dict[str, str]]:
    """Returns the plan with the names of its secrets instead of their values, and the values.

    The secrets are named in `pass_env` of the worker then: they do not reach the tests any more.
    """
    secrets = {name: value for name, value in plan.env.items() if _SECRET.search(name.upper())}
    names = tuple(dict.fromkeys((*plan.worker.pass_env, *secrets)))
    env = {name: value for name, value in plan.env.items() if name not in secrets}
    return replace(plan, env=env, worker=replace(plan.worker, pass_env=names)), secrets


def passed_variables(plan: WorkPlan) -> dict[str, str]:
    """Returns the variables that the plan's `pass_env` names, with their values.

    Raises:
        SettingError: one of them is not in the environment.
    """
    missing = [name for name in plan.worker.pass_env if name not in os.environ]
    if missing:
        raise SettingError(
            f"got no {', '.join(missing)} in the environment; wanted what pass_env names: "
            f"export {missing[0]}=... before the team is run or resumed"
        )
    return {name: os.environ[name] for name in plan.worker.pass_env}


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Returns the text without the values of secrets."""
    for value in sorted(secrets, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    return text


class Redactor:
    """Passes bytes to a sink without the values of secrets, whole or cut into pieces."""

    def __init__(self, sink: Callable[[bytes], None] | None, secrets: Collection[str]) -> None:
        self._sink = sink
        self._values = sorted((value.encode() for value in secrets if len(value) >= SHORTEST),
                              key=len, reverse=True)  # fmt: skip
        self._held = b""

    def write(self, data: bytes) -> None:
        """Passes bytes on, except an end that may be the beginning of a secret."""
        text = self._held + data
        for value in self._values:
            text = text.replace(value, HIDDEN.encode())
        keep = max((n for value in self._values for n in range(1, len(value))
                    if text.endswith(value[:n])), default=0)  # fmt: skip
        self._held = text[len(text) - keep :]
        if self._sink and len(text) > keep:
            self._sink(text[: len(text) - keep])

    def close(self) -> None:
        """Passes on what was held back: it was no secret."""
        if self._sink and self._held:
            self._sink(self._held)
        self._held = b""


def contains_secret(data: bytes, secrets: Iterable[str]) -> bool:
    """Returns whether bytes have the value of a secret in them."""
    return any(len(value) >= SHORTEST and value.encode() in data for value in secrets)
