"""`Study`: the trials of one arm, chosen by Optuna and kept in a journal.

What is tried next is a function of the trials so far: the sampler is made anew for each trial, with
a seed of its own. So a search that was killed and resumed tries the same settings.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from counterpoint.errors import OutputError, RunError
from counterpoint.optional import needs, pip_line
from counterpoint.results.parts import Settings
from counterpoint.results.sweep import Dimension, Trial, Value
from counterpoint.runs.seal import remove_seal
from counterpoint.settings import NOT_JSON
from counterpoint.sweep.space import combinations, rounded

SamplerName = Literal["tpe", "random"]
JOURNAL = "study.journal"
PLAN, RESULT = "plan", "result"


class Study:
    """The trials of one arm, in a journal that several arms share.

    Args:
        journal: the file.
        name: name of the arm.
        over: the settings to search.
        sampler: how settings are chosen: `tpe`, or at `random`.
        seed: of the sampler.
        plan: what the trials have in common; a journal of another plan is refused.

    Raises:
        MissingPackageError: Optuna is not installed.
        RunError: the journal is that of another search, or is damaged.
        OutputError: the journal cannot be written.
    """

    def __init__(
        self,
        journal: Path,
        name: str,
        over: Sequence[Dimension],
        *,
        sampler: SamplerName,
        seed: int,
        plan: Settings,
    ) -> None:
        with needs("sweep", pip_line("sweep")):
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._sampler, self._seed = optuna, sampler, seed
        self._every, self._over = combinations(over), over
        with _reads(journal):
            is_ours = _is_ours(journal)
            if is_ours:
                _cut_torn_line(journal)
        if not is_ours:
            raise RunError(f"{journal} is of another program; choose another folder with --out")
        with _reads(journal):
            storage = JournalStorage(JournalFileBackend(str(journal)))
            known = [one.user_attrs.get(PLAN) for one in storage.get_all_studies()]
        if any(one not in (None, msgspec.to_builtins(plan)) for one in known):
            raise RunError(
                f"{journal.parent} holds another search; choose another folder with --out, or run "
                "its own command line (only --trials, --schemes and --fresh may change)"
            )
        remove_seal(journal.parent)  # the journal changes from here on
        with _reads(journal):
            self._study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True
            )
            if self._study.user_attrs.get(PLAN) is None:
                self._study.set_user_attr(PLAN, plan)
            ended = self.trials()  # so that all of it is read here
            for one in ended:  # a process that was killed between two lines of the journal
                if not self._all()[one.number].state.is_finished():
                    self.tell(one)

    def trials(self) -> list[Trial]:
        """Returns the trials that have ended, in the order of their numbers."""
        ended = []
        for trial in self._all():
            if RESULT in trial.user_attrs:
                ended.append(msgspec.convert(trial.user_attrs[RESULT], Trial))
                if ended[-1].number != trial.number:
                    raise RunError(f"trial {trial.number} has the result of {ended[-1].number}")
        return ended

    def begun(self) -> list[tuple[int, dict[str, Value]]]:
        """Returns number and settings of the trials that were begun and have not ended."""
        return [
            (trial.number, self._chosen(self._open(trial.number)))
            for trial in self._all()
            if RESULT not in trial.user_attrs
        ]

    def ask(self) -> tuple[int, dict[str, Value]]:
        """Begins a trial; returns its number and settings.

        If settings are lists alone, their combinations come in order until all are tried.
        """
        number = len(self._all())
        self._sample(number)
        trial = self._study.ask()
        return number, self._chosen(trial)

    def tell(self, trial: Trial) -> None:
        """Ends a trial."""
        self._open(trial.number).set_user_attr(RESULT, msgspec.to_builtins(trial))
        failed = self._optuna.trial.TrialState.FAIL
        self._study.tell(trial.number, trial.score, state=failed if trial.score is None else None)

    def _all(self) -> list[Any]:
        trials: list[Any] = self._study.get_trials(deepcopy=False)
        return trials

    def _open(self, number: int) -> Any:
        return self._optuna.trial.Trial(self._study, self._all()[number]._trial_id)

    def _sample(self, number: int) -> None:
        """Makes the sampler of a trial."""
        samplers = self._optuna.samplers
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            sampler = (
                samplers.RandomSampler(seed)
                if self._sampler == "random"
                else samplers.TPESampler(seed=seed, constant_liar=True)
            )
            if self._every is not None and number < len(self._every):
                sampler = samplers.PartialFixedSampler(self._every[number], sampler)
        self._study.sampler = sampler

    def _chosen(self, trial: Any) -> dict[str, Value]:
        """Returns the settings of a trial; one that has none yet is chosen now."""
        return {one.name: rounded(_suggested(trial, one)) for one in self._over}


@contextlib.contextmanager
def _reads(journal: Path) -> Iterator[None]:
    """Says which file is damaged, or could not be written, where Optuna reads it.

    Raises:
        OutputError, RunError: it is so.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"could not write {journal} ({error.strerror or error})") from error
    except Exception as error:  # Optuna raises what its own code happens to meet
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        raise RunError(f"{journal} is damaged ({told}); remove it to begin again") from error


def _suggested(trial: Any, one: Dimension) -> Value:
    if one.values:
        return str(trial.suggest_categorical(one.name, one.values))
    if one.whole:
        return int(trial.suggest_int(one.name, int(one.low or 0), int(one.high or 0), log=one.log))
    return float(trial.suggest_float(one.name, one.low, one.high, log=one.log))


def _is_ours(journal: Path) -> bool:
    """Returns whether a journal begins as ours do, with a study and its plan, or is not there.

    A process that was killed may have written a part of that.
    """
    if not journal.is_file():
        return True
    with journal.open("rb") as file:
        return _begins(file.readline(), 0, ()) and _begins(file.readline(), 2, ("user_attr", PLAN))


def _begins(line: bytes, op_code: int, path: Sequence[str]) -> bool:
    """Returns whether a line is an operation that has something at a path, or a part of one."""
    if not line.endswith(b"\n"):
        begin = f'{{"op_code":{op_code},'.encode()
        return begin.startswith(line[: len(begin)])
    try:
        found = msgspec.json.decode(line)
        if found["op_code"] != op_code:
            return False
        for key in path:
            found = found[key]
    except (LookupError, TypeError, *NOT_JSON):
        return False
    return True


def _cut_torn_line(journal: Path) -> None:
    """Removes a last line without an end, which a full disk or a power cut has left: no process has
    read it, since the next one would have ended it."""
    if not journal.is_file():
        return
    with journal.open("r+b") as file:
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)
