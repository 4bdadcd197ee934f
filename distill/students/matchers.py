"""The engine of students whose labels are given with the request: those of the field's type in the prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ...runtime.engines.base import text_response
from ...runtime.engines.local.batcher import Batcher, in_one_go
from ...runtime.engines.local.loading import load
from ...runtime.fields import literals_of
from ...runtime.wire import Request, Response
from .engines import ROWS, STRIDE, Free, identity_of, inputs_of, own_failure
from .labelled import label_answer
from .matching import Matcher, Read, read

Item = tuple[tuple[str, ...], tuple[str, ...]]
"""Texts of the inputs, and the labels."""


class MatcherStudent(Free):
    """Picks one of the labels that the prompt allows; those of training where it names none."""

    concurrency = 128

    def __init__(self, folder: Path, facts: Any) -> None:
        super().__init__()
        self.folder, self.name = folder, f"student:{folder.name}"
        self._facts, self._inputs = facts, tuple(facts["inputs"])
        self._labels, self._length = tuple(facts["labels"]), facts["max_length"]
        self._batcher: Batcher[Item, list[float]] = Batcher(in_one_go(self._match), most=16 * ROWS)

    @property
    def identity(self) -> Any:
        """The digest of weights, tokenizer and labels."""
        return identity_of(self.folder)

    def open(self) -> None:
        """Load the weights."""
        _ = self.loaded

    @property
    def parameters(self) -> int:
        """How many weights the student has."""
        return int(self.loaded[0].num_parameters())

    def complete(self, request: Request) -> Response:
        """The likeliest of the labels."""
        return self.answer(request)[0]

    def answer(self, request: Request) -> tuple[Response, float]:
        """The response, and the probability of its label among those that are allowed."""
        labels = tuple(sorted(literals_of(request, self._facts["field"]) or self._labels))
        with own_failure(self.name):
            inputs = inputs_of(request, self._inputs, self.name)
            logs = self._batcher((tuple(inputs[name] for name in self._inputs), labels))
        best = max(range(len(labels)), key=lambda place: logs[place])
        text = label_answer(request, self._facts, labels[best])
        return text_response(request.model, text, read=sum(map(len, inputs.values())) // 4, written=1), math.exp(
            logs[best]
        )

    def confidence(self, inputs: Mapping[str, str]) -> float:
        """The probability of the likeliest label of training."""
        with own_failure(self.name):
            logs = self._batcher((tuple(inputs.get(name, "") for name in self._inputs), tuple(sorted(self._labels))))
            return math.exp(max(logs))

    def close(self) -> None:
        """End the worker."""
        self._batcher.close()

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """The model and its tokenizer."""
        encoder, tokenizer = load("", self.folder, dtype="float32")
        return Matcher.load(encoder, self.folder), tokenizer

    @torch.inference_mode()
    def _match(self, batch: Sequence[Item]) -> Sequence[list[float] | Exception]:
        model, tokenizer = self.loaded
        found: dict[int, list[float] | Exception] = {}
        groups: dict[int, list[tuple[int, Read]]] = {}
        for place, (texts, labels) in enumerate(batch):
            try:
                one = read(
                    tokenizer, text_ids(tokenizer, texts), [label_ids(tokenizer, x) for x in labels], self._length
                )
            except Exception as error:
                found[place] = error
                continue
            groups.setdefault(min(-(-len(one.ids) // STRIDE) * STRIDE, self._length), []).append((place, one))
        for width, members in groups.items():
            for start in range(0, len(members), ROWS):
                part = members[start : start + ROWS]
                for (place, _), scores in zip(
                    part, model([one for _, one in part], count=ROWS, width=width), strict=True
                ):
                    found[place] = scores.double().log_softmax(-1).tolist()
        return [found[place] for place in range(len(batch))]


def text_ids(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """The inputs as one text, each stripped as it is in a prompt."""
    return list(tokenizer("\n".join(text.strip() for text in texts), add_special_tokens=False)["input_ids"])


def label_ids(tokenizer: Any, label: str) -> list[int]:
    """A label's name as it is read: without underscores."""
    return list(tokenizer(label.replace("_", " "), add_special_tokens=False)["input_ids"]) or [0]
