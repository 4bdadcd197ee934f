"""The tokenizer: byte-level BPE learned from the curriculum, digits apart, the adapter's fixed phrases in one token.

Three kinds of token: the turns' marks (special), phrases that DSPy's adapters repeat in every prompt (added tokens
that decode to their text), and what BPE learned. The 256 bytes are in it, so every text can be written and read
back without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from ..derive import derive
from .curriculum import episode
from .episode import FORM_WEIGHT, Episode
from .phrases import PHRASES

START, SYSTEM, USER, ASSISTANT, END = "<|start|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (END, START, SYSTEM, USER, ASSISTANT)
CHAT_TEMPLATE = (
    "{{ '<|start|>' }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
WORDS = r"'(?:s|t|re|ve|m|ll|d)\b| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def texts(episodes: Iterable[Episode]) -> Iterator[str]:
    """Every turn of the episodes."""
    for e in episodes:
        for _, pieces in e.conversation():
            yield "".join(text for text, _ in pieces)


def train_tokenizer(corpus: Iterable[str], size: int) -> Tokenizer:
    """A tokenizer of `size` tokens, special ones and phrases included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(PHRASES),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    longest = sorted(PHRASES, key=len, reverse=True)

    def without_phrases() -> Iterator[str]:
        for text in corpus:
            parts = [text]
            for phrase in longest:
                parts = [piece for part in parts for piece in part.split(phrase) if piece]
            yield from parts

    tokenizer.train_from_iterator(without_phrases(), trainer)
    tokenizer.add_tokens([AddedToken(p, normalized=False, special=False) for p in PHRASES])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write it as a transformers tokenizer folder, with the chat template."""
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=context,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that has to be there."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"the tokenizer has no token {token!r}: it was not made by train_tokenizer")
    return found


def encode_episode(tokenizer: Tokenizer, e: Episode) -> tuple[list[int], list[float]]:
    """Token ids of the whole episode and, for each, how much predicting it counts (0 for what the user says)."""
    mark = {name: token_id(tokenizer, name) for name in SPECIAL}
    ids, weights = [mark[START]], [0.0]
    for role, pieces in e.conversation():
        encoding = tokenizer.encode("".join(text for text, _ in pieces), add_special_tokens=False)
        ids.extend([mark[f"<|{role}|>"], *encoding.ids, mark[END]])
        if role != "assistant":
            weights.extend([0.0, *[pieces[0][1]] * len(encoding.ids), 0.0])
            continue
        ends, at = [], 0
        for text, weight in pieces:
            at += len(text)
            ends.append((at, weight))
        own = [next(w for end, w in ends if start < end) for start, _ in encoding.offsets]
        weights.extend([0.0, *own, FORM_WEIGHT])
    return ids, weights


def sample_texts(seed: int, n: int) -> Iterator[str]:
    """Text of n episodes of the curriculum, to learn the tokenizer from."""
    return texts(episode(derive(seed, "tokenizer", i), "train", 1.0) for i in range(n))


__all__ = ["PHRASES", "SPECIAL", "encode_episode", "sample_texts", "save_tokenizer", "token_id", "train_tokenizer"]
