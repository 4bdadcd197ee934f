"""JUnit XML, which continuous integration shows: a suite for each report, a test case for each example.

A wrong answer and a missing one are failures, an error that was not the system's is an error, and what has no score is
skipped. The elements, their order and their attributes are those that Apache Ant's schema demands; Jenkins's and
GitLab's readers take them too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from ...runtime.atomic import writing
from ...runtime.errors import BadInput
from ..report import Report
from ..rows import Row

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, section 2.2."""
MOST = 2000
"""Characters of an answer that are shown."""


def write_junit(
    reports: Sequence[Report], path: Path | str, *, passing: float = 1.0, when: datetime | None = None
) -> Path:
    """Write reports as JUnit XML.

    Args:
        reports: a suite each.
        path: the file.
        passing: the least score that passes.
        when: the time that stands in it; now by default.

    Raises:
        BadInput: for no reports, and a ``passing`` outside (0, 1].
    """
    if not reports:
        raise BadInput("no reports to write: expected at least one")
    if not 0 < passing <= 1:
        raise BadInput(f"passing={passing!r}: expected a score above 0, and at most 1")
    stamp = (when or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    with writing(Path(path)) as file:
        file.writelines(line.encode() for line in _document(reports, passing, stamp))
    return Path(path)


def _document(reports: Sequence[Report], passing: float, stamp: str) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    for place, report in enumerate(reports):
        yield from _suite(report, place, passing, stamp)
    yield "</testsuites>\n"


def _suite(report: Report, place: int, passing: float, stamp: str) -> Iterator[str]:
    kinds = [_kind(row, passing) for row in report.rows]
    name = ".".join(part for part in (report.task, report.split) if part) or "examples"
    yield _tag(
        "testsuite", name=f"{report.system} on {name} ({report.metric})", package=report.system, id=place,
        hostname="localhost", timestamp=stamp, tests=len(kinds), failures=kinds.count("failure"),
        errors=kinds.count("error"), skipped=kinds.count("skipped"), time=_seconds(sum(r.seconds for r in report.rows)),
    ) + "\n"  # fmt: skip
    yield "<properties>\n"
    for key, value in _properties(report, passing):
        yield _tag("property", "/", name=key, value=value) + "\n"
    yield "</properties>\n"
    for row, kind in zip(report.rows, kinds, strict=True):
        yield from _case(row, kind, f"{report.system}.{name}", passing)
    notes = "\n".join(report.notes)
    yield f"<system-out>{_text(notes)}</system-out>\n<system-err></system-err>\n</testsuite>\n"


def _properties(report: Report, passing: float) -> Iterable[tuple[str, str]]:
    score = report.score
    yield from (("system", report.system), ("task", report.task), ("split", report.split), ("metric", report.metric))
    yield from (("n", str(len(report.rows))), ("passing", f"{passing:g}"))
    if score is not None:
        yield from (("score", f"{score.value:.6f}"), ("low", f"{score.low:.6f}"), ("high", f"{score.high:.6f}"))


def _case(row: Row, kind: str, group: str, passing: float) -> Iterator[str]:
    start = _tag("testcase", "" if kind else "/", name=row.id, classname=group, time=_seconds(row.seconds))
    if not kind:
        yield start + "\n"
        return
    failure = row.failure
    said = failure.message if failure is not None else f"score {row.score:g}, passing is {passing:g}"
    yield start
    if kind == "skipped":
        yield _tag("skipped", "/", message=said)
    else:
        type_ = "score" if failure is None else failure.type or failure.kind
        answer = "\n".join(filter(None, (row.feedback, json.dumps(row.outputs, ensure_ascii=False, default=str))))
        yield f"{_tag(kind, message=said, type=type_)}{_text(answer[:MOST])}</{kind}>"
    yield "</testcase>\n"


def _kind(row: Row, passing: float) -> str:
    """The element for a row; empty for one that passes."""
    if row.score is not None:
        return "" if row.score >= passing else "failure"
    return "skipped" if row.failure is None or row.failure.kind == "abstained" else "error"


def _seconds(value: float) -> str:
    return f"{value:.6f}"


def _tag(element: str, end: str = "", /, **attributes: object) -> str:
    pairs = "".join(f" {key}={quoteattr(_clean(str(value)))}" for key, value in attributes.items())
    return f"<{element}{pairs}{end}>"


def _text(value: str) -> str:
    return escape(_clean(value))


def _clean(value: str) -> str:
    return _ILLEGAL.sub("\ufffd", value)
