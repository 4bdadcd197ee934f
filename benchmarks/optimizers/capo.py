"""CAPO (promptolution's) on a DSPy program of one predictor: its loop untouched, prompts rendered by DSPy's adapter.

A prompt of CAPO's is an instruction and examples in words. Here both are put into the program's predictor, so that the
model is asked in the form that it knows, and the task's own metric scores what comes back.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import numpy as np
import pandas as pd
from dstill.optimizers import Candidate
from dstill.programs import Task
from dstill.runtime import LM, Budget, BudgetExhausted, Session, lm_for
from promptolution.llms.base_llm import BaseLLM
from promptolution.optimizers.capo import CAPO
from promptolution.predictors.base_predictor import BasePredictor
from promptolution.tasks.base_task import BaseTask
from promptolution.utils.callbacks import BaseCallback

BLOCK, INITIAL, SHOWN = 20, 6, 6
"""Dev rows in a block; instructions to begin with; training rows that each of these is written from."""


class Writer(BaseLLM):  # type: ignore[misc]
    """The model that writes instructions."""

    def __init__(self, lm: LM) -> None:
        super().__init__()
        self.lm = lm

    def _get_response(self, prompts: list[str], system_prompts: list[str]) -> list[str]:
        return [str(self.lm(messages=[{"role": "user", "content": prompt}])[0]) for prompt in prompts]


class Scorer(BasePredictor):  # type: ignore[misc]
    """Runs the program with CAPO's prompts; its predictions are scores."""

    def __init__(self, llm: Writer, task: Task, lm: LM) -> None:
        super().__init__(llm)
        self.task, self.lm = task, lm
        self.rows = {inputs(row): row for row in (*task.train, *task.dev)}

    def program(self, prompt: Any) -> dspy.Module:
        """The declared program with a prompt's instruction and examples."""
        shots = [shot.partition("Input:\n")[2].partition("\nOutput:\n")[0] for shot in prompt.few_shots]
        made = self.task.program.deepcopy()
        for predictor in made.predictors():
            predictor.signature = predictor.signature.with_instructions(prompt.instruction)
            predictor.demos = [self.rows[shot] for shot in shots]
        return made

    def predict(self, prompts: Any, xs: Any, system_prompts: Any = None) -> tuple[list[float], list[str]]:
        """The score of each prompt on the row beside it."""
        programs = {prompt: self.program(prompt) for prompt in prompts}

        def score(job: tuple[Any, str]) -> float:
            row = self.rows[job[1]]
            with dspy.context(lm=self.lm, adapter=dspy.ChatAdapter()):
                try:
                    answer = programs[job[0]](**row.inputs())
                except Exception:  # an answer that cannot be read
                    return 0.0
                return self.task.metric(row, answer).value or 0.0

        with ThreadPoolExecutor(64) as pool:
            return list(pool.map(score, zip(prompts, xs, strict=True))), list(xs)

    def _extract_preds(self, preds: list[str]) -> list[str]:
        return preds


class Rows(BaseTask):  # type: ignore[misc]
    """The dev rows. Prompts are handed on as they are, and predictions are scores already."""

    def _prepare_batch(self, prompts: Any, xs: Any, ys: Any, eval_strategy: Any = "full") -> Any:
        if eval_strategy == "evaluated":
            return [], [], [], []
        jobs = [(p, x, y) for p in prompts for x, y in zip(xs, ys, strict=True)]
        jobs = [job for job in jobs if self._cache_key(*job) not in self.eval_cache]
        return [j[0] for j in jobs], [j[1] for j in jobs], [j[2] for j in jobs], [self._cache_key(*j) for j in jobs]

    def _evaluate(self, xs: Any, ys: Any, preds: Any) -> Any:
        return np.array(preds, dtype=float)


class Steps(BaseCallback):  # type: ignore[misc]
    """Notes the best prompt after every step, with the calls made until then."""

    def __init__(self, session: Session, declared: Candidate) -> None:
        self.session, self.found = session, [(0, declared)]

    def on_step_end(self, optimizer: Any) -> bool:
        """Go on."""
        best = Candidate.of(optimizer.predictor.program(optimizer.prompts[0]))
        self.found.append((self.session.ledger.spent.calls, best))
        return True


def capo(task: Task, engine: Any, writer: Any, calls: int, seed: int) -> list[tuple[int, Candidate]]:
    """The best prompt after every step, with the calls made until then; ends when the calls are spent."""
    logging.getLogger("promptolution").setLevel(logging.CRITICAL)
    (_, predictor), *others = task.program.named_predictors()
    if others:
        raise ValueError(f"CAPO optimizes one prompt; the program has {1 + len(others)} predictors")
    fields, told = list(predictor.signature.output_fields), predictor.signature.instructions
    session = Session(budget=Budget(calls=calls))
    model, steps = Writer(lm_for(writer, session)), Steps(session, Candidate.of(task.program))
    random.seed(seed)
    np.random.seed(seed)
    rng = random.Random(seed)
    asks = []
    for _ in range(INITIAL):
        shown = [f"{inputs(row)} {outputs(row, fields)}" for row in rng.sample(list(task.train), SHOWN)]
        asks.append("\n".join([f"The task: {told}", "Write a prompt for it, as <prompt>prompt</prompt>.", *shown]))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            first = [text.partition("<prompt>")[2].partition("</prompt>")[0] for text in model.get_response(asks)]
            CAPO(
                Scorer(model, task, lm_for(engine, session)),
                Rows(table(task.dev, fields), "x", "y", told, BLOCK, "sequential_block", seed), model, first,
                create_fs_reasoning=False, df_few_shots=table(task.train, fields), callbacks=[steps],
            ).optimize(10**4)  # fmt: skip
    except BudgetExhausted:
        pass
    return steps.found


def table(rows: Sequence[dspy.Example], fields: list[str]) -> Any:
    """Rows as CAPO has them: inputs and outputs as text."""
    return pd.DataFrame({"x": [inputs(row) for row in rows], "y": [outputs(row, fields) for row in rows]})


def inputs(row: dspy.Example) -> str:
    """A row's inputs as text."""
    return json.dumps(row.inputs().toDict())


def outputs(row: dspy.Example, fields: list[str]) -> str:
    """What a row tells of a predictor's outputs, as text."""
    return json.dumps({field: row.get(field) for field in fields if field in row})
