"""The loss of a classifier on a batch: its labels, and what helps it to read while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...runtime.derive import derive_int
from ...runtime.errors import BadInput
from ..state import DistillState, Pair
from ..training.devices import device_of, moved
from .common import base_folder, longest
from .teaching import open_teacher
from .votes import shares_by_logprobs

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class EncoderLoss:
    """Takes the places of a batch's rows; see ``TrainEncoder`` for the settings."""

    stage: Any
    model: Any
    collate: Any
    """Makes a batch's tensors from the places of its rows."""
    targets: torch.Tensor
    """Probabilities of the labels, [rows, labels]."""
    weights: torch.Tensor
    """[rows]."""
    transition: torch.Tensor | None = None
    """Which label is called what, for the corrected losses."""
    words: torch.Tensor | None = None
    """Shares of the rationales' words, [rows, words]."""
    guide: torch.Tensor | None = None
    """What representations are led to, [rows, dim]: a teacher's, or those of the rationales."""
    present: torch.Tensor | None = None
    """Which rows have a guide."""
    beside: Any = None
    """The module that leads there."""

    @property
    def helps(self) -> bool:
        """Whether the representation is looked at beside the logits."""
        return self.words is not None or self.guide is not None

    def __call__(self, batch: Sequence[int]) -> torch.Tensor:
        """The batch's mean loss."""
        from ..objectives import robust_loss
        from ..students.pooling import pooled_by

        places, device = list(batch), device_of(self.model)
        feed = {name: moved(tensor, device) for name, tensor in self.collate(batch).items()}
        if not self.helps:
            logits = self.model(**feed).logits
        else:
            logits, pooled = pooled_by(self.model, feed)
        targets = moved(self.targets[places], device)
        transition = None if self.transition is None else moved(self.transition, device)
        each = robust_loss(self.stage.robust, logits.float(), targets, transition)
        if self.helps:
            each = each + self.stage.aux_weight * self._aux(pooled.float(), places)
        w = moved(self.weights[places], device)
        return (each * w).sum() / w.sum()

    def share(self, batch: Sequence[int]) -> float:
        """The weight of rows."""
        return max(float(self.weights[list(batch)].sum()), 1e-12)

    def _aux(self, pooled: torch.Tensor, places: list[int]) -> torch.Tensor:
        from ..objectives import in_batch, mean_square, mi_alpha, word_loss

        if self.words is not None:
            return word_loss(self.beside(pooled), moved(self.words[places], pooled.device))
        assert self.guide is not None
        assert self.present is not None
        guide = moved(self.guide[places], pooled.device)
        if self.stage.rationale == "align":
            return in_batch(self.beside(pooled, guide), moved(self.present[places], pooled.device))
        if self.stage.hidden == "mse":
            return mean_square(self.beside.student(pooled), guide)
        return mi_alpha(self.beside(pooled, guide))


def aids(
    stage: Any, state: DistillState, rows: Sequence[Pair], model: Any, tokenizer: Any, names: Sequence[str]
) -> dict[str, Any]:
    """What the loss needs for its auxiliary task, as fields of ``EncoderLoss``.

    Args:
        names: the rows' inputs.

    Raises:
        BadInput: for rationales that are not there.
    """
    if stage.rationale == "none" and stage.hidden == "none":
        return {}
    import torch
    from torch import nn

    from ..objectives import Critic, WordTargets

    texts = [[row.inputs.get(name, "") for name in names] for row in rows]
    seed = derive_int(state.seed, "aids", bits=63)
    width, device = model.config.hidden_size, device_of(model)
    if stage.rationale != "none":
        why = [row.outputs.get("reasoning", "") for row in rows]
        if not any(why):
            raise BadInput(
                f"rationale = {stage.rationale!r} needs rationales, and the rows have none: declare the predictor with "
                "dspy.ChainOfThought, or leave it out"
            )
        if stage.rationale == "words":
            ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in why]
            given = [tokenizer(" ".join(text), add_special_tokens=False)["input_ids"] for text in texts]
            targets = WordTargets.of(ids, given)
            head = nn.Linear(width, max(1, len(targets.words)))
            nn.init.normal_(head.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
            nn.init.zeros_(head.bias)
            return {"words": targets.shares, "beside": head.to(device)}
        guide = represent(str(base_folder(state.base)), [[text] for text in why])
        present = torch.tensor([bool(text) for text in why])
        return {"guide": guide, "present": present, "beside": Critic(width, guide.shape[1], seed=seed).to(device)}
    guide = represent(str(base_folder(stage.teacher)), texts, names)
    present = torch.ones(len(rows), dtype=torch.bool)
    return {"guide": guide, "present": present, "beside": Critic(width, guide.shape[1], seed=seed).to(device)}


def represent(
    folder: str, texts: Sequence[Sequence[str]], names: Sequence[str] = ("text",), *, at_once: int = 64
) -> torch.Tensor:
    """The mean of the tokens of each row's texts, which have these names, under a frozen encoder, [texts, dim]."""
    import torch

    from ..students.encoding import collate, encode
    from ..students.pooling import mean_of

    model, tokenizer = open_teacher("", folder)
    most = min(longest(tokenizer, model), 256)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    order = sorted(range(len(texts)), key=lambda place: sum(map(len, texts[place])))
    found: dict[int, torch.Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            given = [dict(zip(names, texts[place], strict=True)) for place in part]
            feed = collate([encode(tokenizer, one, names, most) for one in given], tokenizer)
            feed = {name: moved(tensor, model.device) for name, tensor in feed.items()}
            means = mean_of(model(**feed).last_hidden_state, feed["attention_mask"])
            found |= dict(zip(part, means.cpu().clone(), strict=True))
    return torch.stack([found[place] for place in range(len(texts))])


def targets_of(stage: Any, rows: Sequence[Pair], field: str, labels: Sequence[str]) -> torch.Tensor:
    """Probabilities to learn, [rows, labels]: the answer, or the teacher's shares or told probabilities."""
    import torch

    place = {label: column for column, label in enumerate(labels)}
    found = torch.full((len(rows), len(labels)), stage.smoothing / len(labels))
    for n, row in enumerate(rows):
        shares = {row.outputs[field]: 1.0}
        if stage.soft:
            told = shares_by_logprobs(row, labels, field) or row.soft or shares
            known = {label: share for label, share in told.items() if label in place}
            shares = known or shares
        total = sum(shares.values())
        for label, share in shares.items():
            found[n, place[label]] += (1 - stage.smoothing) * share / total
    return found


def transition_of(stage: Any, rows: Sequence[Pair], field: str, labels: Sequence[str]) -> torch.Tensor | None:
    """Which label is called what, from the votes of several samples or teachers.

    Raises:
        BadInput: for a corrected loss without votes.
    """
    if stage.robust not in ("forward", "backward"):
        return None
    import torch

    from ..objectives import transition_by_agreement

    place = {label: column for column, label in enumerate(labels)}
    voted = [row for row in rows if row.soft is not None and len(row.soft) > 0]
    if not voted:
        raise BadInput(
            f"robust = {stage.robust!r} needs to know which labels are mistaken for which: collect several samples or "
            "teachers (collect with samples = 5), or take 'generalised' or 'symmetric'"
        )
    votes = torch.zeros(len(voted), len(labels))
    for n, row in enumerate(voted):
        for label, share in (row.soft or {}).items():
            if label in place:
                votes[n, place[label]] = share
    said = torch.tensor([place[row.outputs[field]] for row in voted])
    return transition_by_agreement(said, votes)
