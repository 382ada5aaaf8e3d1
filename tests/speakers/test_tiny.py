"""The tiny model: the same everywhere, one token a word, text that comes back, and it can learn."""

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.errors import SettingError
from counterpoint.lm.tiny import COMMON, VOCABULARY, spare, tiny_model, tiny_tokenizer

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


PARAMETERS = "c52834c2440092c99bce3da3312d0fa7500e841ddea7e039e9e11125e6949bb3"
TOKENS = "a0510265dd96c5a6f60d7f8515d9c01931f1a8e2315fd0caa4cda39f4e95bac2"
CHAT = [
    {"role": "system", "content": "You are the speaker."},
    {"role": "user", "content": "The target is: star. Say red, green or blue."},
]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def tokens(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer.encode(text))


def test_parameters_are_the_same_in_every_process_and_version():
    torch.manual_seed(7)
    digest = hashlib.sha256()
    for name, values in sorted(tiny_model()[0].named_parameters()):
        digest.update(name.encode() + values.detach().numpy().tobytes())
    assert digest.hexdigest() == PARAMETERS


def test_tokens_are_the_same_in_every_version(tokenizer):
    in_order = "\n".join(tokenizer.convert_ids_to_tokens(list(range(VOCABULARY))))
    assert hashlib.sha256(in_order.encode()).hexdigest() == TOKENS


def test_size_and_seeds():
    model, tokenizer = tiny_model()
    assert sum(values.numel() for values in model.parameters()) == 104_784
    assert len(tokenizer) == model.config.vocab_size == VOCABULARY == 1024
    other, _ = tiny_model(1)
    weights, others = model.state_dict(), other.state_dict()
    assert not torch.equal(weights["lm_head.weight"], others["lm_head.weight"])


def test_chance_of_others_is_not_moved():
    torch.manual_seed(3)
    untouched = torch.rand(4)
    torch.manual_seed(3)
    tiny_model()
    assert torch.equal(torch.rand(4), untouched)


def test_every_common_word_is_one_token_of_its_own(tokenizer):
    assert len(COMMON) == 659
    numbers = [tokenizer.encode(word) for word in COMMON]
    assert all(len(one) == 1 for one in numbers)
    assert len({one[0] for one in numbers}) == len(COMMON)


@pytest.mark.parametrize("text", ["red", " red", "Red", "\tRED "])
def test_a_word_is_one_token_whatever_surrounds_it(tokenizer, text):
    assert tokens(tokenizer, text) == ["▁red"]


def test_punctuation_is_split_off_and_unknown_words_are_spelled(tokenizer):
    assert tokens(tokenizer, "(red,63)\n") == ["▁(", "▁red", "▁,", "▁63", "▁)", "▁\n"]
    assert tokens(tokenizer, "zé") == ["▁", "<0x7A>", "<0xC3>", "<0xA9>"]


def test_own_words_are_one_token_each():
    own = [f"w{i}" for i in range(spare())]
    tokenizer = tiny_tokenizer([*own, "Red", "W0"])
    assert {len(tokenizer.encode(word)) for word in own} == {1}
    assert len(tokenizer) == VOCABULARY
    assert tokenizer.encode("red") == tiny_tokenizer().encode("red")
    with pytest.raises(SettingError, match="at most 60"):
        tiny_tokenizer([*own, "w60"])
    for bad in ("two words", "half-way", ""):
        with pytest.raises(SettingError, match="letters and digits"):
            tiny_tokenizer([bad])


def test_decoded_text_reads_as_it_was_written(tokenizer):
    text = "you are agent 2 (of 3): say red, green or blue!\nzorp? 日本 👍"
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="▁"), max_size=40))
def test_text_comes_back_up_to_case_and_spaces(tokenizer, text):
    def bare(text):
        return "".join(unicodedata.normalize("NFC", text).casefold().split())

    assert bare(tokenizer.decode(tokenizer.encode(text))) == bare(text)


def test_a_chat_is_rendered_in_the_manner_of_chatml(tokenizer):
    text = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<|im_start|>system\nYou are the speaker.<|im_end|>\n"
        "<|im_start|>user\nThe target is: star. Say red, green or blue.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert tokens(tokenizer, text)[:4] == ["<|im_start|>", "▁system", "▁\n", "▁you"]
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True).startswith("system\n")


def test_saved_and_loaded_it_is_the_same(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = tiny_model(5, ["zorp"])
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    text = tokenizer.apply_chat_template(CHAT, tokenize=False) + "zorp (x), Ω"
    again = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert again.encode(text) == tokenizer.encode(text)
    assert again.decode(again.encode(text)) == tokenizer.decode(tokenizer.encode(text))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    for name, values in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], values)


def test_an_answer_that_hangs_on_the_prompt_can_be_learned():
    torch.manual_seed(0)
    model, tokenizer = tiny_model()
    seen = [f"the target is {thing} ." for thing in ("apple", "dog", "star", "boat")]
    prompts = torch.tensor([tokenizer.encode(text) for text in seen])
    legal = torch.tensor([tokenizer.encode(word)[0] for word in ("red", "green", "blue", "yellow")])
    optimizer = torch.optim.Adam(model.model.layers.parameters(), lr=3e-3)
    for _ in range(30):
        logits = model(input_ids=prompts).logits[:, -1, legal]
        loss = torch.nn.functional.cross_entropy(logits, torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(logits.argmax(-1), torch.arange(4))
    assert loss.item() < 0.1
