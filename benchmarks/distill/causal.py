"""A trained generative student beside a transformers pipeline on its weights: calls a second, 64 of them in flight.

    python benchmarks/distill/causal.py --students topics:chat lists:bare

A student learns a lab task's labelled rows. It is asked as students are by default (``chat``: instructions, fields and
inputs) or with its inputs alone (``bare``). Ours is the student as it stands in a distilled program: asked in the
program's prompt, it makes its own of it, holds the answer to the types of its fields, and answers for DSPy's adapter.
The pipeline gets the student's own prompts, one call at a time, with the same weights and threads; both decode
greedily, in turn. Answers are compared on the pipeline's calls; they differ where the pipeline's does not come to an
end, which ours is held to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dspy
import torch
from common import RESULTS, record, spread
from dspy import lm15
from dstill.distill import Gold, TrainCausal, Training
from dstill.distill.students import student_engine
from dstill.runtime import ScriptedEngine
from dstill.runtime.wire import Request, request_of_chat
from embedded_speed import Pipeline, beside
from plot import median_of, ranges

import dstill

Inputs = dict[str, str]


class Student:
    """Our engine of a student folder, asked by as many threads as there are calls in flight."""

    def __init__(self, folder: Path, signature: Any, concurrency: int) -> None:
        self.engine: Any = student_engine(folder)
        self.form = self.engine._form
        self.signature, self.concurrency = signature, concurrency

    def asked(self, rows: Sequence[Inputs]) -> list[Request]:
        """What the program asks."""
        chat, config = dspy.ChatAdapter(), lm15.Config(max_tokens=self.engine.max_tokens)
        return [request_of_chat("m", chat.format(self.signature, [], row), config) for row in rows]

    def __call__(self, asked: Sequence[Request]) -> list[str]:
        with ThreadPoolExecutor(self.concurrency) as pool:
            return [response.text for response in pool.map(self.engine.complete, asked)]


def trained(kind: str, style: Any, given: argparse.Namespace, work: Path) -> tuple[Path, Any, list[Inputs]]:
    """A student of a lab task, its predictor's signature, and inputs that it has not seen."""
    calls = given.calls * (given.repeats + 2)
    task = dstill.task("lab", kind=kind, train=given.train, dev=8, test=calls, seed=0)
    nobody = ScriptedEngine(lambda request: "", name="nobody")
    declared = dstill.compile(task, nobody, "zero-shot", run=work / "declared")
    stages = [Gold(), TrainCausal("label", training=Training(epochs=given.epochs, batch=16, lr=1e-3), style=style)]
    made = dstill.distill(declared, task, given.base, stages, run=work / "run")
    assert made.folder is not None
    (predictor,) = task.program.predictors()
    return (
        next((made.folder / "students").iterdir()), predictor.signature,
        [{name: str(value) for name, value in row.inputs().items()} for row in task.test],
    )  # fmt: skip


def measured(what: Sequence[str], given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Calls a second of both in turn, ours on other inputs each time, and how many answers are the same."""
    folder, signature, rows = trained(*what, given, work)
    ours, pipe = Student(folder, signature, given.concurrency), Pipeline(folder, given.new_tokens)
    alone, asked = [ours.form.prompt(row) for row in rows[: given.alone]], ours.asked(rows)
    said = pipe(alone)
    pairs = zip(ours(asked[: given.alone]), map(ours.form.translate, said), strict=True)
    same = sum(a.strip() == b.strip() for a, b in pairs)
    answers = [pipe.pipe.tokenizer(ours.form.answer(ours.form.read(text)))["input_ids"] for text in said]
    rates = beside(ours, pipe, asked, alone, given)
    ours.engine.close()
    return {
        **rates, "prompt_tokens": pipe.tokens(alone[0]), "answer_tokens": sum(map(len, answers)) / len(answers),
        "same_answers": [same, len(said)],
    }  # fmt: skip


def main() -> None:
    """Every kind of task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="embedded:small", help="a folder or name of a causal model")
    parser.add_argument(
        "--students", nargs="+", metavar="KIND:STYLE",
        default=[f"{kind}:{style}" for kind in ("topics", "sums", "lists") for style in ("chat", "bare")],
        help="a lab task, and how its student is asked",
    )  # fmt: skip
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--epochs", type=float, default=5.0)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--calls", type=int, default=512, help="calls of ours in a measurement")
    parser.add_argument("--alone", type=int, default=48, help="calls of the pipeline in a measurement")
    parser.add_argument("--new-tokens", type=int, default=64, help="of an answer, at most")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = []
    for student in given.students:
        with tempfile.TemporaryDirectory() as place:
            found.append({"student": student, **measured(student.split(":"), given, Path(place))})
    words = "; ".join(
        f"{one['student']}, {one['prompt_tokens']} tokens read and {one['answer_tokens']:.0f} written: "
        f"{spread(one['ours_per_s'])} calls a second, {spread(one['ratio'])} times a pipeline, "
        f"{' of '.join(map(str, one['same_answers']))} answers the same"
        for one in found
    )
    record("causal", {"concurrency": given.concurrency, "threads": given.threads, "results": found}, words)
    picture(found)


def picture(found: Sequence[dict[str, Any]]) -> None:
    """Times a pipeline's rate, by student."""
    rows = {
        f"{one['student']}, {one['prompt_tokens']} to {one['answer_tokens']:.0f} tokens": median_of(one["ratio"])
        for one in found
    }
    ranges(RESULTS / "causal.svg", "Generative students", "times a pipeline's calls", rows, asked=(1.0, 10.0))


if __name__ == "__main__":
    main()
