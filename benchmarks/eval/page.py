"""A board of 50 systems on 1,300 examples in a browser: how long it takes to build, to open, to sort, and to scroll.

    python benchmarks/eval/page.py

Right-or-wrong and graded scores, every output another one, inputs in six slices. Opened ``--repeats`` times in a
headless Chromium each; without one only the building is measured. A frame is the time between two animation frames
while the list of examples scrolls from its beginning to its end in two seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))

from common import record, spread
from dstill.eval import Report, Row, leaderboard

SCROLL = """
const done = arguments[0];
const list = document.querySelector('.list');
const frames = [];
let before = performance.now();
const start = before;
const step = (now) => {
  frames.push(now - before);
  before = now;
  list.scrollTop = (list.scrollHeight * (now - start)) / 2000;
  if (now - start < 2000) requestAnimationFrame(step);
  else done(frames.slice(1));
};
requestAnimationFrame(step);
"""
ACT = """
const done = arguments[1];
const [selector, value] = arguments[0];
const element = document.querySelector(selector);
const start = performance.now();
if (value === null) element.click();
else { element.value = value; element.dispatchEvent(new Event('change', { bubbles: true })); }
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
"""


def reports(systems: int, examples: int, graded: bool) -> list[Report]:
    """Systems that share their luck on half of the examples, with outputs of some 300 characters."""
    chance = np.random.default_rng(0)
    shared, found = chance.random(examples), []
    for i in range(systems):
        luck = np.where(chance.random(examples) < 0.5, shared, chance.random(examples))
        rate = 0.4 + 0.5 * i / systems
        scores = np.round(luck ** (1 / rate - 1), 3) if graded else (luck < rate).astype(float)
        rows = tuple(
            Row(
                n, f"e{n}", "scored", score, "",
                {"answer": f"{i}.{n} {score}", "reasoning": f"{i} thinks of {n}. " * 18},
                None, 1, 100 + i, 10, 1e-6 * (i + 1), 0.01 * (i + 1),
            )
            for n, score in enumerate(scores.tolist())
        )  # fmt: skip
        found.append(Report(f"system-{i:02}", "board", "test", "score" if graded else "exact", rows, 10**6 * (i + 1)))
    return found


def look(page: Path, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of what a reader does, once for each opening; nothing without a browser."""
    import browser

    found: dict[str, list[float]] = {}
    if browser.chromium() is None:
        return found
    for _ in range(repeats):
        with browser.Browser() as chrome:
            chrome.open(page)
            loaded = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
            seen: dict[str, float] = {"first paint": chrome.first_paint(), "loaded": chrome.run(loaded)}
            script = chrome.driver.execute_async_script
            seen["sort"] = script(ACT, ['th[data-key="usd"] button', None])
            seen["other baseline"] = script(ACT, ['[data-do="baseline"]', "system-25"])
            chrome.run("document.querySelector('.examples').scrollIntoView({behavior: 'instant'})")
            while not chrome.run("return document.querySelector('.item')"):
                time.sleep(0.02)
            frames = script(SCROLL)
            seen["median frame"] = float(np.median(frames))
            seen["slowest twentieth of frames"] = float(np.quantile(frames, 0.95))
            seen["only where two differ"] = script(ACT, ['[data-do="show"]', "differ"])
            for name, value in seen.items():
                found.setdefault(name, []).append(round(value, 1))
            if chrome.complaints():
                sys.exit(f"the page complains: {chrome.complaints()}")
    return found


def main() -> None:
    """Build, open, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=50)
    parser.add_argument("--examples", type=int, default=1300)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    asked = [{"id": f"e{n}", "question": f"How much is {n}?", "kind": f"kind {n % 6}"} for n in range(given.examples)]
    figures: dict[str, Any] = {}
    lines = []
    for name, graded in (("right or wrong", False), ("graded", True)):
        made = reports(given.systems, given.examples, graded)
        with tempfile.TemporaryDirectory() as scratch:
            start = time.perf_counter(), time.process_time()
            page = leaderboard(made, examples=asked).save(scratch)["html"]
            took, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
            size = page.stat().st_size
            seen = look(page, given.repeats)
        figures[name] = {
            "seconds": round(took, 2), "cpu_seconds": round(cpu, 2), "html_bytes": size, "milliseconds": seen,
        }  # fmt: skip
        shown = ", ".join(f"{what} {spread(values)} ms" for what, values in seen.items())
        lines.append(f"{name}: built and saved in {took:.1f} s ({cpu:.1f} s of CPU), {size / 1e6:.1f} MB; {shown}")
    command = " ".join(["python", "benchmarks/eval/page.py", *sys.argv[1:]])
    record("page", {"command": command, **figures}, "; ".join(lines))


if __name__ == "__main__":
    main()
