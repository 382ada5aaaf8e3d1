"""What every number of a report means and how it is computed: read this beside the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from counterpoint.report.toolkit.frame import Definition

_SHARED = {
    "inflation": Definition("inflation", "Inflation",
        "μ is the mean that was subtracted."),
    "signal_share": Definition("signal_share", "Signal share",
        "It is σₖ² / σ², with the scale σ that divides the advantages. Near 0, other agents’ "
        "noise sets its step size (DROWNED, a variance mismatch)."),
    "dead_rate": Definition("dead_rate", "Dead rate",
        "All rewards of the group were equal, the group was too small, or the reward is missing. "
        "Read it beside the return."),
    "cause": Definition("cause", "Cause",
        "Why an agent’s signal is lost under the scheme: dead groups (DEAD), a variance mismatch "
        "(DROWNED), a baseline offset (OFFSET), credit noise (DILUTED), advantage spikes (SPIKY) "
        "or no exploration (LAZY). A cause is named only if the evidence passes a calibrated "
        "threshold. The remedy is often not decoupling."),
    "kept": Definition("kept", "Signal kept",
        "The other statistics are pooled, per agent, per prompt, or per prompt and agent. At a "
        "quarter, four times the rollouts would be needed. Both ratios are sums over all "
        "updates at which the agent could still improve, since one update alone says little. The "
        "best statistics are chosen on one half of the updates and evaluated on the other. If "
        "agents share parameters, the noise is at least the mean noise of an agent. The number is "
        "unknown if no statistics show a signal."),
    "noise": Definition("noise", "Task noise",
        "Larger batches lower it, and so does better credit (a reward "
        "component for each agent, difference rewards, a counterfactual baseline)."),
    "difficulty": Definition("difficulty", "Difficulty",
        "Credit noise (DILUTED): the agent’s own choices explain less than an eighth of the "
        "variance of its reward, under every normalization. This is no collapse: the agent may "
        "learn, but slowly."),
}  # fmt: skip

COMPARISON = (
    Definition("return", "Return",
        "The team’s return in the world’s own unit, computed exactly from the policies after the "
        "last update, without sampling noise. The table shows the interquartile mean over seeds "
        "(the mean of the middle half) with a 95% bootstrap interval."),
    Definition("weighted", "Reward-weighted return",
        "It is exact, of the same policies as the return. Parts with large rewards count for "
        "more. Higher is better."),
    Definition("difference", "Difference",
        "Scheme minus reference, seed by seed: the same seed gives every scheme the same "
        "contexts, targets and noise. If the interval contains 0, the difference is not "
        "statistically significant. “Ahead in” is the share of seeds on which the scheme beats "
        "the reference, and ties count half."),
    Definition("accuracy", "Accuracy",
        "The probability that an agent takes its best action, exact, averaged over contexts. The "
        "worst agent is shown beside the team because a mean hides it."),
    _SHARED["kept"],
    Definition("collapsed", "Collapsed",
        "A gradient that is indistinguishable from 0 in one update is no collapse."),
    _SHARED["noise"],
    _SHARED["difficulty"],
    _SHARED["cause"],
    _SHARED["inflation"],
    _SHARED["signal_share"],
    _SHARED["dead_rate"],
    Definition("snr", "Gradient signal-to-noise",
        "Power of the signal over power of the noise in the agent’s batch gradient, from the "
        "spread between micro-batches. 0 is pure noise; estimates scatter around it and may be "
        "negative."),
    Definition("control", "Control",
        "Here all agents are present and have one shared reward. There decoupling by "
        "agent must change nothing, by arithmetic; if this row moved, the comparison itself would "
        "be wrong."),
)  # fmt: skip

NETWORK_COMPARISON = (
    Definition("return", "Return",
        "The sum of all agents’ own rewards over an episode, in the world’s own unit: the mean of "
        "fresh episodes of the trained team, with sampled actions. The table shows the "
        "interquartile mean over seeds (the mean of the middle half) with a 95% bootstrap "
        "interval."),
    Definition("weighted", "Reward-weighted return",
        "Here each agent’s part of the same episodes is weighted by its stakes (weights of mean "
        "1). Higher is better. With equal stakes, or a common reward, it is the return "
        "itself and is not shown."),
    Definition("normalized", "Normalized",
        "(return − random) / (reference − random): 0 is a team that chooses uniformly, 1 the "
        "reference team. It may be above 1."),
    Definition("difference", "Difference",
        "Scheme minus reference, seed by seed: the same seed gives every scheme the same networks "
        "to begin with, and the same worlds. If the interval contains 0, the difference is not "
        "statistically significant. “Ahead in” is the share of seeds on which the scheme beats "
        "the reference, and ties count half."),
    Definition("credit", "Credit",
        "Under a common reward: the correlation of each agent’s advantages with its own "
        "discounted rewards from there on, within equal steps of the episode, averaged over "
        "agents and measured updates. 0 means that credit is independent of the agent’s own "
        "reward. More is not always better, since the number ignores what an agent does for "
        "others."),
    _SHARED["kept"],
    Definition("collapsed", "Collapsed",
        "Here the team must still be able to improve. A map or a live view judges the last ten "
        "measurements; before the tenth there "
        "is no verdict."),
    _SHARED["noise"],
    _SHARED["difficulty"],
    _SHARED["cause"],
    *(d for d in COMPARISON if d.key in ("inflation", "signal_share", "dead_rate", "snr")),
    Definition("control", "Control",
        "One common reward, normalized before any value is estimated, on the untrained team’s "
        "batches. There decoupling by agent must change no advantage, by arithmetic; if it did, "
        "the comparison itself would be wrong."),
)  # fmt: skip
"""The definitions of a comparison in which networks were trained."""

_TEXT = {
    "return": "The team’s success in fresh episodes of the trained team, with sampled answers, in "
    "the unit that the world names. It does not depend on what agents are paid. The table shows "
    "the interquartile mean over seeds (the mean of the middle half) with a 95% bootstrap "
    "interval.",
    "weighted": "Not defined here: the return is the team’s success, which does not depend on what "
    "agents are paid.",
    "difference": "Scheme minus reference, seed by seed: the same seed gives every scheme the same "
    "adapters to begin with, and the same tasks. If the interval contains 0, the difference is not "
    "statistically significant. “Ahead in” is the share of seeds on which the scheme beats the "
    "reference, and ties count half.",
    "control": "All agents are paid the same, on episodes of a team that chooses every word with "
    "equal probability. "
    "There decoupling by agent must change no advantage, by arithmetic; if it did, the comparison "
    "itself would be wrong. It is left out if agents do not all speak equally often.",
}
"""The definitions that differ if language models were trained."""


LANGUAGE_COMPARISON = tuple(
    replace(d, text=_TEXT.get(d.key, d.text)) for d in NETWORK_COMPARISON if d.key != "credit"
)
"""The definitions of a comparison in which language models were trained."""


@dataclass(frozen=True)
class KindWords:
    """The words of one kind of world."""

    axis: str
    """The label of an x axis."""
    point: str
    """What a point of a learning curve is, for a caption."""
    sampled: bool
    """Whether teams were evaluated by sampled episodes; returns are exact otherwise."""
    random: str
    """The choice of a random team, in words."""
    unweighted: str
    """Why there is no reward-weighted return; empty if there is one."""
    definitions: tuple[Definition, ...]
    """What the numbers of a comparison mean."""


WORDS: Mapping[str, KindWords] = {
    "exact": KindWords(
        axis="update",
        point="Team return before each update.",
        sampled=False,
        random="random actions",
        unweighted="",
        definitions=COMPARISON,
    ),
    "steps": KindWords(
        axis="steps played, all copies together",
        point="Mean team return of the episodes that ended in each batch, as the team learned.",
        sampled=True,
        random="random actions",
        unweighted="the return is the reward actually paid",
        definitions=NETWORK_COMPARISON,
    ),
    "text": KindWords(
        axis="update",
        point="The team’s success, mean of the episodes of each batch, as it learned.",
        sampled=True,
        random="random words",
        unweighted="the return is the team’s success, not what agents are paid",
        definitions=LANGUAGE_COMPARISON,
    ),
}
"""The words of a comparison that depend on the kind of world, by the name of the kind."""


DIAGNOSIS = (
    Definition("signal_kept", "Signal kept",
        "Here it is that bound: how well the agent’s advantages carry the differences of its own "
        "reward, divided by the same number under the best of four groupings (pooled, by agent, "
        "by prompt, by prompt and agent)."),
    _SHARED["inflation"],
    _SHARED["signal_share"],
    Definition("norm_inflation", "Norm inflation",
        "(σₖ² + (μₖ − μ)²) / σ²: the mean square of the agent’s advantages. It is bounded by "
        "one over the agent’s share of the samples, and does not show the most common collapse."),
    _SHARED["dead_rate"],
    Definition("net_mass", "Net mass",
        ""),
    Definition("participation", "Participation",
        "Here it is the share of rollouts."),
    Definition("resolution", "Resolution",
        "How many different advantages the agent is given in one prompt and update, on average. "
        "At 1, none of its decisions there is preferred to another."),
    Definition("reward", "Reward",
        "Mean and standard deviation of the rewards on the rows where the agent acted."),
    Definition("conditions", "Conditions C1 to C7",
        "Decoupling by agent can change the advantages only where one of these holds. p is the "
        "chance of an effect at least as large when rollouts or prompts are shuffled, q is p "
        "corrected for the number of tests (Benjamini–Hochberg), and the effect is a correlation "
        "with the reward. C3 is counted in the log: its effect is the share of rollouts in which "
        "the agents’ rewards differ."),
    _SHARED["cause"],
)  # fmt: skip

TRAINING = (
    Definition("return", "Return",
        "The sum of all agents’ own rewards over an episode, in the world’s own unit; normalized, "
        "0 is a team that chooses uniformly and 1 the reference team."),
    *(
        d
        for d in NETWORK_COMPARISON
        if d.key in ("kept", "collapsed", "noise", "cause", "snr", "inflation")
    ),
    Definition("cosine", "Cosine",
        "Between the agent’s gradients in two halves of the batch: 1 is a gradient without noise, "
        "around 0 it is indistinguishable from noise."),
    Definition("share", "Share of gradient",
        "The agent’s part in the sum of all agents’ squared gradient norms."),
    Definition("entropy", "Entropy",
        "How much choice the agent’s policy leaves: 0 is none. For an agent that gives numbers it "
        "is the entropy of a density, which can be below 0."),
    *(d for d in NETWORK_COMPARISON if d.key in ("signal_share", "dead_rate")),
    Definition("participation", "Participation",
        "Here it is the share of steps."),
    *(d for d in NETWORK_COMPARISON if d.key == "credit"),
)  # fmt: skip

_TRAINING_TEXT = {
    "return": "The team’s success in an episode, in the unit that the world names; normalized, 0 "
    "is a team that chooses every word with equal probability and 1 the reference team.",
    "entropy": "How much choice is left, in nats for each decision: exact for choices among "
    "words, and minus the log-probability of the written text for free text. 0 is none.",
    "participation": "Here it is the share of episodes.",
}


_ANSWERS = (
    Definition("decisions", "Decisions",
        "How many times the agent chose or wrote in the update. Without a decision its adapter is "
        "not moved."),
    Definition("answer_tokens", "Tokens of an answer",
        "The mean number of tokens of the agent’s answers in free text, with the token that ends "
        "one."),
    Definition("cut_off", "Cut off",
        "The share of these answers that ended at their limit (most_tokens), without a token that "
        "ends them. The others ended by themselves."),
    Definition("bare_kl", "From bare model",
        "The divergence of the agent from the bare model on its own answers in free text, in nats "
        "a token, at the sampling temperature (Schulman’s third estimator). If kl is 0, it is "
        "taken from some of the answers."),
    Definition("server_gap", "From the server",
        "Where a server writes: the mean distance of its log-probabilities from those of the model "
        "that learns, in nats a token, at temperature 1. 0 is on-policy."),
    Definition("respelled", "Tokens not known",
        "The share of answers of which the server did not say the tokens: those that the text has "
        "here are learned from."),
    Definition("reworded", "Other text here",
        "The share of answers whose tokens here give another text than the server’s; the world "
        "reads the text of the tokens."),
)  # fmt: skip

_SIDES = (
    Definition("return", "Return",
        "Where sides play against each other, it is the mean points of games, or matches, against "
        "random actions: 1 for a win, 0.5 for a draw. 0.5 is as good as random."),
    Definition("won", "Won",
        "The share of games, or matches, that the trained team won, with its Wilson interval."),
    Definition("points", "Points",
        "The same with half of the draws: 50% is as good as the opponent."),
    Definition("seat", "As a side",
        "Wins, draws and losses of the games on that side, and the mean return of the trained team "
        "there, then that of the other sides."),
    Definition("elo", "Elo",
        "By the model of Bradley and Terry: 400 points more are odds of 10 to 1. Where one always "
        "wins, the interval is wide. A circle of players who beat each other does not show."),
)  # fmt: skip


def training_definitions(*, spoken: bool, sides: bool = False) -> tuple[Definition, ...]:
    """Returns the definitions for a training of language models (`spoken`) or networks, or of
    networks on `sides` that play against each other."""
    if sides:
        return (*_SIDES, *TRAINING[1:])
    if not spoken:
        return TRAINING
    own = [d for d in TRAINING if d.key != "credit"]
    return (*(replace(d, text=_TRAINING_TEXT.get(d.key, d.text)) for d in own), *_ANSWERS)
