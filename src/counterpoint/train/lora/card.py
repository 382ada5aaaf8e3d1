"""`card`: the README of an exported agent, which says what it is, and what is not in its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from counterpoint import __version__
from counterpoint.lm.model import TINY
from counterpoint.lm.models import SOURCES
from counterpoint.train.lora.plan import LanguagePlan

MOST_PROMPTS = 8
"""System messages that are quoted."""
MOST_PRIORS = 64
"""Words whose priors are listed."""
ACTS = {
    "plain": "plain: acts on every token, of the prompt and of the answer",
    "activated": "activated: acts from the last opening of an answer in the conversation on",
    "last_token": "last_token: acts from the last token of the prompt on",
}
"""Where each kind of adapter acts."""
ONE_LINE = (
    "peft looks for the last occurrence of the invocation token. That token may also occur in an "
    "answer, a line break above all: then peft scores the answer up to there with the bare model."
)

Priors = Mapping[tuple[str, tuple[str, ...]], Sequence[float]]
"""The agent and its words to the prior of each word, in nats."""


def card(
    plan: LanguagePlan,
    agents: Sequence[tuple[str, str]],
    base: str,
    systems: Sequence[str],
    priors: Priors,
    updates: int,
    what: str,
    use: str,
) -> str:
    """Returns a README in Markdown, with the facts that the hub of Hugging Face reads on top.

    Args:
        plan: the training.
        agents: name and role of each agent that the files are of.
        base: name of their frozen model.
        systems: the system messages of these agents in training.
        priors: what was subtracted from the logits of words, for these agents.
        updates: number of updates made.
        what: what the files are.
        use: Markdown about how to load them.
    """
    settings = plan.language.on(tiny=base == TINY)
    names = ", ".join(name for name, _ in agents)
    head: dict[str, object] = {
        "tags": ["lora", "multi-agent", "reinforcement-learning", "counterpoint"]
    }
    if base in SOURCES:
        head["license"] = SOURCES[base].license.lower()
    elif base != TINY and not Path(base).is_dir():
        head["base_model"] = base
    facts = {
        "files": what,
        "base model": base,
        "agent": names,
        "role": ", ".join(dict.fromkeys(role for _, role in agents)),
        "environment": plan.world,
        "credit scheme": plan.scheme,
        "updates": f"{updates} of {plan.budget}",
        "seed": str(plan.seed),
        "adapter": ACTS[settings.kind],
        "rank, alpha": f"{settings.rank}, {settings.alpha:g}",
        "places": f"{settings.targets}, in the last {settings.layers} layers",
        "sampling temperature of free text": f"{settings.temperature:g}",
        "made by": f"counterpoint {__version__}",
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---"]
    lines += ["", f"# {_cell(names)}, trained in {_cell(plan.world)}", "", "| fact | value |"]
    lines += ["|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in facts.items())]
    lines += ["", "## Use", "", use]
    if settings.kind == "last_token":
        lines += ["", ONE_LINE]
    lines += ["", "## Prompts", "", "In training: the chat template of the base model, with "]
    lines[-1] += "the system messages" if systems else "no system message."
    lines.append("")
    for text in systems[:MOST_PROMPTS]:
        lines += [*(f"    {line}" for line in text.splitlines() or [""]), ""]
    if len(systems) > MOST_PROMPTS:
        lines += [f"and {len(systems) - MOST_PROMPTS} more.", ""]
    return "\n".join([*lines, *_about_priors(priors)]).rstrip() + "\n"


def _about_priors(priors: Priors) -> list[str]:
    """Returns what is said of the priors of words."""
    if not priors:
        return []
    lines = [
        "## What is not in the files",
        "",
        "In training a choice among words was a softmax over the logits of their first tokens, "
        "less the prior of each word. **The priors are not in the files**: without them, words "
        "have other probabilities than in training. Subtract them from the logits:",
        "",
        "| agent | word | prior, nats |",
        "|---|---|---|",
    ]
    rows = [
        f"| {_cell(agent)} | {_cell(word)} | {value:.4f} |"
        for (agent, words), values in priors.items()
        for word, value in zip(words, values, strict=True)
    ]
    lines += rows[:MOST_PRIORS]
    return [*lines, "", f"and {len(rows) - MOST_PRIORS} more."] if rows[MOST_PRIORS:] else lines


def _cell(text: str) -> str:
    """Returns a text as one cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
