"""Trains a team of language-model agents under any credit scheme. Start with
`LanguageLearner.update`.

One update plays a group of episodes of each task, turns their rewards into advantages by the credit
scheme, and moves each agent's adapter along its policy gradient. Choices among words are sampled
and learned from in one graph and free text in a second pass (`words.py`).

Source: Shao et al. 2024 (GRPO, arXiv:2402.03300), section 4.1, for the group of episodes; the
advantage is the scheme's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any, NoReturn

import numpy as np
import torch

from counterpoint.arrays import Floats
from counterpoint.credit import (
    Credit,
    RunningState,
    Scheme,
    Tally,
    advantages,
    catalogue,
    plain_scheme_named,
)
from counterpoint.errors import ModelError, SchemeError, StatisticsError
from counterpoint.lm.adapters import Adapter
from counterpoint.lm.generate import decode_answer
from counterpoint.lm.model import TINY, LanguageModel
from counterpoint.runs.checkpoint import Snapshot
from counterpoint.train.adam import Adam, configure_threads
from counterpoint.train.estimators import NORMALIZED_BY
from counterpoint.train.lora.answers import (
    MicroGradients,
    answer_metrics,
    free_answers,
    micro_batches,
    token_weights,
)
from counterpoint.train.lora.check import demand_opened, demand_readable, placed
from counterpoint.train.lora.episodes import (
    Answer,
    JudgedRewards,
    PlayedBatch,
    play_episodes,
    random_replies,
)
from counterpoint.train.lora.seats import (
    Models,
    agents_by_model,
    demand_one_model,
    models_by_agent,
    roles_of,
)
from counterpoint.train.lora.served import ServedTeam, served_metrics
from counterpoint.train.lora.settings import LanguageSettings
from counterpoint.train.lora.words import (
    Pass,
    WordTeam,
    WritingTeam,
    calibrated,
    choose_words,
    shared_prefixes_of,
    weights_of,
)
from counterpoint.train.lora.writers import Writers, new_adapters
from counterpoint.train.tabular.learner import single_precision
from counterpoint.worlds.text.world import Prompt, TextWorld

TRAINING, FRESH, PRIORS = 0, 1, 2
"""Streams of a seed: what happens in training, in evaluation, and before either."""
CALIBRATED = 4
"""Batches of a team that chooses at random, over whose prompts words' priors are taken."""
COMING_BACK = 0.1
"""The least share of prompts that some batches have in common where prompts come back."""

OnBatch = Callable[[PlayedBatch, Credit], None]


class LanguageLearner:
    """A team that learns: adapters, optimizers, running statistics and chance.

    Args:
        models: the frozen models.
        world: where it plays.
        scheme: a name in `credit.catalogue()`, or a `Scheme`.
        settings: how it learns, nothing left to defaults.
        seed: of the adapters, the tasks and the answers.
        budget: updates, which is where a falling entropy weight ends.

    Raises:
        UnknownNameError: no scheme of that name.
        SchemeError: a baseline, which no text world answers.
        SettingError: words that a model cannot tell apart, a warm-up as long as the budget, or
            settings that need one model for all agents.
    """

    def __init__(
        self,
        models: Models,
        world: TextWorld,
        scheme: str | Scheme,
        settings: LanguageSettings,
        seed: int,
        budget: int,
    ) -> None:
        configure_threads()
        settings.warm_up_updates(budget)  # raises where it is as long as the training
        self.world, self.settings, self.budget = world, settings, budget
        self.scheme = text_scheme(scheme)
        self.agents = tuple(sorted(world.agents))
        self.models = models_by_agent(models, self.agents)
        """The frozen model of each agent."""
        demand_one_model(settings, self.models.values())
        self.own = own = new_adapters(self.models, settings, seed)
        """Adapters by agent, or the one that all share as `shared`."""
        self.adapters = {name: own.get(name) or own["shared"] for name in self.agents}
        rates = settings.rates(
            roles_of(world),
            [name for name, model in self.models.items() if model.name == TINY],
        )
        self.adams = {name: Adam([adapter], settings.max_norm) for name, adapter in own.items()}
        self.rates = {name: rates[name if name in rates else self.agents[0]] for name in own}
        met, self.recurring = sample_asks(world, settings, seed)
        """Whether prompts come back, so that it pays to keep what was read of them."""
        self.words = WordTeam(
            self.models,
            self.adapters,
            settings.kind,
            settings.cache_bytes,
            recurring=self.recurring,
            recomputed=settings.checkpointing,
        )
        self.served = ServedTeam(self.models, self.adapters, settings) if settings.server else None
        """Agents that write by a server; None where they write here."""
        self.writing = self.served or WritingTeam(self.models, self.adapters, settings)
        self.writers = Writers(self.writing, self.adams, settings.processes)
        self.rng = np.random.default_rng([seed, TRAINING])
        self.state: RunningState | None = None
        self.tally = Tally()
        self.updates = 0
        self.expected: tuple[Prompt, ...] = ()
        """Choices that the last update met: where prompts come back, the next one will meet them
        too, so that they are computed in one pass."""
        self.judged = (
            JudgedRewards(settings.judge, settings.judge_set, world.summary, seed)
            if settings.judge
            else None
        )
        with placed(world, "prompts"):
            for model, agents in agents_by_model(self.models).items():
                some = [ask for ask in met if ask.agent in agents]
                demand_readable(model, some)
                if settings.kind == "activated":
                    demand_opened(model, settings.kind, some)
                shared = shared_prefixes_of(model, some)
                for team in (self.words, self.writing):
                    team.readers[agents[0]].shared_prefixes = shared
        self.calibrating = calibrated(met) if settings.calibrate else []
        """Choices over which priors will be taken before the first update."""
        self.doing: Callable[[str], object] = lambda text: None
        """Told what is done meanwhile."""
        self._answered = 0
        self.micro: MicroGradients = {}
        """The gradient of answers in free text in the present update, if it is measured: see
        `_micro_gradients`."""

    def model_of(self, adapter: Adapter) -> LanguageModel:
        """Returns the frozen model that an adapter belongs to."""
        return next(self.models[name] for name, one in self.adapters.items() if one is adapter)

    def prepare(self) -> None:
        """Takes the priors of words, once; a restored learner has them."""
        if self.calibrating:
            self.doing(f"reading {len(self.calibrating)} prompts for the priors of words")
            self.words.calibrate(self.calibrating)
            self.calibrating = []

    @property
    def entropy(self) -> float:
        """The weight of the entropy bonus in the next update."""
        first, last = self.settings.entropy, self.settings.entropy_end
        done = min(1.0, self.updates / max(1, self.budget - 1))
        return first if last is None else first + (last - first) * done

    def update(self, look: OnBatch | None = None) -> tuple[PlayedBatch, dict[str, float]]:
        """Plays a batch and learns from it.

        Args:
            look: given the batch, and what the scheme made of it, before any adapter moves.

        Returns:
            The batch, and the mean entropy of choices in nats, the length of each gradient in the
            first pass, and the numbers of `answers.answer_metrics`.

        Raises:
            StatisticsError: a probability or a gradient is not finite; no adapter has moved by it.
        """
        self.words.forget()
        self.words.rows_of(self.expected)
        played = self.play(self.rng)
        rewards, metrics = played.rewards, dict[str, float]()
        if self.judged is not None:
            rewards, metrics = self.judged.rewards(played, self.updates)
            rewards = rewards[:, None]
        if rewards.shape[1] == 1 or self.scheme.components == "sum_first":
            rewards = rewards.sum(axis=1)
        credit = advantages(rewards, played.columns, self.scheme, state=self.state)
        self.state, self.tally = credit.state, self.tally + credit.tally
        values = single_precision(credit.values, played.columns["batch"], 1)
        self.micro = {} if look is None else self._micro_gradients(played, values)
        if look is not None:
            look(played, credit)
        free, bare = free_answers(played), self._bare_log_probs(played)
        ends = {name: model.end_tokens for name, model in self.models.items()}
        metrics |= answer_metrics(played, ends, bare)
        metrics |= served_metrics(played, self.agents)
        # Choices have one pass, in the graph that sampled them.
        rate = self.settings.rate_share(self.updates, self.budget)
        for turn in range(self.settings.epochs if free else 1):
            for adam in self.adams.values():
                adam.zero()
            if turn == 0:
                metrics["entropy"] = self._learn_words(played, values)
            if turn == 0 and self.micro and not self.settings.kl:
                for (_, name), vector in self.micro.items():
                    self.adams[self.writing.owner(name)].gradient += vector
            else:
                self._learn_texts(played, values, bare)
            moved = self._moved(played.asks if turn == 0 else [played.asks[i] for i in free])
            norms = {name: float(adam.gradient.norm()) for name, adam in self.adams.items()}
            for name, norm in norms.items():
                if not isfinite(norm):
                    self._refuse(f"a gradient of {name} that is not finite")
            for name, adam in self.adams.items():
                metrics.setdefault(f"gradient.{name}", norms[name])
                if name in moved:
                    adam.step(self.rates[name] * rate, decay=self.settings.weight_decay)
        met = dict.fromkeys(ask for ask in played.asks if ask.words)
        self.expected = tuple(met) if self.recurring else ()
        self.updates += 1
        return played, metrics

    def play(
        self,
        rng: np.random.Generator,
        prompts: int = 0,
        rollouts: int = 0,
        *,
        held_out: bool = False,
    ) -> PlayedBatch:
        """Returns episodes of the present team; no gradient flows unless `update` lets it.

        Raises:
            StatisticsError: a probability is not a number, so that the team has been lost.
        """
        prompts, rollouts = prompts or self.settings.prompts, rollouts or self.settings.rollouts
        self.prepare()
        self._answered = 0
        self.writers.forget()
        if self.served is not None:
            self.served.hand_over(self.own, self.updates, self.doing)
        world, play = self.world, play_episodes
        played = play(world, self.respond, rng, prompts, rollouts, held_out=held_out)
        for ask, answer in zip(played.asks, played.answers, strict=True):
            handle = answer.handle
            some = self.words.probs[handle[0]] if isinstance(handle, tuple) else handle.log_probs
            if np.isnan(some).any():
                self._refuse(f"probabilities of {ask.agent} that are no numbers")
        return played

    def _refuse(self, what: str) -> NoReturn:
        """Raises a StatisticsError about numbers that are not finite."""
        raise StatisticsError(
            f"got {what}, in update {self.updates + 1}: nothing can be learned from it; wanted a "
            f"new run with a smaller lr than {max(self.rates.values()):g}, or fewer epochs"
        )

    def respond(self, asks: Sequence[Prompt], rng: np.random.Generator) -> list[Answer]:
        """Returns the answers to a wave of prompts, in their order."""
        done, now = self._answered, len(asks)
        self.doing(f"update {self.updates + 1}: {done} answers are given, {now} are on their way")
        self._answered += len(asks)
        answers: dict[int, Answer] = {}
        words = [i for i, ask in enumerate(asks) if ask.words]
        if words:
            rows = np.array(self.words.rows_of([asks[i] for i in words]))
            taken, uniforms = np.zeros(len(rows), dtype=int), rng.random(len(rows))
            for row in np.unique(rows):
                here = rows == row
                taken[here] = choose_words(self.words.probs[row], uniforms[here])
            for i, row, word in zip(words, rows.tolist(), taken.tolist(), strict=True):
                answers[i] = Answer(asks[i].words[word], (row, word))
        free = [i for i, ask in enumerate(asks) if not ask.words]
        if free:
            texts = (self.served or self.writers).write([asks[i] for i in free], rng)
            answers |= {
                i: Answer(decode_answer(self.models[asks[i].agent], text), text)
                for i, text in zip(free, texts, strict=True)
            }
        return [answers[i] for i in range(len(asks))]

    def _learn_words(self, played: PlayedBatch, values: Floats) -> float:
        """Adds the gradient of the mean of A log pi and of the entropy; returns the entropy."""
        handles = [answer.handle for answer in played.answers]
        decided = [i for i, handle in enumerate(handles) if isinstance(handle, tuple)]
        if not decided:
            return 0.0
        shape, total = (len(self.words.probs), max(map(len, self.words.probs))), len(handles)
        rows, words = np.array([handles[i] for i in decided]).T
        weight = weights_of(rows, words, values[decided] / total, shape)
        visits = np.bincount(rows, minlength=shape[0]) / total
        entropy = 0.0
        for some, log_probs in self.words.graphs():
            entropies = -(log_probs.exp() * log_probs * (log_probs < 0)).sum(dim=1)
            device, width = log_probs.device, log_probs.shape[1]
            bonus = (torch.from_numpy(visits[some]).float().to(device) * entropies).sum()
            weights = torch.from_numpy(weight[some, :width]).float().to(device)
            gain = (weights * log_probs).sum() + self.entropy * bonus
            (-gain).backward()
            entropy += float(bonus.detach())
        return float(entropy / visits.sum())

    def _moved(self, learned: Sequence[Prompt]) -> set[str]:
        """Returns the adapters that a pass over the decisions at these prompts moves. Without a
        gradient, an adapter would go on by its momentum."""
        if self.settings.optimizer_steps == "always":
            return set(self.own)
        return {self.writing.owner(ask.agent) for ask in learned}

    def _bare_log_probs(self, played: PlayedBatch) -> dict[int, Floats]:
        """Returns the log-probabilities by the bare model of answers, by their places in the batch:
        of all if the loss has a divergence from it, else of one in several, about one pass."""
        free = free_answers(played)
        if not self.settings.kl:
            free = free[:: max(1, -(-len(free) // self.settings.rows))]
        each = self.writers.bare_log_probs(self._passes(played, free))
        return dict(zip(free, (nats for some in each for nats in some), strict=True))

    def _micro_gradients(self, played: PlayedBatch, values: Floats) -> MicroGradients:
        """Returns the part of each micro-batch and agent in the gradient of the loss of answers in
        free text, without the divergence from the bare model: they add up to it."""
        parts = micro_batches(played, self.agents).items()
        passes = {key: self._passes(played, some, values) for key, some in parts}
        found = self.writers.gradients([one for some in passes.values() for one in some])
        return {
            key: torch.stack([x for _ in some for x in next(found).values()]).sum(dim=0)
            for key, some in passes.items()
        }

    def _learn_texts(self, played: PlayedBatch, values: Floats, bare: Mapping[int, Floats]) -> None:
        """Adds the gradients of the answers in free text, some rows at a time."""
        passes = self._passes(played, free_answers(played), values, bare)
        for gradient in self.writers.gradients(passes):
            for name, vector in gradient.items():
                self.adams[name].gradient += vector

    def _passes(
        self,
        played: PlayedBatch,
        free: list[int],
        values: Floats | None = None,
        bare: Mapping[int, Floats] | None = None,
    ) -> list[Pass]:
        """Returns the passes over the answers at these places of a batch.

        Args:
            played: the batch.
            free: places of answers in free text, those of an agent one after the other.
            values: [N] advantages; None where nothing is learned.
            bare: see `_bare_log_probs`.
        """
        asks, texts = [played.asks[i] for i in free], [played.answers[i].handle for i in free]
        weights, passes = token_weights(self.settings, played), list[Pass]()
        total = len(played.answers)
        given = np.zeros(total) if values is None else values
        for part in self.writing.passes(asks, texts):
            some = free[part]
            nats = [bare[i] for i in some] if bare is not None and self.settings.kl else None
            passes.append(Pass(asks[part], texts[part], given[some], weights[some], total, nats))
        return passes

    def capture(self) -> Snapshot:
        """Returns everything that decides what the learner does next."""
        self.prepare()
        arrays = {
            f"{name}.{part}": x
            for name, adam in self.adams.items()
            for part, x in adam.capture().items()
        }
        priors = []
        for i, ((agent, words), prior) in enumerate(self.words.priors.items()):
            arrays[f"prior.{i}"] = prior.cpu().numpy().copy()
            priors.append([agent, list(words)])
        return Snapshot(
            arrays,
            {
                "updates": self.updates,
                "rng": self.rng.bit_generator.state,
                "running": None if self.state is None else self.state.to_dict(),
                "tally": asdict(self.tally),
                "priors": priors,
                "expected": [asdict(ask) for ask in self.expected],
            },
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Resumes where `capture` was called on a learner of the same plan.

        Raises:
            ModelError: an adapter of the snapshot does not fit into the model that is here.
        """
        arrays, facts = snapshot.arrays, snapshot.facts
        self.calibrating = []
        for name, adam in self.adams.items():
            saved, here = arrays[f"{name}.weights"].size, adam.weights.numel()
            if saved != here:
                raise ModelError(
                    f"got adapter {name} with {saved} numbers in the checkpoint, and {here} that "
                    f"{self.model_of(self.own[name]).name} has room for; wanted the model with "
                    "which the run began"
                )
            adam.restore({part: arrays[f"{name}.{part}"] for part in adam.capture()})
        self.words.priors = {
            (agent, tuple(words)): torch.from_numpy(np.array(arrays[f"prior.{i}"])).to(
                self.models[agent].device
            )
            for i, (agent, words) in enumerate(facts["priors"])
        }
        self.updates = facts["updates"]
        if self.served is not None:
            self.served.handed = None
        self.rng.bit_generator.state = facts["rng"]
        self.state = None if facts["running"] is None else RunningState.from_dict(facts["running"])
        self.tally = Tally(**facts["tally"])
        self.expected = tuple(map(prompt_from_facts, facts["expected"]))


def sample_asks(
    world: TextWorld, settings: LanguageSettings, seed: int
) -> tuple[list[Prompt], bool]:
    """Returns the prompts of a team that chooses every word alike, in a fixed order, and whether
    prompts come back: whether its batches have some in common."""
    met: set[Prompt] = set()
    rng, total = np.random.default_rng([seed, PRIORS]), 0
    for _ in range(CALIBRATED):
        played = play_episodes(world, random_replies, rng, settings.prompts, settings.rollouts)
        total += len(set(played.asks))
        met.update(played.asks)
    come_back = len(met) <= total * (1 - COMING_BACK)
    return sorted(met, key=lambda ask: ask.place), come_back


def prompt_from_facts(facts: Mapping[str, Any]) -> Prompt:
    """Returns a prompt as a checkpoint has it; those of earlier versions have no `earlier`."""
    earlier = tuple((role, content) for role, content in facts.get("earlier", ()))
    return Prompt(**{**facts, "words": tuple(facts["words"]), "earlier": earlier})


def text_scheme(scheme: str | Scheme) -> Scheme:
    """Returns the scheme of that name.

    Raises:
        UnknownNameError: none is.
        SchemeError: a baseline, which no text world answers.
    """
    if isinstance(scheme, Scheme):
        return scheme
    if scheme in NORMALIZED_BY:
        raise SchemeError(
            f"got baseline '{scheme}' for a text world, which cannot answer it; "
            f"wanted one of {', '.join(catalogue())}"
        )
    return plain_scheme_named(scheme)
