"""Command lines with slips: each ends with status 2 and one line that helps, no traceback."""

from __future__ import annotations

import os
import shlex

import pytest

from counterpoint.cli.main import run

MISTYPED = """
demoo
dem --seeds 2
doctor --jsn
doctor extra
diagnose
diagnose --file rewards.jsonl
diagnose nowhere.jsonl --scheme
diagnose nowhere.jsonl --scheme=grpu
diagnose rewards.jsonl --columns uid:prompt
diagnose rewards.jsonl --wach
compare regions --seeds two
compare regions --seeds -1
compare regions --seed=3.5
compare regions --schemes ,
compare regions --schemes grpo;mappo
compare regions --set scale
compare regions --set =3
compare regions scale=
compare -regions
compare regions --workers zero
compare regions --workers 0
compare regions --executor threads
compare --config .
schemes gpro
schemes --name grpo
worlds spread extra
worlds -spread
train --world spread
train spread --budget 1e5
train spread --budget=
train spread --seconds soon
train spread --scheme grpo --algorithm qmix
train spread --algorithm=qmxi
train spread --set hidden=lots
train lewis --policy ''
train spread —budget 100
resume
resume nowhere
sweep spread --over lr
sweep spread --over lr=1e-2..1e-4
runs --stauts
chat
chat nowhere --episodes three
chat nowhere --ask
population climbing --members 1;4
population climbing --budget none
population climbin
model fetch smolm2
model lst
audit runs --only stuk
audit nowhere
audit --fail-on stuck
audit nowhere --judge openai
import nowhere
import nowhere -output x.jsonl
compare-outcomes
compare-outcomes nowhere.csv
compareoutcomes x.csv
contribution nowhere.csv --json=yes
rank groups.jsonl --judge
rank groups.jsonl --judge opnai
rank groups.jsonl --judge regex --mode list
rank groups.jsonl --judge openai --model m
rank groups.jsonl --judge openai --model m --base-url localhost:8000
rank groups.jsonl --judge openai --model m --base-url http://example.com/v1
judge chek labelled.jsonl --judge regex
judge check labelled.jsonl --judge regex --reliability 80%
team
team run
team run nowhere.toml
team start plan.toml
team run plan.toml --topology flat
topology hidden_profile --members six
topology hidden_profil
topology hidden_profile --prompts clever
topology hidden_profile --guard most_rounds
topology hidden_profile --base-url http://127.0.0.1:9/v1
game prisoner
sweep spread --out ''
rank ''
game prisoners_dilemma --games 2
report
report . nowhere
serve nowhere
serve --port eighty
completion bash zsh
completion csh
--json
-v
help exit-code
game prisoners_dilemma --seeds 5
chat nowhere --ask x
""".strip().splitlines()


@pytest.mark.parametrize("line", MISTYPED)
def test_a_slip_is_one_helpful_line(line, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(shlex.split(line))
    out, err = capfd.readouterr()
    assert ended.value.code == 2, (out, err)
    assert out == ""
    assert "Traceback" not in err
    assert 1 <= len(err.splitlines()) <= 2, err
    assert err.startswith("counterpoint: "), err
    assert any(word in err for word in ("wanted", "did you mean", "see counterpoint", "lists"))
    assert os.listdir(tmp_path) == []
