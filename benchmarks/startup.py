"""What it costs to begin: ``import dstill`` and ``dstill --help``, in fresh processes; ``import dspy`` for scale.

    python benchmarks/startup.py

An import is timed from within, the command line from outside, interpreter and all (a bare ``python`` is shown beside
it). Names of dstill are loaded when they are first used, so that cost, DSPy's import included, is shown too. The
commands run in turn, so that a machine's moods fall on all alike.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import record

IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
TARGETS = {"import dstill": 0.1, "dstill --help": 0.4}


def imported(package: str) -> float:
    """Seconds for an import statement in a new process."""
    return float(subprocess.run([sys.executable, "-c", IMPORT.format(package)], capture_output=True, check=True).stdout)


def wall(*command: str) -> float:
    """Seconds from starting a command to its end."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Every measurement in turn, once to warm the disk's cache and then ``--repeats`` times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    command = Path(sys.executable).parent / "dstill"
    measures = {
        "import dstill": lambda: imported("dstill"),
        "dstill --help": lambda: wall(str(command), "--help"),
        "first use of dstill.compile": lambda: imported("dstill; dstill.compile"),
        "import dspy": lambda: imported("dspy"),
        "python": lambda: wall(sys.executable, "-c", "pass"),
    }
    found: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(given.repeats + 1):
        for name, measure in measures.items():
            seconds = measure()
            if turn:
                found[name].append(round(seconds, 5))
    figures = {
        name: {"best": min(values), "median": statistics.median(values), "target": TARGETS.get(name), "seconds": values}
        for name, values in found.items()
    }
    record(
        "startup", {"repeats": given.repeats, "measures": figures},
        "; ".join(
            f"`{name}` {values['median']:.3g} s (best {values['best']:.3g}"
            + (f", target {values['target']:g})" if values["target"] else ")")
            for name, values in figures.items()
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
