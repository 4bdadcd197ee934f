"""Students as engines: what DSPy asks in the program's prompt, a student answers from its own.

A student's calls cost nothing and no cap counts them; its tokens are counted all the same.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from dspy import lm15

from ...runtime.budget import Cost
from ...runtime.engines.base import Engine, Priced, text_response
from ...runtime.engines.local.batcher import Batcher, in_one_go
from ...runtime.engines.local.causal import CausalEngine
from ...runtime.engines.local.loading import load
from ...runtime.engines.local.seq2seq import Seq2SeqEngine
from ...runtime.errors import DstillError, StudentFailed, failure
from ...runtime.fields import input_fields
from ...runtime.journal import Identity
from ...runtime.wire import Request, Response, request_of_chat
from ..training.devices import device_of, moved
from .encoding import collate, encode
from .formats import Format
from .labelled import label_answer
from .pooling import with_saved_head
from .student import student_digest

ROWS, STRIDE = 16, 16
"""A classifier's batches: so many rows, inputs padded to a multiple of so many tokens; one shape, one order of sums."""


class StudentEngine(Engine, Protocol):
    """What students are beside engines: they say how sure they are."""

    @property
    def parameters(self) -> int:
        """How many weights the student has."""
        ...

    def answer(self, request: Request) -> tuple[Response, float]:
        """The response, and how sure the student is of it, from 0 to 1."""
        ...

    def confidence(self, inputs: Mapping[str, str]) -> float:
        """How sure it is of its answer to a predictor's inputs."""
        ...


@contextmanager
def own_failure(student: str) -> Iterator[None]:
    """What a student fails on, by its name: unlike a hosted model's failure it is the program's, and counts against it.

    A prompt that is too long stays what it is, since programs act on it.
    """
    try:
        yield
    except (DstillError, lm15.ContextLengthError):
        raise
    except Exception as error:
        raise StudentFailed(f"{student} failed: {failure(error)}") from error


class Free(Priced):
    """No cap counts a student's calls."""

    repeatable = True

    def __init__(self) -> None:
        super().__init__()
        self._opening, self._opened = threading.Lock(), False

    def open(self) -> None:
        """Load the weights, where there are any."""

    def bound(self, request: Request) -> Cost:
        """Nothing. Called before a call's time is taken, of which the loading of weights is no part."""
        with self._opening:
            if not self._opened:
                self.open()
                self._opened = True
        return Cost()

    def cost(self, request: Request, response: Response) -> Cost:
        """Nothing."""
        return Cost()


class WritingStudent(Free):
    """A generative student: asks its model in the student's own prompt and translates the answer."""

    def __init__(self, folder: Path, form: Format, max_tokens: int, kind: str = "causal") -> None:
        super().__init__()
        self.name = f"student:{folder.name}"
        self._form = form
        self._engine = (CausalEngine if kind == "causal" else Seq2SeqEngine)(folder, name=self.name)
        self.concurrency = self._engine.concurrency
        self.max_tokens = max_tokens
        self._held, self._lock = False, threading.Lock()

    @cached_property
    def identity(self) -> Identity:
        """The digest of weights and format."""
        return {"kind": "student", "weights": self._engine.identity["weights"]}

    def open(self) -> None:
        """Load the weights."""
        self._engine.open()

    @property
    def parameters(self) -> int:
        """How many weights the student has."""
        return self._engine.parameters

    def complete(self, request: Request) -> Response:
        """The student's answer, in the words of the program's adapter."""
        with own_failure(self.name):
            asked = self._asked(request)
        response = self._ask(asked, request.config.logprobs)
        message = lm15.Message("assistant", (lm15.TextPart(self._form.translate(response.text or "")),))
        return replace(response, model=request.model, message=message)

    def answer(self, request: Request) -> tuple[Response, float]:
        """The answer, and the probability of its least sure token."""
        most = request.config.logprobs
        scored = self.complete(replace(request, config=replace(request.config, logprobs=most or 0)))
        return replace(scored, logprobs=None if most is None else scored.logprobs), _sure(scored)

    def confidence(self, inputs: Mapping[str, str]) -> float:
        """The probability of the least sure token of its greedy answer."""
        prompt, config = self._form.prompt(inputs), lm15.Config(max_tokens=self.max_tokens)
        return _sure(self._ask(request_of_chat(self.name, prompt, config), 0))

    def _asked(self, request: Request) -> Request:
        """What the student is asked where the program asks this."""
        if self._form.style == "program":
            return request
        inputs = inputs_of(request, self._form.inputs, self.name)
        return request_of_chat(self.name, self._form.prompt(inputs), request.config)

    def _ask(self, request: Request, scores: int | None) -> Response:
        """The model's own answer. Scores cost a good part of its time, and are had only where they are wanted."""
        plain = replace(request.config, stop=(), response_format=None, logprobs=scores)
        with self._lock:
            if not self._held:  # the weights are loaded with the first call, and the form needs their tokens
                part = self._form.grammar()
                if part is not None:
                    self._engine.answers_in(part)
                self._held = True
        with own_failure(self.name):
            return self._engine.complete(replace(request, config=plain))

    def close(self) -> None:
        """End the worker."""
        self._engine.close()


def _sure(response: Response) -> float:
    """The probability of the least sure token of an answer with scores."""
    worst = min((token.logprob for token in response.logprobs or ()), default=0.0)
    return math.exp(min(0.0, worst))


class EncoderStudent(Free):
    """A classifier: one pass over the inputs, one label."""

    concurrency = 128

    def __init__(self, folder: Path, facts: Any) -> None:
        super().__init__()
        self.folder = folder
        self.name = f"student:{folder.name}"
        self._inputs: tuple[str, ...] = tuple(facts["inputs"])
        self._facts, self._labels, self._length = facts, facts["labels"], facts["max_length"]
        self._mean = facts.get("pooling") == "mean"
        work = in_one_go(self._classify)
        self._batcher: Batcher[dict[str, str], tuple[str, int, list[float]]] = Batcher(work, most=16 * ROWS)

    @cached_property
    def identity(self) -> Identity:
        """The digest of weights, tokenizer and labels."""
        return identity_of(self.folder)

    def open(self) -> None:
        """Load the weights."""
        _ = self.loaded

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        """The classifier and its tokenizer."""
        if not self._mean:
            return load("SequenceClassification", self.folder, dtype="float32")
        encoder, tokenizer = load("", self.folder, dtype="float32")
        return with_saved_head(encoder, self.folder), tokenizer

    @property
    def parameters(self) -> int:
        """How many weights the student has."""
        return int(self.loaded[0].num_parameters())

    def complete(self, request: Request) -> Response:
        """The likeliest label; with ``logprobs`` asked for, the log-probability of each."""
        return self.answer(request)[0]

    def confidence(self, inputs: Mapping[str, str]) -> float:
        """The probability of the likeliest label."""
        with own_failure(self.name):
            return math.exp(max(self._batcher({name: inputs.get(name, "") for name in self._inputs})[2]))

    def answer(self, request: Request) -> tuple[Response, float]:
        """The response, and the probability of its label."""
        with own_failure(self.name):
            label, tokens, logs = self._batcher(inputs_of(request, self._inputs, self.name))
        text = label_answer(request, self._facts, label)
        more: dict[str, Any] = {}
        if request.config.logprobs is not None:
            top = tuple(lm15.TopLogprob(token=t, logprob=p) for t, p in zip(self._labels, logs, strict=True))
            more["logprobs"] = (lm15.TokenLogprob(token=label, logprob=max(logs), top=top),)
        return text_response(request.model, text, read=tokens, written=1, **more), math.exp(max(logs))

    def probabilities(self, inputs: Sequence[dict[str, str]]) -> torch.Tensor:
        """[inputs, labels], each row summing to 1."""
        found = []
        for one in self._classify(inputs):
            if isinstance(one, Exception):
                raise one
            found.append(one[2])
        return torch.tensor(found, dtype=torch.float64).exp()

    def close(self) -> None:
        """End the worker."""
        self._batcher.close()

    @torch.inference_mode()
    def _classify(self, batch: Sequence[dict[str, str]]) -> Sequence[tuple[str, int, list[float]] | Exception]:
        rows: dict[int, dict[str, list[int]]] = {}
        found: dict[int, tuple[str, int, list[float]] | Exception] = {}
        groups: dict[int, list[int]] = {}
        for index, inputs in enumerate(batch):
            try:
                rows[index] = encode(self.loaded[1], inputs, self._inputs, self._length)
            except Exception as error:
                found[index] = error
                continue
            width = -(-len(rows[index]["input_ids"]) // STRIDE) * STRIDE
            groups.setdefault(min(width, self._length), []).append(index)
        for width, members in groups.items():
            for start in range(0, len(members), ROWS):
                found |= self._answers({index: rows[index] for index in members[start : start + ROWS]}, width)
        return [found[index] for index in range(len(batch))]

    def _answers(
        self, rows: Mapping[int, dict[str, list[int]]], width: int
    ) -> dict[int, tuple[str, int, list[float]] | Exception]:
        """Label, tokens and log-probabilities of a batch; a row that fails, alone too, takes no other one along."""
        model, tokenizer = self.loaded
        try:
            feed = collate(list(rows.values()), tokenizer, count=ROWS, width=width)
            feed = {name: moved(tensor, device_of(model)) for name, tensor in feed.items()}
            scores = model(**feed).logits[: len(rows)].double().log_softmax(dim=-1).cpu()
        except Exception as error:
            if len(rows) == 1:
                return dict.fromkeys(rows, error)
            return {
                index: found for one, row in rows.items() for index, found in self._answers({one: row}, width).items()
            }
        return {
            index: (self._labels[int(logs.argmax())], len(row["input_ids"]), logs.tolist())
            for (index, row), logs in zip(rows.items(), scores, strict=True)
        }


def identity_of(folder: Path) -> Identity:
    """What a student is: the digest of its weights, tokenizer and facts."""
    return {"kind": "student", "weights": student_digest(folder)}


def inputs_of(request: Request, names: Sequence[str], student: str) -> dict[str, str]:
    """The inputs of the predictor that a student answers, from its prompt; empty texts for those that it was not given.

    Raises:
        lm15.InvalidRequestError: for another predictor's prompt.
    """
    found = input_fields(request, names)
    if not found:
        raise lm15.InvalidRequestError(
            f"{student} needs the fields {', '.join(names)}, and the prompt has "
            f"{', '.join(input_fields(request)) or 'none'}: it answers one predictor, under the chat or json adapter"
        )
    return {name: found.get(name, "") for name in names}
