"""Attributes of spans, by the names of all conventions in use, to a `Span`.

These are OpenTelemetry's (`gen_ai.*`), its older indexed ones and OpenLLMetry's
(`gen_ai.completion.0.content`, `llm.*`, `traceloop.*`), OpenInference's (`openinference.span.kind`,
`llm.output_messages`), MLflow's, Logfire's, and those of Vercel's AI SDK. Attributes may be flat,
with dots in their names, or nested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from counterpoint.readers.build import count, finite
from counterpoint.readers.replies import decoded, json_text, unquoted
from counterpoint.readers.spans import Kind

DEEPEST = 12
"""Attributes that are nested deeper stay objects."""
MODEL_OPERATIONS = ("chat", "text_completion", "generate_content", "call_llm", "completion",
                    "responses", "messages")  # fmt: skip
KINDS: Mapping[str, Kind] = {
    "agent": "agent", "llm": "model", "chat_model": "model", "generation": "model",
    "tool": "tool", "retriever": "tool", "guardrail": "guardrail", "chain": "chain",
    "task": "chain", "workflow": "chain", "parser": "other", "embedding": "other",
    "reranker": "other",
    "evaluator": "other", "prompt": "other", "unknown": "other",
}  # fmt: skip
"""The kind of a span, in the words of OpenInference, OpenLLMetry and MLflow, to ours."""
OUTPUTS = ("gen_ai.output.messages", "llm.output_messages", "gen_ai.completion", "llm.completions",
           "gen_ai.output", "gen_ai.response.text", "mlflow.spanOutputs",
           "traceloop.entity.output", "ai.response.text", "ai.response.object", "response",
           "all_messages_events", "pydantic_ai.all_messages", "final_result",
           "gcp.vertex.agent.llm_response", "output.value")  # fmt: skip
"""Where the output of a model or an agent stands; the first that is there counts."""
INPUTS = ("gen_ai.input.messages", "llm.input_messages", "gen_ai.prompt", "llm.prompts",
          "mlflow.spanInputs", "traceloop.entity.input", "ai.prompt.messages", "ai.prompt",
          "request_data", "gcp.vertex.agent.llm_request", "input.value")  # fmt: skip
ARGUMENTS = ("gen_ai.tool.call.arguments", "gen_ai.tool.args", "gen_ai.tool.arguments",
             "tool_arguments", "ai.toolCall.args", "mlflow.spanInputs", "traceloop.entity.input",
             "gcp.vertex.agent.tool_call_args", "input.value", "tool.parameters")  # fmt: skip
"""Where the arguments of a call stand. The last one is a definition in OpenInference's convention,
and arguments only in what some instrumentations write."""
RESULTS = ("gen_ai.tool.call.result", "gen_ai.tool.result", "gen_ai.tool.message", "tool_response",
           "ai.toolCall.result", "gcp.vertex.agent.tool_response", "mlflow.spanOutputs",
           "traceloop.entity.output", "gen_ai.output", "retrieval.documents",
           "output.value")  # fmt: skip
NAMES = ("gen_ai.agent.name", "agent.name", "agent_name", "lc_agent_name", "graph.node.name",
         "graph.node.id", "gen_ai.agent.id", "recipient_agent_name",
         "ai.telemetry.functionId")  # fmt: skip
TOOLS = ("gen_ai.tool.name", "tool.name", "ai.toolCall.name", "tool_name",
         "traceloop.entity.name")  # fmt: skip
CALL_IDS = ("gen_ai.tool.call.id", "ai.toolCall.id", "tool_call.id", "tool_call_id", "tool.id")
TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens",
          "llm.token_count.completion", "llm.usage.completion_tokens", "ai.usage.outputTokens",
          "ai.usage.completionTokens", "mlflow.chat.tokenUsage.output_tokens")  # fmt: skip
TOKENS_IN = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
             "llm.usage.prompt_tokens", "ai.usage.inputTokens", "ai.usage.promptTokens",
             "mlflow.chat.tokenUsage.input_tokens")  # fmt: skip
COSTS = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "gen_ai.cost.total_cost",
         "llm.cost.total", "operation.cost", "llm.usage.total_cost")  # fmt: skip
PARTS_OF_COST = (("gen_ai.usage.input_cost", "gen_ai.usage.output_cost"),
                 ("llm.cost.prompt", "llm.cost.completion"))  # fmt: skip
FINISHES = ("gen_ai.response.finish_reasons", "llm.finish_reason", "ai.response.finishReason",
            "gen_ai.response.finish_reason", "gen_ai.completion.0.finish_reason",
            "llm.response.finish_reason", "llm.response.stop_reason")  # fmt: skip
SESSIONS = ("session.id", "langfuse.session.id", "mlflow.trace.session")
GENERIC_NODES = frozenset(("agent", "model", "call_model", "model_request", "llm", "chat_model",
                           "tools", "__start__", "__end__"))  # fmt: skip
"""Nodes inside a graph that LangGraph makes for one agent."""
_PLUMBING = re.compile(r"Runnable|Channel|Branch<|LangGraph$|ChatPrompt|PromptTemplate|__")
"""Beginnings of the names of LangChain's steps, which are nobody's work."""
_NAMED = re.compile(r"(?:invoke_agent|create_agent|agent_run) ++\[?+([^\]]++)\]?+")
_METHOD = re.compile(r"\.(?:run|arun|invoke|ainvoke|kickoff|_execute_core|execute_task|stream)$")


class Facts:
    """The attributes of a span, by their dotted names."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.flat: dict[str, Any] = {}
        self._flatten(attributes, "", 0)
        extra = decoded(self.flat.get("metadata"))
        if isinstance(extra, dict):
            self._flatten(extra, "metadata.", 1)
        for name in ("mlflow.spanInputs", "mlflow.spanOutputs"):  # always JSON, texts too
            if isinstance(self.flat.get(name), str):
                self.flat[name] = unquoted(self.flat[name])
        usage = decoded(self.flat.get("mlflow.chat.tokenUsage"))
        if isinstance(usage, dict):
            self._flatten(usage, "mlflow.chat.tokenUsage.", 1)

    def _flatten(self, attributes: Mapping[str, Any], before: str, depth: int) -> None:
        for name, value in attributes.items():
            if isinstance(value, dict) and value and depth < DEEPEST:
                self._flatten(value, f"{before}{name}.", depth + 1)
            else:
                self.flat[f"{before}{name}"] = value

    def get(self, names: Iterable[str]) -> Any:
        """Returns the first attribute that is there and is neither null nor empty."""
        return next((v for n in names if (v := self.flat.get(n)) is not None and v != ""), None)

    def text(self, names: Iterable[str]) -> str:
        """Returns the first attribute that is a text or a number, as a text without quotes."""
        for name in names:
            value = self.flat.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip().strip('"') or value
            if isinstance(value, int | float) and not isinstance(value, bool):
                return str(value)
        return ""

    def count(self, names: Iterable[str]) -> int | None:
        """Returns the first attribute that is a whole number from 0."""
        return next((n for name in names if (n := count(self.flat.get(name))) is not None), None)

    def number(self, names: Iterable[str]) -> float | None:
        """Returns the first attribute that is a number, which may stand in a text."""
        return next((n for x in names if (n := number_of(self.flat.get(x))) is not None), None)

    def gathered(self, name: str) -> Any:
        """Returns an attribute, or a tree of those whose names begin with its name and a dot."""
        if self.flat.get(name) not in (None, ""):
            return self.flat[name]
        tree: dict[str, Any] = {}
        for key, value in self.flat.items():
            if not key.startswith(f"{name}."):
                continue
            inner, *steps = key[len(name) + 1 :].split(".")
            place = tree
            for step in steps[: DEEPEST * 2]:
                below = place.setdefault(inner, {})
                if not isinstance(below, dict):
                    break
                place, inner = below, step
            place.setdefault(inner, value)
        return listed(tree) if tree else None

    def first(self, names: Iterable[str]) -> Any:
        """Returns the first attribute or tree that is there."""
        return next((v for name in names if (v := self.gathered(name)) is not None), None)


def listed(value: Any, depth: int = 0) -> Any:
    """Returns a tree in which objects with the keys 0, 1, ... are lists."""
    if not isinstance(value, dict) or depth > 2 * DEEPEST:
        return value
    inner = {name: listed(each, depth + 1) for name, each in value.items()}
    if inner and all(name.isdecimal() and len(name) < 10 for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def number_of(value: Any) -> float | None:
    """Returns a finite number, which may stand in a text; None for anything else."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    return finite(value)


def kind_of(facts: Facts, name: str) -> Kind:
    """Returns the kind of a span; a part of LangChain that is traced as an agent is none."""
    kind = _kind_of(facts, name)
    is_part = kind == "agent" and is_plumbing(facts.text(NAMES) or _undecorated(name))
    return "other" if is_part else kind


def _kind_of(facts: Facts, name: str) -> Kind:
    operation = facts.text(("gen_ai.operation.name",)).casefold()
    if operation == "create_agent":
        return "declared"
    if operation == "invoke_agent":
        return "agent"
    if operation == "execute_tool":
        return "tool"
    if operation.partition(".")[0] in MODEL_OPERATIONS:
        return "model"
    names = ("openinference.span.kind", "traceloop.span.kind", "mlflow.spanType",
             "langfuse.observation.type", "langsmith.span.kind")  # fmt: skip
    named = facts.text(names).casefold()
    if named in KINDS:
        kind = KINDS[named]
        return step_kind(name, facts, "metadata.") if kind == "chain" else kind
    if facts.text(("ai.operationId",)) == "ai.toolCall" or facts.text(TOOLS[:2]):
        return "tool"
    if facts.text(("ai.operationId",)).startswith(("ai.generate", "ai.stream")):
        return "model"
    if facts.text(("llm.request.type",)) in ("chat", "completion"):
        return "model"
    if facts.text(("gen_ai.agent.name", "agent_name")) and not _is_model(facts):
        return "agent"
    return "model" if _is_model(facts) else "other"


def is_plumbing(name: str) -> bool:
    """Returns whether a step has the name of a part of LangChain, which is nobody's work."""
    return _PLUMBING.match(name) is not None


def _is_model(facts: Facts) -> bool:
    starts = ("gen_ai.completion", "gen_ai.output", "gen_ai.usage", "gen_ai.response",
              "gen_ai.request.model", "llm.output_messages", "llm.token_count",
              "llm.usage")  # fmt: skip
    embeds = "embed" in facts.text(("gen_ai.operation.name", "llm.request.type"))
    return not embeds and any(key.startswith(starts) for key in facts.flat)


def agent_of(facts: Facts, kind: Kind, name: str) -> str:
    """Returns the member that a span names, or an empty text."""
    if kind == "agent" and facts.text(("traceloop.span.kind",)).casefold() == "agent":
        return facts.text((*NAMES[:4], "traceloop.entity.name")) or name.removesuffix(".agent")
    if (named := facts.text(NAMES)) and not is_plumbing(named):
        return _undecorated(named)
    if kind in ("agent", "declared") and (match := _NAMED.fullmatch(name)):
        return match[1].strip()
    if kind in ("agent", "model") and (node := node_of(facts, "metadata.")):
        return node
    return ""


def role_in(output: Any) -> str:
    """Returns the role of the agent that the output of a crew's task names, or an empty text."""
    inner = decoded(output)
    named = inner.get("agent") if isinstance(inner, dict) and "raw" in inner else None
    return named.strip() if isinstance(named, str) else ""


def _undecorated(name: str) -> str:
    """Returns the name of an agent from the name of a span about it."""
    match = _NAMED.fullmatch(name)
    return match[1].strip() if match else name


def name_of(name: str) -> str:
    """Returns the name of an agent whose span names it only by itself, such as `Agent.run`."""
    short = _METHOD.sub("", _undecorated(name)).strip()
    return short or name


def node_of(facts: Facts, before: str = "") -> str:
    """Returns the member that LangGraph's names of nodes give: the innermost that is no part.

    Args:
        facts: attributes, or the metadata of a run.
        before: what stands in front of the names.
    """
    if named := facts.text((f"{before}lc_agent_name", f"{before}agent_name")):
        return named
    node = facts.text((f"{before}langgraph_node",))
    if not node:
        return ""
    space = facts.text((f"{before}langgraph_checkpoint_ns", f"{before}checkpoint_ns"))
    path = [part.partition(":")[0] for part in space.split("|") if part] or [node]
    own = [part for part in path if part not in GENERIC_NODES]
    return own[-1] if own else "agent"


def step_kind(name: str, facts: Facts, before: str = "") -> Kind:
    """Returns the kind of a step: one inside a node of LangGraph's, or LangChain's own, is other.

    Args:
        name: the name of the step.
        facts: attributes, or the metadata of a run.
        before: what stands in front of the names of LangGraph's nodes.
    """
    node = facts.text((f"{before}langgraph_node",))
    is_inside = node not in ("", name) or name in GENERIC_NODES
    return "other" if is_inside or is_plumbing(name) else "chain"


def cost_of(facts: Facts) -> float | None:
    """Returns the cost of a span in dollars, or None."""
    total = facts.number(COSTS)
    if total is not None:
        return total
    for names in PARTS_OF_COST:
        parts = [part for name in names if (part := facts.number((name,))) is not None]
        if parts:
            return sum(parts)
    return None


def finish_of(facts: Facts) -> str:
    """Returns why the model stopped."""
    reasons = decoded(facts.get(FINISHES))
    if isinstance(reasons, list):
        return ", ".join(dict.fromkeys(each for each in reasons if isinstance(each, str)))
    return json_text(reasons).strip('"')
