"""Every format of logs keeps its promises; every planted defect is found."""

import copy
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from counterpoint.errors import LogError
from counterpoint.readers import Format, episode
from counterpoint.readers.formats.catalogue import FORMATS
from counterpoint.testing import ConformanceError, check_reader

sys.path.append(str(Path(__file__).parents[1] / "readers"))
from session_samples import ALONE, TEAMS

EVENTS = [
    {"agent": "ann", "kind": "message", "text": "I write it.", "meta": {"seconds": 1.5}},
    {"agent": "bob", "kind": "answer", "text": "42", "answer": "42", "reward": {"proxy": 1.0},
     "to": ["ann"], "work": 0.5, "tokens": 3},
]  # fmt: skip
CALL = {"id": "1", "function": {"name": "search", "arguments": "{}"}}
DATA = Path(__file__).parents[1] / "data" / "who_and_when"
SAMPLES = {
    "counterpoint": {"schema": 1, "id": "e", "run": "r", "task": "t", "agents": ["ann", "bob"],
                     "tools": ["shell"], "success": 0.5, "meta": {"a": [1]}, "events": EVENTS},
    "counterpoint training": {"step": 3, "episodes": [{"events": EVENTS, "task": ["a", 1],
                                                       "success": 1.0, "count": 1}]},
    "who_and_when": json.loads((DATA / "algorithm-generated" / "1.json").read_text("utf-8")),
    "autogen": {"messages": [
        {"source": "solver", "type": "TextMessage", "content": "5", "target": "critic",
         "models_usage": {"prompt_tokens": 1, "completion_tokens": 4}},
        {"source": "critic", "type": "TextMessage", "content": "no"}]},
    "otel": [{"traceId": "1", "startTimeUnixNano": str(i), "name": "chat", "attributes": {
        "gen_ai.agent.name": who, "gen_ai.completion": "yes"}} for i, who in enumerate("ab")],
    "langgraph": {"messages": [
        {"type": "human", "content": "go"},
        {"type": "ai", "name": "planner", "content": "",
         "tool_calls": [{"name": "search", "args": {"q": "x"}, "id": "1"}]},
        {"type": "tool", "name": "search", "content": "nothing", "tool_call_id": "1"},
        {"type": "ai", "name": "writer", "content": [{"type": "text", "text": "done"}]}]},
    "langgraph updates": [{node: {"messages": [{"type": "ai", "content": node, "id": "1",
                                                "name": None, "tool_calls": []}]}}
                          for node in ("planner", "writer")],
    "crewai": {"tasks_output": [{"agent": "Researcher", "description": "find", "raw": "done"},
                                {"agent": "Writer", "description": "write", "raw": "written"}]},
    "openai": {"id": "x", "task": "t", "success": 1, "messages": [
        {"role": "user", "content": "q"}, {"role": "assistant", "name": "ann", "content": "a"},
        {"role": "assistant", "name": "bob", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "nothing"}]},
    **TEAMS,
}  # fmt: skip
"""A value of each format whose logs tell members apart."""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_keeps_its_promises(name):
    check_reader(FORMATS[name], [SAMPLES[name]])


def test_formats_without_a_sample_here_have_one_member():
    assert set(FORMATS) - set(SAMPLES) == {"mast", *ALONE}


@pytest.mark.parametrize("name", ALONE)
def test_a_format_of_one_member_keeps_its_promises(name):
    check_reader(FORMATS[name], [ALONE[name]], members=1)


LOG = {"meeting": "the test", "minutes": ["ann: I write it.", "bob: I run it.", "ann: Good."]}


def fits(value):
    return isinstance(value, dict) and "meeting" in value and "minutes" in value


def read(value, where, name):
    lines, events = value["minutes"], []
    if not isinstance(lines, list):
        raise LogError(f"{where}, minutes: got {type(lines).__name__}; wanted a list")
    for i, line in enumerate(lines):
        speaker, colon, text = line.partition(": ") if isinstance(line, str) else ("", "", "")
        if not colon:
            raise LogError(f"{where}, minutes {i}: got {line!r}; wanted 'name: text'")
        events.append({"agent": speaker, "kind": "message", "text": text})
    return [episode(name, events, "minutes", task=str(value["meeting"]))]


SOUND = Format(fits, read)


def test_a_sound_format_passes():
    check_reader(SOUND, [LOG])


def trusts(value, where, name):
    pairs = [line.split(": ") for line in value["minutes"]]
    return [episode(name, [{"agent": who, "kind": "message", "text": x} for who, x in pairs], "m")]


def does_not_say_where(value, where, name):
    return read(value, "somewhere", name)


def altered(change):
    """The sound reader whose episodes are changed."""
    return Format(fits, lambda *given: [change(one) for one in read(*given)])


COUNT = itertools.count()


def numbered(value, where, name):
    return [replace(one, id=f"{name}-{next(COUNT)}") for one in read(value, where, name)]


def adds_a_line(value, where, name):
    episodes = read(value, where, name)
    value["minutes"].append("ann: and so on")
    return episodes


def shuffled(one):
    return replace(one, events=tuple(replace(e, t=0) for e in one.events))


DEFECTS = {
    "a function": (fits, "wanted a counterpoint.readers.Format"),
    "takes every object": (SOUND._replace(fits=lambda v: isinstance(v, dict)), "a fit with {}"),
    "cannot look at a list": (
        SOUND._replace(fits=lambda v: "minutes" in v),
        "got TypeError: .* from fits.None",
    ),
    "takes nothing": (SOUND._replace(fits=lambda v: False), "no fit with sample 0"),
    "says 1": (SOUND._replace(fits=lambda v: int(fits(v))), "a fit with None"),
    "trusts what it reads": (SOUND._replace(read=trusts), "got .*Error: .* damaged at .*minutes"),
    "does not say where": (SOUND._replace(read=does_not_say_where), "one that names 'log.json,"),
    "adds a line": (SOUND._replace(read=adds_a_line), "a value that reading changed"),
    "a tuple": (SOUND._replace(read=lambda *g: tuple(read(*g))), "got tuple from a sample"),
    "no episode": (SOUND._replace(read=lambda *g: []), "got no episode"),
    "plain objects": (SOUND._replace(read=lambda *g: [{}]), "got dict from a sample"),
    "another id each time": (SOUND._replace(read=numbered), "other episodes the second time"),
    "one id for two": (SOUND._replace(read=lambda *g: read(*g) * 2), "different ids"),
    "a format without a name": (
        altered(lambda e: replace(e, meta={"format": ""})),
        "the format '' in meta",
    ),
    "no format": (altered(lambda e: replace(e, meta={})), "a format in it"),
    "all at once": (altered(shuffled), "t from 0, one by one"),
    "a stranger": (altered(lambda e: replace(e, agents=e.agents[:1])), "speakers .'bob'."),
    "both": (altered(lambda e: replace(e, tools=("bob",))), "'bob'. in agents and in tools"),
    "by the alphabet": (
        altered(lambda e: replace(e, agents=e.agents[::-1])),
        "the order of their first event",
    ),
    "out of ten": (altered(lambda e: replace(e, success=7.0)), "success 7.0"),
    "one member": (
        altered(lambda e: replace(e, agents=e.agents[:1], tools=e.agents[1:])),
        "got one member; wanted 2 or more",
    ),
    "what our records cannot hold": (
        altered(lambda e: replace(e, meta={**e.meta, "self": object()})),
        "got TypeError: .* from writing an episode",
    ),
    "what our records lose": (
        altered(lambda e: replace(e, success=float("nan"))),
        "success nan",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    kind, complaint = DEFECTS[defect]
    with pytest.raises(ConformanceError, match=complaint):
        check_reader(kind, [copy.deepcopy(LOG)])


def test_a_log_that_another_format_reads_first_is_found():
    with pytest.raises(ConformanceError, match="which the format openai reads first"):
        check_reader(
            Format(lambda v: isinstance(v, dict) and "messages" in v, FORMATS["openai"].read),
            [SAMPLES["openai"]],
        )


def test_a_suite_without_a_sample_is_refused():
    with pytest.raises(ConformanceError, match="no sample"):
        check_reader(SOUND, [])
