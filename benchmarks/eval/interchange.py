"""Results of the real inspect_ai, lm-evaluation-harness and HELM, read by us; ours, read by the real inspect_ai.

Each tool lives in an environment of its own, whose Python is given; those that are not given are left out. Shows, for
each, how many figures the tool itself reports and how many of them are the means of what was read, and how many fields
of a report come back from inspect as they were written.

    python benchmarks/eval/interchange.py [--inspect PYTHON] [--lm-eval PYTHON] [--helm PYTHON] [--fixtures FOLDER]

With --fixtures the tools' files are kept, shortened, as the tests of the readers use them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import record
from dstill.eval import read_results
from dstill.eval.interchange import write_inspect

PEERS = Path(__file__).parent / "peers"
GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
HELM_STATS = (
    "exact_match",
    "quasi_exact_match",
    "num_prompt_tokens",
    "num_output_tokens",
    "inference_runtime",
    "max_prob",
)


def peer(python: str, script: str, *words: str, cwd: Path) -> str:
    """A script in another environment."""
    done = subprocess.run(
        [python, str(PEERS / script), *words], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{python} {script} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def agree(found: dict[str, float], theirs: dict[str, float]) -> dict[str, int]:
    """How many of a tool's own figures are the means of what was read."""
    same = sum(name in found and abs(found[name] - value) < 1e-9 for name, value in theirs.items())
    return {"figures": len(theirs), "same": same}


def means(path: Path) -> dict[str, float]:
    """The mean of every report, by task, split and metric."""
    found = {}
    for report in read_results(path):
        assert report.score is not None
        found[f"{report.task}/{report.split}/{report.metric}"] = report.score.value
    return found


def inspect(python: str, folder: Path) -> dict[str, Any]:
    """Its logs read by us, and what we make of them read by it."""
    peer(python, "inspect_logs.py", "write", str(folder), cwd=folder)
    figures: dict[str, Any] = {}
    for name in ("one.eval", "one.json", "epochs.eval", "epochs.json"):
        theirs = json.loads(peer(python, "inspect_logs.py", "read", name, cwd=folder))[0]
        named = {"polite/mean": "style.polite", "graded/accuracy": "graded", "judged/mean": "judged"}
        figures[name] = agree(
            means(folder / name),
            {f"{theirs['task']}/test/{ours}": theirs["metrics"][key] for key, ours in named.items()},
        )
        figures["version"] = theirs["version"]
    for kind in ("eval", "json"):
        figures[f"written.{kind}"] = written(python, folder, kind)
    return figures


def written(python: str, folder: Path, kind: str) -> dict[str, int]:
    """What inspect reads in a log that we wrote, against the reports that went into it."""
    reports = list(read_results(folder / "epochs.eval", repeats="each"))
    write_inspect(reports, folder / f"written.{kind}")
    theirs = json.loads(peer(python, "inspect_logs.py", "read", f"written.{kind}", cwd=folder))[0]
    base = reports[0]
    order = [theirs["ids"].index(row.id) for row in base.rows]  # inspect sorts what it reads from an archive
    pairs: list[tuple[Any, Any]] = [
        (theirs["status"], "success"), (theirs["task"], base.task), (theirs["model"], base.system),
        (theirs["samples"], len(base.rows)), (theirs["summaries"], len(base.rows)),
        ([theirs["tokens"][i] for i in order], [row.tokens_in for row in base.rows]),
        ([theirs["outputs"][i] for i in order], [row.outputs["completion"] for row in base.rows]),
        (theirs["errors"], base.failures["error"]),
    ]  # fmt: skip
    for report in reports:
        values = [theirs["scores"][i].get(report.metric) for i in order]
        pairs.append(([GRADES.get(value, value) for value in values], [row.score for row in report.rows]))
        assert report.score is not None
        pairs.append((theirs["metrics"][f"{report.metric}/mean"], report.score.value))
    return {"figures": len(pairs), "same": sum(one == other for one, other in pairs)}


def lm_eval(python: str, folder: Path) -> dict[str, Any]:
    """Its results, against the figures of its own results file."""
    peer(python, "lm_eval_logs.py", str(folder), cwd=folder)
    file = next((folder / "results").glob("*/results_*.json"))
    body = json.loads(file.read_text())
    theirs = {
        f"{task}/test/{key.removesuffix(',none')}": value
        for task, found in body["results"].items() for key, value in found.items()
        if isinstance(value, float) and key.split(",")[0] in ("acc", "acc_norm", "exact_match")
    }  # fmt: skip
    return {"version": body["lm_eval_version"], **agree(means(folder / "results"), theirs)}


def helm(python: str, folder: Path) -> dict[str, Any]:
    """A run, against the figures of its stats.json."""
    peer(python, "helm_run.py", str(folder), cwd=folder)
    stats = json.loads(next(folder.glob("runs/peer/*/stats.json")).read_text())
    theirs = {}
    for stat in stats:
        name = stat["name"]
        changed = name.get("perturbation", {})
        if "exact_match" in name["name"] and changed.get("computed_on", "perturbed") == "perturbed":
            split = name["split"] + (f", {changed['name']}" if changed else "")
            theirs[f"simple_mcqa/{split}/{name['name']}"] = stat["mean"]
    version = subprocess.run(
        [python, "-c", "from importlib.metadata import version; print(version('crfm-helm'))"], capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return {"version": version.stdout.strip(), **agree(means(folder / "runs" / "peer"), theirs)}


def keep(name: str, made: Path, fixtures: Path) -> None:
    """Copy what the tests read; HELM's files without most of its statistics and without indentation."""
    target = fixtures / name
    shutil.rmtree(target, ignore_errors=True)
    if name == "inspect":
        target.mkdir(parents=True)
        for file in ("one.eval", "one.json", "epochs.eval", "epochs.json"):
            shutil.copy(made / file, target / file)
    elif name == "lm_eval":
        shutil.copytree(made / "results", target)
    else:
        for file in made.glob("runs/peer/*/*.json"):
            body = json.loads(file.read_text())
            if file.name == "per_instance_stats.json":
                for entry in body:
                    entry["stats"] = [stat for stat in entry["stats"] if stat["name"]["name"] in HELM_STATS]
            elif file.name == "stats.json":
                body = [stat for stat in body if stat["name"]["name"] in HELM_STATS]
            place = target / file.parent.name.replace(":", "_") / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(body, separators=(",", ":")) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inspect", help="a Python that has inspect_ai")
    parser.add_argument("--lm-eval", help="a Python that has lm_eval")
    parser.add_argument("--helm", help="a Python that has crfm-helm")
    parser.add_argument("--fixtures", type=Path, help="where to keep the files for the tests")
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, run in (("inspect", inspect), ("lm_eval", lm_eval), ("helm", helm)):
            python = getattr(given, name)
            if python is None:
                print(f"{name} was not given: left out")
                continue
            folder = Path(temporary) / name
            folder.mkdir()
            figures[name] = run(python, folder)
            if given.fixtures is not None:
                keep(name, folder, given.fixtures)
    if not figures:
        sys.exit("nothing to measure: give the Python of at least one tool")
    print(json.dumps(figures, indent=2))
    record("interchange", figures, said(figures))


def said(figures: dict[str, Any]) -> str:
    """One line."""
    parts = []
    for name, found in figures.items():
        tallies = (
            [found] if "same" in found else [one for one in found.values() if isinstance(one, dict) and "same" in one]
        )
        same, all_ = sum(one["same"] for one in tallies), sum(one["figures"] for one in tallies)
        parts.append(f"{name} {found['version']}: {same} of {all_} figures are the same on both sides")
    return "; ".join(parts)


if __name__ == "__main__":
    main()
