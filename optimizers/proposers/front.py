"""Who wins where: the candidates that are best on some example, as GEPA selects parents.

Agrawal et al., "GEPA: Reflective prompt evolution can outperform reinforcement learning", 2507.19457, algorithm 2.
"""

from __future__ import annotations

from random import Random

from ..history import History, Trial


def front(history: History) -> dict[int, int]:
    """By trial number, on how many places nobody who met them scores higher; without those that another dominates.

    One trial dominates another if it is among the best wherever the other is, and somewhere else too; of trials that
    are best on the same places the first by ``History.estimate``, then length, then number stays. A trial without
    scores is not in it.
    """
    scored = [trial for trial in history.trials if trial.scores]
    best: dict[int, float] = {}
    for trial in scored:
        for place, score in trial.scores.items():
            best[place] = max(best.get(place, score), score)
    wins = {t.number: {place for place, score in t.scores.items() if score == best[place]} for t in scored}
    ordered = sorted(
        (t for t in scored if wins[t.number]), key=lambda t: (-history.estimate(t), t.candidate.length, t.number)
    )
    kept: dict[int, int] = {}
    for index, trial in enumerate(ordered):
        own = wins[trial.number]
        beaten = any(own < wins[t.number] for t in ordered) or any(own == wins[t.number] for t in ordered[:index])
        if not beaten:
            kept[trial.number] = len(own)
    return dict(sorted(kept.items()))


def draw_parent(history: History, rng: Random) -> Trial | None:
    """One of the front, by the number of places on which it is among the best; ``None`` before there are scores."""
    counts = front(history)
    if not counts:
        return None
    return history.trials[rng.choices(list(counts), weights=list(counts.values()))[0]]
