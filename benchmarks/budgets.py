"""Caps that are never passed: calls, tokens and dollars, under our race, dspy:MIPROv2 and dspy:GEPA, 64 at a time.

    python benchmarks/budgets.py

The model is a real HTTP server on this machine that speaks the OpenAI protocol and takes some milliseconds an answer.
It keeps its own books: every completion that it made, the tokens that it reported, and their price. Those books are
held against the caps; what dstill says of itself stands beside them. A token is a byte here, the dearest tokenizer
that a reservation allows for, so that little slack is left to hide in.

A cap in tokens or dollars is so many times what one call of the declared program may cost at most. Every search wants
more than any of these caps. It gets four fifths of a cap, since the rest is kept for confirming the winner's gain: a
cap of one call leaves none to search with, and one that finds nothing better leaves a fifth of it.

The rough provider also fails: every seventh request with status 500 or 429, which is not billed, and every tenth
completion is cut off while it is sent, which is. It must not cost more than its cap either.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from common import ROOT, record
from dstill.optimizers import Where
from dstill.runtime import Budget, Journal, Session, lm_for

import dstill

sys.path.append(str(ROOT / "tests" / "support"))
import fakes
import tests_support

PRICES = (0.4, 1.6)
"""Dollars per million tokens read and written."""
PICO = (400_000, 1_600_000)
"""The same in pico-dollars for a token."""
MOST = 128
"""Tokens that an answer may have."""
OPTIMIZERS = ("race", "dspy:MIPROv2", "dspy:GEPA")
UNITS = ("calls", "tokens", "usd")


class Provider(tests_support.OpenAIServer):
    """Answers in the fields that it is asked for, better the better it likes the prompt, and keeps books."""

    request_queue_size = 256

    def __init__(self, seconds: float, *, rough: bool = False) -> None:
        super().__init__()
        self.script, self.seconds, self.rough = [self.serve], seconds, rough
        self.met = self.calls = self.tokens = self.pico = self.under_way = self.most = 0
        self.books = threading.Lock()

    def serve(self, handler: Any, body: dict[str, Any]) -> None:
        """One request; a completion is in the books before it is sent."""
        with self.books:
            self.met += 1
            refused = self.rough and self.met % 7 == 0
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(self.seconds)
        text = reply(body["messages"])
        read = sum(len(message["content"].encode()) for message in body["messages"])
        written = min(MOST, len(text.encode()))
        with self.books:
            self.under_way -= 1
            if not refused:
                self.calls += 1
                self.tokens += read + written
                self.pico += read * PICO[0] + written * PICO[1]
            cut = self.rough and self.calls % 10 == 0
        if refused:
            tests_support.error(429 if self.met % 2 else 500)(handler, body)
        elif cut:
            tests_support.cut(handler, body)
        else:
            tests_support.answer(text, read=read, written=written)(handler, body)

    def used(self, unit: str) -> int:
        """From the books; dollars in pico-dollars."""
        return {"calls": self.calls, "tokens": self.tokens, "usd": self.pico}[unit]


def reply(messages: list[dict[str, Any]]) -> str:
    """A colour where one is asked for, right on a share of texts that follows from the prompt; else an instruction."""
    last = str(messages[-1]["content"])
    wanted = re.findall(r"`(?:\[\[ ## )?(\w+)(?: ## \]\])?`", last.rpartition("Respond with")[2])
    values = {name: f"Name the colour, in way {chance(last):.6f}." for name in wanted if name != "completed"}
    text = re.findall(r"^thing number \d+$", last, re.MULTILINE)
    if "colour" in values and text:
        right = fakes.truth(text[-1])
        wrong = fakes.COLOURS[(fakes.COLOURS.index(right) + 1) % 4]
        values["colour"] = right if chance(text[-1]) < 0.4 + 0.5 * chance(str(messages[:-1])) else wrong
    if "JSON object" in last:
        return json.dumps(values)
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in {**values, "completed": ""}.items())


def chance(text: str) -> float:
    """A number in [0, 1) that follows from a text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def one_call(folder: Path) -> dict[str, int]:
    """What a call of the declared program may cost at most; dollars in pico-dollars."""
    with Provider(0) as provider:
        session = Session(Journal(folder / "probe.sqlite"))
        task = fakes.task(train=1, dev=1, test=1)
        dstill.evaluate(task.program, task.dev, task.metric, open_lm(provider, session), session=session)
        bound = next(iter(session.journal.entries())).bound
    return {"calls": bound.calls, "tokens": bound.tokens, "usd": bound.pico}


def open_lm(provider: Provider, session: Session) -> dstill.LM:
    """The provider as a hosted model with a price."""
    return lm_for("openai/provider", session, base_url=provider.url, prices=PRICES, max_tokens=MOST)


def trial(optimizer: str, unit: str, cap: int, provider: Provider, folder: Path) -> dict[str, Any]:
    """One compilation under one cap, on a journal of its own."""
    budget = Budget(**{unit: cap / 10**12 if unit == "usd" else cap})  # type: ignore[arg-type]
    with provider:
        session = Session(Journal(folder / "journal.sqlite"))
        lm, task = open_lm(provider, session), fakes.task(train=150, dev=300, test=1)
        started = time.perf_counter()
        made = dstill.compile(task, lm, optimizer, budget, concurrency=64, run=Where(folder / "run", session))
        seconds = time.perf_counter() - started
        time.sleep(0.3)  # for threads that an optimizer may have left behind
    session.journal.close()
    spent = session.ledger.spent
    assert made.evidence is not None
    return {
        "optimizer": optimizer, "unit": unit, "cap": cap, "rough": provider.rough, "used": provider.used(unit),
        "dstill_says": {"calls": spent.calls, "tokens": spent.tokens, "usd": spent.pico}[unit],
        "passed": provider.used(unit) > cap, "calls": provider.calls, "requests": provider.met,
        "most_at_once": provider.most, "trials": made.evidence.trials, "stopped": made.evidence.stopped,
        "seconds": round(seconds, 2),
    }  # fmt: skip


def main() -> None:
    """Every optimizer under every cap; ends with status 1 if one was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--caps", type=int, nargs="*", default=[1, 7, 50, 500], help="in calls, or calls' worth")
    parser.add_argument("--rough-caps", type=int, nargs="*", default=[50, 500], help="caps under the rough provider")
    parser.add_argument("--optimizers", nargs="*", default=OPTIMIZERS)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds that the provider takes an answer")
    given = parser.parse_args()
    trials: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        worth = one_call(Path(temporary))
        cases = [(cap, False) for cap in given.caps] + [(cap, True) for cap in given.rough_caps]
        for optimizer in given.optimizers:
            for unit in UNITS:
                for cap, rough in cases:
                    folder = Path(temporary) / str(len(trials))
                    provider = Provider(given.latency, rough=rough)
                    trials.append(trial(optimizer, unit, cap * worth[unit], provider, folder))
                    print(json.dumps(trials[-1]), flush=True)
    passed = sum(found["passed"] for found in trials)
    ended = sum(found["stopped"] is not None for found in trials)
    record(
        "budgets", {"passed": passed, "worth_of_one_call": worth, "usd_is_in_pico_dollars": True, "trials": trials},
        f"{passed} of {len(trials)} caps passed, by the provider's own count; {ended} searches ended by their cap, at "
        f"most {max(found['most_at_once'] for found in trials)} calls at once. Used of the cap: "
        + "; ".join(f"{name}: {shares(trials, name)}" for name in given.optimizers),
    )  # fmt: skip
    sys.exit(1 if passed else 0)


def shares(trials: list[dict[str, Any]], optimizer: str) -> str:
    """``5/7 40/50 calls, 0.74 0.79 of tokens, 0.71 0.79 of dollars``, in the order of the caps."""
    own = [found for found in trials if found["optimizer"] == optimizer and not found["rough"]]
    calls = " ".join(f"{found['used']}/{found['cap']}" for found in own if found["unit"] == "calls")
    parts = {unit: " ".join(f"{f['used'] / f['cap']:.2f}" for f in own if f["unit"] == unit) for unit in UNITS[1:]}
    return f"{calls} calls, {parts['tokens']} of tokens, {parts['usd']} of dollars"


if __name__ == "__main__":
    main()
