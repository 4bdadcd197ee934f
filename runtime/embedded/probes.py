"""What the model can do, measured without generation.

An answer is counted right where every token of it is the likeliest one given the right tokens before it: that is
the case exactly when greedy decoding writes that very answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from tokenizers import Tokenizer

from ..derive import derive
from .arithmetic import arithmetic
from .classify import classification
from .concepts import sources, theme_source
from .episode import Episode
from .lexicon import Split
from .model import Network, pack
from .reading import entailment
from .tokens import ASSISTANT, encode_episode, token_id

Make = Callable[[int], Episode]


def exact(network: Network, tokenizer: Tokenizer, episodes: Sequence[Episode], budget: int = 8192) -> list[bool]:
    """Per episode: does greedy decoding of the last turn give exactly its answer?"""
    mark = token_id(tokenizer, ASSISTANT)
    batch: list[tuple[list[int], list[float]]] = []
    out: list[bool] = []

    def flush() -> None:
        if not batch:
            return
        row = pack(batch, network.device)
        with torch.no_grad():
            right = (network(row).argmax(-1) == row.targets).tolist()
        at = 0
        for _, weights in batch:
            n = sum(w > 0 for w in weights)
            out.append(all(right[at : at + n]))
            at += n
        batch.clear()

    for e in episodes:
        ids, _ = encode_episode(tokenizer, e)
        begin = len(ids) - 1 - ids[::-1].index(mark)
        if sum(len(i) for i, _ in batch) + len(ids) > budget:
            flush()
        batch.append((ids, [0.0] * (begin + 1) + [1.0] * (len(ids) - begin - 1)))
    flush()
    return out


def suite(seed: int, n: int, split: Split = "held") -> Mapping[str, list[Episode]]:
    """The probes of a training run: n episodes of each kind."""
    every = {s.key: s for s in sources(split)}
    things, topics, support = every["thing"], every["topic"], every["support"]

    def many(name: str, make: Callable[..., Episode], **how: object) -> tuple[str, list[Episode]]:
        return name, [make(derive(seed, "probe", name, i), split, **how) for i in range(n)]

    plain: dict[str, object] = {"reasoning": False}
    out = [many("things2_demos4", classification, source=things, explain="demos", n_classes=2, n_demos=4, **plain)]
    for k in (0, 2, 4, 8):
        four: dict[str, object] = {"n_classes": 4, "n_demos": k, "explain": "demos", **plain}
        out.append(many(f"support4_demos{k}", classification, source=support, **four))
    four = {"n_classes": 4, "n_demos": 8, "balanced": True, **plain}
    known, unknown = theme_source(held=False), theme_source(held=True)
    out.append(many("known4_good8", classification, source=known, explain="demos", **four))
    out.append(many("themes4_good8", classification, source=unknown, explain="demos", **four))
    out.append(many("words4_good8", classification, source=theme_source(True, bare=True), explain="demos", **four))
    out.append(many("support4_good8", classification, source=support, explain="demos", **four))
    out.append(many("topics4_good8", classification, source=topics, explain="demos", **four))
    four |= {"n_demos": 0, "balanced": False}
    out.append(many("support4_rules", classification, source=support, explain="rules", **four))
    out.append(many("known4_rules", classification, source=known, explain="rules", **four))
    out.append(many("themes4_rules", classification, source=unknown, explain="rules", **four))
    out.append(many("known4_names", classification, source=known, explain="name", **four))
    out.append(many("support4_names", classification, source=support, explain="name", **four))
    for steps in (1, 2):
        for think in (False, True):
            how = {"steps": steps, "n_demos": 3, "reasoning": think}
            out.append(many(f"sums{steps}_{'think' if think else 'plain'}", arithmetic, **how))
    out.append(many("entail_demos2", entailment, n_demos=2, **plain))
    return dict(out)


def run(network: Network, tokenizer: Tokenizer, episodes: Mapping[str, list[Episode]]) -> dict[str, float]:
    """The share of exactly right answers per probe."""
    return {name: sum(right := exact(network, tokenizer, some)) / len(right) for name, some in episodes.items()}
