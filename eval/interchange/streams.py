"""JSON as a stream: lines, the members of a large object, the elements of a large array."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from ...runtime.errors import BadInput

CHUNK = 1 << 20
"""Characters read at a time."""
_SPACE = " \t\n\r"
_OF_NUMBERS = "0123456789.eE+-"


def parse(data: bytes | str, where: str) -> Any:
    """JSON, also with the constants ``NaN`` and ``Infinity``, which Python's own writer uses.

    Raises:
        BadInput: for anything else, with the place.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        shown = (data.decode(errors="replace") if isinstance(data, bytes) else data).strip()[:60]
        raise BadInput(f"{where}: not JSON ({error}): {shown!r}") from None


def read_json(path: Path) -> Any:
    """A small JSON file."""
    with opened(path) as file:
        return parse(file.read(), str(path))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked if its name ends in .gz.

    Raises:
        BadInput: where it is missing, or cannot be read to its end.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def as_written_by(tool: str, where: str) -> Iterator[None]:
    """Interprets a record. What trips over its form is a mistake of the record, and says so with its place.

    Raises:
        BadInput: for a field that is missing, or of another kind than the tool writes.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        said = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"{where}: not of the form that {tool} writes: {said}") from error


def amount(body: Any, name: str) -> float:
    """A count, a cost or a time of a record; 0 where there is none.

    Raises:
        ValueError: for anything but a number from 0 on.
    """
    value = body.get(name)
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or not 0 <= value < 1e18:
        raise ValueError(f"{name} is {str(value)[:60]!r}, expected a number, 0 or more")
    return float(value)


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines, with their line's number.

    Raises:
        BadInput: for a line that is no JSON object.
    """
    with opened(path) as file:
        for number, whole in enumerate(file, 1):
            line = whole.removeprefix(codecs.BOM_UTF8) if number == 1 else whole
            if line.strip():
                row = parse(line, f"{path}, line {number}")
                if not isinstance(row, dict):
                    raise BadInput(f"{path}, line {number}: expected a JSON object, got {str(row)[:60]!r}")
                yield number, row


def elements(path: Path) -> Iterator[Any]:
    """The elements of a JSON array, one at a time.

    Raises:
        BadInput: for a file that is no array.
    """
    with opened(path) as file:
        text = _Text(file, path)
        if text.peek() != "[":
            raise BadInput(f"{path}: expected a JSON array, got {text.peek()!r}")
        yield from text.array()


def members(path: Path, *streamed: str) -> Iterator[tuple[str, Any]]:
    """The members of a JSON object, in order; arrays of the names in ``streamed`` come an element at a time.

    Raises:
        BadInput: for a file that is no object.
    """
    with opened(path) as file:
        text = _Text(file, path)
        if text.peek() != "{":
            raise BadInput(f"{path}: expected a JSON object, got {text.peek()!r}")
        text.skip()
        while text.peek() != "}":
            name = text.value()
            text.expect(":")
            if name in streamed and text.peek() == "[":
                yield from ((name, element) for element in text.array())
            else:
                yield name, text.value()
            if text.peek() == ",":
                text.skip()
            elif text.peek() != "}":
                text.expect(",")


class _Text:
    """A window on a text that moves on."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._scan = json.JSONDecoder().raw_decode
        self._text, self._at, self._before, self._ended = "", 0, 0, False

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def skip(self) -> None:
        """Move behind the next character."""
        self._at += 1

    def expect(self, letter: str) -> None:
        """Move behind a character that must come next."""
        if self.peek() != letter:
            self._fail(f"expected {letter!r}")
        self.skip()

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                found, end = self._scan(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                if not self._more():
                    self._fail(getattr(error, "msg", "expected a value"))
                continue
            follows = self._text[end : end + 1]
            if (follows and follows not in _OF_NUMBERS) or not self._more():  # a number may go on in what is read next
                self._at = end
                return found

    def array(self) -> Iterator[Any]:
        """The elements of the array that comes next."""
        self.skip()
        while self.peek() != "]":
            yield self.value()
            if self.peek() != "]":
                self.expect(",")
        self.skip()

    def _more(self) -> bool:
        """Read on; what lies behind is let go. A value that does not fit is met with ever larger steps."""
        if self._ended:
            return False
        self._before += self._at
        self._text, self._at = self._text[self._at :], 0
        data = self._file.read(max(CHUNK, len(self._text)))
        self._ended = not data
        try:
            self._text += self._decode(data, self._ended)
        except UnicodeDecodeError as error:
            raise BadInput(f"{self._path}: not UTF-8 ({error.reason})") from None
        return True

    def _fail(self, why: str) -> None:
        shown = self._text[self._at : self._at + 40]
        raise BadInput(f"{self._path}, character {self._before + self._at}: not JSON ({why}): {shown!r}")
