"""prime-rl: our advantages as an algorithm of its orchestrator, with state in its checkpoints.

prime-rl names its algorithms in a table of classes, and its config accepts only the names in it.
`install` puts our class in the place of one of them, `rae` by default, whose config has no other
demands. prime-rl shows an algorithm one group at a time: all rollouts of one task. Source:
PrimeIntellect-ai/prime-rl at 559b4477 (2026-08-21), `src/prime_rl/orchestrator/algo/base.py`,
`algo/routing.py`, `ckpt.py`, `train_sink.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.credit import AnyScheme
from counterpoint.errors import SettingError, StateError
from counterpoint.integrations.draws import with_turns
from counterpoint.integrations.team_credit import SavedCredit, TeamCredit, credit_of
from counterpoint.integrations.verifiers import prompt_of, trace_reward
from counterpoint.optional import import_optional
from counterpoint.runs.files import write_atomically

INSTALL = "git clone https://github.com/PrimeIntellect-ai/prime-rl && cd prime-rl && uv sync"
STATE = "counterpoint.json"
"""The file of our state, beside `progress.pt` in `checkpoints/step_N/orchestrator`."""
INSTALLED: dict[str, EnvCredits] = {}
"""The name of each replaced algorithm to its credits, in this process."""


def install(
    scheme: str | AnyScheme = "agent_wise",
    *,
    replaces: str = "rae",
    record: str | Path | None = None,
) -> EnvCredits:
    """Makes `algo.type = replaces` compute our advantages in this process.

    Call it in the orchestrator's process before it starts, for example in the last line of
    `prime_rl/orchestrator/algo/__init__.py`.

    Args:
        scheme: a scheme or its name.
        replaces: the name of the algorithm whose place ours takes.
        record: a file for the log; each environment has its own, such as `credit-kuhn.jsonl`.

    Returns: the credits of the environments; each checkpoint holds their state.

    Raises:
        MissingPackageError: prime-rl is not installed.
        SettingError: prime-rl has no algorithm of that name, or not one with the RL loss.
        UnknownNameError, OutputError: as `TeamCredit`.
    """
    algo = import_optional("prime_rl.orchestrator.algo", INSTALL)
    known = algo.ALGORITHM_CLASSES
    if replaces not in known or known[replaces].action_loss_type != "rl":
        names = sorted(name for name, one in known.items() if one.action_loss_type == "rl")
        raise SettingError(f"got replaces='{replaces}'; wanted one of {', '.join(names)}")
    made = EnvCredits(scheme, record)
    known[replaces] = algorithm(made)
    INSTALLED[replaces] = made
    keep_state(INSTALLED)
    return made


def algorithm(env_credits: EnvCredits) -> Any:
    """Returns a subclass of prime-rl's `Algorithm` that assigns our advantages.

    It trains the traces that prime-rl's own algorithms train: without an error, of a trainable
    agent, with sampled tokens.

    Raises MissingPackageError if prime-rl is not installed.
    """
    base: Any = import_optional("prime_rl.orchestrator.algo.base", INSTALL)
    parent: Any = base.Algorithm
    routing = import_optional("prime_rl.orchestrator.algo.routing", INSTALL)

    class Counterpoint(parent):  # type: ignore[misc]  # the base is known at run time
        """Assigns the advantages of one group of rollouts."""

        async def score_group(self, episodes: list[Any]) -> None:
            rows = list(base.iter_trainable_traces(episodes))
            if rows:
                credit = env_credits.of(str(rows[0][0].env.name))
                for (_, trace), value in zip(rows, group_advantages(rows, credit), strict=True):
                    routing.assign_advantages(trace, value)

    return Counterpoint


def group_advantages(rows: Sequence[tuple[Any, Any]], credit: TeamCredit) -> list[float]:
    """Returns the advantage [N] of each trace of one group.

    A trace without a scored reward has the advantage 0.

    Args:
        rows: [N] pairs of an episode and one of its traces. The episode is the rollout,
            `trace.agent.name` the agent; an agent's later traces in an episode are later turns.
        credit: the `TeamCredit` of the group's environment.

    Raises:
        RewardError: a reward is infinite.
    """
    labels = {
        "prompt": [prompt_of(episode) for episode, _ in rows],
        "rollout": [str(episode.id) for episode, _ in rows],
        "agent": [str(trace.agent.name) for _, trace in rows],
    }
    values = credit([trace_reward(trace) for _, trace in rows], with_turns(labels))
    return [float(value) for value in values]


class EnvCredits:
    """One `TeamCredit` for each environment: agents of two environments may have the same name.

    Args:
        scheme: a scheme or its name.
        record: a file for the log; each environment has its own.

    Raises:
        UnknownNameError: no scheme has that name.
    """

    def __init__(
        self, scheme: str | AnyScheme = "agent_wise", record: str | Path | None = None
    ) -> None:
        self.scheme = TeamCredit(scheme).scheme
        self.record = None if record is None else Path(record)
        self.credits: dict[str, TeamCredit] = {}
        """Name of the environment to its credit, for those that had a group."""

    def of(self, env: str) -> TeamCredit:
        """Returns the credit of an environment; raises OutputError if it cannot write its log."""
        if env not in self.credits:
            file = self.record
            if file is not None:
                part = "".join(c if c.isalnum() or c in "-_" else "_" for c in env)
                file = file.with_name(f"{file.stem}-{part}{file.suffix}")
            self.credits[env] = credit_of(self.scheme, "prime-rl", record=file)
        return self.credits[env]

    def state_dict(self) -> dict[str, SavedCredit]:
        """Returns the state of each environment as plain values."""
        return {env: credit.state_dict() for env, credit in self.credits.items()}

    def load_state_dict(self, saved: Mapping[str, SavedCredit]) -> None:
        """Resumes from a saved state; raises StateError if it is of another class or scheme."""
        if not isinstance(saved, Mapping):
            raise StateError(f"got a state of type {type(saved).__name__}; wanted a dict of envs")
        for env, state in saved.items():
            self.of(env).load_state_dict(state)


def save(installed: Mapping[str, EnvCredits], folder: Path) -> None:
    """Writes the state of each algorithm into a folder; raises OutputError if it cannot."""
    states = {name: one.state_dict() for name, one in installed.items()}
    write_atomically(folder / STATE, json.dumps(states))


def load(installed: Mapping[str, EnvCredits], folder: Path) -> None:
    """Resumes from the state in a folder.

    Raises StateError if the file cannot be read, lacks an algorithm whose scheme has running
    statistics, or belongs to another scheme.
    """
    file = folder / STATE
    try:
        states = json.loads(file.read_text("utf-8")) if file.exists() else {}
    except (ValueError, OSError) as error:
        raise StateError(f"could not read {file} ({error})") from error
    for name, one in installed.items():
        if name in states:
            one.load_state_dict(states[name])
        elif one.scheme.keeps_state:
            raise StateError(f"got no state of '{name}' in {file}, which running statistics need")


def keep_state(installed: Mapping[str, EnvCredits]) -> None:
    """Makes prime-rl's orchestrator save the state in each checkpoint, and resume from it.

    Raises MissingPackageError if prime-rl is not installed.
    """
    manager = import_optional("prime_rl.orchestrator.ckpt", INSTALL).CheckpointManager
    if hasattr(manager, "counterpoint"):
        return
    theirs = manager.save, manager.load

    def save_both(self: Any, progress: Any, train_source: Any, step: int) -> None:
        theirs[0](self, progress, train_source, step)
        save(installed, self.get_ckpt_path(step))

    def load_both(
        self: Any, progress: Any, train_source: Any, step: int, path: Path | None = None
    ) -> None:
        theirs[1](self, progress, train_source, step, path)
        if not self.config.skip_progress:
            load(installed, self.get_ckpt_path(step) if path is None else path)

    manager.save, manager.load, manager.counterpoint = save_both, load_both, installed
