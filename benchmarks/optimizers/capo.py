"""CAPO (promptolution's) on a DSPy program of one predictor: its loop untouched, prompts rendered by DSPy's adapter.

A prompt of CAPO's is an instruction and examples in words. Here both are put into the program's predictor, so that the
model is asked in the form that it knows, and the task's own metric scores what comes back.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dspy
import numpy as np
from dstill.optimizers import Candidate
from dstill.programs import Task
from dstill.runtime import LM, Budget, BudgetExhausted, Session, lm_for

BLOCK, INITIAL = 20, 6
"""Dev rows in a block; instructions to begin with."""


def capo(task: Task, engine: Any, writer: Any, calls: int, seed: int) -> list[tuple[int, Candidate]]:
    """The best prompt after every step, with the calls made until then; ends when the calls are spent."""
    import pandas as pd
    from promptolution.llms.base_llm import BaseLLM
    from promptolution.optimizers.capo import CAPO
    from promptolution.predictors.base_predictor import BasePredictor
    from promptolution.tasks.base_task import BaseTask
    from promptolution.utils.callbacks import BaseCallback

    logging.getLogger("promptolution").setLevel(logging.CRITICAL)
    session = Session(budget=Budget(calls=calls))
    lm, writing = lm_for(engine, session), lm_for(writer, session)
    (_, predictor), *others = task.program.named_predictors()
    if others:
        raise ValueError(f"CAPO optimizes one prompt; the program has {1 + len(others)} predictors")
    texts = {json.dumps(row.inputs().toDict()): row for row in (*task.train, *task.dev)}
    found: list[tuple[int, Candidate]] = [(0, Candidate.of(task.program))]

    def said(row: dspy.Example) -> str:
        return json.dumps({field: row.get(field) for field in predictor.signature.output_fields if field in row})

    def program(prompt: Any) -> dspy.Module:
        rows = [texts[shot.partition("Input:\n")[2].partition("\nOutput:\n")[0]] for shot in prompt.few_shots]
        made = task.program.deepcopy()
        for _, own in made.named_predictors():
            own.signature = own.signature.with_instructions(prompt.instruction)
            own.demos = rows
        return made

    class Model(BaseLLM):  # type: ignore[misc]
        def _get_response(self, prompts: list[str], system_prompts: list[str]) -> list[str]:
            return [_ask(writing, prompt) for prompt in prompts]

    class Program(BasePredictor):  # type: ignore[misc]
        def predict(self, prompts: Any, xs: Any, system_prompts: Any = None) -> tuple[list[float], list[str]]:
            programs = {prompt: program(prompt) for prompt in prompts}

            def score(job: tuple[Any, str]) -> float:
                with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
                    try:
                        answer = programs[job[0]](**texts[job[1]].inputs())
                    except Exception:  # an answer that cannot be read
                        return 0.0
                    return task.metric(texts[job[1]], answer).value or 0.0

            with ThreadPoolExecutor(64) as pool:
                return list(pool.map(score, zip(prompts, xs, strict=True))), list(xs)

        def _extract_preds(self, preds: list[str]) -> list[str]:
            return preds

    class Rows(BaseTask):  # type: ignore[misc]
        def _prepare_batch(self, prompts: Any, xs: Any, ys: Any, eval_strategy: Any = "full") -> Any:
            if eval_strategy == "evaluated":
                return [], [], [], []
            jobs = [(p, x, y) for p in prompts for x, y in zip(xs, ys, strict=True)]
            jobs = [job for job in jobs if self._cache_key(*job) not in self.eval_cache]
            return [j[0] for j in jobs], [j[1] for j in jobs], [j[2] for j in jobs], [self._cache_key(*j) for j in jobs]

        def _evaluate(self, xs: Any, ys: Any, preds: Any) -> Any:
            return np.array(preds, dtype=float)

    class Steps(BaseCallback):  # type: ignore[misc]
        def on_step_end(self, optimizer: Any) -> bool:
            found.append((session.ledger.spent.calls, Candidate.of(program(optimizer.prompts[0]))))
            return True

    def table(rows: Any) -> Any:
        return pd.DataFrame(
            {"x": [json.dumps(row.inputs().toDict()) for row in rows], "y": [said(row) for row in rows]}
        )

    random.seed(seed)
    np.random.seed(seed)
    told = predictor.signature.instructions
    rng = random.Random(seed)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            asks = [
                f"The task: {told}\nWrite a prompt for it, as <prompt>prompt</prompt>.\n"
                + "\n".join(
                    f"{json.dumps(row.inputs().toDict())} {said(row)}" for row in rng.sample(list(task.train), 6)
                )
                for _ in range(INITIAL)
            ]
            model = Model()
            rows = Rows(table(task.dev), "x", "y", told, BLOCK, "sequential_block", seed)
            optimizer = CAPO(
                Program(model), rows, model, [_prompt(_ask(writing, ask)) for ask in asks],
                create_fs_reasoning=False, df_few_shots=table(task.train), callbacks=[Steps()],
            )  # fmt: skip
            optimizer.optimize(10**4)
    except BudgetExhausted:
        pass
    return found


def _ask(lm: LM, text: str) -> str:
    return str(lm(messages=[{"role": "user", "content": text}])[0])


def _prompt(text: str) -> str:
    return text.partition("<prompt>")[2].partition("</prompt>")[0]
