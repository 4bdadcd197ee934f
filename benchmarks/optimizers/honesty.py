"""Is what a compilation claims true? Tasks whose truth is known, because a script answers by chance.

    python benchmarks/optimizers/honesty.py [--seeds 200] [--peers 200] [--power 100] [--covered 500]

A call is right with the chance that its prompt has, by a draw of its own for every prompt and input: a prompt that is
asked twice answers twice the same.

null     every prompt is right with a chance of 0.6: the gains that are reported, and how often one is called
         significant; beside them the gains that dspy's MIPROv2 (auto light) and GEPA see on the same seeds, on the rows
         that they choose by, which is all that they report.
power    demonstrations are worth five points. A first run on a small dev split says how many rows would show
         them; a second one has so many and as many calls as `estimate` says that it may take at most. How often does
         it call the gain significant?
cover    every prompt has a chance of its own, 0.5 to 0.7: how often does the 95 % interval of the winner's gain hold
         the true one?
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dspy
from common import record
from dstill.eval.statistics import clopper_pearson
from dstill.optimizers import Candidate, CompiledProgram, Dspy, Race, compile
from dstill.optimizers.compiled import setting
from dstill.optimizers.estimate import estimate
from dstill.programs import Task, make_examples, metrics
from dstill.runtime import Budget, ScriptedEngine, Session, lm_for
from dstill.runtime.fields import answer_to, input_fields, render_fields

Skill = Callable[[int, str], float]
"""The chance of a prompt to be right, from how many demonstrations it has and a digest of all that it says."""


ASKED = ("new_instruction", "proposed_instruction", "instruction", "observations", "summary", "description")
"""What optimizers ask a model to write."""
PEERS_ROWS = 150
"""Dev rows of DSPy's optimizers there, of which they see 105, as many as they are mostly given."""


class Ask(dspy.Signature):
    """Answer."""

    question: str = dspy.InputField()
    answer: Literal["yes", "no"] = dspy.OutputField()


def task(dev: int) -> Task:
    """Questions whose answer is yes or no, by the number in them."""
    rows = make_examples(
        [{"id": f"r{n}", "question": f"case {n}", "answer": ("yes", "no")[n % 2]} for n in range(60 + dev)],
        inputs=["question"],
    )
    return Task("chance", dspy.Predict(Ask), rows[:40], rows[40 : 40 + dev], rows[40 + dev :], metrics.exact("answer"))


def engine(skill: Skill, seed: int, name: str) -> ScriptedEngine:
    """A model that is right by chance; asked for an instruction, it writes one of many."""

    def script(request: Any) -> str:
        system, fields = str(request.system or ""), input_fields(request)
        if "question" not in fields:
            asked = str(request.messages[-1])
            word = random.Random(f"{seed}{asked}{request.config.seed}").randrange(10**6)
            if "```" in asked and "## new_instruction ##" not in system:  # as GEPA asks outside of DSPy's adapters
                return f"```\nAnswer by rule {word}.\n```"
            wanted = [n for n in ASKED if f"`{n}`" in system or f"## {n} ##" in system]
            return answer_to(request, dict.fromkeys(wanted[:1], f"Answer by rule {word}.") or {"answer": "yes"})
        prompt = str([system, request.messages[:-1]])
        right = ("yes", "no")[int(fields["question"].split()[-1]) % 2]
        luck = random.Random(f"{seed}{prompt}{fields['question']}").random()
        good = luck < skill((len(request.messages) - 1) // 2, prompt)
        return render_fields({"answer": right if good else {"yes": "no", "no": "yes"}[right]})

    return ScriptedEngine(script, name=f"{name}-{seed}")


def run(skill: Skill, seed: int, dev: int, name: str, calls: int = 1500, how: Any = "race") -> tuple[Any, Path]:
    """A compilation in a folder of its own."""
    folder = Path(tempfile.mkdtemp()) / "run"
    made = compile(task(dev), engine(skill, seed, name), how, Budget(calls=calls), seed, run=folder)
    return made, folder


def gain(made: CompiledProgram) -> float:
    """What is reported, in points, losses too; 0 where the declared program stays."""
    found = made.evidence.gain if made.evidence else None
    return 100 * found.difference.value if found else 0.0


def significant(made: CompiledProgram) -> bool:
    """Whether a gain is claimed."""
    return bool(made.evidence and made.evidence.gain and made.evidence.gain.verdict == "better")


def seen(folder: Path) -> float:
    """The best candidate's mean on the rows that chose it, above the declared program's, in points."""
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    full = max(len(t["scores"]) for t in trials)
    whole = [t["mean"] for t in trials if len(t["scores"]) == full]
    return 100 * (max(whole) - trials[0]["mean"])


def null(seeds: int, peers: int, rows: int) -> dict[str, Any]:
    """Gains where there is none."""
    flat: Skill = lambda demos, prompt: 0.6  # noqa: E731
    ours = [run(flat, seed, rows, "null", 4000)[0] for seed in range(seeds)]
    found: dict[str, Any] = {"dstill": [gain(m) for m in ours], "significant": sum(map(significant, ours))}
    for name, options in (("MIPROv2", {"auto": "light"}), ("GEPA", {"max_metric_calls": 1500})):
        found[name] = [
            seen(run(flat, seed, PEERS_ROWS, "null", 3000, Dspy(name, options))[1]) for seed in range(peers)
        ]  # fmt: skip
    return found


def power(seeds: int, points: float) -> dict[str, Any]:
    """Whether a gain is found with what the tool says that it takes."""
    better: Skill = lambda demos, prompt: 0.6 + points / 100 * (demos > 0)  # noqa: E731
    rows = []
    for seed in range(seeds):
        first = run(better, seed, 100, "power")[0].evidence
        needed = first.rows_needed(points / 100)
        if needed is None:  # nothing did better than the declared program: how often they differ is not known
            rows.append({"rows": None, "found": False})
            continue
        dev = round(needed / Race().confirm)
        calls = estimate(task(dev), engine(better, seed, "power")).high.calls
        made = run(better, seed, dev, "power", calls)[0]
        rows.append({"rows": needed, "calls": calls, "found": significant(made), "gain": gain(made)})
    return {"runs": rows}


def cover(seeds: int) -> dict[str, Any]:
    """Whether intervals hold the true gain."""

    def skill(demos: int, prompt: str) -> float:
        return 0.5 + 0.2 * random.Random(prompt).random()

    rows = []
    for seed in range(seeds):
        made = run(skill, seed, 200, "cover")[0]
        if made.evidence is None or made.evidence.gain is None:
            continue
        d = made.evidence.gain.difference
        truth = skill(0, said(made, made.evidence.best)) - skill(0, said(made, 0))
        rows.append({"low": d.low, "value": d.value, "high": d.high, "true": truth})
    return {"runs": rows}


def said(made: CompiledProgram, number: int) -> str:
    """The prompt of a trial, but for the question."""
    assert made.folder is not None
    trials = [json.loads(line) for line in (made.folder / "trials.jsonl").read_text().splitlines()]
    program = Candidate.load(trials[number]["candidate"]).apply(task(10).program)
    heard: list[str] = []

    def listening(demos: int, prompt: str) -> float:
        heard.append(prompt)
        return 1.0

    with setting(lm_for(engine(listening, 0, "listening"), Session()), made.adapter):
        program(question="case 1")
    return heard[0]


def main() -> None:
    """All three, and a line that tells of them."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--seeds", type=int, default=200, help="seeds of the null task (default: 200)")
    cli.add_argument("--peers", type=int, default=200, help="seeds of DSPy's optimizers (default: 200)")
    rows = "dev rows of the null task: 300 of 1,000 measure the gain, so that 200 runs tell its mean to half a point"
    cli.add_argument("--rows", type=int, default=1000, help=rows)
    cli.add_argument("--points", type=float, default=5, help="the gain of the power (default: 5)")
    cli.add_argument("--power", type=int, default=100, help="seeds of the power (default: 100)")
    cli.add_argument("--covered", type=int, default=500, help="runs whose intervals are looked at (default: 500)")
    a = cli.parse_args()
    logging.disable(logging.WARNING)
    figures: dict[str, Any] = {"null": null(a.seeds, a.peers, a.rows)}
    lines = []
    for name in ("dstill", "MIPROv2", "GEPA"):
        values = figures["null"][name]
        if len(values) > 1:
            error = 1.96 * statistics.stdev(values) / len(values) ** 0.5
            lines.append(f"{name} {statistics.mean(values):+.2f} ± {error:.2f} (n={len(values)})")
    claims = figures["null"]["significant"]
    lines = [f"null task, mean gain reported in points: {', '.join(lines)}; {_share(claims, a.seeds)} claimed"]
    figures["power"] = power(a.power, a.points)
    runs = figures["power"]["runs"]
    found = _share(sum(r["found"] for r in runs), len(runs))
    lines.append(f"a gain of {a.points:g} points found with what was predicted in {found}")
    figures["cover"] = cover(a.covered)
    runs = figures["cover"]["runs"]
    held = sum(r["low"] <= r["true"] <= r["high"] for r in runs)
    lines.append(f"the interval holds the true gain in {_share(held, len(runs))}")
    record("honesty", figures, "; ".join(lines))


def _share(count: int, of: int) -> str:
    return f"{clopper_pearson(count, of)} % of {of}"


if __name__ == "__main__":
    main()
