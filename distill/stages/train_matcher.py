"""Train a classifier that reads its labels with its input, and may be given others later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.canonical import digest
from ...runtime.derive import derive
from ...runtime.engines.local.loading import quiet
from ...runtime.errors import BadInput
from ...runtime.progress import progress
from ..settings import check_settings
from ..state import DistillState, Pair
from ..students import Student, finished, make_way, read_student, training_key, write_student
from ..training import Log, Training, best, train
from ..training.devices import device_of, home, moved
from .common import base_digest, check_opens, keep_course, kept_apart, longest, losses, open_base, origin, train_each
from .labels import label_field_of, labels_of, may_be_none

if TYPE_CHECKING:
    import torch

    from ..students.matching import Read


@dataclass(frozen=True)
class TrainMatcher:
    """Full fine-tuning of an encoder that is shown text and labels together, with cross-entropy over the labels shown.

    Each row sees its own label among others in an order of its own, so that names and not places are learned.
    """

    training: Training = field(default_factory=lambda: Training(epochs=3, batch=16, lr=5e-5))
    shown: int = 25
    """Most labels that a row sees while training, its own included."""
    max_length: int = 256
    """Tokens of text and labels together; the text is cut."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.shown < 2 or self.max_length < 16:
            raise BadInput(f"shown = {self.shown}, max_length = {self.max_length}: expected 2 or more, and 16 or more")

    @property
    def name(self) -> str:
        """``train matcher``."""
        return "train matcher"

    def check(self, base: str, program: Any, lm: Any) -> None:
        """Refuse a base that could not be trained before anything is paid for.

        Raises:
            ModelUnavailable: saying what is wrong with it.
        """
        check_opens(base, "")

    def run(self, state: DistillState) -> DistillState:
        """A matcher for every predictor with rows."""
        return train_each(state, self.name, self._train)

    def _train(self, state: DistillState, name: str, rows: Sequence[Pair], folder: Path) -> str:
        signature = state.signature(name)
        label_field = label_field_of(signature, name)
        labels, remarks = labels_of(signature, label_field, rows)
        learn, apart = kept_apart(state, name, rows, self.training.heldout)
        apart = [row for row in apart if row.outputs.get(label_field) in labels]
        key = training_key(
            stage=asdict(self), rows=[row.dump() for row in learn], apart=[row.dump() for row in apart],
            base=base_digest(state.base), labels=labels, seed=state.seed, kind="matcher",
        )  # fmt: skip
        if finished(folder, key):
            return str(read_student(folder).training["note"])
        import torch

        from ..students.matchers import text_ids
        from ..students.matching import Matcher

        encoder, tokenizer = open_base("", state.base, seed=state.seed)
        model = Matcher(encoder).to(home(self.training.devices))
        inputs = tuple(signature.input_fields)
        most = min(self.max_length, longest(tokenizer, model))
        names = _names(tokenizer, labels, most, name)

        def coded(some: Sequence[Pair], what: str) -> list[tuple[Read, int]]:
            rows = [
                (row.outputs[label_field], text_ids(tokenizer, [row.inputs.get(n, "") for n in inputs])) for row in some
            ]
            return self._read(tokenizer, rows, names, most, (state.seed, "labels", what))

        mine, watched = coded(learn, "train"), coded(apart, "apart")
        weights = torch.tensor([row.weight for row in learn])

        def each(some: Sequence[tuple[Read, int]]) -> torch.Tensor:
            scores = model([one for one, _ in some])
            return torch.stack([-s.log_softmax(-1)[place] for s, (_, place) in zip(scores, some, strict=True)])

        def loss(batch: Sequence[int]) -> torch.Tensor:
            w = moved(weights[list(batch)], device_of(model))
            return (each([mine[place] for place in batch]) * w).sum() / w.sum()

        def watch() -> float:
            parts = [each(watched[start : start + 32]).double().sum() for start in range(0, len(watched), 32)]
            return float(torch.stack(parts).sum()) / len(watched)

        with quiet(), progress(f"train {name}") as bar:
            log = train(
                model, [len(one.ids) for one, _ in mine], loss, self.training,
                state.checkpoint_folder(folder, key), seed=state.seed, bar=bar,
                fresh=["text.weight", "label.weight", "scale"], watch=watch if watched else None,
                share=lambda batch: max(float(weights[list(batch)].sum()), 1e-12),
            )  # fmt: skip
        make_way(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        keep_course(folder, log, name)
        facts = {"inputs": list(inputs), "field": label_field, "labels": labels, "max_length": most,
                 "order": list(signature.output_fields), "optional": may_be_none(signature, label_field)}  # fmt: skip
        course = losses(log)
        note = f"{name}: {len(learn)} rows, {len(labels)} labels, loss {course[0]:.3f} to {course[-1]:.3f}"
        note += f", best of {len(log)} steps at {best(log) + 1}" if watched else ""
        note = ", ".join([note, *remarks])
        write_student(folder, Student("matcher", key, facts, {**self._told(state, name, learn, log), "note": note}))
        return note

    def _read(
        self, tokenizer: Any, rows: Sequence[tuple[str, Sequence[int]]], names: Mapping[str, Sequence[int]], most: int,
        path: tuple[Any, ...],
    ) -> list[tuple[Read, int]]:  # fmt: skip
        """Each row with its own label among some others, in an order of chance, and where that stands."""
        from ..students.matching import read

        found = []
        for place, (own, text) in enumerate(rows):
            chance = derive(*path, place)
            others = [label for label in names if label != own]
            chance.shuffle(others)
            seen = [own, *others[: self.shown - 1]]
            chance.shuffle(seen)
            found.append((read(tokenizer, text, [names[label] for label in seen], most), seen.index(own)))
        return found

    def _told(self, state: DistillState, name: str, learn: Sequence[Pair], log: Log) -> dict[str, Any]:
        """How a student came to be, for its card."""
        settings = asdict(self)
        return {
            **origin(state, name),
            "recipe": "classifier, labels given at inference", "rows": len(learn),
            "data": digest([row.dump() for row in learn]), "seed": state.seed, "losses": losses(log),
            "dev": log[best(log)].get("dev"), "steps": best(log) + 1,
            "settings": {**settings.pop("training"), **settings},
        }  # fmt: skip


def _names(tokenizer: Any, labels: Sequence[str], most: int, name: str) -> dict[str, list[int]]:
    """The labels' tokens.

    Raises:
        BadInput: for labels that are too many to be read together, or of which some are the same to this tokenizer.
    """
    from ..students.matchers import label_ids
    from ..students.matching import read

    names = {label: label_ids(tokenizer, label) for label in labels}
    try:
        read(tokenizer, [], list(names.values()), most)  # as it will be asked
    except BadInput as error:
        raise BadInput(f"{name}: {error}; take train-encoder, whose labels are not read, or fewer labels") from None
    alike: dict[tuple[int, ...], list[str]] = {}
    for label, ids in names.items():
        alike.setdefault(tuple(ids), []).append(label)
    same = next((some for some in alike.values() if len(some) > 1), None)
    if same:
        shown = ", ".join(map(repr, same[:5])) + (f" and {len(same) - 5} more" if len(same) > 5 else "")
        raise BadInput(
            f"{name}: the labels {shown} are the same tokens to this base, so that it could not tell them apart (it "
            "may not know their signs, or no capitals, and an underscore is read as a space): take train-encoder, "
            "whose labels are not read, or other names"
        )
    return names
