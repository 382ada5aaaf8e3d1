"""`LanguagePlan`: a training of language-model agents in a text environment, as plain data.

`loop.train_to_end` trains it; `learner.LanguageLearner` is the team that learns.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import torch

from counterpoint.arrays import Floats
from counterpoint.credit import Credit
from counterpoint.errors import RunError, SettingError, UnknownNameError, choices
from counterpoint.lm.adapters import save_adapter
from counterpoint.lm.arguments import note_unread
from counterpoint.lm.files import changed_files, demand_same_files, model_files
from counterpoint.lm.model import TINY
from counterpoint.lm.models import SOURCES, find_model
from counterpoint.lm.template import check_model
from counterpoint.results.estimate import Estimate
from counterpoint.results.parts import Settings
from counterpoint.results.training import EvaluationTasks
from counterpoint.runs.checkpoint import latest
from counterpoint.runs.directory import RunDirectory
from counterpoint.runs.files import folder_names, write_atomically
from counterpoint.runs.seal import require_unedited
from counterpoint.runs.status import CHECKPOINTS, EPISODES, axis_of, read_run
from counterpoint.settings import settings_from
from counterpoint.train.device import device_of
from counterpoint.train.loop import TrainConfig, Trainer, Update, restore
from counterpoint.train.lora.episodes import PlayedBatch, play_episodes, random_replies
from counterpoint.train.lora.estimate import affordable_kind, estimate
from counterpoint.train.lora.learner import FRESH, LanguageLearner, text_scheme
from counterpoint.train.lora.probe import measure_adapters
from counterpoint.train.lora.seats import (
    chosen_models,
    demand_one_model,
    named_models,
    resolved_models,
    roles_of,
)
from counterpoint.train.lora.settings import BEFORE, LANGUAGE, LanguageSettings
from counterpoint.train.lora.writers import open_team_models
from counterpoint.train.series import EqualEpisodes, Spoken
from counterpoint.worlds.kind import Kind
from counterpoint.worlds.registry import find_world
from counterpoint.worlds.text.dataset import TaskSetWorld, describe_split
from counterpoint.worlds.text.world import Task, TextWorld

UPDATES, OTHER_UPDATES = 150, 100
"""Updates of a training of the tiny model, and of any other."""
TRIES = 8
"""Batches of four tasks, twice each, in which an environment of somebody's own is played."""
EVALUATED_TOGETHER = 64
"""The most held-out tasks that are played side by side: each has prompts of its own in memory."""
ADAPTERS, FOLDERS = "adapters", "adapters.json"
"""The folder of the adapters in a run, and the file beside it that maps agents to folders."""
UNRECORDED = (
    "the run has no hashes of its model's files, since it began before runs had them: whether the "
    "model is the same was not checked"
)
"""What is said of a run that cannot tell whether its models have changed."""
WORD_UPDATES = 10
"""Updates between two checkpoints where agents choose words: each takes a tenth of a second."""


@dataclass(frozen=True)
class LanguagePlan(TrainConfig):
    """A training of a team of language models, as plain data.

    Raises:
        SettingError: a number out of its range.
    """

    axis = "update"
    order = (
        *("world", "scheme", "model", "seed", "budget", "seconds", "world_settings", "language"),
        *("episodes", "tasks_sha256", "model_files"),
    )
    batch_steps = 1

    budget: int = 150
    model: str = field(kw_only=True)
    """Name of the frozen model of agents without one of their own: see `open_model`."""
    language: LanguageSettings = field(default_factory=LanguageSettings)
    """How agents are built and trained."""
    episodes: int = field(default=256, kw_only=True)
    tasks_sha256: str | None = field(default=None, kw_only=True)
    """SHA-256 of the tasks, if they are read from a file."""
    model_files: dict[str, dict[str, str]] | None = field(default=None, kw_only=True)
    """SHA-256 of the files of each model, by model and file; None where it was not recorded. The
    tiny model has no files."""

    def __post_init__(self) -> None:
        free = find_world(self.world, Kind.TEXT).world.free
        names = set(self.models(self.make_world()).values() if self.language.models else ())
        names = names or {self.model}
        demand_one_model(self.language, names)
        tiny = None if TINY in names and len(names) > 1 else names == {TINY}
        filled = self.language.filled(tiny=tiny, free=free)
        if filled.adapter == "auto":
            filled = replace(filled, adapter=affordable_kind(self.make_world(), filled))
        if filled.server and not free:
            raise SettingError(
                f"got server={filled.server} and world '{self.world}', whose agents choose among "
                "words, which are never written by a server; wanted no server"
            )
        if filled.device == "auto":
            filled = replace(filled, device=device_of("auto").type)
        if filled.processes > 1 and filled.device != "cpu":
            raise SettingError(
                f"got processes={filled.processes} and device={filled.device}; wanted device=cpu, "
                "where parts are computed alike in any process, or processes=1"
            )
        object.__setattr__(self, "language", filled)  # so that a run keeps its numbers
        super().__post_init__()
        filled.warm_up_updates(self.budget)  # raises where it is as long as the training

    @classmethod
    def from_config(cls, config: Settings) -> Self:
        if isinstance(language := config.get("language"), dict):
            config = {**config, "language": {**BEFORE, **language}}
        plan = super().from_config(config)
        if plan.model_files is None and set(plan.models(plan.make_world()).values()) != {TINY}:
            plan = replace(plan, notes=(*plan.notes, UNRECORDED))
        return plan

    @classmethod
    def of(
        cls, world: str, scheme: str, budget: int | None, given: Settings, model: str | None
    ) -> LanguagePlan:
        """Returns the plan with defaults in place of what is not given: see `plan_of`.

        The environment is made, and one of somebody's own is played, so that settings and
        environments that cannot be trained are refused now.
        """
        entry = find_world(world, Kind.TEXT)
        own = {name: value for name, value in given.items() if name not in LANGUAGE}
        known = [spec.name for spec in fields(entry.settings_type)]
        if twice := sorted(set(known) & set(LANGUAGE)):
            raise SettingError(
                f"got world '{world}' with a setting {', '.join(twice)}, as its agents have; "
                "wanted another name for it"
            )
        unknown = sorted(set(own) - set(known))
        if unknown:
            raise UnknownNameError(
                f"got setting {', '.join(unknown)} of world '{world}' or of its agents"
                f"{choices(unknown[0], [*known, *LANGUAGE], f'counterpoint worlds {world}')}"
            )
        made = entry.make(own)
        if entry.is_own:
            for seed in range(TRIES):
                play_episodes(made, random_replies, np.random.default_rng(seed), 4, 2)
        text_scheme(scheme)
        agents = {name: value for name, value in given.items() if name in LANGUAGE}
        language = settings_from(agents, LanguageSettings, world)
        roles = roles_of(made)
        language.rates(roles)
        language = replace(language, models=resolved_models(language.models))
        name, every = chosen_models(model, language.models, roles)
        theirs = [one for one in every if one not in (TINY, *SOURCES)]
        about = [note for one in theirs for note in check_model(one, language.answer_end)]
        unread = [note for one in every for note in note_unread(one, language.template)]
        notes = (*about, *describe_split(made), *unread)
        digest = None
        if isinstance(made, TaskSetWorld):
            demand_tasks(made, language.prompts)
            digest = made.task_set.sha256
            if place := made.settings.tasks_from:
                own["tasks_from"] = str(Path(place).expanduser().resolve())
        if budget is None:
            budget = UPDATES if every == [TINY] else OTHER_UPDATES
        return cls(
            world, scheme, budget=budget, world_settings=own, model=name, language=language,
            notes=notes, tasks_sha256=digest,
            model_files={one: model_files(find_model(one)) for one in every if one != TINY},
        )  # fmt: skip

    def make_world(self) -> TextWorld:
        """Returns the world.

        Raises:
            SettingError: the file of its tasks has changed since the plan was made.
        """
        world = find_world(self.world, Kind.TEXT).make(self.world_settings)
        now = world.task_set.sha256 if isinstance(world, TaskSetWorld) else None
        if None not in (now, self.tasks_sha256) and now != self.tasks_sha256:
            raise SettingError(
                f"got {self.world_settings.get('tasks_from')} with other tasks than at the start "
                f"of the run (SHA-256 {now:.12} now, {self.tasks_sha256:.12} then); wanted the "
                "same file, or a new run"
            )
        return world

    def models(self, world: TextWorld) -> dict[str, str]:
        """Returns the name of each agent's model, agents in the order of their names.

        Args:
            world: the plan's.

        Raises:
            SettingError: the setting `models` names neither an agent nor a role.
        """
        return named_models(self.language.models, roles_of(world), self.model)

    def decisive(self) -> Settings:
        # `differences` compares files, since a run without hashes need not have another model.
        return {k: x for k, x in super().decisive().items() if not k.startswith("model_files")}

    def differences(self, other: TrainConfig) -> dict[str, tuple[object, object]]:
        found = super().differences(other)
        theirs = other.model_files if isinstance(other, LanguagePlan) else None
        for name, files in (self.model_files or {}).items():
            if theirs is not None and name in theirs:
                changed = changed_files(files, theirs[name])
                found |= {f"{file} of {name}": pair for file, pair in changed.items()}
        return found

    def learner(self) -> LanguageLearner:
        """Returns the untrained team.

        Raises:
            ModelError: files of a model have changed since the plan was made.
        """
        world = self.make_world()
        demand_same_files(self.model_files or {})
        models = open_team_models(self.models(world), self.language)
        return LanguageLearner(models, world, self.scheme, self.language, self.seed, self.budget)

    def estimate(self) -> Estimate:
        return estimate(self.learner())

    def trainer(self) -> LanguageTrainer:
        return LanguageTrainer(self, self.learner())

    def paid_returns(self, by_agent: Floats) -> float | None:
        """Returns None: success is what counts, whatever the speaker is paid."""
        return None

    def without_return(self) -> str:
        return "no episode was played"  # never needed: every episode of a text world ends


class LanguageTrainer(Trainer):
    """A team of language-model agents, as the training loop calls it."""

    learner: LanguageLearner
    continuous = frozenset[str]()

    def __init__(self, plan: LanguagePlan, learner: LanguageLearner) -> None:
        self.plan, self.learner = plan, learner
        self.agents, self.references = learner.agents, learner.world.references
        self.between_checkpoints = 1 if learner.world.free else WORD_UPDATES

    @property
    def steps(self) -> int:
        """Updates made so far."""
        return self.learner.updates

    def update(self, run: RunDirectory | None) -> Update:
        """Makes one update; its episodes go to the run, equal ones once with a count."""
        learner, every = self.learner, self.learner.settings.diagnose_every
        learner.doing = self.doing
        measured = None
        if learner.served is not None:
            learner.served.folder = self.folder

        def look(played: PlayedBatch, credit: Credit) -> None:
            nonlocal measured
            measured = measure_adapters(learner, played, credit)

        due = every > 0 and learner.updates % every == 0
        played, metrics = learner.update(look if due else None)
        if run is not None:
            episodes = msgspec.to_builtins(equal_episodes(played))
            run.log({"step": learner.updates, "episodes": episodes}, EPISODES)
        paid = {"paid": float(played.rewards.sum(axis=-1).mean())}
        returned = float(played.success.mean())
        return Update(len(played.tasks), returned, paid | metrics, measured)

    def evaluate(self, should_stop: Callable[[], bool]) -> tuple[Floats, Floats] | None:
        """Returns the success of fresh episodes: of held-out tasks, if the world has any."""
        learner, settings = self.learner, self.learner.settings
        rng = np.random.default_rng([self.plan.seed, FRESH])
        prompts, rollouts = settings.prompts, settings.rollouts
        if learner.served is not None:
            learner.served.folder = self.folder
        held_out = learner.world.holds_out
        if held_out:  # as many different tasks as there are, rather than some of them often
            prompts, rollouts = min(prompts * rollouts, EVALUATED_TOGETHER), 1
        successes, tasks = list[Floats](), list[Task]()
        with torch.no_grad():
            learner.words.forget()
            while sum(map(len, successes)) < self.plan.episodes:
                if should_stop():
                    return None
                if held_out:  # hardly any prompt comes again
                    learner.words.forget()
                played = learner.play(rng, prompts, rollouts, held_out=held_out)
                successes.append(played.success)
                tasks += played.tasks
        returns = np.concatenate(successes)[: self.plan.episodes]
        different = len(set(tasks[: len(returns)]))
        self.evaluated = EvaluationTasks(held_out=held_out, tasks=different, episodes=len(returns))
        return returns, np.zeros((len(returns), 0))

    def save_artifacts(self, run: RunDirectory) -> None:
        """Writes the adapters in peft's format, a folder for each: `adapters/AGENT`.

        A name that is no safe name of a folder gets another one: `adapters.json` maps all names
        to their folders.
        """
        learner, root = self.learner, run.path / ADAPTERS
        folders = folder_names(learner.own)
        for name, adapter in learner.own.items():
            model = learner.model_of(adapter)
            opening = model.invocation(learner.settings.kind)
            for file in save_adapter(adapter, root / folders[name], model.name, opening):
                run.seal_file(file)
        write_atomically(run.path / FOLDERS, json.dumps(folders, indent=1, sort_keys=True) + "\n")
        run.seal_file(run.path / FOLDERS)

    def close(self) -> None:
        self.learner.writers.close()


def demand_tasks(world: TaskSetWorld, prompts: int) -> None:
    """Raises SettingError if a batch has more tasks than there are to train on."""
    count = len(world.split.training)
    if count < prompts:
        raise SettingError(
            f"got prompts={prompts}, and tasks_from={world.settings.tasks_from} has {count} for "
            f"training; wanted prompts={count} or fewer, or more tasks"
        )


def trained_team(path: Path, *, on_cpu: bool = False) -> tuple[LanguagePlan, LanguageLearner, int]:
    """Returns a run's plan, its team at the newest intact checkpoint, and the updates made by then.
    The team answers here, whoever wrote its answers in training.

    Args:
        path: the run directory.
        on_cpu: whether the team is on the CPU, wherever it was trained.

    Raises:
        RunError: there is no run, it is none of language models, or it has no checkpoint.
        EditedError: a file of the run is not as it was written.
        CounterpointError: what it needs is not here.
    """
    config = read_run(path).config
    if axis_of(config) != LanguagePlan.axis:
        raise RunError(f"got {path}, whose agents do not speak; wanted a run in a text world")
    checkpoint = latest(path / CHECKPOINTS)
    if checkpoint.snapshot is None:
        raise RunError(f"got {path}, which has no intact checkpoint; train on: counterpoint resume")
    require_unedited(path)
    plan = LanguagePlan.from_config(config)
    here = replace(plan.language, server="", server_model="", handover="", handover_command="")
    plan = replace(plan, language=replace(here, device="cpu") if on_cpu else here)
    learner = plan.learner()
    restore(learner, checkpoint.snapshot)
    return plan, learner, learner.updates


def equal_episodes(played: PlayedBatch) -> list[EqualEpisodes]:
    """Returns the episodes of a batch; equal ones are one, with a `count`."""
    alike = Counter(zip(played.tasks, played.messages, played.success.tolist(), strict=True))
    return [
        EqualEpisodes(
            task,
            count,
            success,
            tuple(
                Spoken(t=t, agent=one.agent, to=one.to, text=one.text)
                for t, one in enumerate(messages)
            ),
        )
        for (task, messages, success), count in alike.items()
    ]
