"""Templates that open an answer in several ways, or hardly add a token to what is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_forward import KINDS, acting, learned, stock

from counterpoint.errors import SettingError
from counterpoint.lm.model import LanguageModel
from counterpoint.train.lora.check import demand_opened
from counterpoint.train.lora.words import WordTeam
from counterpoint.worlds import Statement, conversation
from counterpoint.worlds.text.world import Prompt

CHATML = "{% for m in messages %}{{ '[' + m['role'] + ': ' + m['content'] + ']' }}{% endfor %}"
THINKS = CHATML + (
    "{% if add_generation_prompt %}{{ '[assistant:' }}"
    "{% if messages|length > 1 and messages[-2].role == 'tool' %}{{ ' think' }}{% endif %}"
    "{% endif %}"
)
CONTENT = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
PICK = {"words": ("red", "blue")}


def model_with(template):
    model, tokenizer = stock()
    tokenizer.chat_template = template
    return LanguageModel(model, tokenizer, "some")


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_of_one_token_is_read_as_any_other(kind):
    asks = [Prompt("a", "", "red", **PICK), Prompt("a", "", "red blue", **PICK)]
    plain = stock()
    plain[1].chat_template = CONTENT
    for some in (asks[:1], asks):
        model = model_with(CONTENT)
        assert len(model.prompt(asks[0].messages)) == 1
        team = WordTeam(model, {"a": learned(model, 3, layers=2)}, kind)
        for ask, row in zip(some, team.rows_of(some), strict=True):
            start = {"plain": 0}.get(kind, len(model.prompt(ask.messages)) - 1)
            with torch.no_grad():
                wanted = whole(plain, ask, team.adapters["a"], start)
            np.testing.assert_allclose(np.log(team.probs[row]), wanted, atol=1e-5)


def whole(plain, ask, adapter, start):
    """[W] of the words by the full forward, where the adapter acts from `start` on."""
    model, tokenizer = plain
    told = [{"role": role, "content": text} for role, text in ask.messages]
    tokens = tokenizer.apply_chat_template(told, add_generation_prompt=True, return_dict=True)
    with acting(model, adapter, start):
        logits = model(input_ids=torch.tensor([tokens["input_ids"]])).logits[0, -1]
    words = [tokenizer.encode(word, add_special_tokens=False)[0] for word in ask.words]
    return torch.log_softmax(logits[words], dim=0)


def test_prompts_must_end_where_other_tools_look_for_the_opening():
    used = [Statement("a", "call it"), Statement("clock", "seven")]
    asked = Prompt("a", "You ask.", "red?", most_tokens=4)
    tooled = conversation("a", "You ask.", "red?", used, tools=("clock",), most_tokens=4)
    model = model_with(THINKS)
    for kind in KINDS:
        demand_opened(model, kind, [asked])
        demand_opened(model_with(CHATML), kind, [asked, tooled])  # every prompt ends alike
    demand_opened(model, "plain", [asked, tooled])
    for kind in ("activated", "last_token"):
        with pytest.raises(SettingError, match=f"a: got a prompt .*adapter={kind} other tools"):
            demand_opened(model, kind, [asked, tooled])
