"""Arguments of a chat template reach it, and those that it does not read are named."""

from __future__ import annotations

import pytest

from counterpoint.errors import SettingError
from counterpoint.lm.arguments import note_unread, template_arguments, with_template
from counterpoint.lm.model import LanguageModel, open_model
from counterpoint.lm.tiny import tiny_model

ASKED = (("user", "which"),)


def thinker():
    """The tiny model with a template that reads an argument, as Qwen3's does."""
    model, tokenizer = tiny_model()
    tokenizer.chat_template += (
        "{%- if add_generation_prompt and enable_thinking is false -%}"
        "{{ 'think nothing\n' }}{%- endif -%}"
    )
    return LanguageModel(model, tokenizer, "thinker")


def test_an_argument_changes_the_prompt_of_this_model_alone():
    model = thinker()
    before, opening = model.prompt(ASKED), model.opening
    other = with_template(model, "enable_thinking:false")
    assert other.prompt(ASKED)[: len(before)] == before
    extra = model.tokenizer.decode(other.prompt(ASKED)[len(before) :])
    assert extra.strip() == "think nothing"
    assert other.prompt(ASKED)[-len(other.opening) :] == other.opening
    assert len(other.opening) > len(opening)
    assert (model.prompt(ASKED), model.opening) == (before, opening)
    assert with_template(model, "enable_thinking:true").prompt(ASKED) == before
    assert with_template(model, "") is model
    assert other.model is model.model


def test_values_are_read_as_python_would():
    found = template_arguments("enable_thinking:false, level:3, name:a b, none_of:none")
    assert found == {"enable_thinking": False, "level": 3, "name": "a b", "none_of": None}
    assert template_arguments("") == {}


@pytest.mark.parametrize("text", ["enable_thinking", "messages:a", "add_generation_prompt:false"])
def test_what_is_no_argument_of_a_template_is_refused(text):
    with pytest.raises(SettingError, match="template"):
        with_template(open_model("tiny"), text)


def test_arguments_that_change_nothing_are_named():
    (note,) = note_unread("tiny", "enable_thinkin:false")
    assert note == (
        "template=enable_thinkin changes nothing: the chat template of tiny does not read it; "
        "arguments that it reads: none"
    )
    assert note_unread("tiny", "") == ()


def test_arguments_that_are_read_are_not_named(tmp_path):
    model = thinker()
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    assert note_unread(str(tmp_path), "enable_thinking:false") == ()
    (note,) = note_unread(str(tmp_path), "enable_thinking:false,level:2")
    assert "template=level changes nothing" in note
    assert note.endswith("arguments that it reads: enable_thinking")
