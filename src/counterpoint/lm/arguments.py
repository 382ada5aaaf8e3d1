"""Arguments of a chat template, such as whether a model thinks before it answers.

A chat template is a Jinja program inside a tokenizer. Some read arguments beside the messages:
Qwen3's reads `enable_thinking`.
"""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from counterpoint.errors import ModelError, SettingError
from counterpoint.lm.model import TINY, LanguageModel
from counterpoint.lm.models import load_small_files
from counterpoint.lm.tiny import tiny_tokenizer
from counterpoint.settings import from_text, split_list, split_pairs

GIVEN = {
    "messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token",
    "pad_token", "unk_token", "raise_exception", "strftime_now",
}  # fmt: skip
"""What transformers gives to every template; it is not for the user to set."""


def template_arguments(text: str) -> dict[str, object]:
    """Returns the arguments in `enable_thinking:false,level:2`, each as Python would read it.

    Raises:
        SettingError: a part is no pair, or names what a template always gets.
    """
    pairs = split_pairs(split_list(text), "template", "argument:value", ":")
    if taken := sorted(GIVEN & set(pairs)):
        raise SettingError(
            f"got template argument {taken[0]!r}, which every template gets from the prompt; "
            "wanted an argument of its own, such as enable_thinking:false"
        )
    return {name: from_text(value) for name, value in pairs.items()}


def with_template(model: LanguageModel, text: str) -> LanguageModel:
    """Returns the model whose chat template gets the arguments in `text`; weights are shared.

    Raises:
        SettingError: as `template_arguments`.
    """
    arguments = template_arguments(text)
    return model.with_template(arguments) if arguments else model


def note_unread(name: str, text: str) -> tuple[str, ...]:
    """Returns a sentence about arguments that the template of a model does not read, if any.

    Args:
        name: as in `open_model`.
        text: as in `template_arguments`.

    Raises:
        SettingError: as `template_arguments`.
        ModelError: the model or its template cannot be read.
    """
    arguments = template_arguments(text)
    if not arguments:
        return ()
    source = _template_of(name)
    templates = source.values() if isinstance(source, Mapping) else [source]
    try:
        parse = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse
        read = {x for one in templates for x in find_undeclared_variables(parse(_plain(one)))}
    except TemplateError as error:
        raise ModelError(f"could not read the chat template of {name} ({error})") from None
    if not (unread := sorted(set(arguments) - read)):
        return ()
    own = ", ".join(sorted(read - GIVEN)) or "none"
    return (
        f"template={','.join(unread)} changes nothing: the chat template of {name} does not read "
        f"it; arguments that it reads: {own}",
    )


def _template_of(name: str) -> object:
    if name == TINY:
        return tiny_tokenizer().chat_template
    return load_small_files(name)[0].chat_template


def _plain(template: object) -> str:
    """Returns a template without the `generation` marks, which Jinja itself does not know."""
    text = str(template or "")
    for mark in ("generation", "endgeneration"):
        for left in ("{%", "{%-"):
            for right in ("%}", "-%}"):
                text = text.replace(f"{left} {mark} {right}", "")
    return text
