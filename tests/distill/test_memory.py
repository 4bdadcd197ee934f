"""What a training takes of memory is predicted before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from dstill.distill import Training
from dstill.distill.training import train
from networks import LENGTHS, simple, weights

HOW = Training(epochs=6, batch=8, lr=0.02, checkpoint=7)


class TestMemory:
    def model(self) -> Any:
        import transformers as tf

        torch.manual_seed(0)
        config = tf.LlamaConfig(
            vocab_size=400, hidden_size=64, intermediate_size=172, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4,
        )  # fmt: skip
        return tf.LlamaForCausalLM(config)

    def encoder(self, drop: float) -> Any:
        import transformers as tf

        torch.manual_seed(0)
        return tf.BertForSequenceClassification(tf.BertConfig(
            vocab_size=400, hidden_size=64, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4,
            attention_probs_dropout_prob=drop,
        )).train()  # fmt: skip

    @pytest.mark.parametrize("drop", [None, 0.0, 0.1])
    def test_what_is_kept_for_the_backward_pass_is_about_what_was_predicted(self, drop: float | None) -> None:
        """For an encoder that drops attention, whose matrices are then most of it, too."""
        from dstill.distill.training.memory import predict

        model, width = (self.model(), 128) if drop is None else (self.encoder(drop), 256)
        ids = torch.randint(0, 400, (4, width))
        more = {"labels": ids if drop is None else ids[:, 0] % 2}
        kept: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            if not isinstance(tensor, torch.nn.Parameter):
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            model(input_ids=ids, **more).loss  # noqa: B018
        parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        measured = sum(size for place, size in kept.items() if place not in parameters)
        predicted = predict(model, [width] * 4, Training(batch=4)).activations
        assert 0.6 < predicted / measured < 2.0

    def test_matrices_of_attention_are_those_of_one_layer_where_layers_are_computed_anew(self) -> None:
        from dstill.distill.training.memory import predict

        def more(how: Training, *lengths: int) -> int:
            held = [predict(self.encoder(drop), lengths, how).activations for drop in (0.1, 0.0)]
            return held[0] - held[1]

        one = more(Training(batch=2, recompute=True), 100, 200)
        assert one == int(4 * (100**2 + 200**2) * 4 * 3.3)
        assert more(Training(batch=2), 100, 200) == pytest.approx(4 * one, abs=4)

    def test_weights_gradients_and_moments_are_counted(self) -> None:
        from dstill.distill.training.memory import predict

        model = self.model()
        size = 4 * sum(p.numel() for p in model.parameters())
        found = predict(model, [128] * 8, Training(batch=4))
        assert (found.gradients, found.optimizer) == (size, 2 * size)
        assert size <= found.weights < size + 1000  # tables of positions, which are no parameters
        model.model.embed_tokens.requires_grad_(False)
        frozen = 4 * model.model.embed_tokens.weight.numel()
        assert predict(model, [1], Training()).gradients == size - frozen
        less = [predict(model, [128] * 8, Training(batch=4, **more)).activations for more in (
            {"accumulate": 4}, {"precision": "bf16"}, {"recompute": True})]  # type: ignore[arg-type]  # fmt: skip
        assert all(one < found.activations for one in less)

    def test_too_little_is_told_before_anything_is_done(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from dstill.distill.training import memory
        from dstill.runtime import ModelUnavailable

        monkeypatch.setattr(memory, "available", lambda device: 1000)
        net, loss = simple()
        before = weights(net)
        with pytest.raises(ModelUnavailable, match=r"training would take some .* and 0.0 MiB are free: use lora"):
            train(net, LENGTHS, loss, HOW, tmp_path, seed=1)
        assert weights(net) == before and not list(tmp_path.iterdir())
