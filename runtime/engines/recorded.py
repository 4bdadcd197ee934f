"""A model that only remembers: answers come from a file of transcripts, and from nowhere else."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
from dspy import lm15

from ..canonical import canonical, file_digest
from ..errors import BadInput, CassetteMiss
from ..fields import answer_to, input_fields
from ..journal import Identity
from ..wire import Request, Response, request_of_chat, wire_of
from .base import Priced, text_response

Answer = TypeVar("Answer")


class RecordedEngine(Priced):
    """Answers from transcripts, one JSON object per line (gzip if the name ends in .gz).

    A line either repeats a whole prompt::

        {"messages": [{"role": "user", "content": "..."}], "text": "..."}

    or names a program's input fields, whatever the prompt around them, and the output fields to answer with::

        {"inputs": {"premise": "...", "hypothesis": "..."}, "outputs": {"reasoning": "...", "label": "..."}}

    Raises:
        BadInput: for a file that cannot be read, or that answers one request in two ways, with the line's number.
        CassetteMiss: for a request that is not in the file.
    """

    repeatable = False
    concurrency = 64

    def __init__(self, path: Path | str, *, name: str | None = None) -> None:
        super().__init__()
        self.path = Path(path)
        self.name = name or f"recorded:{self.path.name}"
        self._exact: dict[bytes, str] = {}
        self._by_fields: dict[bytes, dict[str, Any]] = {}
        self._names: set[frozenset[str]] = set()
        for number, row in _rows(self.path):
            self._add(number, row)

    @property
    def identity(self) -> Identity:
        """The digest of the file."""
        return {"kind": "recorded", "transcripts": file_digest(self.path)}

    def complete(self, request: Request) -> Response:
        """The recorded answer to a request."""
        text = self._find(request)
        if text is None:
            asked = input_fields(request) or {request.messages[-1].role: request.messages[-1].text}
            shown = ", ".join(f"{name}: {str(value)[:60]!r}" for name, value in asked.items())
            raise CassetteMiss(
                f"{self.path} has no transcript for {shown}; record it first, or name a model that can answer"
            )
        return text_response(self.name, text, read=_words(_prompt(request)), written=_words(text))

    def count(self, request: Request) -> int:
        """Words, since a transcript has no tokenizer."""
        return _words(_prompt(request))

    def _find(self, request: Request) -> str | None:
        exact = self._exact.get(_prompt_key(request))
        if exact is not None:
            return exact
        found = input_fields(request)
        for names in self._names:
            if names <= found.keys():
                answer = self._by_fields.get(canonical({name: found[name] for name in names}))
                if answer is not None:
                    return answer_to(request, answer)
        return None

    def _add(self, number: int, row: Any) -> None:
        if isinstance(row, dict) and isinstance(row.get("messages"), list) and isinstance(row.get("text"), str):
            try:
                key = _prompt_key(request_of_chat("recorded", row["messages"], lm15.Config()))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise BadInput(f"{self.path}, line {number}: messages that are not role and content: {error}") from None
            self._keep(number, self._exact, key, row["text"])
        elif isinstance(row, dict) and isinstance(row.get("inputs"), dict) and isinstance(row.get("outputs"), dict):
            inputs = {name: str(value).strip() for name, value in row["inputs"].items()}
            self._names.add(frozenset(inputs))
            self._keep(number, self._by_fields, canonical(inputs), row["outputs"])
        else:
            raise BadInput(
                f"{self.path}, line {number}: expected an object with 'messages' and 'text', or with 'inputs' and "
                f"'outputs'; got {orjson.dumps(row).decode()[:80]}"
            )

    def _keep(self, number: int, answers: dict[bytes, Answer], key: bytes, answer: Answer) -> None:
        if answers.setdefault(key, answer) != answer:
            raise BadInput(f"{self.path}, line {number}: answers an earlier line's request differently")


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield number, orjson.loads(line)
                    except orjson.JSONDecodeError as error:
                        raise BadInput(f"{path}, line {number}: not JSON ({error})") from None
    except OSError as error:
        raise BadInput(f"cannot read the transcripts {path}: {error}") from None


def _prompt_key(request: Request) -> bytes:
    """The prompt alone: a transcript answers whatever the generation settings."""
    message = request.messages[-1]
    return wire_of(request).prefix + canonical([message.role, message.text])


def _prompt(request: Request) -> str:
    return " ".join(str(text) for text in (request.system or "", *(m.text or "" for m in request.messages)))


def _words(text: str) -> int:
    return len(text.split())
