"""Local models: answers are those of the model, and errors are clear."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from asking import request, texts
from dspy.lm15 import Config
from dstill.runtime import LM, BadInput, Journal, ModelUnavailable, Session, engine_for
from dstill.runtime.engines.local.causal import CausalEngine
from dstill.runtime.engines.local.loading import weights_digest
from dstill.runtime.engines.local.sampling import Chooser
from dstill.runtime.internals import LMError


@pytest.mark.parametrize("kind", ["lfm2", "llama", "mistral"])
def test_greedy_answers_are_those_of_transformers(folders: dict[str, Path], kind: str) -> None:
    from transformers import AutoModelForCausalLM

    engine = CausalEngine(folders[kind])
    reference = AutoModelForCausalLM.from_pretrained(folders[kind])
    _, tokenizer, prompter = engine.loaded
    for text in texts(12):
        ids = prompter.tokens(request(text))
        out = reference.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, pad_token_id=0)
        expected = tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)
        assert engine.complete(request(text)).text == expected


@pytest.mark.parametrize("kind", ["Mamba", "Rwkv"])
def test_a_recurrent_model_answers_as_it_does_in_transformers(tmp_path: Path, kind: str) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_models.recurrent(tmp_path / kind, kind)
    engine, reference = CausalEngine(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert engine.decoder is None
    _, tokenizer, prompter = engine.loaded
    for text in ("fox", *texts(3)):
        ids = prompter.tokens(request(text))
        out = reference.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, pad_token_id=0)
        expected = tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)
        assert engine.complete(request(text)).text == expected
    engine.close()


def test_without_a_gpu_nothing_is_said_of_its_kernels(folders: dict[str, Path]) -> None:
    CausalEngine(folders["lfm2"]).complete(request("fox"))
    hints = logging.getLogger("transformers.integrations.hub_kernels")
    assert hints.isEnabledFor(logging.WARNING) == torch.cuda.is_available()


def test_stop_strings_end_an_answer_and_are_cut_off(folders: dict[str, Path]) -> None:
    engine = CausalEngine(folders["lfm2"])
    whole = engine.complete(request("fox", max_tokens=40))
    assert whole.finish_reason == "length"
    stop = whole.text[10:13]
    cut = engine.complete(request("fox", max_tokens=40, stop=(stop,)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.usage.output_tokens < whole.usage.output_tokens


def test_top_k_of_one_is_greedy_and_seeds_differ(folders: dict[str, Path]) -> None:
    engine = CausalEngine(folders["lfm2"])
    greedy = engine.complete(request("dog")).text
    assert engine.complete(request("dog", temperature=2.0, top_k=1, seed=5)).text == greedy
    sampled = {engine.complete(request("dog", temperature=2.0, seed=n)).text for n in range(5)}
    assert len(sampled) == 5


@pytest.mark.parametrize("setting", [{"top_p": 0.0}, {"top_p": 1e-9}, {"temperature": 1e-320}, {"temperature": 1e-6}])
def test_however_little_is_left_the_likeliest_token_is(setting: dict[str, float]) -> None:
    """Where all chances were ruled out or overflowed, the least likely token would be taken, or one beyond the last."""
    scores = torch.log_softmax(torch.randn(50, generator=torch.Generator().manual_seed(0)) * 2, 0)
    likeliest = int(scores.argmax())
    for seed in range(20):
        config = Config(**{"temperature": 1.0, **setting})
        assert Chooser(config, frozenset(), str, seed)(scores, likeliest) == likeliest


def test_log_probabilities_are_those_of_the_model(folders: dict[str, Path]) -> None:
    from transformers import AutoModelForCausalLM

    engine = CausalEngine(folders["llama"])
    reply = engine.complete(request("fox", logprobs=3))
    ids = engine.loaded[2].tokens(request("fox"))
    scores = (
        AutoModelForCausalLM.from_pretrained(folders["llama"])(torch.tensor([ids]))
        .logits[0, -1]
        .detach()
        .log_softmax(-1)
    )
    first = reply.logprobs[0]
    assert first.logprob == pytest.approx(float(scores.max()), abs=1e-4)
    assert [t.logprob for t in first.top] == pytest.approx(scores.topk(3).values.tolist(), abs=1e-4)


def test_a_prompt_beyond_the_context_names_both_lengths(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = CausalEngine(folders["lfm2"])
    lm, warned = LM(engine), io.StringIO()
    engine.loaded[1].model_max_length = 512  # beyond which transformers has a word of its own that names no way out
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [logging.StreamHandler(warned)])
    with pytest.raises(LMError, match=r"prompt has [\d,]+ tokens.*at most 512"):
        lm("fox " * 600)
    assert warned.getvalue() == ""
    assert lm.door.session.ledger.spent.calls == 0


def test_any_text_gets_an_answer(folders: dict[str, Path]) -> None:
    engine = CausalEngine(folders["lfm2"])
    for text in ("", "\x00\x01", "日本語 🎉", "<|end|><|assistant|>", "a" * 300):
        assert isinstance(engine.complete(request(text)).text, str)


def test_the_identity_is_what_the_weights_are(folders: dict[str, Path], tmp_path: Path) -> None:
    same = tiny_models.causal(tmp_path / "same", "lfm2")
    other = tiny_models.causal(tmp_path / "other", "lfm2", seed=1)
    (same / "README.md").write_text("a card changes nothing")
    assert weights_digest(folders["lfm2"]) == weights_digest(same) != weights_digest(other)
    assert CausalEngine(same).identity == CausalEngine(folders["lfm2"]).identity


def test_calls_to_a_local_model_are_journaled_with_exact_tokens(folders: dict[str, Path], tmp_path: Path) -> None:
    session = Session(Journal(tmp_path / "j"))
    lm = LM(engine_for(f"local:{folders['lfm2']}"), session, max_tokens=5)
    (first,) = lm("quick")
    spent = session.ledger.spent
    assert lm("quick") == [first]
    assert session.ledger.spent == spent
    assert spent.tokens == next(iter(session.journal.entries())).answer.input_tokens + 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "no model folder"),
        (lambda p: p.mkdir(), "no config.json"),
        (lambda p: (p.mkdir(), (p / "config.json").write_text("{}")), "no .safetensors"),
    ],
)
def test_a_folder_that_is_no_model_is_named(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "m")
    with pytest.raises((BadInput, ModelUnavailable), match=words) as caught:
        LM(engine_for(f"local:{tmp_path / 'm'}"))("hello")
    assert str(tmp_path / "m") in str(caught.value)


def test_a_corrupt_model_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    broken = tiny_models.causal(tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelUnavailable, match="broken"):
        LM(engine_for(f"local:{broken}"))("hello")


def test_an_encoder_is_told_from_a_model_that_writes(tmp_path: Path) -> None:
    folder = tiny_models.encoder(tmp_path / "encoder")
    with pytest.raises(BadInput, match=r"is an encoder \(BertModel\).*student of a classifier recipe"):
        engine_for(f"local:{folder}")


def test_a_hub_model_that_cannot_be_fetched_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="nobody/nothing"):
        engine_for("local:nobody/nothing")


def test_settings_of_the_engine_are_checked_and_prices_are_dollars_per_million(folders: dict[str, Path]) -> None:
    name = f"local:{folders['llama']}"
    engine = engine_for(name, prices=[1.0, 2.0])
    asked = request("hello")
    read = engine.cost(asked, engine.complete(asked)).tokens
    assert 0 < engine.cost(asked, engine.complete(asked)).usd <= 2e-6 * read
    with pytest.raises(BadInput, match=r"takes no setting 'timeout'; of base_url, .* it takes: dtype, batch, prices"):
        engine_for(name, timeout=3.0)
    with pytest.raises(BadInput, match="takes no setting 'dtype'.*it takes: timeout, prices"):
        engine_for("openai/gpt-4.1-mini", dtype="float32")
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="expected dollars per million tokens, 0 or more"):
            engine_for(name, prices=[1.0, wrong])
    with pytest.raises(BadInput, match="dtype='float31': expected one of: float32"):
        engine_for(name, dtype="float31")
