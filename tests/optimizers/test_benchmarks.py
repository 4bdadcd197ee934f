"""The benchmarks of the optimizers run, in small, and the rivals are what they are called."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "optimizers"


@pytest.fixture(scope="module")
def rivals() -> Any:
    spec = importlib.util.spec_from_file_location("rivals", FOLDER / "rivals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcomes(systems: int, rows: int, seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    return (chance.random((systems, rows)) < np.linspace(0.9, 0.3, systems)[:, None]).astype(float)


def test_matrices_in_small(tmp_path: Path) -> None:
    (tmp_path / "leaderboard").mkdir()
    with gzip.open(tmp_path / "leaderboard" / "zeroeval_outcomes.jsonl.gz", "wt") as file:
        for task in ("gsm", "crux", "math-l5"):
            for row, scores in enumerate(outcomes(14, 40).T):
                correct = {f"s{i:02d}": int(score) for i, score in enumerate(scores) if (i, row) != (13, 3)}
                file.write(json.dumps({"id": f"{task}-{row}", "task": task, "correct": correct}) + "\n")
    words = ["--data", str(tmp_path), "--orders", "2", "--part-orders", "2"]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "matrices.py"), *words], cwd=tmp_path, check=False, capture_output=True,
        text=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path / "results")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    found = json.loads((tmp_path / "results" / "matrices.json").read_text())
    assert found["matrices"]["GSM8K"]["shape"] == [14, 40]
    assert 0 < found["matrices"]["GSM8K"]["race"]["share"] <= 1
    assert (tmp_path / "results" / "matrices-gsm8k.svg").read_text().startswith("<svg")


def test_the_wilcoxon_pruner_is_optunas(rivals: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = outcomes(6, 40, seed=3)
    for threshold in (0.05, 0.2):
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            pruner = optuna.pruners.WilcoxonPruner(p_threshold=threshold)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        spent = 0
        for row in table:
            trial = study.ask()
            for step, score in enumerate(row):
                spent += 1
                trial.report(score, step)
                if trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break
            else:
                study.tell(trial, row.mean())
        assert spent < table.size
        assert rivals.wilcoxon(table, [threshold]) == [(study.best_trial.number, spent)]


def test_the_t_test_is_scipys(rivals: Any) -> None:
    """Two candidates: the race ends at the first block at which the paired t-test says so."""
    from scipy import stats

    table = outcomes(2, 100, seed=5)
    for alpha in (0.1, 0.01):
        tests = {end: stats.ttest_rel(*table[:, :end], alternative="greater") for end in range(10, 100, 10)}
        ends = [end for end, test in tests.items() if test.pvalue < alpha]
        assert rivals.t_race(table, [alpha], 10) == [(0, 2 * ends[0])]


def test_halving_spends_its_budget_on_the_better_half(rivals: Any) -> None:
    table = (np.arange(64) % 8 >= np.arange(8)[:, None]).astype(float)
    ((pick, spent),) = rivals.halving(table, [0.25])
    assert pick == 0
    assert spent == 8 * 5 + 4 * 10 + 2 * 21  # three equal shares of a quarter of 512
    assert rivals.uniform(table, [1.0, 0.25])[1][1] == 8 * 16


def test_honesty_in_small(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "honesty.py"), "--seeds", "1", "--peers", "1"]
    command += ["--rows", "60", "--power", "1", "--points", "25", "--covered", "1"]
    subprocess.run(command, check=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path)}, timeout=600)
    figures = json.loads((tmp_path / "honesty.json").read_text())
    assert [len(figures["null"][name]) for name in ("dstill", "MIPROv2", "GEPA")] == [1, 1, 1]
    assert figures["null"]["GEPA"] != [0.0]  # it found other instructions, and the best of them by luck
    assert figures["power"]["runs"][0]["rows"] > 20
    assert all(r["low"] <= r["value"] <= r["high"] for r in figures["cover"]["runs"])


def test_the_race_costs_in_small(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "cost.py"), "--repeats", "1", "--rows", "100", "--candidates", "200"]
    subprocess.run(command, check=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path)}, timeout=600)
    figures = json.loads((tmp_path / "race_cost.json").read_text())
    assert figures["loop"][0]["whole_ms"] > figures["loop"][0]["alone_ms"] > 0
    assert figures["loop"][0]["evaluations"] > 400


def test_the_contest_in_small(tmp_path: Path) -> None:
    """CAPO is left out: its package stands in no environment of the tests."""
    words = ["--kinds", "claims", "--seeds", "2", "--caps", "60", "--train", "12", "--dev", "8", "--test", "4"]
    words += ["--part", str(tmp_path / "part.jsonl"), "--rivals", "MIPROv2 light"]
    command = [sys.executable, str(FOLDER / "contest.py"), *words]
    subprocess.run(command, check=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path)}, timeout=600)
    lines = (tmp_path / "part.jsonl").read_text()
    rows = [json.loads(line) for line in lines.splitlines()]
    assert [(row["kind"], row["seed"]) for row in rows] == [("claims", 0), ("claims", 1)]
    for row in rows:
        assert [cap for cap, _, _ in row["dstill"]] == [50, 60]
        assert all(calls <= cap for cap, calls, _ in row["dstill"])
        assert row["MIPROv2 light"][-1][1] > 10
    subprocess.run([*command, "--report"], check=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path)})
    assert (tmp_path / "part.jsonl").read_text() == lines
    figures = json.loads((tmp_path / "contest.json").read_text())
    assert figures["reach"]["MIPROv2 light"]["all"]["n"] == 2
    assert figures["scores"]["60"]["MIPROv2 light"]["claims"]["n"] == 2
    assert (tmp_path / "contest-claims.svg").read_text().startswith("<svg")


def test_the_rule_writer_tells_only_what_it_is_shown() -> None:
    sys.path.insert(0, str(FOLDER))
    try:
        from rule_writer import rule_writer
    finally:
        sys.path.remove(str(FOLDER))
    from dstill.programs import task_named
    from dstill.programs.lab import rules
    from dstill.runtime import LM, Session

    task = task_named("lab", kind="topics", train=10, dev=5, test=5, seed=2)
    labels = {row.label for split in (task.train, task.dev, task.test) for row in split}
    one = sorted(labels)[0]
    lm = LM(rule_writer("topics", task, 2), Session())
    said = [str(lm(f"Write a <prompt>. Sort the text. This is {one}. Number {n}")[0]) for n in range(20)]
    assert all(text.startswith("<prompt>") and "Sort the text." in text for text in said)
    told = rules("topics", seed=2)["self"]
    sentence = next(part for part in told.split(". ") if one in part).rstrip(".")
    assert 5 < sum(sentence in text for text in said) < 20
    others = [part.rstrip(".") for part in told.split(". ")[1:] if one not in part]
    assert not any(other in text for other in others for text in said)


def test_simulated_searches_in_small(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "searches.py"), "--seeds", "2", "--shares", "0.5"]
    subprocess.run(command, check=True, env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path)}, timeout=600)
    figures = json.loads((tmp_path / "searches.json").read_text())
    for world in figures["worlds"].values():
        assert set(world) == {"standing", "share 0.5"}
        for rule in world.values():
            assert 45 < rule["mean"][-1] <= 98  # better than a candidate at random


def test_without_promptolution_the_contest_says_so_before_it_starts(tmp_path: Path) -> None:
    words = ["--kinds", "claims", "--seeds", "1", "--part", str(tmp_path / "part.jsonl")]
    hidden = "import sys; sys.modules['promptolution'] = None; import runpy; sys.argv = sys.argv[1:]; "
    hidden += f"sys.path.insert(0, {str(FOLDER)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", hidden, str(FOLDER / "contest.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "CAPO needs promptolution" in done.stderr
    assert '--rivals "MIPROv2 light"' in done.stderr
