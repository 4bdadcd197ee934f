"""Generative students as training sees them: packed rows see themselves alone, logits are transformers' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from dstill.distill.training.nf4 import FourBit, from_four_bits, quantise, restore, to_four_bits
from dstill.distill.training.packing import look_back
from dstill.distill.training.writers import Causal, Coded, Seq2Seq
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {kind: tiny_models.causal(root / kind, kind) for kind in ("lfm2", "llama", "mistral")}
    return made | {"t5": tiny_models.seq2seq(root / "t5")}


def rows(*sizes: tuple[int, int]) -> list[Coded]:
    chance = torch.Generator().manual_seed(0)
    draw = lambda n: tuple(torch.randint(5, 400, (n,), generator=chance).tolist())  # noqa: E731
    return [Coded(draw(prompt), draw(answer)) for prompt, answer in sizes]


SIZES = ((9, 4), (20, 1), (3, 7), (9, 4), (1, 2))


@pytest.mark.parametrize("kind", ["lfm2", "llama", "mistral"])
def test_rows_together_say_what_each_says_alone_to_transformers(folders: dict[str, Path], kind: str) -> None:
    plain = AutoModelForCausalLM.from_pretrained(folders[kind])
    model = AutoModelForCausalLM.from_pretrained(folders[kind])
    writer = Causal(model)
    assert writer.packed == (kind != "mistral")
    said = writer.say(model, rows(*SIZES), hidden=True)
    start = 0
    for n, row in enumerate(rows(*SIZES)):
        out = plain(input_ids=torch.tensor([[*row.prompt, *row.answer]]), output_hidden_states=True)
        places = slice(len(row.prompt) - 1, row.size - 1)
        mine = slice(start, start + len(row.answer))
        torch.testing.assert_close(said.logits[mine], out.logits[0, places], atol=2e-4, rtol=1e-3)
        assert said.hidden is not None
        torch.testing.assert_close(said.hidden[mine], out.hidden_states[-1][0, places], atol=2e-4, rtol=1e-3)
        assert said.targets[mine].tolist() == list(row.answer)
        assert said.rows[mine].tolist() == [n] * len(row.answer)
        start += len(row.answer)


@pytest.mark.parametrize("kind", ["lfm2", "llama"])
def test_packed_gradients_are_those_of_rows_alone(folders: dict[str, Path], kind: str) -> None:
    def gradients(packed: bool) -> list[torch.Tensor]:
        model = AutoModelForCausalLM.from_pretrained(folders[kind])
        writer = Causal(model, packed=packed)
        parts = [rows(*SIZES)] if packed else [[row] for row in rows(*SIZES)]
        for part in parts:
            said = writer.say(model, part)
            torch.nn.functional.cross_entropy(said.logits, said.targets, reduction="sum").backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    for ours, theirs in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3 * float(theirs.abs().max()) + 1e-6, rtol=1e-3)


def test_an_encoder_decoder_says_what_it_says_to_transformers(folders: dict[str, Path]) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(folders["t5"])
    said = Seq2Seq(model).say(model, rows(*SIZES), hidden=True)
    start = 0
    for row in rows(*SIZES):
        out = model(input_ids=torch.tensor([row.prompt]), labels=torch.tensor([row.answer]))
        mine = slice(start, start + len(row.answer))
        torch.testing.assert_close(said.logits[mine], out.logits[0], atol=2e-3, rtol=1e-3)
        loss = torch.nn.functional.cross_entropy(said.logits[mine], said.targets[mine])
        assert loss.item() == pytest.approx(out.loss.item(), abs=1e-3)
        start += len(row.answer)


def test_what_can_be_packed(folders: dict[str, Path]) -> None:
    found = {k: look_back(AutoModelForCausalLM.from_pretrained(folders[k])) for k in ("lfm2", "llama", "mistral")}
    assert found == {"lfm2": 2, "llama": 0, "mistral": None}


def test_four_bits_take_the_nearest_level() -> None:
    from dstill.distill.training.nf4 import LEVELS

    weight = torch.randn(7, 30, generator=torch.Generator().manual_seed(0))
    codes, scale = quantise(weight)
    assert codes.numel() * 2 == 256 and codes.dtype == torch.uint8
    back = restore(codes, scale, (7, 30))
    flat = torch.nn.functional.pad(weight.flatten(), (0, 46)).reshape(-1, 64)
    by_hand = torch.stack([
        torch.tensor([min((level * s for level in LEVELS), key=lambda v: abs(v - x)) for x in block])
        for block, s in zip(flat, flat.abs().amax(1), strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(back.flatten(), by_hand.flatten()[:210])
    assert float((back - weight).abs().max()) < 0.16 * float(weight.abs().max())


def test_a_model_in_four_bits_and_back(folders: dict[str, Path]) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(folders["llama"])
    ids = torch.tensor([[5, 6, 7, 8]])
    to_four_bits(model)
    four = model(ids).logits
    assert isinstance(model.model.layers[0].mlp.up_proj, FourBit)
    assert not isinstance(model.lm_head, FourBit)
    assert not any(p.requires_grad for n, p in model.named_parameters() if "proj" in n)
    from_four_bits(model)
    assert type(model.model.layers[0].mlp.up_proj) is torch.nn.Linear
    torch.testing.assert_close(model(ids).logits, four)


@pytest.mark.parametrize(("kind", "more"), [("Falcon", {"num_kv_heads": 2}), ("StableLm", {}), ("Nemotron", {})])
def test_models_that_attend_in_a_way_of_their_own_are_padded(kind: str, more: dict[str, Any]) -> None:
    """They have angles of positions as others do, and would see the rows beside them, or break."""
    import transformers as tf

    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = getattr(tf, f"{kind}Config")(vocab_size=400, num_key_value_heads=2, **size, **more)
    torch.manual_seed(0)
    model = getattr(tf, f"{kind}ForCausalLM")(config).eval()
    writer = Causal(model)
    assert not writer.packed
    both, (one, two) = rows((9, 4), (3, 7)), rows((9, 4), (3, 7))
    together = writer.say(model, both).logits
    alone = torch.cat([writer.say(model, [one]).logits, writer.say(model, [two]).logits])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
