"""The words, codes and abbreviations of pages and tables, each in a sentence: start at `GLOSSARY`.

docs/reference/glossary.md is written from it. On a page, an entry begins the definition of its
term; the words that a page uses and does not define stand at its end (`words_in`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from counterpoint.diagnose.recommend import MEANING

CONDITIONS = {
    **{code: meaning[:1].upper() + meaning[1:] for code, meaning in MEANING.items()},
    "C7": "Agents share parameters, an optimizer, a clip, or an entropy or KL term",
}
"""The conditions under which decoupling can matter, and the one that strengthens its effect."""


@dataclass(frozen=True)
class Word:
    """One entry."""

    term: str
    meaning: str
    """One sentence or two; a healthy value stands at the end if there is one."""
    see: tuple[str, str]
    """Title and address of the page of the documentation that says more, from docs/reference."""
    also: tuple[str, ...] = ()
    """Other forms of the term."""


GLOSSARY: dict[str, tuple[Word, ...]] = {
    "Data": (
        Word("Agent",
            "A policy that makes decisions, known by its name.",
            ("Columns of a log", "../how-to/logs.md")),
        Word("Checkpoint",
            "A saved state of a training, from which it goes on bit for bit.",
            ("Runs", "../how-to/runs.md#what-is-in-the-folder")),
        Word("Component",
            "One named part of a reward, such as `format`.",
            ("Columns", "../how-to/logs.md")),
        Word("Episode",
            "One team at one task, from its first event to its last. In training it is a "
            "rollout.",
            ("Readers", "../how-to/audit-logs.md")),
        Word("Member",
            "An agent that counts as part of a team.",
            ("Who is a member", "../how-to/mapping.md")),
        Word("Missing reward",
            "A reward that is NaN or None. It has no effect and is counted; healthy: 0 rows.",
            ("Edge cases", "../how-to/own-trainer.md#what-happens-at-the-edges")),
        Word("Prompt",
            "One task instance; its rollouts are compared with each other.",
            ("Columns", "../how-to/logs.md")),
        Word("Rollout",
            "One attempt at a prompt, by one agent or a team.",
            ("Columns", "../how-to/logs.md")),
        Word("Run",
            "One training, or one team at work, in a folder of its own.",
            ("Runs", "../how-to/runs.md")),
        Word("Tool",
            "An author in a transcript that is not counted as a team member, such as a shell.",
            ("Mapping", "../how-to/mapping.md")),
        Word("Transcript",
            "The recorded messages and actions of an episode.",
            ("Readers", "../how-to/audit-logs.md")),
        Word("Update",
            "One turn of a training: a batch is played, then the policies learn from it.",
            ("Training", "../discussion/training.md")),
    ),
    "Credit": (
        Word("Advantage",
            "A reward minus a baseline, often divided by a scale. It multiplies the gradient of "
            "a decision.",
            ("In your trainer", "../how-to/own-trainer.md")),
        Word("Counterfactual baseline",
            "The expected reward if only this agent chose again (COMA). It queries the world.",
            ("Definition", "schemes.md#counterfactual")),
        Word("Credit scheme",
            "A rule that turns rewards into advantages: who shares a mean, who shares a scale, "
            "how rollouts count.",
            ("All schemes", "schemes.md")),
        Word("Decoupled normalization",
            "Normalization of each agent’s rewards by per-agent statistics.",
            ("Claim and limits", "../capabilities/credit.md")),
        Word("Difference reward",
            "The reward, minus what it would be without this agent’s choice.",
            ("Definition", "schemes.md#difference")),
        Word("Group",
            "Rows that share a mean or a scale, such as all rollouts of one prompt.",
            ("Fields", "schemes.md#the-fields-of-a-scheme")),
        Word("Per-agent",
            "Each agent has a mean and a scale of its own.",
            ("mappo_per_agent", "schemes.md#mappo_per_agent")),
        Word("Pooled",
            "All agents share one mean and one scale.",
            ("mappo_pooled", "schemes.md#mappo_pooled")),
        Word("Running statistics",
            "A mean and a scale that are remembered across calls, and saved in the checkpoint. "
            "A cold group has no memory yet.",
            ("State", "../how-to/own-trainer.md#running-statistics")),
        Word("Singleton group",
            "A group of one row. Its advantage is 0 by default. Healthy: none.",
            ("Edge cases", "../integrations/edge-cases.md")),
        Word("Weighting",
            "Whether each row (`step`) or each rollout (`trajectory`) counts once.",
            ("Fields", "schemes.md#the-fields-of-a-scheme")),
    ),
    "Diagnosis": (
        Word("C1 to C7",
            "Seven conditions. Decoupling can matter only under one of C1 to C6; C7 strengthens "
            "its effect.",
            ("Examples", "../start/reward-log.md#when-it-changes-nothing")),
        Word("Collapsed",
            "A scheme keeps less than 0.25 of an agent’s signal (the whole interval) while the "
            "agent could still improve. Healthy: no agent.",
            ("Rule", "../capabilities/credit.md#every-metric")),
        Word("DEAD",
            "Dead groups: the agent’s own reward does not vary in at least 0.75 of its "
            "decisions that could still gain.",
            ("Remedies", "../capabilities/credit.md#every-metric")),
        Word("Dead rate",
            "The share of decisions to which no difference of the agent’s own reward arrives. "
            "Healthy: 0, except after learning is finished.",
            ("Definition", "../how-to/logs.md#what-the-diagnosis-says")),
        Word("DILUTED",
            "Credit noise: influence is below 1/8. No normalization repairs it.",
            ("Remedies", "../capabilities/credit.md#every-metric")),
        Word("DROWNED",
            "Variance mismatch: the agent shares a scale with rewards that vary at least 50 "
            "times as much, or 10 if its gradient is known to have collapsed.",
            ("Thresholds", "../discussion/calibration.md#thresholds-for-rewards-alone")),
        Word("Inflation",
            "How many times more rollouts the same gradient quality costs, because of a wrong "
            "mean: 1 + (μₖ − μ)² / σₖ², with the agent’s mean μₖ and deviation σₖ. Healthy: 1.",
            ("Formula", "../capabilities/credit.md#every-metric")),
        Word("Influence",
            "The share of the reward’s variance that the agent’s own choice explains. Healthy: "
            "at least 1/8.",
            ("Formula", "../capabilities/credit.md#every-metric")),
        Word("LAZY",
            "No exploration: policy entropy is at most 0.05 nats.",
            ("Remedies", "../capabilities/credit.md#every-metric")),
        Word("Net mass",
            "An agent’s mean advantage. Far from 0, all its actions are pushed one way. "
            "Healthy: 0.",
            ("Example", "../start/reward-log.md#1-try-it-without-data")),
        Word("OFFSET",
            "Baseline offset: inflation is at least 8, or 4 if the gradient is known to have "
            "collapsed.",
            ("Remedies", "../capabilities/credit.md#every-metric")),
        Word("Participation",
            "How often the agent acts, as a share of the rollouts.",
            ("Metrics", "../capabilities/credit.md#every-metric")),
        Word("Signal kept",
            "Gradient signal-to-noise ratio (SNR) under the scheme, over the best SNR that "
            "other statistics get from the same rollouts. From rewards alone it is an upper "
            "bound. In a table, “kept” is the lowest of all agents. Healthy: 1.",
            ("Rules", "../capabilities/credit.md#every-metric"), ("kept",)),
        Word("Signal share",
            "The agent’s own variance over that of its group. Healthy: 1.",
            ("Formula", "../capabilities/credit.md#every-metric")),
        Word("SPIKY",
            "Advantage spikes: at least 0.001 of the advantages are out of proportion, since "
            "running statistics lag behind the rewards.",
            ("Remedies", "../capabilities/credit.md#every-metric")),
        Word("Task noise",
            "The share of the gradient that is noise under the best statistics. Low is easy; no "
            "normalization lowers it.",
            ("Definition", "../capabilities/credit.md#every-metric")),
    ),
    "Comparisons and statistics": (
        Word("Arm",
            "One row of a comparison, such as one scheme over all seeds.",
            ("Rule", "../capabilities/credit.md#what-a-verdict-rests-on")),
        Word("Control",
            "A second comparison in which the effect must be absent. Healthy: a no-op.",
            ("Example", "../capabilities/credit.md#what-a-verdict-rests-on")),
        Word("Interquartile mean",
            "IQM: the mean of the middle half of the seeds.",
            ("Results", "../capabilities/credit.md#results"), ("IQM",)),
        Word("Interval",
            "A range for the true value, at 95%: bootstrap over seeds or episodes, Wilson for "
            "rates. Wide means few data.",
            ("Rule", "../capabilities/credit.md#what-a-verdict-rests-on")),
        Word("No-op",
            "Pooled and per-agent statistics give the same advantages, up to rounding.",
            ("Why", "../start/reward-log.md#when-it-changes-nothing")),
        Word("Normalized return",
            "0 is a random team, 1 the reference team.",
            ("Scores", "../how-to/worlds.md#what-a-score-means"), ("normalized",)),
        Word("p-value",
            "How likely a difference at least this large is by chance alone. Below 0.05, one test "
            "alone is significant; of several, fewer are.",
            ("Rule", "../capabilities/credit.md#what-a-verdict-rests-on")),
        Word("Reference team",
            "A good team, scripted or optimal, with a known return. In a verdict, the reference "
            "is the scheme that others are compared with.",
            ("Scores", "../how-to/worlds.md#what-a-score-means")),
        Word("Reward-weighted return",
            "The return with each part weighted by the reward paid for it (“weighted” in "
            "tables). A drop is the cost of a scheme.",
            ("Cost", "../capabilities/credit.md#what-it-costs")),
        Word("Verdict",
            "Use, keep, same or cannot tell, by one rule.",
            ("Rule", "../capabilities/credit.md#what-a-verdict-rests-on")),
    ),
    "Worlds": (
        Word("Copies of a world",
            "Environments of one kind that are played side by side, each in its own episode.",
            ("Settings", "../how-to/train.md#settings")),
        Word("Exact world",
            "A small world; expected returns are computed, not sampled.",
            ("Results", "../discussion/results.md")),
        Word("Message environment",
            "A world in which a topology says who hears whom.",
            ("Worlds", "../capabilities/topology.md#worlds")),
        Word("Mutual information",
            "How many bits one thing tells about another, such as a message about what its "
            "speaker sees. 0: nothing.",
            ("Talk", "../how-to/talk.md#read-the-verdict")),
        Word("Replay buffer",
            "The latest steps, which a team that learns action values learns from again and again.",
            ("Settings", "../how-to/train.md#settings")),
        Word("Sequential environment",
            "A world whose episodes have many steps, such as a PettingZoo environment.",
            ("Worlds", "../how-to/worlds.md")),
        Word("Text environment",
            "A world for teams of language models, who choose words or write.",
            ("Worlds", "../how-to/language.md#worlds")),
    ),
    "Audits": (
        Word("Best member",
            "The best single member, chosen on other tasks than those of the comparison. A "
            "useful team is above it.",
            ("Worth", "../capabilities/worth.md"), ("best member alone",)),
        Word("Churn",
            "Written lines that are taken back later, as a share. Healthy: near 0.",
            ("Coordination", "../capabilities/coordination.md")),
        Word("Case",
            "One place where an audit sees its failure: episode, event, agent, quotation, weight, "
            "cost. Cases stand whatever the verdict about the team is.",
            ("Audits", "../capabilities/audits.md")),
        Word("Contagion",
            "How much likelier a partner is idle after a proposal to rest. Healthy: 0.",
            ("Idleness", "../capabilities/idleness.md")),
        Word("Excess agreement",
            "Agreement above what the members’ isolated answers predict. Healthy: 0.",
            ("Agreement", "../capabilities/agreement.md")),
        Word("Found",
            "The whole interval is on the wrong side of the null (and a test, if there is one, "
            "holds). Otherwise the verdict is not found, cannot tell, or not computable for a "
            "reason.",
            ("Audits", "../capabilities/audits.md")),
        Word("Goodhart point",
            "Where the true reward begins to fall while the proxy rises, as a share of the "
            "episodes. Healthy: 1, never.",
            ("Hacking", "../capabilities/hacking.md")),
        Word("Isolated",
            "A member that works on the task alone.",
            ("Outcomes", "../how-to/audit-logs.md#outcomes")),
        Word("Null",
            "What chance, or a harmless team, would give.",
            ("Audits", "../capabilities/audits.md")),
        Word("Oracle",
            "The best member’s answer, chosen anew for each task. No team has to reach it.",
            ("Worth", "../capabilities/worth.md")),
        Word("Planted strength",
            "How strongly a test log shows a planted failure, 0 to 1. Healthy: found at a low "
            "strength.",
            ("What it means for each failure",
             "../discussion/audit-results.md#planted-failures-and-clean-logs")),
        Word("Proxy",
            "The reward that is paid, where another goal is meant.",
            ("Hacking", "../capabilities/hacking.md")),
        Word("Retention",
            "The team’s score over that of one agent on the same tasks. Healthy: at least 1.",
            ("Coordination", "../capabilities/coordination.md")),
        Word("Serial share",
            "The share of the work that more members do not speed up (Amdahl). Healthy: near 0.",
            ("Coordination", "../capabilities/coordination.md")),
        Word("Synergy gap",
            "The team minus its members: mean member, best member or oracle. Healthy: above 0 "
            "for the first two.",
            ("Topology", "../capabilities/topology.md")),
    ),
    "Judges": (
        Word("Canary",
            "A text that no sound judge ranks high. A canary ranked high makes the group void. "
            "In the gate of a team, a test with a known outcome.",
            ("Judge", "../capabilities/judge.md")),
        Word("Reliability",
            "Agreement between rankings of the same runs in different orders, 0 to 1. Healthy: "
            "near 1; at 0 the group is void.",
            ("Judge", "../capabilities/judge.md")),
        Word("Void group",
            "A group without rewards, since its ranking cannot be trusted. Healthy: none.",
            ("How often",
             "../discussion/judge-results.md#how-often-is-an-honest-group-void"),
            ("void",)),
    ),
    "Teams at work": (
        Word("Attempt",
            "One worker’s try at one task, in a fresh sandbox.",
            ("What happens", "../capabilities/teams.md#what-happens")),
        Word("Guard",
            "A rule of talk that is added to a topology, such as isolated drafts or a "
            "dissenter.",
            ("Results", "../capabilities/topology.md#results")),
        Word("Landing",
            "Of a commit: it passed the tests and became the head. Of learners: the equilibrium "
            "where they end.",
            ("Teams", "../capabilities/teams.md#what-happens")),
        Word("Lease",
            "The time for which a task belongs to one worker. If it expires, the worker cannot "
            "commit.",
            ("Kills", "../capabilities/teams.md#what-happens")),
        Word("Topology",
            "Who hears whom, in which order, and who decides.",
            ("Topology", "../capabilities/topology.md")),
    ),
    "Games and populations": (
        Word("Champion",
            "The member of a population that did best in the last evaluation, measured again.",
            ("Population", "../capabilities/population.md")),
        Word("Cheap talk",
            "Words exchanged before a game, without cost or binding force.",
            ("Games", "../capabilities/games.md")),
        Word("Cross-play",
            "Players of different trainings meet. Healthy: as good as self-play.",
            ("Games", "../capabilities/games.md")),
        Word("Crossover",
            "The budget from which the best population stays ahead of one learner.",
            ("Population", "../capabilities/population.md")),
        Word("delta*",
            "The critical discount: with at least this patience, the threat of the worst "
            "equilibrium sustains a profile. Lower is easier.",
            ("Games", "../capabilities/games.md")),
        Word("Elo",
            "A rating from games: 400 points more mean odds of 10 to 1. Random actions have 0.",
            ("Sides", "../how-to/self-play.md#what-counts-as-a-win")),
        Word("Equilibrium",
            "A profile from which no player gains by a change of its own.",
            ("Games", "../capabilities/games.md")),
        Word("League",
            "A main learner that trains against exploiters and earlier versions of itself.",
            ("Population", "../capabilities/population.md")),
        Word("Minmax value",
            "The least payoff to which the others can hold a player who answers as well as it "
            "can.",
            ("Games", "../capabilities/games.md")),
        Word("Other-Play",
            "Training with randomly relabelled partners, so that conventions survive with "
            "strangers. Healthy: cross-play as good as self-play.",
            ("Games", "../capabilities/games.md")),
        Word("Population",
            "Several learners at the budget of one. All updates and evaluations are charged.",
            ("Population", "../capabilities/population.md")),
        Word("Population-based training",
            "PBT: members that do badly are replaced by copies of better ones.",
            ("Population", "../capabilities/population.md"), ("PBT",)),
        Word("Price of anarchy",
            "The best sum of payoffs over that of the worst equilibrium. Healthy: 1.",
            ("Games", "../capabilities/games.md")),
        Word("Punishment",
            "Play that makes a deviation from cooperation costly afterwards.",
            ("Games", "../capabilities/games.md")),
        Word("Shaping",
            "Learning that takes into account how the other player will learn (LOLA).",
            ("Games", "../capabilities/games.md")),
        Word("Winner’s curse",
            "The estimate for which a champion was chosen, minus its worth. Healthy: 0.",
            ("Population", "../capabilities/population.md")),
    ),
}  # fmt: skip
"""Subject to its entries."""

_CODES = tuple(
    Word(code, f"{meaning}.", ("Conditions", "#c1-to-c7")) for code, meaning in CONDITIONS.items()
)
_WORDS = {
    (form if form.isupper() else form.casefold()): word
    for word in (*(word for words in GLOSSARY.values() for word in words), *_CODES)
    for form in (word.term, *word.also)
}
"""Form of a term, a code in capitals, to its entry."""
_FORMS = re.compile(
    "(?<![A-Za-z])(" + "|".join(re.escape(form) for form in sorted(_WORDS, key=len, reverse=True))
    + ")s?(?![A-Za-z])", re.IGNORECASE,
)  # fmt: skip


def word_of(term: str) -> Word | None:
    """Returns the entry of a term or a code; None if it has none."""
    return _WORDS.get(term) or _WORDS.get(term.casefold())


def words_in(text: str, defined: Collection[str]) -> list[Word]:
    """Returns the entries of the words of a text, in alphabetical order.

    Args:
        text: what a page shows.
        defined: terms that need no entry, since the page defines them itself.
    """
    known = {term.casefold() for term in defined}
    used = filter(None, (word_of(match[1]) for match in _FORMS.finditer(text)))
    entries = {word.term: word for word in used if word.term.casefold() not in known}
    return sorted(entries.values(), key=lambda word: word.term.casefold())
