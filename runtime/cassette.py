"""A run's part of the journal as one file that plain tools can read: ``zstd -dc cassette.jsonl.zst``.

The first line says what it is, which models took part, what attempts without an answer may have cost, and after which
call of the journal each part of the run began; then come prompt prefixes (each once, before its first use) and calls
with their numbers in the journal, in the order of their keys.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import zstandard

from .atomic import writing
from .budget import Cost
from .canonical import canonical
from .errors import BadInput, Damaged
from .home import default_journal
from .journal import Entry, Journal
from .rundir import run_id
from .session import Replay, Session
from .wire import Answer, Wire

FORMAT = 1
NAME = "cassette.jsonl.zst"
"""A cassette's name in its run directory."""
LEVEL = 6
"""zstd's level: most of the gain, little of the time."""


def export(session: Session, path: Path) -> int:
    """Write the calls that a session used; how many there are."""
    return _write(session.journal, session.used(), session.models(), session.runs.__contains__, path)


def export_run(run: Path, path: Path) -> int:
    """Write a run's cassette elsewhere; of a run that has not ended, the calls that it has paid for so far.

    Raises:
        BadInput: where there is no run.
    """
    if (run / NAME).is_file():
        journal, replay = load(run / NAME)
        keys = [entry.key for entry in journal.entries()]
        return _write(journal, keys, replay.models, lambda run: True, path)
    config = run / "config.json"
    if not config.is_file():
        raise BadInput(f"{run} is no run: it has no config.json")
    body = orjson.loads(config.read_bytes())
    mark = run_id(body.pop("kind"), body)
    journal = default_journal(run)

    def ours(run: str) -> bool:
        return run.partition("/")[0] == mark

    return _write(journal, [entry.key for entry in journal.entries() if ours(entry.run)], {}, ours, path)


def _write(journal: Journal, keys: list[bytes], models: dict[str, Any], ours: Callable[[str], bool], path: Path) -> int:
    """The calls with these keys, and what is known of the runs that are ours."""
    with (
        writing(path) as file,
        zstandard.ZstdCompressor(level=LEVEL).stream_writer(file, closefd=False) as out,
    ):
        head = {"kind": "dstill cassette", "format": FORMAT, "calls": len(keys), "models": models}
        lost = {run: journal.lost(run) for run in journal.losers() if ours(run)}
        head["lost"] = {run: [cost.calls, cost.tokens, cost.pico] for run, cost in lost.items()}
        head["begun"] = {run: after for run, after in journal.begun().items() if ours(run)}
        out.write(canonical(head) + b"\n")
        known: dict[bytes, int] = {}
        for key in keys:
            entry = journal.get(key)
            assert entry is not None, "a used call is in the journal"
            prefix = known.get(entry.wire.prefix)
            if prefix is None:
                prefix = known[entry.wire.prefix] = len(known)
                out.write(canonical({"prefix": prefix, "body": orjson.loads(entry.wire.prefix)}) + b"\n")
            out.write(canonical(_dump(entry, prefix)) + b"\n")
    return len(keys)


def load(path: Path) -> tuple[Journal, Replay]:
    """A journal in memory with a cassette's calls, and what it knows of their models.

    Raises:
        BadInput: where there is no such file.
        Damaged: for a file that is not a whole cassette of a format that is known here.
    """
    journal = Journal()
    lines = _lines(path)
    head = next(lines, None)
    if not isinstance(head, dict) or head.get("kind") != "dstill cassette":
        raise Damaged(f"{path} is not a dstill cassette")
    if head["format"] > FORMAT:
        raise Damaged(
            f"{path} has cassette format {head['format']}, and this dstill reads up to {FORMAT}: update dstill"
        )
    prefixes: dict[int, bytes] = {}
    calls = 0
    identities: dict[str, Any] = {}
    try:
        for line in lines:
            if "prefix" in line and "body" in line:
                prefixes[line["prefix"]] = canonical(line["body"])
            else:
                journal.put(_load(line, prefixes), identities)
                calls += 1
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{path}, call {calls + 1}: not a recorded call ({type(error).__name__}: {error})") from None
    for run, after in head.get("begun", {}).items():
        journal.begin(run, after)
    for run, (attempts, tokens, pico) in head.get("lost", {}).items():  # they counted against the budget
        for number in range(attempts):
            journal.lose(b"", run, "", Cost(1, tokens, pico) if number == 0 else Cost(1))
    if calls != head["calls"]:
        raise Damaged(f"{path} is cut short: it holds {calls:,} of {head['calls']:,} calls")
    return journal, Replay(head["models"])


def _dump(entry: Entry, prefix: int) -> dict[str, Any]:
    return {
        "key": entry.key.hex(),
        "model": entry.model,
        "prefix": prefix,
        "tail": orjson.loads(entry.wire.tail),
        "sample": entry.sample,
        "answer": orjson.loads(entry.answer.dump()),
        "tokens": entry.cost.tokens,
        "pico": entry.cost.pico,
        "bound": [entry.bound.tokens, entry.bound.pico],
        "seconds": entry.seconds,
        "run": entry.run,
        "number": entry.number,
    }


def _load(line: dict[str, Any], prefixes: dict[int, bytes]) -> Entry:
    return Entry(
        key=bytes.fromhex(line["key"]),
        model=line["model"],
        wire=Wire(prefixes[line["prefix"]], canonical(line["tail"])),
        sample=line["sample"],
        answer=Answer.load(canonical(line["answer"])),
        cost=Cost(int(line["bound"][0] > 0), line["tokens"], line["pico"]),
        bound=Cost(int(line["bound"][0] > 0), *line["bound"]),
        seconds=line["seconds"],
        run=line["run"],
        number=line.get("number", 0),
    )


def _lines(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as raw:
            for line in io.BufferedReader(raw):
                yield orjson.loads(line)
    except FileNotFoundError:
        raise BadInput(f"there is no cassette {path}") from None
    except (zstandard.ZstdError, orjson.JSONDecodeError, OSError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from None
