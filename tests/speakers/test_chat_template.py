"""Chat templates of other people: without a system role, with alternating roles, broken ones."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")

from tokenizers.processors import TemplateProcessing

from counterpoint.errors import SettingError
from counterpoint.lm.model import LanguageModel
from counterpoint.lm.template import ChatTemplate, check_model
from counterpoint.lm.tiny import VOCABULARY, tiny_model, tiny_tokenizer

PLAIN = tiny_tokenizer().chat_template
TURN = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
REFUSES = "{{ raise_exception('System role not supported') }}"
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}" + REFUSES + "{% endif %}"
    + TURN + "{% endfor %}" + ASK
)  # fmt: skip
DROPS_SYSTEM = (
    "{% for m in messages if m['role'] != 'system' %}" + TURN + "{% endfor %}" + ASK
)  # fmt: skip
ALTERNATES = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    + TURN + "{% endfor %}" + ASK
)  # fmt: skip
DROPS_TOOLS = "{% for m in messages if m['role'] != 'tool' %}" + TURN + "{% endfor %}" + ASK
REFUSES_TOOLS = NO_SYSTEM.replace("'system'", "'tool'")
INSTRUCT = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ m['content'] + ' <|endoftext|>' }}"
    "{% else %}{{ '[' + m['content'] + ']' }}{% endif %}{% endfor %}"
)
BARE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"

TALK = (("system", "be kind"), ("user", "who are you"))


def with_template(template, **changes):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return tokenizer


def template_of(template, rows=VOCABULARY, **changes):
    return ChatTemplate(with_template(template, **changes), "some", rows)


def shown(template, talk):
    return template.tokenizer.decode(template.tokens(talk)).replace("\n", "|")


def test_a_template_that_takes_everything_is_as_the_tokenizer_has_it():
    template = template_of(PLAIN)
    assert template.notes == ()
    listed = [{"role": role, "content": text} for role, text in TALK]
    tokenizer = tiny_tokenizer()
    text = tokenizer.apply_chat_template(listed, tokenize=False, add_generation_prompt=True)
    assert template.tokens(TALK) == tuple(tokenizer.encode(text, add_special_tokens=False))
    two = (("user", "red"), ("user", "blue"))
    assert shown(template, two).count("<|im_start|> user") == 2


@pytest.mark.parametrize("text", [NO_SYSTEM, DROPS_SYSTEM, ALTERNATES])
def test_where_there_is_no_system_role_its_text_goes_before_the_first_question(text):
    template = template_of(text)
    note, *others = template.notes
    assert "some takes no system message" in note
    assert len(others) == (text == ALTERNATES)  # which takes no messages of tools either
    merged = (("user", "be kind\n\nwho are you"),)
    assert template.tokens(TALK) == template.tokens(merged) == template_of(PLAIN).tokens(merged)
    earlier = (*TALK, ("assistant", "me"), ("user", "and he"))
    plain = (*merged, ("assistant", "me"), ("user", "and he"))
    assert template.tokens(earlier) == template_of(PLAIN).tokens(plain)
    assert template.tokens((("system", ""), ("user", "red"))) == template.tokens((("user", "red"),))
    assert template.tokens((("system", "red"),)) == template.tokens((("user", "red"),))


def test_where_roles_must_alternate_two_messages_of_one_role_become_one():
    talk = (("user", "red"), ("user", "blue"), ("assistant", "one"), ("user", "two"))
    joined = (("user", "red\n\nblue"), *talk[2:])
    assert template_of(ALTERNATES).tokens(talk) == template_of(PLAIN).tokens(joined)
    assert template_of(NO_SYSTEM).tokens(talk) == template_of(PLAIN).tokens(talk)


USED = (("user", "count"), ("assistant", "call it"), ("tool", "seven"), ("user", "well"))


@pytest.mark.parametrize("text", [DROPS_TOOLS, REFUSES_TOOLS])
def test_where_there_is_no_tool_its_results_are_messages_of_the_user(text):
    """The first template leaves them out without a word."""
    template = template_of(text)
    (note,) = template.notes
    assert "takes no messages of tools" in note
    wanted = tuple(("user" if role == "tool" else role, said) for role, said in USED)
    assert template.tokens(USED) == template_of(PLAIN).tokens(wanted)
    assert template_of(PLAIN).tokens(USED) != template_of(PLAIN).tokens(wanted)  # it has tools
    joined = (*USED[:2], ("user", "seven\n\nwell"))
    assert template_of(ALTERNATES).tokens(USED) == template_of(PLAIN).tokens(joined)


def test_a_template_that_can_write_the_date_is_noted():
    (note,) = template_of("{{ strftime_now('%d %B %Y') }}" + PLAIN).notes
    assert "a run that goes on on another day" in note
    assert template_of("{# no date #}" + PLAIN).notes == ()


def test_a_prompt_without_a_token_is_refused():
    template = template_of("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert len(template.tokens((("user", "red"),))) == 1
    with pytest.raises(SettingError, match="got a prompt without a token of some"):
        template.tokens((("system", ""), ("user", "")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for m in messages %}\n{{ m['content'] }\n{% endfor %}", "TemplateSyntaxError"),
        ("{{ weather.today }}", "UndefinedError: 'weather' is undefined"),
        ("{{ raise_exception('no\nthank you') }}", "TemplateError: no thank you"),
        ("{{ messages[0].content.parts[0].text }}", "UndefinedError"),
        ("hello", "leaves out what the user says"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_line(text, said):
    with pytest.raises(SettingError) as caught:
        template_of(text)
    assert said in str(caught.value)
    assert "got model 'some'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("none", [None, ""])
def test_a_model_without_a_template_gets_a_plain_one_and_says_so(none):
    template = template_of(none)
    (note,) = template.notes
    assert note.startswith("some has no chat template")
    talk = (*TALK, ("assistant", "me"), ("user", "and he"))
    wanted = "system:| be kind|| user:| who are you|| assistant:| me|| user:| and he|| assistant:|"
    assert shown(template, talk).replace(" ", "") == wanted.replace(" ", "")
    assert template.joins_system is template.alternates is False
    ends = template.ends(None)  # nothing special ends a turn of it: the tokenizer's own end does
    assert ends.tokens == {template.tokenizer.eos_token_id}
    begins = with_template(none)
    begins.add_bos_token = True
    begins._tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", begins.bos_token_id)]
    )
    assert ChatTemplate(begins, "some", VOCABULARY).tokens(TALK)[0] == begins.bos_token_id
    assert template.tokens(TALK)[0] != begins.bos_token_id


def test_the_line_of_an_error_in_a_template_is_named():
    with pytest.raises(SettingError, match=r"TemplateSyntaxError: .*, line 3\)"):
        template_of("{% for m in messages %}\n\n{{ m['content'] }\n{% endfor %}")


def test_a_template_that_fails_later_is_one_line_then():
    picky = "{% for m in messages %}{% if 'bad' in m['content'] %}" + REFUSES + "{% endif %}"
    template = template_of(picky + TURN + "{% endfor %}" + ASK)
    assert template.notes == ()
    assert template.tokens(TALK)
    with pytest.raises(SettingError, match="System role not supported"):
        template.tokens((("user", "bad"),))
    with pytest.raises(SettingError, match=r"UnicodeEncodeError|TypeError"):
        template.tokens((("user", "\ud800"),))


# vocabularies


def test_a_tokenizer_larger_than_the_model_is_refused_and_a_smaller_one_taken():
    assert template_of(PLAIN, VOCABULARY + 64).notes == ()
    with pytest.raises(SettingError, match=r"1024 tokens .* 1000 rows; wanted the tokenizer"):
        template_of(PLAIN, 1000)


def test_an_added_token_without_an_embedding_is_refused_where_it_is_used():
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|picture|>"]})
    template = ChatTemplate(tokenizer, "some", VOCABULARY)
    assert template.notes == ()
    assert template.tokens(TALK) == template_of(PLAIN).tokens(TALK)
    with pytest.raises(SettingError, match=r"token 1024 \('<\|picture\|>'\) in a prompt"):
        template.tokens((("user", "look <|picture|>"),))


# the end of an answer


@pytest.mark.parametrize(
    ("text", "configured", "wanted", "said"),
    [
        (PLAIN, 2, {2}, ""),
        (PLAIN, [2, 0], {0, 2}, ""),
        (PLAIN, None, {2}, "names no token that ends an answer: '<|im_end|>'"),
        (PLAIN, [], {2}, "is taken"),
        (PLAIN, 0, {0, 2}, "ends an answer with '<|endoftext|>': '<|im_end|>', with which"),
        (INSTRUCT, 0, {0}, ""),
        (INSTRUCT, None, {0}, "'<|endoftext|>', with which its chat template ends a turn"),
        (BARE, 2, {2}, ""),
        (BARE, None, {2}, "neither the generation config nor the chat template"),
    ],
)
def test_the_token_that_ends_an_answer(text, configured, wanted, said):
    tokens, notes = template_of(text).ends(configured)
    assert tokens == wanted
    assert len(notes) == bool(said)
    assert said in "".join(notes)


def test_an_earlier_run_keeps_the_ends_that_it_was_trained_with():
    template = template_of(PLAIN)
    assert template.ends(0, "config") == (frozenset([0]), ())
    assert template.ends([0, 2], "config") == (frozenset([0, 2]), ())
    tokens, (note,) = template.ends(None, "config")
    assert tokens == frozenset()
    assert note.startswith("warning")
    model, tokenizer = tiny_model()
    model.generation_config.eos_token_id = 0
    opened = LanguageModel(model, tokenizer, "tiny")
    assert opened.ends.tolist() == [0, 2]
    assert opened.end_answers("config") == ()
    assert (opened.ends.tolist(), opened.end_tokens) == ([0], {0})
    opened.end_answers("turn")
    assert opened.end_tokens == {0, 2}


def test_without_any_end_every_answer_is_as_long_as_it_may_be_and_that_is_said():
    tokens, (note,) = template_of(BARE, eos_token=None).ends(None)
    assert tokens == frozenset()
    assert note.startswith("warning: some names no token that ends an answer")


def test_a_model_says_what_its_small_files_say(tmp_path):
    model, tokenizer = tiny_model()
    model.generation_config.eos_token_id = model.config.eos_token_id = None
    tokenizer.chat_template = NO_SYSTEM
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    notes = check_model(str(tmp_path))
    assert notes == LanguageModel(model, tokenizer, str(tmp_path)).notes
    assert ["takes no system message" in note for note in notes] == [True, False]
    assert ["names no token that ends an answer" in note for note in notes] == [False, True]
    (tmp_path / "generation_config.json").unlink()
    assert check_model(str(tmp_path)) == notes


def test_our_models_say_nothing():
    assert LanguageModel(*tiny_model(), "tiny").notes == ()


def test_a_special_token_may_be_without_a_row_as_long_as_nobody_uses_it():
    """As the one for pictures in some models; a word without a row is refused."""
    last = tiny_tokenizer().convert_ids_to_tokens(VOCABULARY - 1)
    with pytest.raises(SettingError, match=f"{VOCABULARY} tokens .* {VOCABULARY - 1} rows"):
        template_of(PLAIN, rows=VOCABULARY - 1)
    picture = with_template(PLAIN)
    picture.add_special_tokens({"additional_special_tokens": [last]})
    template = ChatTemplate(picture, "some", VOCABULARY - 1)
    assert template.tokens(TALK) == template_of(PLAIN).tokens(TALK)
    with pytest.raises(SettingError, match=rf"got token {VOCABULARY - 1} .* in a prompt"):
        template.tokens((("user", last),))
