"""Examples per second beside ``dspy.Evaluate``, and CPU time per call beside ``dspy.Predict``.

    python benchmarks/throughput.py

The engine sleeps 50 ms and answers, in this process. Ours writes every call to a journal on disk before its caller
sees it; DSPy's cache is off. The ideal is ``concurrency / 50 ms``. Both sides run in turn.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
from common import alternate, record, spread
from dspy import lm15
from dstill.eval import evaluate
from dstill.programs import make_examples, metrics
from dstill.runtime import LM, Journal, ScriptedEngine, Session
from dstill.runtime.adapters import adapter_named
from dstill.runtime.engines.base import text_response

SLEEP = 0.05
ANSWER = "[[ ## label ## ]]\nyes\n\n[[ ## completed ## ]]"


class Sleeping:
    """DSPy's own engine seam with nothing of ours behind it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def complete(self, request: lm15.Request) -> lm15.Response:
        """A fixed answer, after a while."""
        if self.seconds:
            time.sleep(self.seconds)
        return text_response(request.model, ANSWER, read=100, written=5)


def examples(count: int) -> list[dspy.Example]:
    """Distinct texts."""
    rows = [{"id": str(n), "text": f"the text of number {n}, of some length", "label": "yes"} for n in range(count)]
    return make_examples(rows, inputs=["text"])


def program(demos: int) -> dspy.Predict:
    """A predictor with demonstrations."""
    made = dspy.Predict("text -> label")
    made.demos = [dspy.Example(text=f"a demonstration, number {n}", label="yes") for n in range(demos)]
    return made


def ours(count: int, concurrency: int, work: Path) -> float:
    """Examples per second."""

    def answer(request: Any) -> str:
        time.sleep(SLEEP)
        return ANSWER

    engine = ScriptedEngine(answer, name="sleeping", repeatable=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        session = Session(Journal(Path(folder) / "journal.sqlite"))
        rows = examples(count)
        gc.collect()
        started = time.perf_counter()
        report = evaluate(program(0), rows, metrics.exact("label"), LM(engine, session), session=session,
                          concurrency=concurrency)  # fmt: skip
        seconds = time.perf_counter() - started
        assert report.score is not None
        assert report.score.value == 1.0
        assert len(session.journal) == count
        session.journal.close()
    return count / seconds


def theirs(count: int, concurrency: int) -> float:
    """Examples per second of ``dspy.Evaluate``."""
    lm = dspy.LM("sleeping", engine=Sleeping(SLEEP), cache=False, num_retries=0)
    run = dspy.Evaluate(
        devset=examples(count), metric=lambda e, p, trace=None: e.label == p.label, num_threads=concurrency,
        display_progress=False, provide_traceback=False,
    )  # fmt: skip
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        gc.collect()
        started = time.perf_counter()
        assert run(program(0)).score == 100.0
        return count / (time.perf_counter() - started)


def cpu(call: Callable[[str], Any], count: int, start: int) -> float:
    """Microseconds of CPU, of all threads, per call."""
    gc.collect()
    before = time.process_time()
    for n in range(start, start + count):
        call(f"the text of number {n}, of some length")
    return 1e6 * (time.process_time() - before) / count


def cpu_per_call(demos: int, count: int, repeats: int, work: Path) -> tuple[list[float], list[float]]:
    """Ours with a journal on disk, and plain ``dspy.Predict``, in turn."""
    journal = Journal(work / f"cpu-{demos}.sqlite")
    mine = LM(ScriptedEngine(lambda request: ANSWER, name="instant", repeatable=True), Session(journal))
    plain = dspy.LM("instant", engine=Sleeping(0), cache=False, num_retries=0)
    predictor, at = program(demos), iter(range(0, 10**9, count))

    def run_ours() -> float:
        with dspy.context(lm=mine, adapter=adapter_named("chat"), disable_history=True):
            return cpu(lambda text: predictor(text=text), count, next(at))

    def run_theirs() -> float:
        with dspy.context(lm=plain, adapter=dspy.ChatAdapter(), disable_history=True):
            return cpu(lambda text: predictor(text=text), count, next(at))

    return alternate(run_ours, run_theirs, repeats)


def main() -> None:
    """Throughput, then CPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[8, 16, 32, 64, 128, 256, 512])
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs from 128 on; below, one")
    parser.add_argument("--calls", type=int, default=600, help="calls of each measurement of CPU time")
    parser.add_argument("--work", type=Path, help="where journals are written; a temporary folder by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        throughput: dict[str, Any] = {}
        for concurrency in given.concurrency:
            repeats = given.repeats if concurrency >= 128 else 1
            pairs = [
                (ours(given.examples, concurrency, work), theirs(given.examples, concurrency)) for _ in range(repeats)
            ]
            ideal = concurrency / SLEEP
            throughput[str(concurrency)] = {
                "ours": [round(a, 1) for a, _ in pairs], "dspy": [round(b, 1) for _, b in pairs],
                "of_ideal": [round(a / ideal, 4) for a, _ in pairs], "ratio": [round(a / b, 3) for a, b in pairs],
            }  # fmt: skip
            print(concurrency, throughput[str(concurrency)], flush=True)
        if throughput:
            few = [min(v["of_ideal"]) for c, v in throughput.items() if int(c) <= 64]
            many = [r for c, v in throughput.items() if int(c) >= 128 for r in v["ratio"]]
            record(
                "throughput", {"examples": given.examples, "by_concurrency": throughput},
                (f"of the ideal up to 64: {spread(few)}; " if few else "")
                + (f"times dspy.Evaluate from 128 on: {spread(many)}" if many else ""),
            )  # fmt: skip
        found = {}
        for demos in (0, 4, 16):
            mine, plain = cpu_per_call(demos, given.calls, 7, work)
            ratios = [a / b for a, b in zip(mine, plain, strict=True)]
            found[str(demos)] = {"ours_us": mine, "dspy_us": plain, "ratio": ratios}
            print(demos, "demonstrations:", spread(ratios), flush=True)
        record(
            "cpu", {"by_demonstrations": found},
            "CPU per call, times dspy.Predict: "
            + "; ".join(f"{demos} demonstrations {spread(v['ratio'])}" for demos, v in found.items()),
        )  # fmt: skip


if __name__ == "__main__":
    main()
