"""What prompts do to the embedded LM: is there something to find, do DSPy's optimizers find it, can a student take it?

    python benchmarks/embedded_prompts.py --seeds 3

On the lab's tasks, whose classes, wordings and label words the embedded LM has never met:

1. fifty random sets of four demonstrations: how far is the best of them above the median on held-out examples?
   And of fifty sets of eight, each class as often as the others: what does the one that is best on dev reach on test?
2. DSPy's own BootstrapFewShotWithRandomSearch and MIPROv2, untouched, with the embedded LM as prompt model too: the
   score on test before and after.
3. the small embedded LM, fine-tuned on the compiled program's traces: its share of the compiled program's score.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy
from common import record
from dstill.distill import distill
from dstill.distill.recipes import recipe_of
from dstill.eval import evaluate_on
from dstill.optimizers import Candidate, compile
from dstill.optimizers.compile import Where
from dstill.programs import Task, task_named
from dstill.programs.lab import rules
from dstill.runtime import LM, Budget, Session, lm_for
from dstill.runtime.derive import derive


def score(task: Task, program: dspy.Module, lm: LM) -> float:
    """Mean score on test, in points."""
    return 100 * evaluate_on(task, program, lm=lm).score.value


def with_demos(task: Task, demos: Sequence[dspy.Example]) -> dspy.Module:
    """The declared program with these demonstrations in every predictor that can use them."""
    program = task.program.deepcopy()
    for predictor in program.predictors():
        predictor.demos = list(demos)
    return program


def demonstrations(kind: str, seeds: int, sets: int, model: str) -> list[dict[str, Any]]:
    """1. The scores of random sets of four demonstrations, and of the rules."""
    rows = []
    for seed in range(seeds):
        task, lm = task_named("lab", kind=kind, train=100, dev=10, test=200, seed=seed), lm_for(model, Session())
        base = score(task, task.program, lm)
        found = [
            score(task, with_demos(task, derive(seed, "sets", n).sample(list(task.train), 4)), lm) for n in range(sets)
        ]
        told = Candidate.of(task.program)
        for name, text in rules(kind, seed=seed).items():
            told = told.with_state(name, instructions=text)
        rows.append({
            "kind": kind, "seed": seed, "declared": base, "rules": score(task, told.apply(task.program), lm),
            "best": max(found), "median": statistics.median(found), "worst": min(found),
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def chosen(kind: str, seeds: int, sets: int, model: str) -> list[dict[str, Any]]:
    """1. The best on dev of sets of eight demonstrations, on test."""
    rows = []
    for seed in range(seeds):
        task, lm = task_named("lab", kind=kind, train=200, dev=50, test=100, seed=seed), lm_for(model, Session())
        gold = next(iter(task.train[0].labels()))
        by_label: dict[str, list[dspy.Example]] = {}
        for example in task.train:
            by_label.setdefault(example[gold], []).append(example)
        best, program = -1.0, task.program
        for n in range(sets):
            rng = derive(seed, "chosen", n)
            eight = [e for some in by_label.values() for e in rng.sample(some, 8 // len(by_label))]
            made = with_demos(task, rng.sample(eight, len(eight)))
            value = evaluate_on(task, made, split="dev", lm=lm).score.value
            if value > best:
                best, program = value, made
        rows.append({"kind": kind, "seed": seed, "dev": 100 * best, "test": score(task, program, lm)})
        print(rows[-1], flush=True)
    return rows


def optimizers(kind: str, seeds: int, model: str) -> list[dict[str, Any]]:
    """2. DSPy's own optimizers; their engine, their cache off, their budget."""
    rows = []
    for seed in range(seeds):
        task, lm = task_named("lab", kind=kind, train=100, dev=100, test=200, seed=seed), lm_for(model, Session())
        base = score(task, task.program, lm)
        for name in ("BootstrapFewShotWithRandomSearch", "MIPROv2"):
            began = time.time()
            with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
                made = _optimized(name, task, lm, seed)
            gain = score(task, made, lm) - base
            spent = {"calls": lm.door.session.ledger.spent.calls, "seconds": round(time.time() - began)}
            rows.append({"kind": kind, "seed": seed, "optimizer": name, "declared": base, "gain": gain, **spent})
            print(rows[-1], flush=True)
    return rows


def _optimized(name: str, task: Task, lm: LM, seed: int) -> dspy.Module:
    metric = lambda example, prediction, trace=None: bool((task.metric(example, prediction).value or 0) >= 1)  # noqa: E731
    train, dev = list(task.train), list(task.dev)
    if name == "MIPROv2":
        made = dspy.MIPROv2(metric=metric, prompt_model=lm, task_model=lm, auto="light", num_threads=16, seed=seed)
        return made.compile(task.program.deepcopy(), trainset=train, valset=dev)
    made = dspy.BootstrapFewShotWithRandomSearch(metric=metric, num_candidate_programs=12, num_threads=16)
    return made.compile(task.program.deepcopy(), trainset=train, valset=dev)


def students(kind: str, seeds: int, model: str, student: str, epochs: int) -> list[dict[str, Any]]:
    """3. The small one on the traces of the compiled program, whose labels it never sees."""
    rows = []
    for seed in range(seeds):
        task = task_named("lab", kind=kind, train=600, dev=150, test=300, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            compiled = compile(task, model, budget=Budget(calls=4000), seed=seed, run=Where(Path(folder) / "c"))
            options = {"epochs": epochs, "batch": 16, "lr": 1e-3}
            made = distill(
                compiled, task, student, recipe_of("sft", **options), 0.05, seed=seed, run=Where(Path(folder) / "d")
            )
            teacher = 100 * evaluate_on(task, compiled).score.value
            small = 100 * evaluate_on(task, made).score.value
            base = score(task, task.program, lm_for(model, Session()))
        rows.append({"kind": kind, "seed": seed, "declared": base, "teacher": teacher, "student": small})
        print(rows[-1], made.verdict, flush=True)
    return rows


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--model", default="embedded", help="the model (default: embedded)")
    cli.add_argument("--student", default="embedded:small")
    cli.add_argument("--kind", default="topics", help="which lab task (default: topics)")
    cli.add_argument("--seeds", type=int, default=3)
    cli.add_argument("--sets", type=int, default=50, help="sets of demonstrations (default: 50)")
    cli.add_argument("--epochs", type=int, default=8)
    cli.add_argument("--only", nargs="*", default=["demonstrations", "chosen", "optimizers", "students"])
    a = cli.parse_args()
    figures: dict[str, Any] = {}
    parts = []
    if "demonstrations" in a.only:
        rows = figures["demonstrations"] = demonstrations(a.kind, a.seeds, a.sets, a.model)
        above = [r["best"] - r["median"] for r in rows]
        parts.append(f"best of {a.sets} sets of 4 demonstrations {_range(above)} points above the median")
    if "chosen" in a.only:
        rows = figures["chosen"] = chosen(a.kind, a.seeds, a.sets, a.model)
        parts.append(f"the best on dev of {a.sets} sets of 8 reaches {_range([r['test'] for r in rows])} % on test")
    if "optimizers" in a.only:
        rows = figures["optimizers"] = optimizers(a.kind, a.seeds, a.model)
        for name in dict.fromkeys(r["optimizer"] for r in rows):
            parts.append(f"{name} {_range([r['gain'] for r in rows if r['optimizer'] == name])} points")
    if "students" in a.only:
        rows = figures["students"] = students(a.kind, a.seeds, a.model, a.student, a.epochs)
        parts.append(f"student {_range([100 * r['student'] / max(1e-9, r['teacher']) for r in rows])} % of its teacher")
    record("embedded_prompts", figures, "; ".join(parts))


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):+.1f} ({min(values):+.1f} to {max(values):+.1f}, n={len(values)})"


if __name__ == "__main__":
    main()
