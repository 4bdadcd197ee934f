"""What an evaluation found: a row per example, and the figures that follow from the rows."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import orjson

from ..runtime.atomic import write_json, writing
from ..runtime.canonical import canonical
from ..runtime.errors import BadInput, Damaged
from ..runtime.rundir import RunDir, check_files
from .checks import check_rows
from .confidence import Calibrated, Stated, calibrated
from .rows import Row, Scoring
from .samples import tries
from .statistics.clusters import cluster_score
from .statistics.intervals import Interval, mean_interval
from .statistics.monitor import anytime_mean
from .statistics.reliability import Reliability, reliability
from .statistics.values import is_binary

Spent: TypeAlias = Literal["usd", "seconds", "tokens"]


@dataclass(frozen=True)
class Report:
    """One system on one split of one task."""

    system: str
    """What the system is called in boards."""
    task: str
    split: str
    metric: str
    rows: tuple[Row, ...]
    """In the order of the split."""
    parameters: int | None = None
    """Weights of the models that answered, where they are known."""
    notes: tuple[str, ...] = ()
    """What a reader should know, e.g. that a budget ended the run."""
    examples: tuple[dict[str, Any], ...] | None = None
    """What was asked, the fields of the example of each row as JSON, where they were kept."""
    planned: int | None = None
    """Examples of the split, where the rows are only some of them: it was stopped when a comparison was decided."""
    recorded: tuple[Spent, ...] | None = None
    """What of costs another tool has recorded; ``None`` for all, as we do."""

    @cached_property
    def scores(self) -> list[float]:
        """Scores of the rows that have one; a failure's is 0."""
        return [row.score for row in self.rows if row.score is not None]

    @cached_property
    def score(self) -> Interval | None:
        """The mean score with a 95 % interval, which allows for clusters and for a stop when decided; ``None`` if
        nothing was scored."""
        if not self.scores:
            return None
        if self.clusters is not None:
            return cluster_score([row.score for row in self.rows], self.clusters)
        return mean_interval(self.scores) if self.planned is None else anytime_mean(self.scores)

    @cached_property
    def clusters(self) -> tuple[tuple[str, str], ...] | None:
        """For every row what it shares with others, or its own id; ``None`` if all stand alone."""
        if all(row.cluster is None for row in self.rows):
            return None
        return tuple(("row", row.id) if row.cluster is None else ("cluster", row.cluster) for row in self.rows)

    @cached_property
    def samples(self) -> int:
        """The most answers that an example has."""
        return max((len(row.samples) or 1 for row in self.rows), default=0)

    def reliability(self, k: int, *, passing: float | None = None, level: float = 0.95) -> Reliability:
        """Whether one of k answers to an example is right (pass@k), and whether all of k are (pass^k), without bias.

        Args:
            k: from 1 to the answers of an example; examples with fewer scored ones are left out, and counted.
            passing: the score from which on an answer is right; may be left out where all are 0 or 1.
            level: of the intervals, which are over examples.

        Raises:
            BadInput: for graded scores without ``passing``, or a k above the scored answers of every example.
        """
        table = tries(self.rows)
        if passing is not None:
            table = np.where(np.isnan(table), np.nan, (table >= passing).astype(np.float64))
        elif not is_binary(table[~np.isnan(table)]):
            raise BadInput(
                f"the scores of {self.system} by {self.metric} are graded: say from which on an answer is right, e.g. "
                "reliability(k, passing=1)"
            )
        found = reliability(table, k, level)
        there = sum((row.samples or (row.score,)).count(None) for row in self.rows)  # what fills a row up is none
        return replace(found, unscored=there)

    @cached_property
    def reliabilities(self) -> tuple[Reliability, ...]:
        """``reliability`` for k = 1, 2, 4, ... and the number of answers; none for one answer, or graded scores."""
        if self.samples < 2:
            return ()
        there = ~np.isnan(table := tries(self.rows))
        most = int(there.sum(axis=1).max())
        if most < 2 or not is_binary(table[there]):
            return ()
        ks = [1 << power for power in range((most - 1).bit_length())]
        return tuple(self.reliability(k) for k in (*ks, most))

    def calibration(
        self,
        confidence: str | Sequence[Any],
        *,
        certain: float = 1.0,
        passing: float | None = None,
        bins: int = 10,
        kind: Literal["width", "mass"] = "width",
        level: float = 0.95,
        seed: int = 0,
    ) -> Calibrated:
        """Whether confidences mean what they say: of answers stated with 80 %, are 80 % right?

        What is unscored or states no readable confidence is left out, and counted. Several answers stand together.

        Args:
            confidence: a field of the outputs, else of the examples, or a value for each row: numbers or ``85 %``.
            certain: the number that means certain, 100 for percentages without their sign.
            passing: the score from which on an answer is right; may be left out where all are 0 or 1.
            bins, kind, level, seed: as ``dstill.eval.statistics.calibration`` takes them.

        Raises:
            BadInput: without a confidence that is a number, for one outside the range, graded scores without passing.
        """
        return calibrated(self, Stated(confidence, certain, passing), bins=bins, kind=kind, level=level, seed=seed)

    def check(self) -> None:
        """Refuse rows of which no figure could be made; see ``check_rows``."""
        check_rows(self.system, self.rows)

    @property
    def failed(self) -> int:
        """Rows without a prediction, counted as 0."""
        return sum(row.status == "failed" for row in self.rows)

    @property
    def unscored(self) -> int:
        """Rows that do not count."""
        return sum(row.status == "unscored" for row in self.rows)

    @property
    def failures(self) -> dict[str, int]:
        """How many rows failed or went unscored, by kind."""
        return dict(sorted(Counter(row.failure.kind for row in self.rows if row.failure is not None).items()))

    @cached_property
    def spent(self) -> bool:
        """Whether calls, tokens, costs or times were recorded at all; other tools may keep none."""
        return any(row.calls or row.tokens_in or row.usd or row.seconds for row in self.rows)

    @cached_property
    def scoring(self) -> Scoring:
        """What the metric asked of models, such as a judge; apart from the system's calls, tokens and dollars."""
        return sum((row.scoring for row in self.rows), Scoring())

    def knows(self, what: Spent) -> bool:
        """Whether dollars, seconds or tokens were recorded."""
        return self.spent and (self.recorded is None or what in self.recorded)

    def latency(self, quantile: float) -> float | None:
        """Seconds in engines per example, at a quantile (linear interpolation); ``None`` where none were recorded."""
        return float(np.quantile([row.seconds for row in self.rows], quantile)) if self.knows("seconds") else None

    @property
    def usd_per_1000(self) -> float | None:
        """Dollars for 1,000 examples; ``None`` where none were recorded."""
        return 1000 * sum(row.usd for row in self.rows) / len(self.rows) if self.knows("usd") else None

    @property
    def prompt_tokens(self) -> float | None:
        """Mean tokens read per example; ``None`` where none were recorded."""
        return sum(row.tokens_in for row in self.rows) / len(self.rows) if self.knows("tokens") else None

    def dump(self) -> dict[str, Any]:
        """The figures as JSON; equal evaluations have equal bytes, so times stand in the rows only."""
        return {
            "system": self.system,
            "task": self.task,
            "split": self.split,
            "metric": self.metric,
            "n": len(self.rows),
            **({} if self.planned is None else {"planned": self.planned}),
            **({} if self.clusters is None else {"clusters": len(set(self.clusters))}),
            "score": None if self.score is None else self.score.dump(),
            "failed": self.failed,
            "unscored": self.unscored,
            "failures": self.failures,
            "calls": sum(row.calls for row in self.rows),
            "tokens_in": sum(row.tokens_in for row in self.rows),
            "tokens_out": sum(row.tokens_out for row in self.rows),
            "usd_per_1000": round(self.usd_per_1000 or 0.0, 9) if self.recorded is None or self.knows("usd") else None,
            **({} if self.recorded is None else {"recorded": list(self.recorded)}),
            **({"scoring": self.scoring.dump()} if self.scoring.calls else {}),
            "parameters": self.parameters,
            "notes": list(self.notes),
            **(
                {"samples": self.samples, "reliability": [one.dump() for one in self.reliabilities]}
                if self.samples > 1
                else {}
            ),
        }

    def save(self, run: RunDir) -> None:
        """Write it into a run directory; see ``write``."""
        self.write(run.path)

    def write(self, folder: Path) -> None:
        """Write ``report.json``, ``rows.jsonl`` and, where they are known, ``examples.jsonl`` into a folder."""
        with writing(folder / "rows.jsonl") as file:
            file.writelines(canonical(row.dump()) + b"\n" for row in self.rows)
        if self.examples is not None:
            with writing(folder / "examples.jsonl") as file:  # in the fields' own order, which readers will see
                file.writelines(orjson.dumps(example) + b"\n" for example in self.examples)
        write_json(folder / "report.json", self.dump())

    @classmethod
    def load(cls, folder: Path | str) -> Report:
        """A saved report.

        Raises:
            BadInput: where there is none.
            Damaged: for files that are no report.
        """
        folder = Path(folder)
        check_files(folder, "report.json", "rows.jsonl", "examples.jsonl")
        try:
            head = orjson.loads((folder / "report.json").read_bytes())
            with (folder / "rows.jsonl").open("rb") as lines:  # one at a time: there may be millions
                rows = tuple(Row.load(orjson.loads(line)) for line in lines)
            return cls(
                head["system"], head["task"], head["split"], head["metric"], rows, head["parameters"],
                tuple(head["notes"]), _asked(folder / "examples.jsonl", len(rows)), head.get("planned"),
                tuple(head["recorded"]) if "recorded" in head else None,
            )  # fmt: skip
        except FileNotFoundError as error:
            made = f" (make one: dstill eval {folder})" if (folder / "program.json").is_file() else ""
            raise BadInput(f"there is no report in {folder}: {error.filename} is missing{made}") from None
        except (orjson.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise Damaged(f"the report in {folder} cannot be read: {type(error).__name__}: {error}") from None

    def __str__(self) -> str:
        score = "nothing scored" if self.score is None else str(self.score)
        bad = "".join(
            f", {count} {name}" for name, count in (("failed", self.failed), ("unscored", self.unscored)) if count
        )
        part = "" if self.planned is None else f" of {self.planned}"
        part += "" if self.clusters is None else f" in {len(set(self.clusters))} clusters"
        where = " ".join(name for name in (self.task, self.split) if name)  # a plain table may name neither
        return f"{self.system}{' on ' * bool(where)}{where}: {score} (n={len(self.rows)}{part}{bad})"

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<tr><td>{html.escape(row.id)}</td><td>{row.score:g}</td><td>{html.escape(str(row.outputs)[:200])}</td>"
            f"<td>{html.escape(row.feedback or (row.failure.message if row.failure else ''))}</td></tr>"
            for row in [row for row in self.rows if row.score is not None and row.score < 1][:10]
        )
        return (
            f"<b>{html.escape(str(self))}</b><details><summary>examples that fell short</summary><table>"
            f"<tr><th>id</th><th>score</th><th>outputs</th><th>why</th></tr>{lines}</table></details>"
        )


def _asked(file: Path, count: int) -> tuple[dict[str, Any], ...] | None:
    """The examples of as many rows; ``None`` where they were not kept."""
    if not file.is_file():
        return None
    found = tuple(orjson.loads(line) for line in file.read_bytes().splitlines())
    if len(found) != count or not all(isinstance(body, dict) for body in found):
        raise Damaged(f"{file} holds {len(found)} examples for {count} rows: expected an object for each row")
    return found
