"""Train a classifier student: an encoder with a head over the labels of one output field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_origin

from ...runtime.canonical import digest
from ...runtime.derive import derive_int
from ...runtime.engines.local.loading import quiet
from ...runtime.errors import BadInput
from ...runtime.progress import progress
from ..state import DistillState, Pair
from ..students import Student, finished, make_way, read_student, training_key, write_student
from ..training import Training, train
from .common import base_digest, base_folder, losses, open_base, train_each

if TYPE_CHECKING:
    import torch


Pooling: TypeAlias = Literal["auto", "mean", "first"]


@dataclass(frozen=True)
class TrainEncoder:
    """Full fine-tuning with cross-entropy against labels, or against the teacher's shares of answers.

    For predictors with one output field besides ``reasoning``; its labels are those of its ``Literal`` type, or
    those that occur.
    """

    training: Training = field(default_factory=lambda: Training(epochs=3, batch=32, lr=1e-4))
    soft: bool = False
    """Whether to learn the teacher's shares of answers (several samples an input) instead of the commonest."""
    smoothing: float = 0.0
    """Probability that is spread over all labels."""
    pooling: Pooling = "auto"
    """What the head reads: ``mean`` of the tokens, the ``first`` token as the base's own head does, or what the base
    says of itself (``auto``)."""
    max_length: int = 256
    """Tokens at which inputs are cut."""

    @property
    def name(self) -> str:
        """``train encoder``."""
        return "train encoder"

    def run(self, state: DistillState) -> DistillState:
        """A classifier for every predictor with rows."""
        return train_each(state, self.name, self._train)

    def _train(self, state: DistillState, name: str, rows: Sequence[Pair], folder: Path) -> str:
        signature = state.signature(name)
        label_field = _label_field(signature, name)
        labels = _labels(signature, label_field, rows)
        key = training_key(
            stage=asdict(self), rows=[row.dump() for row in rows], base=base_digest(state.base), labels=labels,
            seed=state.seed, kind="encoder",
        )  # fmt: skip
        inputs = tuple(signature.input_fields)
        if finished(folder, key):
            return str(read_student(folder).training["note"])
        import torch

        from ..engines import collate, encode

        model, tokenizer, mean = self._open(state, len(labels))
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: index for index, label in enumerate(labels)}
        most = min(self.max_length, tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))
        coded = [encode(tokenizer, dict(row.inputs), inputs, most) for row in rows]
        cut = sum(len(row["input_ids"]) >= most for row in coded)
        targets = torch.stack([self._target(row, label_field, labels) for row in rows])
        weights = torch.tensor([row.weight for row in rows])

        def loss(batch: Sequence[int]) -> torch.Tensor:
            logits = model(**collate([coded[row] for row in batch], tokenizer)).logits
            each = torch.nn.functional.cross_entropy(logits, targets[list(batch)], reduction="none")
            w = weights[list(batch)]
            return (each * w).sum() / w.sum()

        fresh = [n for n, _ in model.named_parameters() if not n.startswith(f"{model.base_model_prefix}.")]
        with quiet(), progress(f"train {name}") as bar:
            log = train(
                model, [len(row["input_ids"]) for row in coded], loss, self.training,
                state.folder / "checkpoints" / folder.name / key[:16], seed=state.seed, bar=bar, fresh=fresh,
            )  # fmt: skip
        make_way(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        facts = {
            "inputs": list(inputs), "field": label_field, "labels": labels, "max_length": most,
            "pooling": "mean" if mean else "first", "order": list(signature.output_fields),
        }  # fmt: skip
        told = {
            "task": state.task.name, "predictor": name, "base": state.base, "teacher": state.teacher.name,
            "recipe": "classifier, soft labels" if self.soft else "classifier, labels", "rows": len(rows),
            "data": digest([row.dump() for row in rows]), "seed": state.seed, "losses": losses(log),
            "settings": {**asdict(self.training), "smoothing": self.smoothing, "max_length": most},
        }  # fmt: skip
        note = f"{name}: {len(rows)} rows, {len(labels)} labels, loss {losses(log)[0]:.3f} to {losses(log)[-1]:.3f}"
        note += f", {cut} inputs cut at {most} tokens" if cut else ""
        write_student(folder, Student("encoder", key, facts, {**told, "note": note}))
        return note

    def _open(self, state: DistillState, labels: int) -> tuple[Any, Any, bool]:
        """A classifier on the base, its tokenizer, and whether it reads the mean of the tokens."""
        from ..pooling import MeanClassifier, reads_the_mean

        if self.pooling == "first" or (self.pooling == "auto" and not reads_the_mean(base_folder(state.base))):
            options = {"num_labels": labels, "seed": state.seed}
            return *open_base("SequenceClassification", state.base, **options), False
        encoder, tokenizer = open_base("", state.base, seed=state.seed)
        return MeanClassifier.new(encoder, labels, derive_int(state.seed, "head", bits=63)), tokenizer, True

    def _target(self, row: Pair, label_field: str, labels: Sequence[str]) -> torch.Tensor:
        import torch

        shares = {row.outputs[label_field]: 1.0}
        if self.soft and row.soft is not None:
            shares = {label: share for label, share in row.soft.items() if label in labels}
        target = torch.full((len(labels),), self.smoothing / len(labels))
        for label, share in shares.items():
            target[labels.index(label)] += (1 - self.smoothing) * share / sum(shares.values())
        return target


def _label_field(signature: Any, name: str) -> str:
    fields: list[str] = [field for field in signature.output_fields if field != "reasoning"]
    if len(fields) != 1:
        raise BadInput(
            f"predictor {name} has the output fields {', '.join(fields)}: a classifier answers one field besides "
            "reasoning; use a generative student (recipe 'sft' or 'step-by-step')"
        )
    return fields[0]


def _labels(signature: Any, label_field: str, rows: Sequence[Pair]) -> list[str]:
    annotation = signature.output_fields[label_field].annotation
    met = Counter(row.outputs[label_field] for row in rows)
    if get_origin(annotation) is Literal:
        labels = [str(value) for value in get_args(annotation)]
        strange = sorted(set(met) - set(labels))
        if strange:
            raise BadInput(f"labels that {label_field} does not allow: {', '.join(strange[:5])}")
    else:
        labels = sorted(met)
    if len(set(met)) < 2:
        raise BadInput(
            f"all {len(rows)} rows have one label ({next(iter(met), 'none')}): a classifier needs two or more"
        )
    if len(labels) > len(rows) / 2:
        raise BadInput(
            f"{label_field} has {len(labels)} different values in {len(rows)} rows: that is no set of labels; use a "
            "generative student (recipe 'sft' or 'step-by-step')"
        )
    return labels
