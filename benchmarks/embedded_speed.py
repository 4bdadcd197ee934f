"""Calls a second: the local engine under concurrency, beside a transformers pipeline that takes one call at a time.

    python benchmarks/embedded_speed.py

Calls share a system turn and demonstrations (as many as `--demos` says, one measurement for each) and differ in the
text that is asked about. Both decode greedily, in float32 on the same weights and threads, in turn. Ours is what
``lm="embedded"`` stands for, which holds an answer to the form that its prompt asks for; the answers that are compared
are those of the same engine without forms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from common import alternate, record, spread
from dstill.runtime.derive import derive
from dstill.runtime.embedded import folder
from dstill.runtime.embedded.classify import classification
from dstill.runtime.embedded.concepts import theme_source
from dstill.runtime.wire import request_of_chat

NEW_TOKENS = 24


def prompts(n: int, demos: int, seed: int) -> list[list[dict[str, str]]]:
    """n prompts of one task: the same demonstrations, another text each."""
    from dataclasses import replace

    made, first = [], None
    source = theme_source(held=True)
    e = classification(derive(seed, "speed"), "held", source=source, explain="demos", n_classes=4, n_demos=demos)
    field = e.sig.inputs[0].name
    for i in range(n):
        rng = derive(seed, "speed", i)
        last = {**e.turns[-1], field: rng.choice(source.concepts).write(rng, "held")}
        made.append(replace(e, turns=(*e.turns[:-1], last)).prompt())
        first = first or made[0]
    return made


class Pipeline:
    """``transformers.pipeline`` as a user would make it."""

    def __init__(self, weights: Path, new_tokens: int = NEW_TOKENS) -> None:
        import torch
        from transformers import pipeline

        self.new_tokens = new_tokens
        self.pipe = pipeline("text-generation", model=str(weights), dtype=torch.float32, device="cpu")

    def __call__(self, chats: Sequence[list[dict[str, str]]]) -> list[str]:
        how: dict[str, Any] = {"max_new_tokens": self.new_tokens, "do_sample": False, "return_full_text": False}
        return [self.pipe(chat, **how)[0]["generated_text"] for chat in chats]

    def tokens(self, chat: list[dict[str, str]]) -> int:
        """How many a prompt has."""
        return len(self.pipe.tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"])


class Ours:
    """Our engine, asked by as many threads as there are calls in flight."""

    def __init__(self, weights: Path, concurrency: int, *, constrained: bool) -> None:
        from dspy import lm15
        from dstill.runtime.engines.local.causal import CausalEngine

        self.engine: Any = CausalEngine(weights, constrained=constrained)
        self.concurrency = concurrency
        self.config = lm15.Config(max_tokens=NEW_TOKENS)

    def __call__(self, chats: Sequence[list[dict[str, str]]]) -> list[str]:
        requests = [request_of_chat("m", chat, self.config) for chat in chats]
        with ThreadPoolExecutor(self.concurrency) as pool:
            return [r.text for r in pool.map(self.engine.complete, requests)]


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--weights", type=Path, default=None, help="a weights folder (default: the shipped base)")
    cli.add_argument("--calls", type=int, default=256, help="calls of ours in a measurement (default: 256)")
    cli.add_argument("--alone", type=int, default=24, help="calls of the pipeline in a measurement (default: 24)")
    cli.add_argument("--concurrency", type=int, default=64)
    cli.add_argument("--demos", type=int, nargs="+", default=[4, 8, 16, 24])
    cli.add_argument("--repeats", type=int, default=5)
    cli.add_argument("--threads", type=int, default=2)
    a = cli.parse_args()
    import torch

    torch.set_num_threads(a.threads)
    weights = a.weights or folder("base")
    theirs, ours = Pipeline(weights), Ours(weights, a.concurrency, constrained=True)
    free = Ours(weights, a.concurrency, constrained=False)
    figures: dict[str, Any] = {"concurrency": a.concurrency, "threads": a.threads}
    lines = []
    for demos in a.demos:
        chats = prompts(a.calls * (a.repeats + 2), demos, 0)
        pairs = zip(free(chats[: a.alone]), theirs(chats[: a.alone]), strict=True)
        same = [sum(x == y for x, y in pairs), a.alone]
        rows = {
            **beside(ours, theirs, chats, chats[: a.alone], a), "prompt_tokens": theirs.tokens(chats[0]),
            "same_answers": same,
        }  # fmt: skip
        figures[f"{demos} demonstrations"] = rows
        equal = " of ".join(map(str, same))
        lines.append(f"{rows['prompt_tokens']} tokens: {spread(rows['ratio'])} times, {equal} answers the same")
        print(lines[-1], flush=True)
    what = f"calls a second at {a.concurrency} in flight beside a pipeline"
    record(
        "embedded_speed" + (f"-{weights.name}" if a.weights else ""), figures, f"{what}; prompts of " + "; ".join(lines)
    )


def beside(
    ours: Callable[[Sequence[Any]], Any], theirs: Callable[[Sequence[Any]], Any], asked: Sequence[Any],
    alone: Sequence[Any], a: argparse.Namespace,
) -> dict[str, list[float]]:  # fmt: skip
    """Calls a second of both in turn: ours are others of ``asked`` each time, after as many that warm up; theirs are
    always ``alone``."""
    ours(asked[: a.alone])
    at = iter(range(a.calls, len(asked), a.calls))

    def rate(system: Callable[[Sequence[Any]], Any], some: Sequence[Any]) -> float:
        began = time.perf_counter()
        system(some)
        return len(some) / (time.perf_counter() - began)

    def fresh() -> Sequence[Any]:
        first = next(at)
        return asked[first : first + a.calls]

    fast, slow = alternate(lambda: rate(ours, fresh()), lambda: rate(theirs, alone), a.repeats)
    ratio = [x / y for x, y in zip(fast, slow, strict=True)]
    return {"ours_per_s": fast, "pipeline_per_s": slow, "ratio": ratio}


if __name__ == "__main__":
    main()
