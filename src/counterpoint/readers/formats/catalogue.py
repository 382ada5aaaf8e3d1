"""All formats of logs by name: `FORMATS`, and `format_of`, which recognizes one by content.

Order matters: the first format that fits a value reads it. A reader is strict: a value that looks
like its format and is broken gives an error that names the place. A package of your own adds a
format by a line in the group `counterpoint.readers` of its entry points.
"""

from __future__ import annotations

from typing import Any

from counterpoint.plugins import Registry
from counterpoint.readers import episodes
from counterpoint.readers.build import Format, SessionFormat
from counterpoint.readers.formats import (
    adk,
    atif,
    autogen,
    autogen_chat,
    camel,
    camel_workforce,
    chatdev,
    claude_code,
    codex,
    crewai,
    inspect_ai,
    langfuse,
    langgraph,
    langsmith,
    mast,
    model_calls,
    openai_agents,
    openai_chat,
    openhands,
    otel,
    rollouts,
    swe_agent,
    tau,
    who_and_when,
)

FORMATS = Registry[Format | SessionFormat](
    "counterpoint.readers",
    {
        "counterpoint": episodes.FORMAT,
        "counterpoint training": episodes.TRAINING,
        "langfuse": langfuse.FORMAT,
        "langsmith": langsmith.FORMAT,
        "openai agents": openai_agents.TRACE,
        "openai agents state": openai_agents.STATE,
        "otel": otel.FORMAT,
        "claude_code": claude_code.FORMAT,
        "codex": codex.FORMAT,
        "atif": atif.FORMAT,
        "swe_agent": swe_agent.FORMAT,
        "mini-swe-agent": swe_agent.MINI,
        "art": rollouts.ART,
        "verifiers results": rollouts.RESULTS,
        "verifiers": rollouts.EPISODES,
        "rllm": rollouts.RLLM,
        "openhands": openhands.FORMAT,
        "tau-bench": tau.FORMAT,
        "tau2-bench": tau.TAU2,
        "who_and_when": who_and_when.FORMAT,
        "inspect_ai": inspect_ai.FORMAT,
        "mast": mast.FORMAT,
        "chatdev": chatdev.FORMAT,
        "adk": adk.FORMAT,
        "adk evaluation": adk.EVALUATION,
        "adk events": adk.EVENTS,
        "autogen": autogen.FORMAT,
        "autogen stream": autogen.LINES,
        "langgraph states": langgraph.VALUES,
        "langgraph": langgraph.FORMAT,
        "langgraph updates": langgraph.UPDATES,
        "langgraph messages": langgraph.CHUNKS,
        "langgraph stream": langgraph.LINES,
        "crewai": crewai.FORMAT,
        "camel": camel.FORMAT,
        "camel records": camel.RECORDS,
        "camel workforce": camel_workforce.FORMAT,
        "autogen 0.2": autogen_chat.FORMAT,
        "model calls": model_calls.FORMAT,
        "anthropic": openai_chat.ANTHROPIC,
        "openai": openai_chat.FORMAT,
        "messages": openai_chat.LINES,
    },
    "a counterpoint.readers.Format or SessionFormat",
    lambda name, part: isinstance(part, Format | SessionFormat),
)
"""Name to format. Formats of plug-ins come last, and read values that none of ours fits."""


def format_of(value: Any) -> str | None:
    """Returns the name of the first format that fits; None if none does."""
    return next((name for name, each in FORMATS.items() if each.fits(value)), None)
