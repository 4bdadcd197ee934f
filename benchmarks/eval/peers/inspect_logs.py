"""Runs in an environment that has inspect_ai: writes real logs, or says what inspect itself reads in some.

PYTHON inspect_logs.py write FOLDER      a small evaluation by a scripted model, as FOLDER/*.eval and *.json
PYTHON inspect_logs.py read LOG...       what inspect's own reader finds, as JSON on standard output
"""

from __future__ import annotations

import json
import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries, write_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, PARTIAL, Score, accuracy, mean, scorer, stderr
from inspect_ai.solver import Generate, TaskState, generate, solver

QUESTIONS = [
    ("capital-fr", "What is the capital of France?", "Paris", "Europe"),
    ("capital-jp", "What is the capital of Japan?", "Tokyo", "Asia"),
    ("capital-pe", "What is the capital of Peru?", "Lima", "America"),
    ("capital-ke", "What is the capital of Kenya?", "Nairobi", "Africa"),
    ("capital-nz", "What is the capital of New Zealand?", "Wellington", "Oceania"),
]
ANSWERS = {1: ["Paris", "Kyoto", "Lima, or so", "I will not say.", "Wellington"],
           2: ["Paris", "Tokyo", "Lima", "I will not say.", "Auckland"]}  # fmt: skip


@scorer(metrics=[accuracy(), stderr()])
def graded() -> Any:
    """All four grades that inspect has letters for."""

    async def score(state: TaskState, target: Any) -> Score:
        said = state.output.completion
        if "not say" in said:
            return Score(value=NOANSWER, answer="", explanation="It would not say.")
        value = CORRECT if said == target.text else PARTIAL if target.text in said else INCORRECT
        return Score(value=value, answer=said, explanation=f"The answer was to be {target.text}.")

    return score


@scorer(metrics={"length": [mean()], "polite": [mean()]})
def style() -> Any:
    """A value of several parts, of which one is no score in [0, 1]."""

    async def score(state: TaskState, target: Any) -> Score:
        return Score(value={"length": len(state.output.completion), "polite": "will" in state.output.completion})

    return score


@scorer(metrics=[mean()])
def judged() -> Any:
    """A judge that cannot always tell."""

    async def score(state: TaskState, target: Any) -> Score:
        if state.sample_id == "capital-pe":
            return Score.unscored(reason="grader_failed", explanation="The judge said nothing that can be read.")
        return Score(value=0.25 if "not" in state.output.completion else 0.75)

    return score


@solver
def failing() -> Any:
    """Raises on one example, in both epochs."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.sample_id == "capital-nz" and state.epoch == 2:
            raise RuntimeError("the tool fell over")
        return state

    return solve


@task
def capitals() -> Task:
    samples = [Sample(id=i, input=q, target=t, metadata={"continent": c}) for i, q, t, c in QUESTIONS]
    return Task(
        MemoryDataset(samples, name="capitals"), solver=[generate(), failing()], scorer=[graded(), style(), judged()]
    )


def scripted(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
    """Answers by the question; the epoch is told by how often it was asked."""
    text = messages[-1].text
    place = next(i for i, (_, question, _, _) in enumerate(QUESTIONS) if question == text)
    asked[place] = asked.get(place, 0) + 1
    output = ModelOutput.from_content("mockllm/model", ANSWERS[asked[place]][place])
    output.usage = ModelUsage(input_tokens=20, input_tokens_cache_read=5, output_tokens=3, total_tokens=28)
    return output


asked: dict[int, int] = {}


def write(folder: Path) -> None:
    """The evaluation as both kinds of log, with one and with two epochs."""
    for epochs, name in ((2, "epochs"), (1, "one")):
        asked.clear()
        log = eval(
            capitals(), model=get_model("mockllm/model", custom_outputs=scripted), epochs=epochs, fail_on_error=False,
            log_dir=str(folder / "run"), display="none", max_samples=1, max_connections=1,
        )[0]  # fmt: skip
        whole = read_eval_log(log.location)
        whole.eval.task_file, whole.eval.revision = None, None
        for sample in whole.samples or []:  # what readers of scores do not need, and paths of this machine
            sample.events, sample.attachments, sample.events_data = [], {}, None
            if sample.error:
                sample.error.traceback = sample.error.traceback_ansi = "shortened"
        for kind in ("eval", "json"):
            write_eval_log(whole, str(folder / f"{name}.{kind}"))


def plain(value: Any) -> Any:
    """A value as JSON: none for what is unscored."""
    return None if isinstance(value, float) and math.isnan(value) else value


def read(path: str) -> dict[str, Any]:
    """A log as inspect sees it."""
    log = read_eval_log(path)
    summaries = read_eval_log_sample_summaries(path)
    return {
        "status": log.status, "task": log.eval.task, "model": log.eval.model, "samples": len(log.samples or []),
        "summaries": len(summaries), "version": version("inspect_ai"),
        "errors": sum(sample.error is not None for sample in log.samples or []),
        "scores": [
            {name: plain(score.value) for name, score in (one.scores or {}).items()} for one in log.samples or []
        ],
        "ids": [sample.id for sample in log.samples or []],
        "outputs": [sample.output.completion for sample in log.samples or []],
        "tokens": [sum(u.input_tokens for u in one.model_usage.values()) for one in log.samples or []],
        "metrics": {
            f"{score.name}/{name}": metric.value
            for score in (log.results.scores if log.results else []) for name, metric in score.metrics.items()
        },
    }  # fmt: skip


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "write":
        write(Path(words[0]))
    else:
        print(json.dumps([read(word) for word in words]))
