"""An answer does not depend on who shares its batch, joins it, or whose prefix it found."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from asking import ask_together, request, texts
from dspy.lm15 import Config
from dstill.runtime.engines.local import attention
from dstill.runtime.engines.local.attention import MIN_QUERIES, PAGE
from dstill.runtime.engines.local.cache import PIECE, Block
from dstill.runtime.engines.local.causal import CausalEngine
from dstill.runtime.engines.local.checks import check_invariance
from dstill.runtime.engines.local.decoder import Decoder, Row
from dstill.runtime.engines.local.prefix import PrefixStore, names
from dstill.runtime.engines.local.sampling import Chooser
from dstill.runtime.engines.local.seq2seq import Seq2SeqEngine
from dstill.runtime.engines.local.shape import Shape, shared_pages
from dstill.runtime.wire import request_of_chat


@pytest.mark.parametrize("kind", ["lfm2", "llama", "t5", "mistral"])
def test_answers_are_the_same_alone_and_together_greedy_and_sampled(folders: dict[str, Path], kind: str) -> None:
    make = Seq2SeqEngine if kind == "t5" else CausalEngine
    requests = [request(text) for text in texts(14)]
    requests += [request(text, temperature=1.0, top_p=0.9, seed=n, logprobs=2) for n, text in enumerate(texts(14))]
    together = ask_together(make(folders[kind]), requests)
    fresh = make(folders[kind])
    alone = [fresh.complete(r) for r in requests]
    assert [r.text for r in alone] == [r.text for r in together]
    assert [r.logprobs for r in alone] == [r.logprobs for r in together]
    assert len({r.text for r in alone}) > 10
    for engine in (fresh,):
        engine.close()


@pytest.mark.parametrize("kind", ["lfm2", "llama"])
def test_scores_are_bit_for_bit_independent_of_batch_and_prefix_store(folders: dict[str, Path], kind: str) -> None:
    model, shape = _ready(folders[kind])
    chance = random.Random(1)
    prefix = [chance.randrange(400) for _ in range(150)]
    prompts = [[*prefix[: chance.randrange(151)], *(chance.randrange(400) for _ in range(n))] for n in range(1, 40)]

    def logits(prompts: list[list[int]], store: PrefixStore) -> list[torch.Tensor]:
        seen: list[list[torch.Tensor]] = [[] for _ in prompts]

        def choose(index: int) -> Any:
            return lambda scores, likeliest: seen[index].append(scores.clone()) or likeliest

        Decoder(model, shape, store).run([Row(list(ids), choose(n), 30) for n, ids in enumerate(prompts)])
        return [torch.stack(row) for row in seen]

    store = PrefixStore(2**28)
    cold, warm = logits(prompts, store), logits(prompts[::-1], store)[::-1]
    assert store.hits > 0
    for index in range(0, 39, 5):
        (alone,) = logits([prompts[index]], PrefixStore(0))
        assert torch.equal(alone, cold[index])
        assert torch.equal(alone, warm[index])


@pytest.mark.parametrize(("kind", "room"), [("lfm2", 9), ("llama", 40)])
def test_who_joins_on_the_way_changes_no_score(folders: dict[str, Path], kind: str, room: int) -> None:
    model, shape = _ready(folders[kind])
    chance = random.Random(2)
    prefix = [chance.randrange(400) for _ in range(130)]
    prompts = [[*prefix[: chance.randrange(131)], *(chance.randrange(400) for _ in range(n))] for n in range(1, 31)]
    lengths = [chance.choice([1, 3, 20, 70]) for _ in prompts]
    ended: list[int] = []

    def rows(seen: dict[int, list[torch.Tensor]], indices: Sequence[int]) -> list[Row]:
        def row(n: int) -> Row:
            def choose(scores: torch.Tensor, likeliest: int) -> int:
                seen.setdefault(n, []).append(scores.clone())
                return likeliest

            return Row(list(prompts[n]), choose, lengths[n], lambda: ended.append(n))

        return [row(n) for n in indices]

    joined: dict[int, list[torch.Tensor]] = {}
    first, *later = rows(joined, range(30))
    Decoder(model, shape, PrefixStore(2**28)).run([first], Late(later, room))
    assert sorted(ended) == list(range(30))
    for n in range(0, 30, 3):
        alone: dict[int, list[torch.Tensor]] = {}
        Decoder(model, shape, PrefixStore(0)).run(rows(alone, [n]))
        assert len(joined[n]) == lengths[n]
        assert torch.equal(torch.stack(alone[n]), torch.stack(joined[n]))


class Late:
    """Rows of which one more waits with every other look."""

    def __init__(self, rows: Sequence[Row], room: int) -> None:
        self.room, self._rows, self._looks = room, list(rows), 0

    def waiting(self) -> int:
        self._looks += 1
        return min(len(self._rows), self._looks // 2)

    def take(self, most: int) -> list[Row]:
        count = min(most, max(1, self._looks // 2))
        taken, self._rows, self._looks = self._rows[:count], self._rows[count:], 0
        return taken


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("lfm2", "__call__"),
        ("lfm2", "begin"),
        ("lfm2", "text"),
        ("mistral", "__call__"),
        ("t5", "__call__"),
        ("t5", "text"),
    ],
)
def test_what_goes_wrong_with_an_answer_ends_its_call_alone(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str, step: str
) -> None:
    whole = getattr(Chooser, step)

    def broken(chooser: Chooser, *given: Any) -> Any:
        if chooser.most == 7:
            raise ValueError("a broken answer")
        return whole(chooser, *given)

    monkeypatch.setattr(Chooser, step, broken)
    engine = (Seq2SeqEngine if kind == "t5" else CausalEngine)(folders[kind])

    def said(most: int) -> str | None:
        try:
            return engine.complete(request("fox", max_tokens=most)).text
        except ValueError as error:
            return str(error)

    alone = said(12)
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(said, [12, 7, 12, 12, 7])) == [alone, "a broken answer", alone, alone, "a broken answer"]
    engine.close()


def test_a_short_answer_does_not_wait_for_a_long_one(folders: dict[str, Path]) -> None:
    engine, alone = CausalEngine(folders["lfm2"]), CausalEngine(folders["lfm2"])
    short, long = request("quick", max_tokens=2), request("a dog", max_tokens=150)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(engine.complete(long)))
    thread.start()
    while not any(lane.taken for lane in engine._batcher._lanes):
        time.sleep(0.001)
    answer = engine.complete(short)
    assert not found
    thread.join()
    assert found[0].usage.output_tokens == 150
    assert [answer.text, found[0].text] == [alone.complete(short).text, alone.complete(long).text]
    for some in (engine, alone):
        some.close()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coarse_numbers_are_not_taken_for_a_strange_state(folders: dict[str, Path], dtype: torch.dtype) -> None:
    model = _loaded(folders["lfm2"])[0].to(dtype)
    assert check_invariance(model, Shape.of(model)) in (None, "answers depend on which other calls share their batch")


def test_the_check_sees_a_model_whose_answers_depend_on_their_batch(folders: dict[str, Path]) -> None:
    model, shape = _loaded(folders["llama"])
    assert check_invariance(model, shape) is None
    block = model.model.layers[0].mlp
    plain = block.forward
    block.forward = lambda x: plain(x) + 1e-3 * x.abs().mean()  # every row feels the batch
    assert "share their batch" in str(check_invariance(model, shape))


def test_the_check_sees_a_model_that_keeps_its_state_elsewhere(folders: dict[str, Path]) -> None:
    model, shape = _loaded(folders["llama"])
    own = model.config._attn_implementation
    forward = model.model.layers[0].self_attn.forward
    model.model.layers[0].self_attn.forward = lambda **kw: forward(**{**kw, "past_key_values": None})
    assert check_invariance(model, shape) is not None
    assert model.config._attn_implementation == own != attention.NAME


def test_each_piece_of_a_prompt_is_computed_once(folders: dict[str, Path]) -> None:
    engine = CausalEngine(folders["lfm2"])
    requests = [request(text) for text in texts(30)]
    prompts = [engine.loaded[2].tokens(r) for r in requests]
    pieces = {name for ids in prompts for name in names(ids)}
    assert len(pieces) < sum(len(names(ids)) for ids in prompts) - 29
    for _ in range(2):
        ask_together(engine, requests)
    assert engine.decoder is not None
    assert engine.decoder._store.computed == len(pieces)


def test_pieces_cover_a_prompt_but_its_last_token() -> None:
    for length in range(1, 100):
        assert len(names(list(range(length)))) == (length - 1) // PIECE
    ids = list(range(200))
    assert names(ids)[:8] == names([*ids[:128], *range(500, 572)])[:8]
    assert names(ids)[8] != names([*ids[:128], *range(500, 572)])[8]


def test_pages_are_shared_from_the_first_on_by_rows_that_hold_the_same_blocks() -> None:
    def block(tokens: int = PIECE) -> Block:
        return Block(tokens, ())

    pieces = PAGE // PIECE
    trunk, branch = [block() for _ in range(2 * pieces)], [block() for _ in range(pieces)]
    chains = [[*trunk, *branch, block()], trunk, [*trunk, *branch], [block(), *trunk], [*trunk[:-1], block()]]
    assert shared_pages(chains) == [[(0, 1, 2, 4)], [(0, 1, 2)], [(0, 2)]]
    assert shared_pages([trunk]) == shared_pages([[], trunk]) == []
    assert shared_pages([[*trunk[:-1], last := block(3)], [*trunk[:-1], last]]) == [[(0, 1)]]
    begun = [*trunk[:-2], block(3), block()]  # the rest of a prompt, then a stretch of its answer: no whole page
    assert shared_pages([begun, begun]) == [[(0, 1)]]


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (2, 1)])
def test_attention_by_pages_is_softmax_attention(heads: int, groups: int) -> None:
    torch.manual_seed(0)
    shape = Shape((("attention", groups, 16),) * 2, torch.float64)

    def block(tokens: int) -> Block:
        return Block(tokens, (tuple(torch.randn(2, groups, tokens, 16, dtype=torch.float64)),) * 2)

    trunk, rest = [block(PIECE) for _ in range(9)], [block(n) for n in (5, PIECE, 1)]
    chains = [[*trunk, rest[0]], [*trunk[:5], rest[1], rest[2]], [*trunk, rest[1]]]
    for tokens in (1, 5, 16):
        rows = shape.rows(chains, tokens)
        starts = torch.tensor([sum(b.tokens for b in chain) for chain in chains])
        skip = torch.tensor([0, tokens - 1, tokens // 2]) if tokens > 1 else None
        rows.place(starts, skip, tokens)
        query = torch.randn(3, heads, tokens, 16, dtype=torch.float64)
        keys, values = torch.randn(2, 3, groups, tokens, 16, dtype=torch.float64)
        found = []
        for index, layer in enumerate(rows.layers):
            layer.update(keys, values)
            with attention.over(rows):
                found.append(attention.attend(SimpleNamespace(layer_idx=index), query, keys, values, None)[0])
        for row, chain in enumerate(chains):
            first = 0 if skip is None else int(skip[row])
            old = [torch.cat([b.layers[0][part] for b in chain], 1) for part in (0, 1)]
            k, v = (torch.cat([a, b[row, :, first:]], 1).repeat_interleave(heads // groups, 0)
                    for a, b in zip(old, (keys, values), strict=True))  # fmt: skip
            seen = torch.ones(tokens - first, k.shape[1], dtype=torch.bool).tril(k.shape[1] - tokens + first)
            expected = torch.nn.functional.scaled_dot_product_attention(query[row, :, first:], k, v, attn_mask=seen)
            assert torch.allclose(found[0][row, first:].transpose(0, 1), expected, atol=1e-12)
            last = max(first, tokens - MIN_QUERIES)  # all that the last layer is asked for
            assert torch.allclose(found[1][row, last:].transpose(0, 1), expected[:, last - first :], atol=1e-12)
            assert not found[1][row, : tokens - MIN_QUERIES].any() or tokens < MIN_QUERIES


def test_a_sliding_window_is_served_one_call_at_a_time(folders: dict[str, Path]) -> None:
    assert CausalEngine(folders["mistral"]).decoder is None
    assert CausalEngine(folders["lfm2"]).decoder is not None


def test_angles_that_change_with_the_longest_prompt_do_not_change_with_that_of_another_call(
    folders: dict[str, Path],
) -> None:
    short = [request_of_chat("m", [{"role": "user", "content": "fox " * n}], Config(max_tokens=12)) for n in (1, 3, 9)]
    long = request_of_chat("m", [{"role": "user", "content": "dog " * 100}], Config(max_tokens=12))
    alone, together = (CausalEngine(folders["longrope"]) for _ in range(2))
    expected = [alone.complete(each).text for each in short]
    assert [each.text for each in ask_together(together, [long, *short, long])[1:-1]] == expected


@pytest.mark.parametrize("kind", ["VaultGemma", "GptOss", "Doge"])
def test_attention_of_another_kind_is_the_models_own(tmp_path: Path, kind: str) -> None:
    """Soft caps, sinks, and a mask of the layers' own, none of which shows in a cache's shape."""
    import transformers as tf

    torch.manual_seed(0)
    more: dict[str, Any] = {
        "VaultGemma": {"attn_logit_softcapping": 50.0, "head_dim": 16, "layer_types": ["full_attention"] * 2},
        "GptOss": {
            "head_dim": 16, "layer_types": ["full_attention"] * 2, "num_local_experts": 2, "num_experts_per_tok": 1,
        },
        "Doge": {"keep_window_size": 8},
    }[kind]  # fmt: skip
    config = getattr(tf, f"{kind}Config")(
        vocab_size=400, hidden_size=64, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
        num_hidden_layers=2, max_position_embeddings=1024, initializer_range=0.4, bos_token_id=None, pad_token_id=0,
        eos_token_id=1, **more,
    )  # fmt: skip
    folder = tiny_models.save(getattr(tf, f"{kind}ForCausalLM")(config), tmp_path / "m")
    engine = CausalEngine(folder)
    assert engine.decoder is None
    asked = request("fox", logprobs=0)
    plain = tf.AutoModelForCausalLM.from_pretrained(folder).eval()
    assert engine.loaded[0].config._attn_implementation == plain.config._attn_implementation
    with torch.no_grad():
        scores = plain(torch.tensor([engine.loaded[2].tokens(asked)])).logits[0, -1].log_softmax(-1)
    assert engine.complete(asked).logprobs[0].logprob == pytest.approx(float(scores.max()), abs=1e-4)
    engine.close()


@pytest.mark.parametrize("context", [100, 20, 6])
def test_a_short_context_is_no_hindrance(tmp_path: Path, context: int) -> None:
    """Learned positions end with it, so that the check's own prompts must fit into it."""
    import transformers as tf

    torch.manual_seed(0)
    config = tf.GPT2Config(
        vocab_size=400, n_embd=64, n_layer=2, n_head=4, n_positions=context, bos_token_id=None, eos_token_id=1,
        pad_token_id=0, initializer_range=0.4,
    )  # fmt: skip
    engine = CausalEngine(tiny_models.save(tf.GPT2LMHeadModel(config), tmp_path / "m", template=None))
    assert engine.decoder is not None
    engine.close()


def _ready(folder: Path) -> tuple[Any, Shape]:
    model, shape = _loaded(folder)
    attention.register()
    model.set_attn_implementation(attention.NAME)
    return model, shape


def _loaded(folder: Path) -> tuple[Any, Shape]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    shape = Shape.of(model)
    assert shape is not None
    return model, shape
