"""A finished run once more, with no journal, no socket and no engine: the same bytes.

    python benchmarks/replay.py --recipe docs/demo.toml

The recipe runs; then its journal is deleted, so that what is left is the run directory and the cassette in it.
``dstill replay RUN`` follows in a process (``witness.py --closed``) in which Python refuses to make a socket and every
class of engines refuses to answer, and which writes a line for each attempt: there must be none. It follows once with
the run's own students and once with ``--retrain``, which trains them anew. It compares every ``program.json``,
``report.json`` and ``trials.jsonl`` of the run with what it made; that it covers all of them is checked here.

As a control of that comparison, one byte of one report of a copy is changed: the replay of the copy must say so.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ROOT, record
from resume import results, run
from witness import asked, lines


def replay(home: Path, folder: str, *options: str) -> dict[str, Any]:
    """``dstill replay`` of a run in ``home``, closed."""
    log = home / f"closed-{folder}{''.join(options)}.log"
    command = [sys.executable, str(ROOT / "benchmarks" / "witness.py"), str(log), "--closed"]
    started = time.monotonic()
    done = subprocess.run([*command, "replay", folder, *options], cwd=home, capture_output=True, text=True)
    said = re.search(r"([\d,]+) answers from the cassette, 0 from engines; ([\d,]+) files have the same", done.stdout)
    return {
        "options": options, "code": done.returncode, "seconds": round(time.monotonic() - started, 2),
        "answers": int(said[1].replace(",", "")) if said else None,
        "files_with_equal_bytes": int(said[2].replace(",", "")) if said else None,
        "calls_asked_for": len(asked(log)), "attempts_on_sockets_and_engines": lines(log), "said": done.stderr[-300:],
    }  # fmt: skip


def main() -> None:
    """The run, its replays, the control; ends with status 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=ROOT / "docs" / "demo.toml")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        made = run(given.recipe, home, 1)
        calls, before = len(asked(home / "asked-1.log")), results(home)
        for journal in home.glob("journal.sqlite*"):
            journal.unlink()
        replays = [replay(home, "run"), replay(home, "run", "--retrain")]
        unchanged = results(home) == before
        shutil.copytree(home / "run", home / "copy")
        report = sorted((home / "copy").rglob("report.json"))[0]
        report.write_bytes(report.read_bytes()[:-1] + b" ")
        control = replay(home, "copy")
    caught = control["code"] == 5 and "other bytes" in control["said"]
    well = unchanged and caught and all(
        found["code"] == 0 and found["files_with_equal_bytes"] == len(before)
        and not found["attempts_on_sockets_and_engines"] for found in replays
    )  # fmt: skip
    attempts = sum(len(found["attempts_on_sockets_and_engines"]) for found in replays)
    record(
        "replay",
        {"recipe": given.recipe.name, "run_seconds": round(made.seconds, 2), "run_calls": calls,
         "files": sorted(before), "replays": replays,
         "run_directory_unchanged": unchanged, "control_caught": caught, "reproduced": well},
        f"{'reproduced' if well else 'NOT REPRODUCED'}: of {len(before)} files "
        + " and ".join(f"{f['files_with_equal_bytes']} {'retrained' if f['options'] else 'replayed'}" for f in replays)
        + f" have the same bytes, from {replays[0]['answers']} recorded answers ({calls} engine calls in the run) and "
        f"{attempts} attempts on sockets or engines; a changed byte was {'found' if caught else 'MISSED'}",
    )  # fmt: skip
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
