"""Whether the gate and cascades decide rightly: simulated students, and a cascade's promise over re-splits.

    python benchmarks/distill/decisions.py
    python benchmarks/distill/decisions.py --encoder FOLDER    # the cascade on e-SNLI, too

Students: a teacher that is right on four of five examples, and a student that differs from it on a share of them. One
is worse by exactly the margin, one is equal. The equal one is first tried on a pilot; the tool says how many examples
it needs, and it is tried again on so many new ones.

Cascades: a population of examples with the student's confidence and what its answer costs, split at random into
calibration and test. With an encoder, the population is e-SNLI's dev and test rows: the teacher is the recorded PaLM,
the student a linear classifier on the frozen encoder, trained on the teacher's labels.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import RESULTS, data_folder, record
from dstill.distill.conformal import calibrate
from dstill.distill.stages.gate import judged
from dstill.eval.statistics import wilson
from dstill.programs.folders import find_file
from plot import in_points, ranges


def scores(loss: float, n: int, chance: np.random.Generator, disagree: float) -> tuple[list[float], list[float]]:
    """Scores of student and teacher; the student is worse by ``loss`` in the long run."""
    kind = chance.choice(3, size=n, p=[(disagree - loss) / 2, (disagree + loss) / 2, 1 - disagree])
    both = (chance.random(n) < 0.8).astype(float)
    student = np.where(kind == 0, 1.0, np.where(kind == 1, 0.0, both))
    return student.tolist(), np.where(kind == 0, 0.0, np.where(kind == 1, 1.0, both)).tolist()


def students(count: int, margin: float, disagree: float, pilot: int, seed: int) -> dict[str, Any]:
    """How often a student that is worse by the margin ships, and one that is equal."""
    chance = np.random.default_rng(seed)
    worse, equal, asked = 0, 0, []
    for _ in range(count):
        needed = judged(*scores(0.0, pilot, chance, disagree), margin=margin).needed or pilot
        asked.append(needed)
        equal += judged(*scores(0.0, needed, chance, disagree), margin=margin).accepted
        worse += judged(*scores(margin, needed, chance, disagree), margin=margin).accepted
    return {
        "students": count, "margin": margin, "disagree": disagree, "pilot": pilot,
        "examples_asked": [int(np.min(asked)), int(np.median(asked)), int(np.max(asked))],
        "worse_shipped": wilson(worse, count).dump(), "equal_shipped": wilson(equal, count).dump(),
    }  # fmt: skip


def resplits(sure: np.ndarray, losses: np.ndarray, harm: float, count: int, seed: int) -> dict[str, Any]:
    """Half of the population calibrates, the other half is the test; many times over."""
    chance = np.random.default_rng(seed)
    found: dict[str, Any] = {
        "population": len(sure),
        "harm": harm,
        "resplits": count,
        "loss_alone": float(losses.mean()),
    }
    for promise in ("likely", "mean"):
        met, saved, lost = 0, [], []
        for _ in range(count):
            order = chance.permutation(len(sure))
            a, b = order[: len(sure) // 2], order[len(sure) // 2 :]
            threshold = calibrate(sure[a], losses[a], harm, promise=promise, ahead=len(b))  # type: ignore[arg-type]
            kept = sure[b] >= threshold.value
            lost.append(float((losses[b] * kept).mean()))
            saved.append(float(kept.mean()))
            met += lost[-1] <= harm
        found[promise] = {
            "met": met / count, "mean_loss": float(np.mean(lost)), "calls_saved": [round(float(x), 4) for x in (
                np.min(saved), np.median(saved), np.max(saved))],
        }  # fmt: skip
    return found


def esnli(data: Path, encoder: str, train: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences and losses of a linear student on e-SNLI's dev and test rows."""
    from dstill.distill.stages.encoder_loss import represent
    from sklearn.linear_model import LogisticRegression

    taught = list(_rows(data / "esnli", "train"))[:train]
    asked = [row for split in ("dev", "test") for row in _rows(data / "esnli", split)]

    def features(rows: list[dict[str, Any]]) -> np.ndarray:
        u, v = (represent(encoder, [[row[key]] for row in rows]).numpy() for key in ("premise", "hypothesis"))
        u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (u, v))
        return np.hstack([np.abs(u - v), u * v])

    model = LogisticRegression(C=3.0, max_iter=2000).fit(features(taught), [row["teacher_label"] for row in taught])
    chances = model.predict_proba(features(asked))
    said = model.classes_[chances.argmax(1)]
    gold = np.array([row["label"] for row in asked])
    teacher = np.array([row["teacher_label"] for row in asked])
    return chances.max(1), np.maximum(0.0, (teacher == gold).astype(float) - (said == gold))


def _rows(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    path = find_file(folder, split)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        yield from map(json.loads, lines)


def main() -> None:
    """Both, and the real one where an encoder is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--encoder", help="a folder or hub name of an encoder, for e-SNLI")
    parser.add_argument("--train", type=int, default=2000, help="rows of e-SNLI that the student learns from")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    gates = [
        students(given.students, margin, disagree, 200, seed)
        for seed in range(given.seeds)
        for margin, disagree in ((0.02, 0.1), (0.03, 0.2), (0.05, 0.3))
    ]
    chance = np.random.default_rng(0)
    sure = chance.beta(4, 1.5, 2000)
    losses = (chance.random(2000) > np.minimum(1, 0.85 + 0.25 * (sure - 0.5))).astype(float)
    cascades = {"simulated": [resplits(sure, losses, harm, given.resplits, 1) for harm in (0.01, 0.02, 0.05)]}
    if given.encoder:
        real = esnli(data_folder(given.data), given.encoder, given.train)
        cascades["esnli"] = [resplits(*real, harm, given.resplits, 2) for harm in (0.01, 0.02, 0.05)]
    kept = [one["likely"]["met"] for group in cascades.values() for one in group]
    saved = ", ".join(
        f"{name} at {100 * one['harm']:g} points {100 * one['likely']['calls_saved'][1]:.0f} %"
        for name, group in cascades.items()
        for one in group
    )
    record(
        "decisions", {"gates": gates, "cascades": cascades},
        f"of {given.students} students worse by the margin {_shares(gates, 'worse_shipped')} ship, of equal ones, with "
        f"the examples asked for, {_shares(gates, 'equal_shipped')}; a cascade's promise is met in "
        f"{100 * min(kept):.0f} to {100 * max(kept):.0f} % of {given.resplits} re-splits, and teacher calls saved "
        f"(median): {saved}",
    )  # fmt: skip
    picture(gates, cascades)


def picture(gates: list[dict[str, Any]], cascades: dict[str, list[dict[str, Any]]]) -> None:
    """How often students ship and promises are met, beside what is asked."""
    rows = {}
    for what, told in (("worse_shipped", "worse by the margin of"), ("equal_shipped", "equal, margin of")):
        for margin in dict.fromkeys(gate["margin"] for gate in gates):
            own = [gate for gate in gates if gate["margin"] == margin]
            count = sum(gate["students"] for gate in own)
            whole = wilson(sum(gate[what]["value"] * gate["students"] for gate in own), count).dump()
            rows[f"shipped: {told} {100 * margin:g}"] = in_points(whole)
    for name, group in cascades.items():
        for one in group:
            met = wilson(one["likely"]["met"] * one["resplits"], one["resplits"]).dump()
            rows[f"promise of {100 * one['harm']:g} met, {name}"] = in_points(met)
    ranges(RESULTS / "decisions.svg", "Gates and cascades", "% of the cases", rows, asked=(5.0, 80.0, 95.0))


def _shares(gates: list[dict[str, Any]], what: str) -> str:
    """All settings and seeds together, and the least and most of one."""
    each = [gate[what]["value"] for gate in gates]
    count = sum(gate["students"] for gate in gates)
    whole = wilson(sum(gate[what]["value"] * gate["students"] for gate in gates), count)
    return f"{whole} % ({100 * min(each):.1f} to {100 * max(each):.1f} in {len(gates)} settings and seeds)"


if __name__ == "__main__":
    main()
