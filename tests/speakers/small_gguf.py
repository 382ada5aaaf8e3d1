"""A Llama of a few thousand parameters as a GGUF file, and a wheel that carries it."""

import string
import zipfile

import numpy as np

WIDTH, INNER, HEADS, CONTEXT = 32, 48, 2, 64
MEMBER = "small_model/Small.gguf"
WHEEL = "small_model-1.0-py3-none-any.whl"
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "ab", *string.printable[:95]]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_gguf(path):
    """A model with one layer and a letter a token."""
    from gguf import GGUFWriter, TokenType

    rng = np.random.default_rng(0)
    writer = GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["Ġ" if token == " " else token for token in TOKENS])
    writer.add_token_merges(["a b"])
    kinds = [TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(TOKENS) - 3)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    shapes = {
        "token_embd": (len(TOKENS), WIDTH),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH, WIDTH),
        "blk.0.attn_v": (WIDTH, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_gate": (INNER, WIDTH),
        "blk.0.ffn_up": (INNER, WIDTH),
        "blk.0.ffn_down": (WIDTH, INNER),
        "blk.0.attn_norm": (WIDTH,),
        "blk.0.ffn_norm": (WIDTH,),
        "output_norm": (WIDTH,),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(path, gguf):
    """A wheel that pip takes, with these bytes as its model."""
    facts = "small_model-1.0.dist-info"
    told = {
        "METADATA": "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, gguf)
        for name, text in told.items():
            archive.writestr(f"{facts}/{name}", text)
