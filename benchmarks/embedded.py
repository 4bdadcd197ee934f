"""What the embedded LM can do: the figures of its model card.

Example (all figures, some minutes on one core):

    python benchmarks/embedded.py --examples 500 --seed 0 --out embedded.json

Everything is asked in wordings, names and labels that are held out from training, and where it says so in task
families that are; answers are decoded greedily and read by DSPy's own adapters. They are those of ``lm="embedded"``,
held to the form that the prompt asks for; with ``--free``, whatever the model writes. Prints JSON, then a line of
Markdown per figure.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dspy import lm15
from dstill.runtime.derive import derive
from dstill.runtime.embedded import folder
from dstill.runtime.embedded.arithmetic import arithmetic
from dstill.runtime.embedded.as_dspy import parse
from dstill.runtime.embedded.classify import classification
from dstill.runtime.embedded.concepts import support_source, theme_source
from dstill.runtime.embedded.curriculum import FAMILIES
from dstill.runtime.embedded.episode import Episode
from dstill.runtime.wire import request_of_chat

COUNTS = (0, 1, 2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Figure:
    """A measured share, with its Wilson 95 % interval."""

    name: str
    right: int
    of: int

    @property
    def value(self) -> float:
        return self.right / self.of

    def interval(self) -> tuple[float, float]:
        z, n, p = 1.96, self.of, self.value
        middle, width = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - width) / (1 + z * z / n), (middle + width) / (1 + z * z / n)


class Model:
    """The engine that ``lm="embedded"`` stands for, or one that holds no answer to a form; decoded greedily."""

    def __init__(self, weights: Path, threads: int, free: bool):
        import torch
        from dstill.runtime.engines.local.causal import CausalEngine

        torch.set_num_threads(threads)
        self.engine = CausalEngine(weights, constrained=not free)

    def has_between(self, least: int, most: int, e: Episode) -> bool:
        """Whether the prompt has so many tokens; one beyond the context has more."""
        try:
            return least <= self.engine.count(request_of_chat("m", e.prompt(), lm15.Config())) <= most
        except lm15.ContextLengthError:
            return False

    def answers(self, episodes: Sequence[Episode], new_tokens: int = 200) -> list[str]:
        """The completion of each episode's prompt."""
        config = lm15.Config(max_tokens=new_tokens)
        requests = [request_of_chat("m", e.prompt(), config) for e in episodes]
        with ThreadPoolExecutor(self.engine.concurrency) as pool:
            return [found.text or "" for found in pool.map(self.engine.complete, requests)]

    def read(self, episodes: Sequence[Episode]) -> list[dict[str, Any] | None]:
        """What DSPy reads from each completion."""
        return [parse(e.sig, e.adapter, a) for e, a in zip(episodes, self.answers(episodes), strict=True)]

    def score(self, name: str, episodes: Sequence[Episode]) -> Figure:
        """How many have the right value in the field `facts["answer"]`."""
        right = 0
        for e, values in zip(episodes, self.read(episodes), strict=True):
            field = str(e.facts["answer"])
            right += values is not None and values[field] == e.turns[-1][field]
        return Figure(name, right, len(episodes))


def many(n: int, seed: int, make: Callable[..., Episode], *path: str | int, **how: Any) -> list[Episode]:
    """n episodes of a kind, all held out."""
    return [make(derive(seed, "benchmark", make.__name__, *path, i), "held", **how) for i in range(n)]


def parsing(model: Model, n: int, seed: int) -> Iterable[Figure]:
    """1. Answers parse, at every number of demonstrations."""
    from dstill.runtime.embedded.formats import formatting
    from dstill.runtime.embedded.passages import extraction, questions
    from dstill.runtime.embedded.reading import entailment
    from dstill.runtime.embedded.tools import tool_choice

    others = (arithmetic, entailment, extraction, questions, formatting, tool_choice)
    makers = (classification, classification, classification, *others)
    per = -(-n // len(makers))
    for k in COUNTS:
        kinds = (many(per, seed, make, "parse", j, k, n_demos=k) for j, make in enumerate(makers))
        episodes = [e for some in kinds for e in some][:n]
        yield Figure(f"answers that parse, {k} demonstrations", sum(v is not None for v in model.read(episodes)), n)


def long_prompts(model: Model, n: int, seed: int) -> Iterable[Figure]:
    """1. Answers parse in long prompts, too."""
    long: list[Episode] = []
    i = 0
    while len(long) < n:
        e = classification(derive(seed, "benchmark", "long", i), "held", source=support_source(), n_demos=8 + i % 25)
        i += 1
        if model.has_between(1000, 1500, e):
            long.append(e)
    parsed = sum(v is not None for v in model.read(long))
    yield Figure("answers that parse, prompts of 1,000 to 1,500 tokens", parsed, n)
    yield model.score("classification right, prompts of 1,000 to 1,500 tokens", long)


def classifying(model: Model, n: int, seed: int) -> Iterable[Figure]:
    """2. Four classes, labels explained by demonstrations only, by the instruction only, by their names."""
    plain: dict[str, Any] = {"n_classes": 4, "reasoning": False}
    worlds = {
        "held-out themes": theme_source(held=True),  # classes that no task of training asks for
        "known themes": theme_source(held=False),
        "support mail": support_source(),
    }

    def by(said: str, world: str, path: str | int, **how: Any) -> Figure:
        es = many(n, seed, classification, world, path, source=worlds[world], **{**plain, **how})
        return model.score(f"4 classes by {said}", es)

    for world in worlds:
        for k in (0, 2, 4, 8):
            yield by(f"demonstrations only, {world}, {k} random", world, k, explain="demos", n_demos=k)
        good = {"explain": "demos", "n_demos": 8, "balanced": True}
        yield by(f"demonstrations only, {world}, 8 balanced", world, "good", **good)
        yield by(f"an uninformative instruction, {world}", world, "told", explain="demos", n_demos=0)
        yield by(f"the instruction only, {world}", world, "told", explain="rules", n_demos=0)
    for world, source in worlds.items():
        es = many(n, seed, classification, "names", source=source, explain="name", n_demos=0, **plain)
        yield model.score(f"4 classes by their own names, {world}", es)


def reasoning(model: Model, n: int, seed: int) -> Iterable[Figure]:
    """3. Sums in two steps gain from reasoning."""
    for steps in (1, 2, 3):
        for think in (False, True):
            es = many(n, seed, arithmetic, steps, steps=steps, n_demos=3, reasoning=think)
            name = f"sums of {steps} step{'s' * (steps > 1)}, 3 demonstrations"
            yield model.score(f"{name}, {'with' if think else 'without'} reasoning", es)


def families(model: Model, n: int, seed: int) -> Iterable[Figure]:
    """Every family of the curriculum in its held-out wordings."""
    for name, (_, _, make) in FAMILIES.items():
        es = [make(derive(seed, "benchmark", "family", name, i), "held", 1.0) for i in range(n)]
        es = [e for e in es if e.raw is None and e.facts.get("answer") in [field.name for field in e.sig.outputs]]
        es = [e for e in es if not e.family.startswith("proposing")]
        if es:
            yield model.score(f"family {name}", es)


FIGURES = {
    "parsing": parsing, "long": long_prompts, "classifying": classifying, "reasoning": reasoning, "families": families,
}  # fmt: skip


def main() -> None:
    """The command line."""
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--examples", type=int, default=500, help="examples per figure (default: 500)")
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--out", type=Path, help="write the JSON here too")
    cli.add_argument("--weights", type=Path, default=None, help="a weights folder (default: the shipped base)")
    cli.add_argument("--only", nargs="*", choices=FIGURES, default=list(FIGURES), help="which groups (default: all)")
    cli.add_argument("--free", action="store_true", help="hold answers to no form")
    cli.add_argument("--threads", type=int, default=1)
    a = cli.parse_args()
    model = Model(a.weights or folder("base"), a.threads, a.free)
    began, rows = time.time(), []
    for group in a.only:
        for f in FIGURES[group](model, a.examples, a.seed):
            low, high = f.interval()
            measured = {"value": round(f.value, 4), "low": round(low, 4), "high": round(high, 4), "n": f.of}
            rows.append({"group": group, "name": f.name, **measured})
            print(json.dumps(rows[-1]), flush=True)
    result = {
        "seed": a.seed,
        "constrained": not a.free,
        "examples": a.examples,
        "seconds": round(time.time() - began),
        "figures": rows,
    }
    if a.out:
        a.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print("\n| figure | value | 95 % |\n|---|---|---|")
    for r in rows:
        print(f"| {r['name']} | {100 * r['value']:.1f} % | {100 * r['low']:.1f} to {100 * r['high']:.1f} |")


if __name__ == "__main__":
    main()
