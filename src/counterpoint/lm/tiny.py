"""A language model of 0.1M parameters that needs no download: for tests, and for first steps.

It is a Llama with random parameters, whose text makes no sense until it is trained. Its tokenizer
is made here: a word of `COMMON`, a number below 64, a letter, a punctuation mark or a line break is
one token, whatever surrounds it, so that a choice among such words is one step of the model. Any
other word is spelled with one token for each UTF-8 byte: no two words share a token, and decoding
gives the text back up to case and spaces. Parameters and tokens are the same in every process, on
every machine, and under every version of torch.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from counterpoint.errors import SettingError
from counterpoint.optional import require_language

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

_WORDS = """
a an the this that these those some any each every all both none no not and or but if then else
when while where who what which why how than as of in on at to from by for with without about
between before after into over under up down out off near far here there again also only just
very too more most less least much many few other another same different own such so because
until through against i you he she it we they me him her us them my your his its our their mine
yours be is are was were been being am do does did done have has had can could will would shall
should may might must
say says said tell tells told ask asks asked answer answers answered choose chooses chose chosen
pick picks picked name names named give gives gave given take takes took taken get gets got make
makes made go goes went come comes came see sees saw seen look looks looked show shows shown
find finds found know knows known think thinks thought want wants wanted need needs needed use
uses used try tries tried work works worked help helps helped wait waits waited move moves moved
keep keeps kept put send sends sent read write writes written call calls called play plays
played win wins won lose loses lost agree agrees agreed meet meets met share shares shared
follow lead stop stops start starts begin end ends open close turn pass hold push pull build
solve plan check test repeat reply respond count add learn speak listen hear talk talks guess
match point reach collect carry drop buy sell pay pays earn cost save spend offer accept reject
vote trust cooperate defect compete hunt eat sleep run walk stay leave return let
agent agents team teams player players partner partners speaker listener planner worker judge
leader user assistant system human person people man woman child friend everybody everyone
somebody nobody group member role task game round step action message word words letter letters
number numbers line list sentence text question reward score points total goal target rule rules
choice choices option options value values result reason fact problem idea part side place way
time day night week year hour minute thing things object objects item items world map room door
house home city street river road field forest tree water fire air earth sun moon star stars sky
sea hill rock stone wall bridge box bag key lock coin gold silver money food bread apple apples
banana pear orange lemon cherry grape berry milk tea coffee book paper pen cup glass bottle
table chair bed lamp clock phone car boat ship train bus plane ball bell bird cat dog fish horse
cow sheep wolf bear lion tiger fox mouse rabbit stag hare snake frog bee ant hand head eye ear
foot heart king queen tower france paris capital
red green blue yellow orange purple pink brown black white gray grey golden cyan magenta violet
big small large little tall short long high low wide narrow heavy light dark bright hot cold
warm cool new old young good bad better best worse worst great fine right wrong true false
correct exact ready full empty closed free busy fast slow early late hard easy soft strong weak
rich poor safe same sure happy sad kind honest private public common secret whole alone next
last first second third fourth
left right north south east west top bottom middle center centre front back inside outside above
below corner edge row column ahead behind around across together apart away circle square
triangle cross diamond line dot cube
yes no maybe ok okay hello hi please thanks sorry none nothing something anything always never
often one two three four five six seven eight nine ten eleven twelve zero hundred thousand half
double pair now today tomorrow yesterday soon still already your helpful exactly according given
following either neither instead
"""

COMMON = tuple(dict.fromkeys(_WORDS.split()))
"""English words that are one token each; their order never changes, for it numbers the tokens."""

VOCABULARY = 1024
CONTEXT_TOKENS = 2048
WIDTH, LAYERS, HEADS, KEY_HEADS, INNER = 48, 3, 4, 2, 80
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

_SPACE = "\u2581"
"""The beginning of a token before which a space may stand in the text."""
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
    """Returns a random model of 104,784 parameters in 32-bit floats, and its tokenizer.

    Args:
        seed: decides the parameters; no global generator is read or moved.
        words: additional words that are one token each, at most `spare()`.

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
    """Returns the tokenizer alone, with a chat template like that of ChatML.

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
    """Returns how many additional words the vocabulary has room for."""
    return VOCABULARY - len(_fixed())


def _fixed() -> list[str]:
    """Returns the tokens that every tokenizer has; the position of a token is its number."""
    # The other bytes never occur in UTF-8, or are capitals, spaces and punctuation, which are never
    # spelled.
    never = set(map(ord, string.ascii_uppercase + string.punctuation + string.whitespace)) - {95}
    spelling = [byte for byte in range(0xF5) if byte not in (never | {0xC0, 0xC1})]
    always = (*string.punctuation, "\n", *string.ascii_lowercase, *map(str, range(_NUMBERS)))
    whole = dict.fromkeys(_SPACE + piece for piece in (*always, *COMMON))
    return [END_OF_TEXT, START, END, _SPACE, *map("<0x{:02X}>".format, spelling), *whole]


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
    """Returns uniform numbers of variance 1 / fan-in, so that signals keep their size.

    One multiplication makes them from the generator's bits, so that no library rounds them
    differently. Each parameter has its own stream, so that their order does not matter.
    """
    rng = np.random.Generator(np.random.PCG64([seed, *name.encode()]))
    edge = np.sqrt(np.float32(3 / shape[-1]))
    return np.asarray((2 * rng.random(shape, dtype=np.float32) - 1) * edge)
