"""Real, tiny, randomly initialised models in Hugging Face folders, made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

SENTENCE = "[[ ## question ## ]]\nthe quick brown fox [[ ## completed ## ]]"
PROMPT = """Your input fields are: 1. `question` (str): Your output fields are: 1. `answer` (Literal['yes', 'no']):
All interactions will be structured in the following way, with the appropriate values filled in.
[[ ## question ## ]] {question} [[ ## answer ## ]] {answer} [[ ## completed ## ]]
# note: the value you produce must exactly match (no extra characters) one of: yes; no
In adhering to this structure, your objective is: Given the fields `question`, produce the fields `answer`.
Respond with the corresponding output fields, starting with the field `[[ ## answer ## ]]` (must be formatted as a valid
Python Literal['yes', 'no']), and then ending with the marker for `[[ ## completed ## ]]`.
"""
"""What DSPy's adapter says around inputs. A tokenizer that knows it makes half as many tokens of a prompt, and so
trainings that take half the time."""


def tokenizer(vocab: int = 400, template: str | None = TEMPLATE, text: str = SENTENCE) -> Any:
    """A byte-level BPE tokenizer that knows a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([text] * 5, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|end|>")
    made.chat_template = template
    return made


def save(model: Any, folder: Path, template: str | None = TEMPLATE, text: str = SENTENCE) -> Path:
    """The model with its tokenizer."""
    tokens = tokenizer(template=template, text=text)
    for config in (model.config, getattr(model, "generation_config", None)):
        if config is not None:
            config.pad_token_id, config.eos_token_id = tokens.pad_token_id, tokens.eos_token_id
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def causal(folder: Path, kind: str = "lfm2", *, context: int = 512, seed: int = 0, text: str = SENTENCE) -> Path:
    """A causal LM: ``lfm2`` (convolutions and attention), ``llama`` (grouped queries), ``mistral`` (sliding window),
    ``longrope`` (a llama whose angles change where a position lies beyond 256)."""
    import torch
    import transformers as tf

    torch.manual_seed(seed)
    common: dict[str, Any] = {
        "vocab_size": 400, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": context, "initializer_range": 0.4,
        "bos_token_id": None, "pad_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    if kind == "lfm2":
        config = tf.Lfm2Config(
            num_hidden_layers=3, full_attn_idxs=[1], block_auto_adjust_ff_dim=False, conv_L_cache=3, **common
        )
        model: Any = tf.Lfm2ForCausalLM(config)
    elif kind in ("llama", "longrope"):
        rope = {
            "rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 256, "factor": 2.0,
            "short_factor": [1.0] * 8, "long_factor": [4.0] * 8,
        } if kind == "longrope" else None  # fmt: skip
        model = tf.LlamaForCausalLM(tf.LlamaConfig(num_hidden_layers=2, rope_parameters=rope, **common))
    else:
        model = tf.MistralForCausalLM(tf.MistralConfig(num_hidden_layers=2, sliding_window=16, **common))
    return save(model, folder, text=text)


def recurrent(folder: Path, kind: str = "Mamba", seed: int = 0) -> Path:
    """A causal LM that keeps a state in place of keys and values: ``Mamba`` or ``Rwkv``."""
    import torch
    import transformers as tf

    torch.manual_seed(seed)
    more: dict[str, Any] = {"Mamba": {"initializer_range": 0.4}, "Rwkv": {"attention_hidden_size": 64}}[kind]
    config = getattr(tf, f"{kind}Config")(
        vocab_size=400, hidden_size=64, num_hidden_layers=2, bos_token_id=None, pad_token_id=0, eos_token_id=1, **more
    )
    return save(getattr(tf, f"{kind}ForCausalLM")(config), folder)


def encoder(folder: Path, seed: int = 0, text: str = SENTENCE) -> Path:
    """A BERT without a head."""
    import torch
    import transformers as tf

    torch.manual_seed(seed)
    config = tf.BertConfig(
        vocab_size=400, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=256,
    )  # fmt: skip
    return save(tf.BertModel(config), folder, template=None, text=text)


def bart(folder: Path, *, context: int = 100, seed: int = 0) -> Path:
    """A BART: an encoder and a decoder with a learned vector for each of so many positions."""
    import torch
    import transformers as tf

    torch.manual_seed(seed)
    config = tf.BartConfig(
        vocab_size=400, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128, max_position_embeddings=context,
        init_std=0.4, pad_token_id=0, bos_token_id=1, eos_token_id=1, decoder_start_token_id=1,
        forced_eos_token_id=None,
    )  # fmt: skip
    return save(tf.BartForConditionalGeneration(config), folder, template=None)


def seq2seq(folder: Path, seed: int = 0, text: str = SENTENCE) -> Path:
    """A T5."""
    import torch
    import transformers as tf

    torch.manual_seed(seed)
    config = tf.T5Config(
        vocab_size=400, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, decoder_start_token_id=0,
        pad_token_id=0, eos_token_id=1, initializer_factor=3.0,
    )  # fmt: skip
    return save(tf.T5ForConditionalGeneration(config), folder, template=None, text=text)
