"""Numbers of a log that cannot be: they are unknown, counted, and stop no audit."""

from __future__ import annotations

import json

import pytest

from counterpoint.audits import audit
from counterpoint.cli.main import main
from counterpoint.readers import read_logs
from counterpoint.readers.episodes import encode
from counterpoint.records import Episode, Event


def spans(cost, tokens):
    """Two calls of a model in the attributes of OpenTelemetry."""
    return "".join(
        json.dumps({
            "name": "chat m", "trace_id": "t", "span_id": str(i), "parent_id": None,
            "start_time": i, "end_time": i + 1,
            "attributes": {
                "gen_ai.operation.name": "chat", "gen_ai.agent.name": "ab"[i % 2],
                "gen_ai.output.messages": json.dumps(
                    [{"role": "assistant", "parts": [{"type": "text", "content": f"step {i}"}]}]
                ),
                "gen_ai.usage.cost": cost, "gen_ai.usage.output_tokens": tokens,
            },
        }) + "\n"
        for i in range(4)
    )  # fmt: skip


@pytest.mark.fault("R37")
@pytest.mark.parametrize(
    ("cost", "tokens", "noted"),
    [
        (1e308, 5, ["cost (4)"]),
        (-5, 5, ["cost (4)"]),
        (0.5, 1e308, ["tokens (4)"]),
        (1e16, 1e16, ["cost (4)", "tokens (4)"]),
        (0.5, 5, []),
    ],
)
def test_an_amount_that_cannot_be_is_unknown(cost, tokens, noted, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text(spans(cost, tokens))
    notes = []
    episodes = list(read_logs(log, note=notes.append))
    assert sorted(n.partition("unknown: ")[2] for n in notes if "unknown: " in n) == noted
    shown = {f.name: f.value for f in audit(episodes, (), ("cost",)).findings}
    assert shown["dollars"] == (None if any("cost" in n for n in noted) else 2.0)
    assert main(["audit", str(log), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["episodes"] == 1


@pytest.mark.fault("R37")
@pytest.mark.parametrize("value", ["1e999", "-1e308", "NaN"])
def test_a_reward_that_cannot_be_is_unknown(value, tmp_path):
    log = tmp_path / "log.jsonl"
    events = (
        Event(0, "a", "message", "I am done."),
        Event(1, "a", "reward", reward={"proxy": 777.5, "true": 1}),
    )
    line = encode(Episode("e", events, ("a",), meta={"format": "counterpoint"})).decode()
    assert "777.5" in line
    log.write_text(line.replace("777.5", value))
    notes = []
    (episode,) = read_logs(log, note=notes.append)
    assert episode.events[1].reward == {"true": 1}
    assert notes == ["not a possible number, and taken for unknown: reward (1)"]
