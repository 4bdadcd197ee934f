"""Kill -9 at random moments, run again: the same bytes, and nothing that was completed is asked for twice.

    python benchmarks/resume.py --recipe docs/demo.toml --kills 20

The recipe runs once undisturbed. Then, ``--kills`` times, it runs in a new folder with a new journal, its whole
process group is killed with SIGKILL, and the same command is run again until it ends. Moments are drawn from
``--seed``, one from each of ``--kills`` equal parts of the time that the undisturbed run took, so that they fall
everywhere; a run that ended before its moment is done again, and its time is taken from then on.

What is checked, each time:

- *Bytes.* Every ``program.json``, ``report.json`` and ``trials.jsonl``, in the run and in the runs within it, has the
  bytes that it has in the undisturbed run, and there are no more and no fewer of them. Students' answers are in the
  reports, under keys that hold the digest of their weights, so a training that was killed is covered, too.
- *Calls.* A call is completed when it is in the journal on disk. The journal is read by plain SQLite when the process
  is dead; that is what was completed by then. A witness in both processes (``witness.py``) writes a line for every call
  before it is handed to an engine, whether that is a model in the process or one behind HTTP. The second process must
  have asked for nothing that was completed, no process for anything twice, and no completed answer may have changed.

A call that was under way at the kill has no answer yet and is asked for again; how many there were is shown.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, record
from witness import asked

COMPARED = ("program.json", "report.json", "trials.jsonl")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    """Its exit status; -9 if it was killed."""
    seconds: float
    step: str
    """What it last said that it was doing."""


def run(recipe: Path, home: Path, session: int, moment: float | None = None) -> Ended:
    """``dstill run`` in ``home``, killed at a moment where one is given and it comes to that."""
    command = [sys.executable, str(ROOT / "benchmarks" / "witness.py"), str(home / f"asked-{session}.log")]
    command += ["run", str(recipe), "--run", str(home / "run")]
    home.mkdir(parents=True, exist_ok=True)
    told = home / f"told-{session}.log"
    with told.open("wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seconds = time.monotonic() - started
    steps = re.findall(r"^(?:compile|distill|score) [^(\n]+", told.read_text(errors="replace"), re.MULTILINE)
    if process.returncode not in (0, 3, -signal.SIGKILL):
        sys.exit(f"dstill run ended with status {process.returncode}:\n{told.read_text(errors='replace')[-3000:]}")
    return Ended(process.returncode, seconds, steps[-1].strip() if steps else "starting")


def results(home: Path) -> dict[str, bytes]:
    """The files that must not differ, by their place in the run."""
    found = [path for name in COMPARED for path in (home / "run").rglob(name)]
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(found)}


def completed(home: Path) -> dict[str, str]:
    """Every call that is in the journal, by key, with its answer; read without dstill."""
    if not (home / "journal.sqlite").exists():
        return {}
    connection = sqlite3.connect(home / "journal.sqlite")
    try:
        return dict(connection.execute("SELECT lower(hex(key)), answer FROM calls"))
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return {}
    finally:
        connection.close()


def checkpoint(home: Path) -> int | None:
    """The step of the checkpoint of a training that has not brought its student, where there is one."""
    for file in sorted(home.glob("run/*/checkpoints/*/*/*/checkpoint.json")):
        step, predictor = file.parents[4].name, file.parents[2].name
        if not (home / "run" / step / "students" / predictor / "student.json").exists():
            return int(file.parent.name.partition("-")[2])
    return None


def trial(recipe: Path, home: Path, moment: float, undisturbed: dict[str, bytes], code: int) -> dict[str, Any]:
    """One kill, or only after how many seconds the run ended if that was before it."""
    shutil.rmtree(home, ignore_errors=True)
    killed = run(recipe, home, 1, moment)
    if killed.code != -signal.SIGKILL:
        return {"ended_after": killed.seconds}
    before, training = completed(home), checkpoint(home)
    again = run(recipe, home, 2)
    after, sessions = completed(home), [asked(home / f"asked-{session}.log") for session in (1, 2)]
    found = results(home)
    return {
        "moment": round(killed.seconds, 2), "killed_in": killed.step, "in_training_after_step": training,
        "resumed_seconds": round(again.seconds, 2),
        "same_exit": again.code == code,
        "other_bytes": sorted(n for n in found.keys() | undisturbed.keys() if found.get(n) != undisturbed.get(n)),
        "completed_at_kill": len(before), "completed_at_end": len(after),
        "under_way_at_kill": len(set(sessions[0]) - before.keys()),
        "completed_and_asked_again": len(before.keys() & set(sessions[1])),
        "asked_twice_by_one_process": sum(len(keys) - len(set(keys)) for keys in sessions),
        "answers_changed": sum(after.get(key) != answer for key, answer in before.items()),
    }  # fmt: skip


def good(found: dict[str, Any]) -> bool:
    """Whether a trial shows what it should."""
    wrong = ("other_bytes", "completed_and_asked_again", "asked_twice_by_one_process", "answers_changed")
    return found["same_exit"] and not any(found[name] for name in wrong)


def main() -> None:
    """The undisturbed run, then the kills; ends with status 1 if one of them left a trace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=ROOT / "docs" / "demo.toml")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="where runs lie, those that differ for good; a temporary folder else")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).resolve()
        shutil.rmtree(work / "undisturbed", ignore_errors=True)
        first = run(given.recipe, work / "undisturbed", 1)
        expected, calls = results(work / "undisturbed"), len(completed(work / "undisturbed"))
        print(f"undisturbed: {first.seconds:.1f} s, {calls} calls, {len(expected)} files to compare", flush=True)
        trials, span = [], first.seconds
        for number in range(given.kills):
            home, share = work / f"kill-{number}", (number + chance.random()) / given.kills
            found = trial(given.recipe, home, share * span, expected, first.code)
            while "ended_after" in found:
                span = found["ended_after"]
                found = trial(given.recipe, home, share * span, expected, first.code)
            trials.append(found)
            print(f"kill {number}: {'as undisturbed' if good(found) else 'DIFFERS'}, {found}", flush=True)
            if good(found):
                shutil.rmtree(home)
    well = sum(map(good, trials))
    total = {name: sum(found[name] for found in trials) for name in ("completed_at_kill", "completed_and_asked_again")}
    steps = {found["killed_in"].split()[0] for found in trials}
    trained = sum(found["in_training_after_step"] is not None for found in trials)
    record(
        "resume",
        {"recipe": given.recipe.name, "seed": given.seed, "undisturbed_seconds": round(first.seconds, 2),
         "undisturbed_calls": calls, "files": sorted(expected), "as_undisturbed": well, "trials": trials},
        f"{well} of {len(trials)} runs killed with SIGKILL (in {', '.join(sorted(steps))}; {trained} with a training "
        f"to go on from a checkpoint) and run again ended with the bytes of the undisturbed run in {len(expected)} "
        f"files; of {total['completed_at_kill']} completed calls {total['completed_and_asked_again']} were made again",
    )  # fmt: skip
    sys.exit(0 if well == len(trials) else 1)


if __name__ == "__main__":
    main()
