"""What engines over models in this process share: loading, identity, counting, batching."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import orjson
import torch
from dspy import lm15

from ...budget import per_token
from ...errors import BadInput
from ...journal import Identity
from ...wire import Request, Response
from ..base import Priced
from .batcher import Batcher, Call, Lane
from .constrain import Form, Guide, Vocabulary
from .forms import asked_at, asked_form, response_form
from .grammar import Part
from .loading import context_of, find_folder, load, weights_digest
from .prompt import Prompter
from .sampling import Chooser

PRECISIONS = ("float32", "bfloat16", "float16", "float64")

FORMS = 64
"""Forms of answers that are kept; of a large vocabulary each takes some ten megabytes."""

Prompt = tuple[Request, list[int]]
"""A request and its tokens."""

Asked = Call[Prompt, Response]
"""A caller's wait for the answer to a prompt."""


class LocalEngine(Priced):
    """A Hugging Face language model on this machine; a subclass says how a batch is answered.

    Args:
        model: a folder or a hub name.
        name: what to call it; the folder's or hub's name by default.
        dtype: the precision of weights and sums; answers are proved independent of their batch in float32 on CPUs.
        batch: most calls that share a batch.
        prices: dollars per million tokens read and written, for budgets in dollars; free by default.
        constrained: whether answers are held to the form that DSPy's chat and JSON adapters ask for in the prompt
            (fields, choices, numbers, JSON of a schema). A response format is always kept to.

    Weights are loaded with the first call.

    Raises:
        BadInput: for a precision that there is not.
        ModelUnavailable: for a model that is not there or cannot be loaded.
    """

    repeatable = True
    kind: ClassVar[str]
    """The family, as it stands in the identity."""
    loader: ClassVar[str]
    """transformers' ``AutoModelFor`` class that loads it."""

    def __init__(
        self,
        model: str | Path,
        *,
        name: str | None = None,
        dtype: str = "float32",
        batch: int = 64,
        prices: tuple[float, float] = (0.0, 0.0),
        constrained: bool = False,
    ) -> None:
        super().__init__(input_pico=per_token(prices[0]), output_pico=per_token(prices[1]))
        if dtype not in PRECISIONS:
            raise BadInput(f"dtype={dtype!r}: expected one of: {', '.join(PRECISIONS)}")
        self.folder = find_folder(str(model))
        self.name = name or str(model)
        self.concurrency = batch
        self._dtype = dtype
        self.constrained = constrained
        self.form: Form | None = None
        """The form that all answers are held to."""
        self._form = lru_cache(maxsize=FORMS)(self._new_form)
        self._batcher: Batcher[Prompt, Response] = Batcher(self.serve, most=batch, cores=self.cores)
        self._opening = threading.RLock()

    @abstractmethod
    def serve(self, calls: Sequence[Asked], lane: Lane[Prompt, Response]) -> None:
        """Finish the calls, each with the answer it would get alone."""

    @cached_property
    def identity(self) -> Identity:
        """The digest of weights, configuration, tokenizer and template, the precision, and whether answers are held
        to a form."""
        held: Identity = {"constrained": True} if self.constrained else {}
        return {"kind": self.kind, "weights": weights_digest(self.folder), "dtype": self._dtype, **held}

    def cores(self) -> Sequence[int]:
        """How many cores each of the threads has that answer."""
        return (torch.get_num_threads(),)

    @property
    def loaded(self) -> tuple[Any, Any, Prompter]:
        """Model, tokenizer and prompter."""
        with self._opening:
            return self._loaded

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Prompter]:
        model, tokenizer = load(self.loader, self.folder, dtype=self._dtype)
        return model, tokenizer, Prompter(tokenizer, context_of(model), self.name)

    def open(self) -> None:
        """Load the weights, where that was not done; with the first call at the latest."""
        _ = self.loaded

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return int(self.loaded[0].num_parameters())

    def count(self, request: Request) -> int:
        """The prompt's tokens, exactly. Asked before a call's time is taken, of which loading is no part."""
        self.open()
        return len(self.loaded[2].tokens(request))

    def complete(self, request: Request) -> Response:
        """The answer; greedy without a temperature, otherwise sampled with the request's seed.

        Raises:
            lm15.ContextLengthError: for a prompt beyond the model's context, naming both lengths.
            lm15.UnsupportedFeatureError: for a form of answers where the tokenizer's bytes are not known, or where it
                lacks some without which no answer can have the form.
        """
        wanted = request.config.response_format or (self.constrained and self.form is None)
        if wanted and self._vocabulary is None:
            raise lm15.UnsupportedFeatureError(
                f"{self.name} cannot hold answers to a form: its tokenizer is neither a byte-level BPE nor of "
                "SentencePiece's kind; leave out constrained=True and response formats"
            )
        return self._batcher((request, self.loaded[2].tokens(request)))

    def close(self) -> None:
        """End the worker; the weights go when nobody holds the engine."""
        self._batcher.close()

    def begun(self, calls: Sequence[Asked]) -> list[Answer]:
        """The answers to calls; one whose form cannot be kept to has ended."""
        found = []
        for call in calls:
            try:
                found.append(Answer(call, self.chooser(call.item[0])))
            except Exception as error:
                call.finish(error)
        return found

    def chooser(self, request: Request) -> Chooser:
        """The choices of one request's answer."""
        form, wanted = self.form, request.config.response_format
        if wanted:
            form = self._form(orjson.dumps(wanted).decode(), "")
        elif form is None and self.constrained:
            last = request.messages[-1].text or ""
            form = self._form(str(request.system or ""), last[asked_at(last) :]) if asked_at(last) >= 0 else None
        if form is not None and not form.can_end():
            shortest = form.automaton.shortest(0).decode(errors="replace")
            raise lm15.UnsupportedFeatureError(
                f"{self.name} cannot hold answers to this form: its tokenizer lacks characters without which none has "
                f"it; the shortest would be {shortest!r}; leave out constrained=True and response formats"
            )
        guide = None if form is None else Guide(form, self._ends)
        return Chooser(request.config, self._ends, self._decode, request.config.seed or 0, guide)

    def answers_in(self, part: Part) -> bool:
        """Hold every answer from now on to a form; whether this model's tokenizer allows it."""
        form = None if self._vocabulary is None else Form(part, self._vocabulary)
        self.form = form if form is not None and form.can_end() else None
        return self.form is not None

    def _new_form(self, said: str, last: str) -> Form | None:
        """The form that a system text and the end of a prompt ask for; without an end, that of a response format."""
        part = asked_form(said, last) if last else response_form(orjson.loads(said))
        return None if part is None or self._vocabulary is None else Form(part, self._vocabulary)

    @cached_property
    def _vocabulary(self) -> Vocabulary | None:
        model, tokenizer, _ = self.loaded
        return Vocabulary.of(tokenizer, model.get_input_embeddings().num_embeddings)

    @cached_property
    def _ends(self) -> frozenset[int]:
        model, tokenizer, _ = self.loaded
        ends = model.generation_config.eos_token_id
        found = {ends} if isinstance(ends, int) else set(ends or ())
        return frozenset(found | ({tokenizer.eos_token_id} - {None}))

    @cached_property
    def _decode(self) -> Callable[[Sequence[int]], str]:
        tokenizer = self.loaded[1]
        return lambda tokens: str(
            tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )


class Answer:
    """What a call is told; what goes wrong with it ends this call alone, and none of those that share its batch."""

    def __init__(self, call: Asked, chooser: Chooser) -> None:
        self.call, self.chooser = call, chooser

    def __call__(self, logits: torch.Tensor, likeliest: int) -> int | None:
        """The next token, or ``None`` to end."""
        try:
            return self.chooser(logits, likeliest)
        except Exception as error:
            self.call.finish(error)
            return None

    def end(self) -> None:
        """Let the caller go on with what was said, unless something went wrong."""
        if self.call.ended:
            return
        request, ids = self.call.item
        try:
            self.call.finish(response_of(len(ids), self.chooser, request))
        except Exception as error:
            self.call.finish(error)


def response_of(prompt: int, chooser: Chooser, request: Request) -> Response:
    """The response for a prompt of so many tokens and the choices that were made."""
    usage = lm15.Usage(input_tokens=prompt, output_tokens=len(chooser.tokens))
    message = lm15.Message("assistant", (lm15.TextPart(chooser.text()),))
    scores = tuple(chooser.logprobs) if request.config.logprobs is not None else None
    return Response(
        id=None,
        model=request.model,
        message=message,
        finish_reason=chooser.finish,
        usage=usage,
        logprobs=scores,
    )
