"""A language model of 0.1M parameters that needs no download: for tests, and for first steps.

It is a Llama with random parameters, and says nothing sensible until it is trained. Its tokenizer
is made here: a word of `common_words.COMMON`, a number below 64, a letter, a mark of punctuation or
a line break is one token, whatever surrounds it, so that a choice among such words is one step of
the model. Any other word is spelled, a token for each UTF-8 byte: no two words share a token, and
decoding gives the text back up to case and spaces. Parameters and tokens are the same in every
process, on every machine, and under every version of torch.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.lm.common_words import COMMON
from counterpoint.lm.needs import require_language

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 1024
CONTEXT_TOKENS = 2048
WIDTH, LAYERS, HEADS, KEY_HEADS, INNER = 48, 3, 4, 2, 80
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

_SPACE = "\u2581"
"""What a token begins with where a space may stand before it in the text."""
_NUMBERS = 64
_PIECE = r"\n|\w+|[^\w\s]"
_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def tiny_model(
    seed: int = 0, words: Iterable[str] = ()
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A random model of 104,784 parameters in 32-bit floats, and its tokenizer.

    Args:
        seed: another one gives other parameters; no global generator is read or moved.
        words: more words to read as one token each, at most `spare()`.

    Raises:
        SettingError: a word that is not one word, or more words than there is room for.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(words)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.convert_tokens_to_ids(START),
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        pad_token_id=tokenizer.convert_tokens_to_ids(END_OF_TEXT),
    )
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.copy_(torch.from_numpy(_drawn(seed, name, tuple(parameter.shape))))
            else:
                parameter.fill_(1.0)
    return model.eval(), tokenizer


def tiny_tokenizer(words: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """The tokenizer alone, with a chat template in the manner of ChatML.

    Raises:
        SettingError: a word that is not one word, or more words than there is room for.
        MissingPackageError: transformers is not installed.
    """
    require_language()
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = {token: number for number, token in enumerate(_tokens(words))}
    # Without merges a word is found as a whole, or it falls to bytes.
    core = Tokenizer(models.BPE(tokens, [], byte_fallback=True, ignore_merges=True))
    core.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECE), "removed", invert=True),
            pre_tokenizers.Metaspace(_SPACE, prepend_scheme="always", split=False),
        ]
    )
    core.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(Regex(r" (?=[.,;:!?)\]}])"), ""),
            decoders.Replace(Regex(r"(?<=[(\[{]) "), ""),
            decoders.Replace(Regex(r" ?\n ?"), "\n"),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=START,
        eos_token=END,
        pad_token=END_OF_TEXT,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        chat_template=_TEMPLATE,
    )


def spare() -> int:
    """How many words of one's own there is room for."""
    return VOCABULARY - len(_fixed())


def _fixed() -> list[str]:
    """The tokens that are always there, in their order: the position is the number of a token."""
    always = (*string.punctuation, "\n", *string.ascii_lowercase, *map(str, range(_NUMBERS)))
    whole = dict.fromkeys(_SPACE + piece for piece in (*always, *COMMON))
    return [END_OF_TEXT, START, END, _SPACE, *map("<0x{:02X}>".format, _spelling_bytes()), *whole]


def _spelling_bytes() -> list[int]:
    """The bytes in which a word may have to be spelled.

    The others are in no UTF-8, or are capitals, spaces and punctuation, which are never spelled.
    """
    never = set(map(ord, string.ascii_uppercase + string.punctuation + string.whitespace)) - {95}
    return [byte for byte in range(0xF5) if byte not in (never | {0xC0, 0xC1})]


def _tokens(words: Iterable[str]) -> Sequence[str]:
    fixed = _fixed()
    more = []
    for word in dict.fromkeys(word.lower() for word in words):
        if not re.fullmatch(r"\w+", word):
            raise SettingError(f"got {word!r} among the words; wanted letters and digits alone")
        if _SPACE + word not in fixed:
            more.append(_SPACE + word)
    room = VOCABULARY - len(fixed)
    if len(more) > room:
        raise SettingError(f"got {len(more)} new words; wanted at most {room}")
    return [*fixed, *more, *(f"{_SPACE}spare{i}" for i in range(room - len(more)))]


def _drawn(seed: int, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform numbers of variance 1 / fan-in, so that a layer neither swells nor fades.

    They come from the bits of the generator by one multiplication: no library rounds them its own
    way. Each parameter has a stream of its own, so their order does not matter.
    """
    rng = np.random.Generator(np.random.PCG64([seed, *name.encode()]))
    edge = np.sqrt(np.float32(3 / shape[-1]))
    return np.asarray((2 * rng.random(shape, dtype=np.float32) - 1) * edge)
