"""`consensus`: two agents with signals of their own talk once, answer, and may be paid to agree.

A statement is right or wrong. Each agent has a signal of it, which is weak or strong; both write a
draft (an answer, and how sure they are), read the other's, and answer. Who is paid for right
answers learns to follow the stronger signal. Who is paid for agreement learns to agree, whatever
the signals say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from counterpoint.arrays import Bools, Floats, Ints, NamedArrays
from counterpoint.errors import SettingError
from counterpoint.settings import Range
from counterpoint.worlds.exact.world import Evaluation, Play, Settings, World, one_hot, sample

SIGNALS = 4
"""What an agent can see, and what it can write: 2 x the direction, plus 1 if it is strong."""
DIRECTION, STRONG = np.arange(SIGNALS) // 2, np.arange(SIGNALS) % 2


@dataclass(frozen=True, kw_only=True)
class ConsensusSettings(Settings):
    """Settings of `consensus`."""

    parameters: Literal["shared", "separate"] = "shared"
    paid: Literal["team", "own", "scored"] = "team"
    """The reward besides that for agreement: the share of right answers; 1 for a right answer of
    one's own; or the quadratic score of one's own answer with the stated confidence."""
    agree: Annotated[float, Range(0.0, 1.0)] = 0.5
    """The weight of agreement in the reward: 0 pays for right answers alone."""
    weak: Annotated[float, Range(0.5, 1.0)] = 0.6
    """Probability that a weak signal is right."""
    strong: Annotated[float, Range(0.5, 1.0)] = 0.9
    """Probability that a strong signal is right."""
    often: Annotated[float, Range(0.0, 1.0)] = 0.5
    """Probability that a signal is strong."""
    isolated: bool = False
    """Whether agents answer without reading the other's draft."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weak > self.strong:
            raise SettingError(
                f"got weak={self.weak} and strong={self.strong}; wanted weak signals to be weaker"
            )


class Consensus(World):
    """Two agents, a draft and an answer each.

    A batch has 32 statements x 8 rollouts. The return is the share of right answers. An agent's
    accuracy is its share of them relative to the best use of both signals, and its regret half of
    what it lacks to that, as two agents share the return.
    """

    name = "consensus"
    summary = "agents with signals of their own are paid to agree: agreement outgrows the truth"
    source = "ours, after herding (Banerjee 1992) and sycophancy in debates of language models"
    settings_type = ConsensusSettings
    agents = ("ann", "bob")
    slots = ((0, 0), (1, 0), (0, 1), (1, 1))
    contexts, actions = SIGNALS + SIGNALS * SIGNALS, SIGNALS
    prompts = 32
    control: ClassVar[dict[str, str | float]] = {"agree": 0.0}
    settings: ConsensusSettings

    def __init__(self, settings: ConsensusSettings | None = None) -> None:
        super().__init__(settings)
        given = self.settings
        right = np.where(STRONG == 1, given.strong, given.weak)
        chance = np.where(STRONG == 1, given.often, 1 - given.often)
        self.seen = np.stack([
            np.where(truth == DIRECTION, right, 1 - right) * chance for truth in (0, 1)
        ])  # fmt: skip
        """[2, 4] the probability of a signal, given the truth."""
        self.joint = np.einsum("ta,tb->tab", self.seen, self.seen) / 2
        """[2, 4, 4] the probability of truth and both signals."""
        self.random = 0.5
        known = self.joint.sum(axis=2) if self.settings.isolated else self.joint
        self.optimal = float(known.max(axis=0).sum())

    def tasks(self, rng: np.random.Generator) -> NamedArrays:
        return {"nothing": np.zeros(1)}

    def draw(self, rng: np.random.Generator, update: int) -> NamedArrays:
        shape = (self.prompts, self.rollouts)
        return {
            "truth": rng.integers(2, size=self.prompts),
            "signal": rng.random((self.prompts, 2)),
            "uniforms": rng.random((*shape, len(self.slots))),
        }

    def play(self, tasks: NamedArrays, chance: NamedArrays, probs: Floats) -> Play:
        truth, uniforms = chance["truth"], chance["uniforms"]
        ends = self.seen.cumsum(axis=-1)[truth]  # [S, P, 4]
        signal = (ends[..., None, :-1] <= chance["signal"][..., None]).sum(axis=-1)  # [S, P, A]
        shape = uniforms.shape
        context, action = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        own = np.broadcast_to(signal[:, :, None], (*shape[:-1], 2))
        for agent in range(2):
            context[..., agent] = own[..., agent]
            action[..., agent] = sample(
                probs, np.asarray(agent), context[..., agent], uniforms[..., agent]
            )
        for agent in range(2):
            heard = 0 if self.settings.isolated else action[..., 1 - agent]
            context[..., 2 + agent] = SIGNALS + SIGNALS * own[..., agent] + heard
            action[..., 2 + agent] = sample(
                probs, np.asarray(agent), context[..., 2 + agent], uniforms[..., 2 + agent]
            )
        answers = action[..., 2:]
        right = DIRECTION[answers] == truth[:, :, None, None]  # [S, P, G, A]
        same = DIRECTION[answers[..., 0]] == DIRECTION[answers[..., 1]]
        return Play(
            context=context,
            action=action,
            active=np.ones(shape, dtype=bool),
            reward=np.tile(self._paid(answers, right, same), 2),
            outcome=right.mean(axis=-1),
        )

    def _paid(self, answers: Ints, right: Bools, same: Bools) -> Floats:
        """Returns the reward of each agent, [S, P, G, A]."""
        given = self.settings
        if given.paid == "team":
            paid = np.broadcast_to(right.mean(axis=-1, keepdims=True), right.shape)
        elif given.paid == "own":
            paid = right.astype(float)
        else:
            said = np.where(STRONG[answers] == 1, given.strong, given.weak)
            paid = 1 - np.where(right, 1 - said, said) ** 2
        return (1 - given.agree) * paid + given.agree * same[..., None]

    def answers(self, probs: Floats) -> Floats:
        """Returns what agents answer, given both signals, [S, A, own 4, other's 4, answer 4]."""
        drafts = probs[:, :, :SIGNALS]  # [S, A, signal, draft]
        replies = probs[:, :, SIGNALS:].reshape(len(probs), 2, SIGNALS, SIGNALS, SIGNALS)
        if self.settings.isolated:
            return np.repeat(replies[:, :, :, :1], SIGNALS, axis=3)
        heard: Floats = np.einsum("sahd,saodx->saohx", drafts[:, ::-1], replies)
        return heard

    def evaluate(self, tasks: NamedArrays, probs: Floats) -> Evaluation:
        says = self.answers(probs).reshape(len(probs), 2, SIGNALS, SIGNALS, 2, 2).sum(axis=-1)
        right = np.einsum("toh,saoht->sa", self.joint, says)
        returns, lacks = right.mean(axis=-1), np.maximum(self.optimal - right, 0.0)
        return Evaluation(returns, returns / self.optimal, 1 - lacks / self.optimal, lacks / 2)

    def solution(self, tasks: NamedArrays) -> Floats:
        shape = (len(tasks["nothing"]), len(self.agents), self.contexts)
        best = np.zeros(self.contexts, dtype=np.int64)
        best[:SIGNALS] = np.arange(SIGNALS)
        heard = self.joint if not self.settings.isolated else np.repeat(
            self.joint.sum(axis=2, keepdims=True), SIGNALS, axis=2)  # fmt: skip
        sure = heard.max(axis=0) / heard.sum(axis=0)
        strong = sure >= (self.settings.weak + self.settings.strong) / 2
        best[SIGNALS:] = (2 * heard.argmax(axis=0) + strong).ravel()
        return one_hot(np.broadcast_to(best, shape), self.actions)
