"""Runs programs on examples, many at a time, with the same result at any concurrency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass
from typing import Any

import dspy

from ..programs import metrics
from ..programs.metrics import Metric
from ..runtime.adapters import adapter_named
from ..runtime.errors import BadInput, Stop
from ..runtime.lm import LM
from ..runtime.session import Meter, Session
from ..runtime.slots import Slots
from .rows import Failure, Row, Scoring, Status, failure_of, outputs_of


@dataclass(frozen=True, slots=True)
class Job:
    """A program to run on an example."""

    program: dspy.Module
    example: dspy.Example
    index: int
    """The example's place in its split."""
    split: str
    sample: int = 0
    """Which of several answers to the example."""

    @property
    def id(self) -> str:
        """What to call the example."""
        return id_of(self.example, self.split, self.index)


def id_of(example: dspy.Example, split: str, index: int) -> str:
    """What to call an example: its own id, or its place in the split."""
    mark = example.get("id")
    return f"{split}[{index}]" if mark is None else str(mark)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    row: Row
    prediction: dspy.Prediction | None
    trace: tuple[Any, ...] = ()
    """DSPy's trace: (predictor, inputs, prediction) of every predictor call, where it was asked for."""


class Runner:
    """Answers jobs with outcomes, in the jobs' order.

    Args:
        lm: the model of every predictor that has none of its own; ``None`` if all have.
        metric: scores predictions; ``None`` leaves rows unscored (a teacher on unlabelled data).
        adapter: the adapter's name.
        concurrency: engine calls in flight; the model's own hint by default.
        retries: how often jobs that failed through an engine are tried again, alone, after the others.
    """

    def __init__(
        self,
        lm: LM | None,
        metric: Metric | None,
        *,
        adapter: str = "chat",
        concurrency: int | None = None,
        retries: int = 1,
    ) -> None:
        if concurrency is not None and (not isinstance(concurrency, int) or concurrency < 1):
            raise BadInput(f"concurrency={concurrency!r}: expected a whole number of calls in flight, 1 or more")
        self.lm, self.metric = lm, metric
        self.adapter = adapter_named(adapter)
        hint = lm.door.engine.concurrency if lm is not None else 16
        self.concurrency: int = max(1, concurrency if concurrency is not None else hint)
        self._retries = retries

    def on(self, lm: LM) -> Runner:
        """The same with another model, and as many calls in flight as that one's engine takes."""
        made = copy(self)
        made.lm, made.concurrency = lm, max(1, lm.door.engine.concurrency)
        return made

    def run(
        self, jobs: Sequence[Job], *, trace: bool = False, on_row: Callable[[Job, Row], None] | None = None
    ) -> list[Outcome]:
        """Do all jobs.

        Args:
            jobs: what to do; equal jobs cost once.
            trace: whether to keep DSPy's trace of each.
            on_row: told of every job's row as it completes, in order of completion, from one thread at a time.

        Raises:
            Stop: what ended the run (a budget, the journal, a model, the metric). Calls already paid for are kept.
        """
        outcomes = self._pass(jobs, list(range(len(jobs))), trace, on_row)
        for _ in range(self._retries):
            again = [n for n, o in enumerate(outcomes) if o.row.failure is not None and o.row.failure.kind == "lm"]
            if not again:
                break
            for place, outcome in zip(again, self._pass(jobs, again, trace, None), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _pass(
        self, jobs: Sequence[Job], places: Sequence[int], trace: bool, on_row: Callable[[Job, Row], None] | None
    ) -> list[Outcome]:
        found: dict[int, Outcome] = {}
        stops: list[tuple[int, BaseException]] = []
        session = _session_of(self.lm, jobs)
        workers = session.workers if session is not None else None
        queue = iter(places if workers is None else workers.order(places))
        lock, report = threading.Lock(), threading.Lock()
        # A few threads more than calls in flight: while some read an answer and store it, the model stays busy.
        crew = min(self.concurrency + min(2 + self.concurrency // 4, 32), len(places))
        left, done = [crew], threading.Event()
        settings: dict[str, Any] = {"adapter": self.adapter, "disable_history": True, "trace": None}
        settings["dstill_slots"] = Slots(self.concurrency)
        settings["dstill_session"] = session
        if self.lm is not None:
            settings["lm"] = self.lm

        def work() -> None:
            try:
                with dspy.context(**settings):
                    while not stops:
                        with lock:
                            place = next(queue, None)
                        if place is None:
                            return
                        try:
                            found[place] = outcome = self._do(jobs[place], trace)
                            if on_row is not None:
                                with report:
                                    on_row(jobs[place], outcome.row)
                        except BaseException as stop:
                            stops.append((place, stop))
            finally:
                with lock:
                    left[0] -= 1
                    if not left[0]:
                        done.set()

        try:
            for _ in range(crew):
                threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
            while crew and not done.wait(0.5):  # a wait without end would not hear Ctrl-C
                pass
        except BaseException as interrupt:
            stops.append((-1, interrupt))
            done.wait(2.0)
            raise
        if stops:
            raise min(stops, key=lambda stop: (isinstance(stop[1], Stop), stop[0]))[1]
        return [found[place] for place in places]

    def _do(self, job: Job, trace: bool) -> Outcome:
        meter, scoring = Meter(), Meter()  # what a metric asks of models is no cost of the program
        steps: list[Any] = []  # kept in any case: BestOfN and Refine write to it
        prediction: Any = None
        failure: Failure | None = None
        with dspy.context(dstill_meter=meter, dstill_sample=job.sample, trace=steps):
            try:
                prediction = job.program(**job.example.inputs())
                if prediction is None:
                    failure = Failure("program", "NoPrediction", "forward returned None (a return is missing?)")
            except Exception as error:
                failure = failure_of(error)
        status: Status = "unscored"
        score, feedback = None, ""
        if failure is not None:
            if failure.kind != "lm":
                status, score = "failed", 0.0
        elif self.metric is not None:
            with dspy.context(dstill_meter=scoring):
                verdict = metrics.call(self.metric, job.example, prediction, f"{job.split} example {job.id!r}")
            score, feedback = verdict.value, verdict.feedback
            if score is None:
                failure = Failure("abstained", "", feedback)
            else:
                status = "scored"
        row = Row(
            job.index, job.id, status, score, feedback, {} if prediction is None else outputs_of(prediction), failure,
            meter.calls, meter.read, meter.written, meter.pico / 10**12, round(meter.seconds, 6),
            scoring=Scoring(scoring.calls, scoring.read, scoring.written, scoring.pico / 10**12),
        )  # fmt: skip
        return Outcome(row, prediction, tuple(steps) if trace else ())


def jobs_for(program: dspy.Module, examples: Sequence[dspy.Example], split: str) -> list[Job]:
    """A job for every example of a split."""
    return [Job(program, example, index, split) for index, example in enumerate(examples)]


def _session_of(lm: LM | None, jobs: Sequence[Job]) -> Session | None:
    """The run on whose behalf jobs are done: that of the model, or of the first predictor that has one of its own."""
    own = (predictor.lm for job in jobs[:1] for predictor in job.program.predictors())
    found = lm or next((model for model in own if isinstance(model, LM)), None)
    return None if found is None else found.door.session


def stopwatch() -> Callable[[], float]:
    """Seconds since now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
